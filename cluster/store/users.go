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
const MaxContent = units.MaxContent

// MaxBundle is how large the drop-ins of one unit may be: they and the file go in one transaction.
const MaxBundle = 384 << 10

// maxTries bounds how often a change is tried anew because others change the same key
// at the same time.
const maxTries = 16

// Edit is what an editor makes of one unit head. The zero Edit leaves it as it is.
type Edit struct {
	Spec   *cluster.UnitSpec // the new head; nil with Delete false = keep
	Raw    []byte            // content that Spec.Blob names; nil when it is in the store
	Bundle []byte            // content that Spec.DropIns names; nil when it is in the store
	Delete bool              // also of a head that is missing while the unit is placed
	By     cluster.Note      // who deletes
}

// UnitResult is what became of one unit.
type UnitResult struct {
	Name    cluster.Unit
	Rev     int64            // mod revision of the head; of the deletion for a deleted one
	Spec    cluster.UnitSpec // as it is now; zero for a deleted or absent one
	Changed bool
	Err     error
}

// EditUnits changes unit heads by a function of what is there: old is nil and rev 0
// when there is none. A name may come more than once; its edits follow each other. edit
// is called again for a head that others changed meanwhile; its error becomes the
// unit's. A batch is not atomic: each unit has its own result, ErrConflict when
// others keep changing it, ErrNotFound for a content that is nowhere,
// ErrTooLarge, ErrForeignStore, ErrAmbiguous.
//
// A deletion leaves the mark destroyed/<unit> in the same transaction: that mark is the
// order to end the unit, and a head that is merely missing ends nothing.
//
// A head that names another content, of its file or of its drop-ins, is written in one
// transaction with it, also when the store has it already: so CollectBlobs sees that it is
// named again.
//
// Edits of a few units that come while another such edit is on its way go together with those
// of other callers; their editors are then called in another goroutine, before EditUnits returns.
func (s *Store) EditUnits(ctx context.Context, names []cluster.Unit, edit func(i int, old *cluster.UnitSpec, rev int64) (Edit, error)) []UnitResult {
	if len(names) > mostSmall {
		return s.editUnits(ctx, names, edit)
	}
	return s.editSmall(ctx, names, edit)
}

// editUnits makes edits by themselves.
func (s *Store) editUnits(ctx context.Context, names []cluster.Unit, edit editor) []UnitResult {
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
		out[i].Changed = false
		out[i].Err = fmt.Errorf("unit %s: %w: others keep changing it", names[i], ErrConflict)
	}
	return out
}

// checkPart refuses what cannot be one part of a key.
func checkPart(s string) error {
	if s == "" || strings.ContainsAny(s, "/\x00") {
		return errors.New("not usable as part of a key")
	}
	return nil
}

// headEdit is one unit on its way through editOnce.
type headEdit struct {
	at   int // in the caller's list
	head KeyValue
	old  *cluster.UnitSpec
	Edit
}

// editOnce reads, edits and writes, and returns the units to try again: those that
// others changed meanwhile, and later edits of a name that this round changed.
func (s *Store) editOnce(ctx context.Context, names []cluster.Unit, todo []int, edit editor, out []UnitResult) []int {
	keys := make([]string, len(todo))
	for j, i := range todo {
		keys[j] = s.keys.unit(names[i])
	}
	heads, err := s.ours(ctx, keys)
	if err != nil {
		for _, i := range todo {
			out[i].Err = err
		}
		return nil
	}
	var again []int
	var edits []headEdit
	met := map[cluster.Unit]bool{}
	for j, i := range todo {
		if met[names[i]] {
			again = append(again, i)
			continue
		}
		met[names[i]] = true
		e, err := editHead(i, heads[j], edit)
		out[i] = UnitResult{Name: names[i], Rev: heads[j].ModRev, Err: err}
		switch {
		case err != nil:
		case e.Spec == nil && !e.Delete:
			if e.old != nil {
				out[i].Spec = *e.old
			}
		default:
			edits = append(edits, e)
		}
	}
	return append(s.commitEdits(ctx, edits, out), again...)
}

// editHead asks the editor.
func editHead(i int, head KeyValue, edit editor) (headEdit, error) {
	e := headEdit{at: i, head: head}
	if head.ModRev != 0 {
		spec, err := decode[cluster.UnitSpec](head)
		if err != nil {
			return e, err
		}
		e.old = &spec
	}
	var given *cluster.UnitSpec
	if e.old != nil {
		spec := *e.old
		given = &spec
	}
	var err error
	e.Edit, err = edit(i, given, head.ModRev)
	return e, err
}

// commitEdits writes, and returns the units whose heads were changed by others.
func (s *Store) commitEdits(ctx context.Context, edits []headEdit, out []UnitResult) []int {
	stored, err := s.storedContents(ctx, edits)
	var items []item
	var at []int
	for _, e := range edits {
		var it item
		failed := err
		if failed == nil {
			it, failed = s.editItem(e, stored)
		}
		if failed != nil {
			out[e.at].Err = fmt.Errorf("unit %s: %w", out[e.at].Name, failed)
			continue
		}
		if e.Spec != nil {
			out[e.at].Spec = *e.Spec
		}
		items, at = append(items, it), append(at, e.at)
	}
	revs, errs := s.commitItems(ctx, nil, nil, items)
	var again []int
	for j, i := range at {
		switch {
		case errs[j] == nil:
			out[i].Rev, out[i].Changed = revs[j], true
		case errors.Is(errs[j], ErrStale):
			again = append(again, i)
		default:
			out[i].Err = fmt.Errorf("unit %s: %w", out[i].Name, errs[j])
		}
	}
	return again
}

// newContent is a content that an edit makes a head name.
type newContent struct {
	hash units.Hash
	raw  []byte // nil when it is in the store
	most int    // bytes
}

// newContents are the contents that the edit makes a head name and that it did not name before. That of
// TemplateDropIns is not put again: the template named it a moment ago, and a day passes before it is collected.
func (e *headEdit) newContents() []newContent {
	if e.Delete {
		return nil
	}
	var old cluster.UnitSpec
	if e.old != nil {
		old = *e.old
	}
	var out []newContent
	if e.old == nil || old.Blob != e.Spec.Blob {
		out = append(out, newContent{e.Spec.Blob, e.Raw, MaxContent})
	}
	if h := e.Spec.DropIns; h != "" && h != old.DropIns {
		out = append(out, newContent{h, e.Bundle, MaxBundle})
	}
	return out
}

// put is the write of a content that is proved to be what its name says.
func (c newContent) put(k keys, stored map[units.Hash][]byte) (Op, error) {
	raw := c.raw
	if raw == nil {
		var ok bool
		if raw, ok = stored[c.hash]; !ok {
			return Op{}, fmt.Errorf("content %s: %w", c.hash.Short(), ErrNotFound)
		}
	}
	if len(raw) > c.most {
		return Op{}, fmt.Errorf("%d bytes of content: %w: at most %d", len(raw), ErrTooLarge, c.most)
	}
	if units.HashOf(raw) != c.hash {
		return Op{}, fmt.Errorf("content %s: its bytes have another hash", c.hash.Short())
	}
	return Op{Key: k.blob(c.hash), Value: raw}, nil
}

// storedContents reads contents that heads will name and that the editor did not hand over.
func (s *Store) storedContents(ctx context.Context, edits []headEdit) (map[units.Hash][]byte, error) {
	want := map[units.Hash]bool{}
	var hashes []units.Hash
	for _, e := range edits {
		for _, c := range e.newContents() {
			if c.raw == nil && checkPart(string(c.hash)) == nil && !want[c.hash] {
				want[c.hash] = true
				hashes = append(hashes, c.hash)
			}
		}
	}
	got, _, err := s.blobs(ctx, hashes)
	return got, err
}

// editItem turns an edit into a write.
func (s *Store) editItem(e headEdit, stored map[units.Hash][]byte) (item, error) {
	it := item{If: []Compare{{Key: e.head.Key, Target: ModRev, Rev: e.head.ModRev}}}
	if e.Delete {
		by, err := encode(e.By)
		if err != nil {
			return item{}, err
		}
		it.Then = []Op{{Key: e.head.Key, Delete: true}, {Key: s.keys.destroyed(s.keys.unitOf(e.head.Key)), Value: by}}
		return it, nil
	}
	for _, c := range e.newContents() {
		op, err := c.put(s.keys, stored)
		if err != nil {
			return item{}, err
		}
		it.Then = append(it.Then, op)
	}
	value, err := encode(*e.Spec)
	if err != nil {
		return item{}, err
	}
	it.Then = append(it.Then, Op{Key: e.head.Key, Value: value})
	return it, nil
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
