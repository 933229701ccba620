package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// TestStaleOrdersAreHarmless applies decisions to a cluster that has changed since they
// were made: their conditions must hold back all that would be wrong now.
func TestStaleOrdersAreHarmless(t *testing.T) {
	kinds := map[plan.Kind]int{}
	refused, drained := 0, 0
	for seed := range 1500 {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		w := randomWorld(t, r)
		for range 6 {
			w.now = w.now.Add(time.Duration(r.IntN(6)) * time.Second)
			res := w.plan()
			for range r.IntN(3) {
				w.disturb(r)
			}
			if h := w.randomHost(r); chance(r, 15) {
				w.drain(h.Info.Name)
				drained++
			} else if chance(r, 15) {
				w.spec(h.Info.Name, func(s *cluster.HostSpec) { s.Drain = nil })
			}
			for _, d := range res.Decisions {
				if err := guarded(d); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				sound := w.check() == nil
				if w.apply(d.Orders) != nil {
					refused++
					continue
				}
				kinds[d.Kind]++
				if err := w.check(); sound && err != nil {
					t.Fatalf("seed %d: %s %s: %v\n%s", seed, d.Kind, d.Unit, err, w.dump())
				}
				w.mustBeWanted(seed, d)
			}
			w.obeyAll()
		}
	}
	for k := plan.Place; k <= plan.Forget; k++ {
		if kinds[k] < 30 {
			t.Errorf("%d decisions of kind %s in all, want at least 30 for the test to mean anything", kinds[k], k)
		}
	}
	if drained < 500 {
		t.Errorf("hosts were drained %d times, want at least 500 for the test to mean anything", drained)
	}
	if refused < 200 {
		t.Errorf("%d stale decisions were refused, want at least 200 for the test to mean anything", refused)
	}
}

// guarded says whether a decision compares every key that it writes, and the head it rests on.
func guarded(d plan.Decision) error {
	has := map[cluster.Condition]bool{}
	for _, c := range d.Orders.If {
		c.Revision = 0
		has[c] = true
	}
	for _, pl := range d.Orders.Put {
		if !has[cluster.Condition{Kind: cluster.PlacedAt, Host: pl.Host, Unit: pl.Unit}] || !has[cluster.Condition{Kind: cluster.UnitAt, Unit: pl.Unit}] {
			return fmt.Errorf("%s %s writes a key that it does not compare: %+v", d.Kind, d.Unit, d.Orders)
		}
	}
	for _, w := range d.Orders.Delete {
		if !has[cluster.Condition{Kind: cluster.PlacedAt, Host: w.Host, Unit: w.Unit}] {
			return fmt.Errorf("%s %s deletes a key that it does not compare: %+v", d.Kind, d.Unit, d.Orders)
		}
	}
	return nil
}

// runsOrphan says whether a unit runs on the host without an order: it is adopted there,
// on a cordoned host too, also when that ends its placement on an absent one.
func runsOrphan(h *cluster.Host, u cluster.Unit) bool {
	st, ok := h.StatusOf(u)
	return ok && st.Orphan
}

// mustBeWanted says that an applied decision was right at the moment it was applied.
func (w *world) mustBeWanted(seed int, d plan.Decision) {
	head, h := w.snap.Units[d.Unit], w.snap.Hosts[d.Host]
	switch d.Kind {
	case plan.Place, plan.Adopt, plan.Move:
		switch {
		case head == nil || head.Spec.Target == units.Inactive:
			w.t.Fatalf("seed %d: %s %s, which nobody wants", seed, d.Kind, d.Unit)
		case h.Alive == nil || h.Spec.Removed != nil || (h.Spec.Cordon != nil || h.Spec.Drain != nil) && !runsOrphan(h, d.Unit):
			w.t.Fatalf("seed %d: %s %s on a host that takes nothing", seed, d.Kind, d.Unit)
		}
		for id, pl := range w.snap.Placed[d.Unit] {
			x := w.snap.Hosts[id]
			st := x.Status[d.Unit] // also one from before the host booted: what had ended then does not run now
			if !head.Req.Global && id != d.Host && pl.State == cluster.Gone && x.Alive != nil && (st == nil || !st.Acknowledged(pl.Placement)) {
				w.t.Fatalf("seed %d: %s %s while %s has not stopped it", seed, d.Kind, d.Unit, x.Name())
			}
		}
	case plan.Stop:
		if strings.Contains(d.Reason, "is being drained") && h.Spec.Drain == nil {
			w.t.Fatalf("seed %d: stop %s (%s), which nobody drains any more", seed, d.Unit, d.Reason)
		}
		if d.Reason != "target is inactive" && d.Reason != "unit was destroyed" {
			return
		}
		if head != nil && head.Spec.Target != units.Inactive {
			w.t.Fatalf("seed %d: stop %s (%s), which is wanted again", seed, d.Unit, d.Reason)
		}
	case plan.Update:
		if pl := h.Placed[d.Unit]; head == nil || head.Spec.Target == units.Inactive || pl.Blob != head.Spec.Blob || pl.Run != head.Spec.Run {
			w.t.Fatalf("seed %d: update %s to what nobody wants any more", seed, d.Unit)
		}
	case plan.Forget:
		if d.Reason == "host was removed" && h != nil && h.Alive != nil {
			w.t.Fatalf("seed %d: forget %s on a removed host that is back", seed, d.Unit)
		}
	}
}
