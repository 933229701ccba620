package store

import (
	"context"
	"errors"
	"fmt"

	"flotilla/cluster"
)

// Edit is what an editor makes of one unit head. The zero Edit leaves it as it is.
type Edit struct {
	Spec   *cluster.UnitSpec // the new head; nil with Delete false = keep
	Raw    []byte            // content that Spec.Blob names, when it may not be stored yet
	Delete bool
}

// EditUnits changes unit heads by a function of what is there: old is nil and rev 0
// when there is none. edit may be called again for a head that others changed
// meanwhile; its error becomes the unit's. Nothing is atomic but each unit.
func (s *Store) EditUnits(ctx context.Context, names []cluster.Unit, edit func(i int, old *cluster.UnitSpec, rev int64) (Edit, error)) []UnitResult {
	out := make([]UnitResult, len(names))
	todo := make([]int, 0, len(names))
	for i, n := range names {
		out[i].Name = n
		if err := checkPart(string(n)); err != nil {
			out[i].Err = fmt.Errorf("unit name %q: %w", n, err)
			continue
		}
		todo = append(todo, i)
	}
	for range maxTries {
		if len(todo) == 0 {
			return out
		}
		todo = s.editOnce(ctx, names, todo, edit, out)
	}
	for _, i := range todo {
		out[i].Err = fmt.Errorf("unit %s: %w: others keep changing it", names[i], ErrConflict)
	}
	return out
}

// editOnce reads, edits and writes, and returns the units to try again.
func (s *Store) editOnce(ctx context.Context, names []cluster.Unit, todo []int, edit func(int, *cluster.UnitSpec, int64) (Edit, error), out []UnitResult) []int {
	wanted := make([]string, len(todo))
	for j, i := range todo {
		wanted[j] = s.keys.unit(names[i])
	}
	heads, err := s.many(ctx, wanted, MaxOps)
	if err != nil {
		for _, i := range todo {
			out[i].Err = err
		}
		return nil
	}
	var items []item
	var at []int
	for j, i := range todo {
		it, err := s.editItem(heads[j], func(old *cluster.UnitSpec) (Edit, error) { return edit(i, old, heads[j].ModRev) }, &out[i])
		if err != nil {
			out[i].Err = err
			continue
		}
		if out[i].Changed {
			items, at = append(items, it), append(at, i)
		}
	}
	revs, errs := s.commitItems(ctx, nil, nil, items)
	var again []int
	for j, i := range at {
		switch {
		case errs[j] == nil:
			out[i].Rev = revs[j]
		case errors.Is(errs[j], ErrStale):
			again = append(again, i)
		default:
			out[i].Err = fmt.Errorf("unit %s: %w", names[i], errs[j])
		}
	}
	return again
}

// editItem turns an edit of the head as it was read into a write, and notes the outcome.
func (s *Store) editItem(kv KeyValue, edit func(*cluster.UnitSpec) (Edit, error), out *UnitResult) (item, error) {
	var old *cluster.UnitSpec
	if kv.ModRev != 0 {
		spec, err := decode[cluster.UnitSpec](kv)
		if err != nil {
			return item{}, err
		}
		old = &spec
	}
	e, err := edit(old)
	out.Rev, out.Changed = kv.ModRev, e.Delete || e.Spec != nil
	if err != nil || !out.Changed {
		return item{}, err
	}
	it := item{If: []Compare{{Key: kv.Key, Target: ModRev, Rev: kv.ModRev}}}
	if e.Delete {
		it.Then = []Op{{Key: kv.Key, Delete: true}}
		return it, nil
	}
	if len(e.Raw) > MaxContent {
		return item{}, fmt.Errorf("unit %s: %d bytes of content: %w: at most %d", out.Name, len(e.Raw), ErrTooLarge, MaxContent)
	}
	value, err := encode(*e.Spec)
	if err != nil {
		return item{}, err
	}
	out.Spec = *e.Spec
	if e.Raw != nil {
		it.Then = append(it.Then, Op{Key: s.keys.blob(e.Spec.Blob), Value: e.Raw})
	}
	it.Then = append(it.Then, Op{Key: kv.Key, Value: value})
	return it, nil
}
