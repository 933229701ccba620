package sim

import (
	"context"
	"errors"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// turn is a lock that may be held while time passes: a wait for a mutex would stand
// still in virtual time.
type turn chan struct{}

// patience is how long the user tries one thing.
const patience = 3 * time.Minute

// Type has the user do something, after what was typed before, and try again until it
// is answered. done is called with the answer.
func (w *World) Type(what string, do func(context.Context) error) {
	w.note("user: %s", what)
	w.run(func() {
		select {
		case w.typing <- struct{}{}:
		case <-w.ended:
			return
		}
		defer func() { <-w.typing }()
		w.expect(+1)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for ctx.Err() == nil {
			err := do(ctx)
			if err == nil || final(err) {
				w.note("user: done: %s (%v)", what, err)
				break
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-w.ended:
				return
			}
		}
		time.AfterFunc(5*time.Second, func() { w.expect(-1) }) // what was given up may still arrive
	})
}

func final(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrForeignStore) || errors.Is(err, store.ErrNoStore)
}

// Typed waits until the user has nothing left to do.
func (w *World) Typed() {
	select {
	case w.typing <- struct{}{}:
		<-w.typing
	case <-w.ended:
	}
}

// expect tells the judge that a user's operation begins or ends.
func (w *World) expect(n int) {
	if w.Judge == nil {
		return
	}
	w.Judge.mu.Lock()
	w.Judge.intents += n
	w.Judge.mu.Unlock()
}

func (w *World) note(format string, args ...any) {
	if w.Judge != nil {
		w.Judge.Note(format, args...)
	}
}

// me is who asks for things.
func me() cluster.Note { return cluster.Note{Who: "user", When: time.Now().UTC()} }

// Change is what the user wants of one unit. Zero fields change nothing.
type Change struct {
	Unit    cluster.Unit
	Raw     []byte
	Target  *units.Target
	Restart bool // with Raw: only if the content differs
	Delete  bool
}

// apply makes the new head of the old one, as the API does.
func (c Change) apply(old *cluster.UnitSpec) (store.Edit, error) {
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
	next.By = me()
	if c.Raw != nil {
		next.Blob = units.HashOf(c.Raw)
	}
	replaced := old != nil && next.Blob != old.Blob
	if c.Restart && (c.Raw == nil || replaced) {
		next.Restart++
	}
	if c.Target != nil {
		next.Target = *c.Target
		if next.Target == units.Launched {
			next.Run++
		}
	}
	return store.Edit{Spec: &next, Raw: c.Raw}, nil
}

// Change changes units and remembers what was acknowledged.
func (w *World) Change(ctx context.Context, changes ...Change) error {
	names := make([]cluster.Unit, len(changes))
	for i, c := range changes {
		names[i] = c.Unit
	}
	var failed error
	results := w.User().EditUnits(ctx, names, func(i int, old *cluster.UnitSpec, _ int64) (store.Edit, error) {
		return changes[i].apply(old)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range results {
		switch {
		case r.Err != nil && !(changes[i].Delete && errors.Is(r.Err, store.ErrNotFound)):
			failed = r.Err
		case changes[i].Delete:
			w.acked[r.Name] = nil
		default:
			spec := r.Spec
			w.acked[r.Name] = &spec
		}
	}
	return failed
}

// Ask has the user change one unit.
func (w *World) Ask(what string, c Change) {
	w.Type(what+" "+string(c.Unit), func(ctx context.Context) error { return w.Change(ctx, c) })
}

func target(t units.Target) *units.Target { return &t }

// Submit puts a unit in the store with this target.
func (w *World) Submit(u cluster.Unit, raw []byte, t units.Target) {
	w.Ask("submit "+t.String(), Change{Unit: u, Raw: raw, Target: target(t)})
}

// Aim gives a unit a target.
func (w *World) Aim(u cluster.Unit, t units.Target) {
	w.Ask("aim "+t.String(), Change{Unit: u, Target: target(t)})
}

// Restart asks for a restart.
func (w *World) Restart(u cluster.Unit) { w.Ask("restart", Change{Unit: u, Restart: true}) }

// Replace gives a unit other content.
func (w *World) Replace(u cluster.Unit, raw []byte, restart bool) {
	w.Ask("replace", Change{Unit: u, Raw: raw, Restart: restart})
}

// Destroy ends a unit.
func (w *World) Destroy(u cluster.Unit) { w.Ask("destroy", Change{Unit: u, Delete: true}) }

// Edit changes what the operator says of a host.
func (w *World) Edit(what string, h *Host, edit func(*cluster.HostSpec)) {
	w.Type(what+" "+h.name, func(ctx context.Context) error {
		_, _, err := w.User().EditHostSpec(ctx, h.id, 0, func(s *cluster.HostSpec) error {
			edit(s)
			return nil
		})
		return err
	})
}

// Leave has a host whose agent has ended leave the cluster.
func (w *World) Leave(h *Host) {
	w.Type("leave "+h.name, func(ctx context.Context) error {
		return w.User().Leave(ctx, store.Leaving{Host: h.id, Boot: h.machine.BootID(), By: me()})
	})
}

// StopOrphans has the operator end every orphan that hosts report.
func (w *World) StopOrphans() {
	if w.Judge == nil {
		return
	}
	w.Judge.mu.Lock()
	var found []cluster.Where
	for where, st := range w.Judge.acks {
		if st.Orphan && w.Judge.places[where].last().State == 0 {
			found = append(found, where)
		}
	}
	w.Judge.mu.Unlock()
	for _, where := range found {
		w.Type("stop orphan "+string(where.Unit)+" on "+where.Host.Short(), func(ctx context.Context) error {
			_, err := w.User().StopOrphan(ctx, where, me())
			return err
		})
	}
}
