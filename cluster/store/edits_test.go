package store_test

import (
	"context"
	"fmt"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// restartRule says when a unitChange raises the restart counter.
type restartRule int

const (
	noRestart restartRule = iota
	restartOnChange
	restartAlways
)

// unitChange is an edit of one unit head, as a user's command makes it. Zero fields
// change nothing.
type unitChange struct {
	Name    cluster.Unit
	IfMatch int64
	Raw     []byte
	Target  *units.Target
	Restart restartRule
	Delete  bool
	By      cluster.Note
}

// change carries out changes through EditUnits.
func change(ctx context.Context, s *store.Store, changes []unitChange) []store.UnitResult {
	names := make([]cluster.Unit, len(changes))
	for i, c := range changes {
		names[i] = c.Name
	}
	return s.EditUnits(ctx, names, func(i int, old *cluster.UnitSpec, rev int64) (store.Edit, error) {
		return changes[i].edit(old, rev)
	})
}

func (c unitChange) edit(old *cluster.UnitSpec, rev int64) (store.Edit, error) {
	if c.IfMatch > 0 && c.IfMatch != rev || c.IfMatch == store.MustNotExist && rev != 0 {
		return store.Edit{}, fmt.Errorf("at %d: %w", rev, store.ErrConflict)
	}
	if old == nil && (c.Delete || c.Raw == nil) {
		return store.Edit{}, store.ErrNotFound
	}
	if c.Delete {
		return store.Edit{Delete: true}, nil
	}
	var next cluster.UnitSpec
	if old != nil {
		next = *old
	}
	if c.Raw != nil {
		next.Blob = units.HashOf(c.Raw)
	}
	if c.Target != nil {
		next.Target = *c.Target
		if next.Target == units.Launched {
			next.Run++
		}
	}
	replaced := old != nil && next.Blob != old.Blob
	if c.Restart == restartAlways || c.Restart == restartOnChange && replaced {
		next.Restart++
	}
	if old != nil && next == *old {
		return store.Edit{}, nil
	}
	next.By = c.By
	return store.Edit{Spec: &next, Raw: c.Raw}, nil
}
