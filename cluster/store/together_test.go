package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

// gate is a backend that counts writes, lets them wait, and refuses some for no reason.
type gate struct {
	store.Backend
	mu     sync.Mutex
	writes int
	refuse int           // so many writes more
	held   chan struct{} // nil = writes go through
}

func (g *gate) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if len(t.Then) == 0 {
		return g.Backend.Txn(ctx, t)
	}
	g.mu.Lock()
	g.writes++
	held, refuse := g.held, g.refuse > 0
	if refuse {
		g.refuse--
	}
	g.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return store.TxnResult{}, ctx.Err()
		}
	}
	if refuse {
		return g.Backend.Txn(ctx, store.Txn{If: []store.Compare{{Key: "nothing", Target: store.ModRev, Rev: 1}}, Else: t.Else})
	}
	return g.Backend.Txn(ctx, t)
}

// inGate runs a test on a store behind a gate, in virtual time.
func inGate(t *testing.T, f func(t *testing.T, g *gate, s *store.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(memory.Options{Kind: true})
		defer mem.Close()
		g := &gate{Backend: mem}
		s := store.New(g, "", store.Options{})
		if _, err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.writes = 0
		f(t, g, s)
	})
}

// launch edits one unit: it is there and was started once more.
func launch(ctx context.Context, s *store.Store, name cluster.Unit) store.UnitResult {
	raw := []byte("[Service]\nExecStart=/bin/true\n")
	return s.EditUnits(ctx, []cluster.Unit{name}, func(_ int, old *cluster.UnitSpec, _ int64) (store.Edit, error) {
		spec := cluster.UnitSpec{Blob: units.HashOf(raw), Target: units.Launched}
		if old != nil {
			spec.Run = old.Run + 1
		}
		return store.Edit{Spec: &spec, Raw: raw}, nil
	})[0]
}

// TestSmallEditsGoTogether: what comes while a write is on its way is one write after it, and each
// caller has its own result.
func TestSmallEditsGoTogether(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate, s *store.Store) {
		const callers = 40
		g.held = make(chan struct{})
		var wg sync.WaitGroup
		results := make([]store.UnitResult, callers)
		refused := errors.New("no")
		for i := range callers {
			wg.Go(func() {
				switch {
				case i == 7:
					results[i] = s.EditUnits(t.Context(), []cluster.Unit{"refused.service"}, func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
						return store.Edit{}, refused
					})[0]
				case i >= 30:
					results[i] = launch(t.Context(), s, "same.service")
				default:
					results[i] = launch(t.Context(), s, cluster.Unit(fmt.Sprintf("u%d.service", i)))
				}
			})
			synctest.Wait()
		}
		close(g.held)
		wg.Wait()
		// The first, all others, and then each further edit of the unit that several ask for.
		if g.writes > 2+9 {
			t.Errorf("%d edits took %d writes, want at most 11", callers, g.writes)
		}
		runs := map[int64]bool{}
		for i, r := range results {
			switch {
			case i == 7:
				if !errors.Is(r.Err, refused) || r.Changed {
					t.Errorf("edit 7 = %+v, want its own refusal", r)
				}
			case r.Err != nil || !r.Changed || r.Rev == 0:
				t.Errorf("edit %d = %+v, want a change", i, r)
			case i >= 30:
				runs[r.Spec.Run] = true
			}
		}
		if spec, _, err := s.Unit(t.Context(), "same.service"); err != nil || spec.Run != 9 || len(runs) != 10 {
			t.Errorf("ten edits of one unit came to run %d with %d different results (%v), want 9 with 10", spec.Run, len(runs), err)
		}
		before := g.writes
		if r := launch(t.Context(), s, "later.service"); r.Err != nil || g.writes != before+1 {
			t.Errorf("an edit when nothing is on its way = %+v after %d writes, want one", r, g.writes-before)
		}
	})
}

// TestSmallEditThatIsGivenUp: who gives up while it waits has changed nothing, and keeps nobody else.
func TestSmallEditThatIsGivenUp(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate, s *store.Store) {
		g.held = make(chan struct{})
		var first, gone, last store.UnitResult
		var wg sync.WaitGroup
		wg.Go(func() { first = launch(t.Context(), s, "first.service") })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			gone = launch(ctx, s, "gone.service")
		})
		wg.Go(func() { last = launch(t.Context(), s, "last.service") })
		pass := time.NewTimer(2 * time.Second)
		<-pass.C
		synctest.Wait()
		if !errors.Is(gone.Err, context.DeadlineExceeded) {
			t.Errorf("an edit whose time is up = %+v, want that", gone)
		}
		close(g.held)
		wg.Wait()
		if first.Err != nil || last.Err != nil {
			t.Errorf("the others' edits = %v, %v, want none to fail", first.Err, last.Err)
		}
		if _, _, err := s.Unit(t.Context(), "gone.service"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the unit of an edit that was given up: %v, want %v", err, store.ErrNotFound)
		}
	})
}

// TestTurnIsPassedOn: a caller that goes in the moment in which it is to make the edits that wait leaves
// them to the next.
func TestTurnIsPassedOn(t *testing.T) {
	for range 50 {
		inGate(t, func(t *testing.T, g *gate, s *store.Store) {
			g.held = make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { launch(t.Context(), s, "first.service") })
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() { launch(ctx, s, "gone.service") })
			synctest.Wait()
			var last store.UnitResult
			wg.Go(func() { last = launch(t.Context(), s, "last.service") })
			synctest.Wait()
			wg.Go(cancel)
			close(g.held)
			wg.Wait()
			if last.Err != nil || !last.Changed {
				t.Fatalf("the edit behind one that was given up = %+v, want a change", last)
			}
		})
	}
}

// TestEditsOnTheirWayEndWithTheirCallers: a store that does not answer is not waited for by nobody.
func TestEditsOnTheirWayEndWithTheirCallers(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate, s *store.Store) {
		g.held = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		later, end := context.WithTimeout(t.Context(), 5*time.Second)
		defer end()
		var wg sync.WaitGroup
		results := make([]store.UnitResult, 3)
		wg.Go(func() { results[0] = launch(ctx, s, "a.service") })
		synctest.Wait()
		wg.Go(func() { results[1] = launch(later, s, "b.service") })
		wg.Go(func() { results[2] = launch(later, s, "c.service") })
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the callers waited %s, want until their time was up", took)
		}
		for i, r := range results {
			if !errors.Is(r.Err, context.DeadlineExceeded) || r.Changed {
				t.Errorf("edit %d = %+v, want that its time is up", i, r)
			}
		}
	})
}

// TestEditsEndWhenAllCallersHaveGone: without deadlines, too.
func TestEditsEndWhenAllCallersHaveGone(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate, s *store.Store) {
		g.held = make(chan struct{})
		first, endFirst := context.WithCancel(t.Context())
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		results := make([]store.UnitResult, 3)
		wg.Go(func() { results[0] = launch(first, s, "a.service") })
		synctest.Wait()
		wg.Go(func() { results[1] = launch(ctx, s, "b.service") })
		wg.Go(func() { results[2] = launch(ctx, s, "c.service") })
		synctest.Wait()
		endFirst()
		synctest.Wait()
		if g.writes != 2 {
			t.Fatalf("%d writes are on their way, want the second by now", g.writes)
		}
		end()
		wg.Wait()
		for i, r := range results {
			if !errors.Is(r.Err, context.Canceled) || r.Changed {
				t.Errorf("edit %d = %+v, want that it was given up", i, r)
			}
		}
	})
}

// TestRefusedForNoReason: a write that was refused while all that it compares holds again is made anew.
func TestRefusedForNoReason(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate, s *store.Store) {
		g.refuse = 3
		if r := launch(t.Context(), s, "a.service"); r.Err != nil || !r.Changed || g.writes != 4 {
			t.Errorf("edit = %+v after %d writes, want a change after 4", r, g.writes)
		}
		g.refuse = 1 << 20
		if r := launch(t.Context(), s, "b.service"); r.Err == nil || g.writes > 100 {
			t.Errorf("edit that is refused for ever = %+v after %d writes, want an error", r, g.writes)
		}
	})
}
