package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// MustNotExist as an IfMatch demands that the thing does not exist yet.
const MustNotExist int64 = -1

// MaxContent is how large the content of one unit may be.
const MaxContent = 512 << 10

// RestartRule says when a UnitChange raises the restart counter.
type RestartRule int

// The rules.
const (
	NoRestart       RestartRule = iota
	RestartOnChange             // when an existing unit gets other content
	RestartAlways
)

// UnitChange is what a user wants of one unit head. Zero fields change nothing.
type UnitChange struct {
	Name     cluster.Unit
	IfMatch  int64         // 0 = whatever is there; a mod revision; or MustNotExist
	Raw      []byte        // new content; nil keeps the content, and then the unit must exist
	Template cluster.Unit  // the template Raw came from, for an instance; looked at with Raw only
	Target   *units.Target // nil keeps the target; Launched also raises the run counter
	Restart  RestartRule
	Delete   bool // ends the head; nothing else is looked at but IfMatch
	By       cluster.Note
}

// UnitResult is what became of one UnitChange.
type UnitResult struct {
	Name    cluster.Unit
	Rev     int64 // mod revision of the head; of the deletion for a deleted one
	Spec    cluster.UnitSpec
	Changed bool // false when everything was so already
	Err     error
}

// maxTries bounds how often an unconditional change is tried anew because others change
// the same key at the same time.
const maxTries = 16

// ChangeUnits carries out changes of unit heads: submit, replace, start, stop, restart,
// destroy. Content is written in the same transaction as the head that names it.
// A batch is not atomic; each unit has its own result: ErrConflict when
// IfMatch does not hold, ErrNotFound, ErrTooLarge, ErrForeignStore, ErrAmbiguous.
func (s *Store) ChangeUnits(ctx context.Context, changes []UnitChange) []UnitResult {
	out := make([]UnitResult, len(changes))
	todo := make([]int, 0, len(changes))
	for i, c := range changes {
		out[i].Name = c.Name
		if out[i].Err = c.check(); out[i].Err == nil {
			todo = append(todo, i)
		}
	}
	for range maxTries {
		if len(todo) == 0 {
			return out
		}
		todo = s.changeOnce(ctx, changes, todo, out)
	}
	for _, i := range todo {
		out[i].Err = fmt.Errorf("unit %s: %w: others keep changing it", changes[i].Name, ErrConflict)
	}
	return out
}

func (c *UnitChange) check() error {
	if err := checkPart(string(c.Name)); err != nil {
		return fmt.Errorf("unit name %q: %w", c.Name, err)
	}
	if len(c.Raw) > MaxContent {
		return fmt.Errorf("unit %s: %d bytes of content: %w: at most %d", c.Name, len(c.Raw), ErrTooLarge, MaxContent)
	}
	return nil
}

// checkPart refuses what cannot be one part of a key.
func checkPart(s string) error {
	if s == "" || strings.ContainsAny(s, "/\x00") {
		return errors.New("not usable as part of a key")
	}
	return nil
}

// changeOnce reads the heads, decides and writes. It returns those to try again.
func (s *Store) changeOnce(ctx context.Context, changes []UnitChange, todo []int, out []UnitResult) []int {
	names := make([]string, len(todo))
	for j, i := range todo {
		names[j] = s.keys.unit(changes[i].Name)
	}
	heads, err := s.ours(ctx, names)
	if err != nil {
		for _, i := range todo {
			out[i].Err = err
		}
		return nil
	}
	var items []item
	var at []int
	for j, i := range todo {
		it, res, err := s.changeItem(changes[i], heads[j])
		if err != nil {
			out[i].Err = fmt.Errorf("unit %s: %w", changes[i].Name, err)
			continue
		}
		out[i] = res
		if res.Changed {
			items, at = append(items, it), append(at, i)
		}
	}
	revs, errs := s.commitItems(ctx, nil, nil, items)
	var again []int
	for j, i := range at {
		switch {
		case errs[j] == nil:
			out[i].Rev = revs[j]
		case errors.Is(errs[j], ErrStale) && changes[i].IfMatch == 0:
			again = append(again, i)
		case errors.Is(errs[j], ErrStale):
			out[i].Err = fmt.Errorf("unit %s: %w", changes[i].Name, ErrConflict)
		default:
			out[i].Err = fmt.Errorf("unit %s: %w", changes[i].Name, errs[j])
		}
	}
	return again
}

// changeItem decides one change on the head as it was read.
func (s *Store) changeItem(c UnitChange, kv KeyValue) (item, UnitResult, error) {
	res := UnitResult{Name: c.Name, Rev: kv.ModRev}
	exists := kv.ModRev != 0
	if err := matches(c.IfMatch, kv.ModRev); err != nil {
		return item{}, res, err
	}
	if !exists && (c.Delete || c.Raw == nil) {
		return item{}, res, ErrNotFound
	}
	it := item{If: []Compare{{Key: kv.Key, Target: ModRev, Rev: kv.ModRev}}}
	if c.Delete {
		res.Changed = true
		it.Then = []Op{{Key: kv.Key, Delete: true}}
		return it, res, nil
	}
	var old cluster.UnitSpec
	if exists {
		var err error
		if old, err = decode[cluster.UnitSpec](kv); err != nil {
			return item{}, res, err
		}
	}
	res.Spec = c.apply(old, exists)
	if same := res.Spec; exists {
		same.By = old.By
		if same == old {
			res.Spec = old
			return item{}, res, nil
		}
	}
	res.Changed = true
	value, err := encode(res.Spec)
	if err != nil {
		return item{}, res, err
	}
	if res.Spec.Blob != old.Blob {
		it.Then = append(it.Then, Op{Key: s.keys.blob(res.Spec.Blob), Value: c.Raw})
	}
	it.Then = append(it.Then, Op{Key: kv.Key, Value: value})
	return it, res, nil
}

// apply is the head after the change.
func (c *UnitChange) apply(old cluster.UnitSpec, exists bool) cluster.UnitSpec {
	next := old
	next.By = c.By
	if c.Raw != nil {
		next.Blob, next.Template = units.HashOf(c.Raw), c.Template
	}
	if c.Target != nil {
		next.Target = *c.Target
		if next.Target == units.Launched {
			next.Run++
		}
	}
	replaced := exists && next.Blob != old.Blob
	if c.Restart == RestartAlways || c.Restart == RestartOnChange && replaced {
		next.Restart++
	}
	return next
}

// matches judges an IfMatch.
func matches(want, is int64) error {
	switch {
	case want == 0, want == is:
		return nil
	case want == MustNotExist && is == 0:
		return nil
	case want == MustNotExist:
		return fmt.Errorf("%w: it exists already", ErrConflict)
	case is == 0:
		return fmt.Errorf("%w: it is gone", ErrConflict)
	default:
		return fmt.Errorf("%w: it is at revision %d, asked for %d", ErrConflict, is, want)
	}
}

// Unit reads one head and its mod revision; ErrNotFound when there is none.
func (s *Store) Unit(ctx context.Context, name cluster.Unit) (cluster.UnitSpec, int64, error) {
	kv, ok, _, err := s.one(ctx, s.keys.unit(name))
	if err != nil {
		return cluster.UnitSpec{}, 0, err
	}
	if !ok {
		return cluster.UnitSpec{}, 0, fmt.Errorf("unit %s: %w", name, ErrNotFound)
	}
	spec, err := decode[cluster.UnitSpec](kv)
	return spec, kv.ModRev, err
}

// Units reads all heads at one revision, which it returns.
func (s *Store) Units(ctx context.Context) (map[cluster.Unit]cluster.UnitSpec, int64, error) {
	out := map[cluster.Unit]cluster.UnitSpec{}
	rev, err := s.scan(ctx, Prefix(s.keys.units()), func(kv KeyValue) error {
		spec, err := decode[cluster.UnitSpec](kv)
		out[s.keys.unitOf(kv.Key)] = spec
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return out, rev, nil
}
