package store

import (
	"context"
	"errors"
	"sync/atomic"
)

// maxFlights is how many transactions of one commit are on their way at once. etcd writes
// what arrives together with one fsync, and a round trip is most of a small transaction.
const maxFlights = 8

// commitItems commits items in as few transactions as the limits allow, each filled with
// the items that follow one another. fixed is compared by each transaction; when one of
// these fails, over is everybody's error. The errors stand at the items' places: nil means
// committed, ErrStale that a compare of this very item failed, ErrAmbiguous that it may
// have been committed. The revisions are those at which the items were committed.
//
// Up to maxFlights transactions are on their way at once, so items that share no key may
// be committed in any order. Those of which one writes what the other compares or writes
// differently are committed in theirs. After the first error that is not stale no transaction
// is begun any more; those on their way end as they may, and each says how.
func (s *Store) commitItems(ctx context.Context, fixed []Compare, over error, items []item) ([]int64, []error) {
	revs, errs := make([]int64, len(items)), make([]error, len(items))
	var todo []int
	for i, it := range items {
		if errs[i] = it.contradicts(); errs[i] == nil {
			todo = append(todo, i)
		}
	}
	pl := newPipeline(func(p *packer) error {
		return s.commitPacked(ctx, fixed, over, items, p, revs, errs)
	})
	for len(todo) > 0 {
		p := newPacker(fixed...)
		n := 0
		for n < len(todo) && p.add(todo[n], items[todo[n]]) {
			n++
		}
		if n == 0 {
			errs[todo[0]] = errItemTooLarge
			todo = todo[1:]
			continue
		}
		if err := pl.send(p); err != nil {
			notTried(errs, todo, err)
			break
		}
		todo = todo[n:]
	}
	pl.drain()
	return revs, errs
}

// flight is a transaction on its way.
type flight struct {
	p    *packer
	done chan error // capacity 1
}

// pipeline keeps several transactions on their way, and never two of which one writes what
// the other compares or writes differently. One goroutine uses it.
type pipeline struct {
	commit   func(*packer) error
	flights  []flight       // oldest first
	compared map[string]int // keys that those on their way compare: how many do
	wrote    map[string]writers
	failed   atomic.Bool // one of them ended with an error
	err      error       // that of the oldest one
}

// writers are the equal writes of one key that are on their way.
type writers struct {
	op Op
	n  int
}

func newPipeline(commit func(*packer) error) *pipeline {
	return &pipeline{commit: commit, compared: map[string]int{}, wrote: map[string]writers{}}
}

// send begins a transaction as soon as it may, or returns the error that ends the commit;
// then it is not begun.
func (pl *pipeline) send(p *packer) error {
	for pl.err == nil && (len(pl.flights) == maxFlights || pl.collides(p)) {
		pl.land()
	}
	if pl.failed.Load() {
		pl.drain()
	}
	if pl.err != nil {
		return pl.err
	}
	pl.count(p, +1)
	f := flight{p, make(chan error, 1)}
	pl.flights = append(pl.flights, f)
	go func() {
		err := pl.commit(p)
		if err != nil {
			pl.failed.Store(true)
		}
		f.done <- err
	}()
	return nil
}

// land waits for the oldest transaction.
func (pl *pipeline) land() {
	f := pl.flights[0]
	pl.flights = pl.flights[1:]
	if err := <-f.done; err != nil && pl.err == nil {
		pl.err = err
	}
	pl.count(f.p, -1)
}

// drain waits for all of them.
func (pl *pipeline) drain() {
	for len(pl.flights) > 0 {
		pl.land()
	}
}

// collides says whether the order of this transaction and one on its way matters.
func (pl *pipeline) collides(p *packer) bool {
	if len(pl.flights) == 0 {
		return false
	}
	for _, c := range p.cmp {
		if pl.wrote[c.Key].n > 0 {
			return true
		}
	}
	for _, o := range p.ops {
		if w := pl.wrote[o.Key]; pl.compared[o.Key] > 0 || w.n > 0 && !sameOp(w.op, o) {
			return true
		}
	}
	return false
}

// count keeps what those on their way compare and write.
func (pl *pipeline) count(p *packer, by int) {
	for _, c := range p.cmp {
		if pl.compared[c.Key] += by; pl.compared[c.Key] == 0 {
			delete(pl.compared, c.Key)
		}
	}
	for _, o := range p.ops {
		if w := (writers{o, pl.wrote[o.Key].n + by}); w.n > 0 {
			pl.wrote[o.Key] = w
		} else {
			delete(pl.wrote, o.Key)
		}
	}
}

// commitPacked commits one packer's items, leaving out those that turn out stale until
// the rest goes through. An error ends the whole commit; it stands in errs then.
func (s *Store) commitPacked(ctx context.Context, fixed []Compare, over error, items []item, p *packer, revs []int64, errs []error) error {
	for tries := 0; len(p.index) > 0; tries++ {
		res, err := s.commit(ctx, Txn{If: p.cmp, Then: p.ops})
		if err == nil && res.Succeeded {
			for _, i := range p.index {
				revs[i] = res.Revision
			}
			return nil
		}
		var stale map[compareID]*staleError
		if err == nil {
			stale, err = s.whyRefused(ctx, p, over)
		}
		if err == nil && tries > len(items)+maxTries {
			err = errors.New("transaction is refused again and again although its compares hold")
		}
		if err != nil {
			for _, i := range p.index {
				errs[i] = err
			}
			return err
		}
		rest := newPacker(fixed...)
		for _, i := range p.index {
			if e := staleOf(items[i], stale); e != nil {
				errs[i] = e
				continue
			}
			rest.add(i, items[i])
		}
		p = rest
	}
	return nil
}

// whyRefused reads what a refused transaction compared. Nearly all are written, so the reads do not
// travel with them. Nothing is found where what was compared holds again meanwhile.
func (s *Store) whyRefused(ctx context.Context, p *packer, over error) (map[compareID]*staleError, error) {
	t := p.txn(false)
	t.Then = nil
	res, err := s.commit(ctx, t)
	if err != nil || res.Succeeded {
		return nil, err
	}
	return p.failed(res, over)
}

// notTried marks what was left after a transaction ended the commit. An unclear outcome
// is that transaction's alone: these were surely not written.
func notTried(errs []error, todo []int, err error) {
	if errors.Is(err, ErrAmbiguous) {
		err = errors.New("not tried: the outcome of a transaction before is unknown")
	}
	for _, i := range todo {
		errs[i] = err
	}
}
