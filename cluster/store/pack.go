package store

import (
	"bytes"
	"errors"
	"fmt"
)

// item is what must be committed together or not at all.
type item struct {
	If   []Compare
	Then []Op
}

// A transaction carries one compare and one read more than the packer sees: those of
// the store's identity. Sizes are counted generously, so that the backend's own count
// stays below its limit.
const (
	packCompares = MaxCompares - 1
	packOps      = MaxOps - 1
	packBytes    = MaxBytes - 16<<10
	entryBytes   = 64 // what a compare or an op costs beside key and value
)

type compareID struct {
	key    string
	target CompareTarget
}

// packer collects items for one transaction. Equal compares are merged, equal writes
// too. Items whose order matters to each other are never put together: what one writes
// another neither compares nor writes differently.
type packer struct {
	index []int // of the items in it
	fixed int   // how many compares are there whatever the items
	cmp   []Compare
	at    map[compareID]int // into cmp
	ops   []Op
	wrote map[string]int // into ops
	size  int
}

func newPacker(fixed ...Compare) *packer {
	p := &packer{at: map[compareID]int{}, wrote: map[string]int{}, fixed: len(fixed)}
	for _, c := range fixed {
		p.addCompare(c)
	}
	return p
}

func (p *packer) addCompare(c Compare) {
	p.at[compareID{c.Key, c.Target}] = len(p.cmp)
	p.cmp = append(p.cmp, c)
	p.size += compareBytes(c)
}

// compareBytes counts a compare and the read that tells why it failed.
func compareBytes(c Compare) int { return 2*len(c.Key) + len(c.Value) + 2*entryBytes }

func opBytes(o Op) int { return len(o.Key) + len(o.Value) + entryBytes }

// add takes an item in, or leaves the packer as it was and returns false.
func (p *packer) add(i int, it item) bool {
	var cmp []Compare
	var ops []Op
	size := p.size
	for _, c := range it.If {
		if _, w := p.wrote[c.Key]; w {
			return false
		}
		if at, known := p.at[compareID{c.Key, c.Target}]; known {
			if !sameCompare(p.cmp[at], c) {
				return false
			}
			continue
		}
		cmp = append(cmp, c)
		size += compareBytes(c)
	}
	for _, o := range it.Then {
		if at, known := p.wrote[o.Key]; known {
			if !sameOp(p.ops[at], o) {
				return false
			}
			continue
		}
		ops = append(ops, o)
		size += opBytes(o)
	}
	if len(p.cmp)+len(cmp) > packCompares || len(p.ops)+len(ops) > packOps || size > packBytes {
		return false
	}
	for _, c := range cmp {
		p.addCompare(c)
	}
	for _, o := range ops {
		p.wrote[o.Key] = len(p.ops)
		p.ops = append(p.ops, o)
		p.size += opBytes(o)
	}
	p.index = append(p.index, i)
	return true
}

func sameCompare(a, b Compare) bool {
	return a.Target == b.Target && a.Rev == b.Rev && bytes.Equal(a.Value, b.Value)
}

func sameOp(a, b Op) bool {
	return a.Lease == b.Lease && a.Delete == b.Delete && bytes.Equal(a.Value, b.Value)
}

// txn is the transaction; its Else reads every compared key, in the order of the compares.
func (p *packer) txn(values bool) Txn {
	t := Txn{If: p.cmp, Then: p.ops, Else: make([]Range, len(p.cmp))}
	for i, c := range p.cmp {
		t.Else[i] = Range{Key: c.Key, KeysOnly: !values}
	}
	return t
}

// Why one item can never be committed.
var (
	errItemTooLarge = fmt.Errorf("one change alone: %w", ErrTooLarge)
	errContradicts  = errors.New("it contradicts itself")
)

// contradicts says whether an item can never be committed: it compares one key with
// two revisions, or writes it twice.
func (it item) contradicts() error {
	for i, c := range it.If { // nearly all items hold a handful of each
		for _, d := range it.If[:i] {
			if c.Key == d.Key && c.Target == d.Target && !sameCompare(c, d) {
				return fmt.Errorf("%w: two different conditions on %s", errContradicts, c.Key)
			}
		}
	}
	for i, o := range it.Then {
		for _, d := range it.Then[:i] {
			if o.Key == d.Key && !sameOp(o, d) {
				return fmt.Errorf("%w: two different writes of %s", errContradicts, o.Key)
			}
		}
	}
	return nil
}

// staleError is a compare of one item that did not hold.
type staleError struct {
	cmp Compare
	is  int64
}

// Error names the key and both revisions.
func (e *staleError) Error() string {
	return fmt.Sprintf("%v: %s is at revision %d, decided at %d", ErrStale, e.cmp.Key, e.is, e.cmp.Rev)
}

// Unwrap makes errors.Is(err, ErrStale) true.
func (e *staleError) Unwrap() error { return ErrStale }

// errOvertaken says that a leader's barrier is not the newest one: one of its own with an
// unknown outcome arrived late. Nothing was written; another barrier mends it.
var errOvertaken = errors.New("an earlier barrier arrived late: catch up")

// failed finds the compares that did not hold. A fixed one is the error over; the barrier,
// the only fixed one on a mod revision, is errOvertaken.
func (p *packer) failed(res TxnResult, over error) (map[compareID]*staleError, error) {
	if len(res.Else) != len(p.cmp) {
		return nil, fmt.Errorf("transaction: %d answers to %d reads", len(res.Else), len(p.cmp))
	}
	out := map[compareID]*staleError{}
	for i, c := range p.cmp {
		kv, _ := first(res.Else[i])
		is := kv.ModRev
		if c.Target == CreateRev {
			is = kv.CreateRev
		}
		if is == c.Rev {
			continue
		}
		switch {
		case i < p.fixed && c.Target == ModRev:
			return nil, errOvertaken
		case i < p.fixed:
			return nil, over
		}
		out[compareID{c.Key, c.Target}] = &staleError{cmp: c, is: is}
	}
	if len(out) == 0 {
		return nil, errors.New("transaction: a compare failed and yet all of them hold")
	}
	return out, nil
}

func staleOf(it item, stale map[compareID]*staleError) error {
	for _, c := range it.If {
		if e := stale[compareID{c.Key, c.Target}]; e != nil {
			return e
		}
	}
	return nil
}
