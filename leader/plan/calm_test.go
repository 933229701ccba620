package plan_test

import (
	"math/rand/v2"
	"testing"

	"flotilla/leader/plan"
	"flotilla/units"
)

// TestCalmUnitsNeedNoPlan: of a unit that Calm knows, Plan says nothing, in any world; and Calm knows most
// units of a cluster that is at rest.
func TestCalmUnitsNeedNoPlan(t *testing.T) {
	calm := 0
	for seed := range uint64(randomWorlds) {
		w := randomWorld(t, rand.New(rand.NewPCG(seed, 6)))
		for range 3 {
			knows, res := plan.Calm(w.snap, w.opt, w.now), w.plan()
			about := map[units.Name]string{}
			for _, d := range res.Decisions {
				about[d.Unit] = d.Kind.String() + ": " + d.Reason
			}
			for _, r := range res.Waiting {
				about[r.Unit] = "waits: " + r.Reason
			}
			for _, u := range w.snap.UnitNames() {
				if !knows(u) {
					continue
				}
				if calm++; about[u] != "" {
					t.Errorf("seed %d: %s is calm, and the planner says %s in\n%s", seed, u, about[u], w.dump())
				}
			}
			w.step()
			w.obeyAll()
		}
	}
	if calm == 0 {
		t.Error("no unit of any world was calm")
	}
	w := newWorld(t)
	w.addHost("a", "disk=ssd")
	w.addHost("b")
	w.unit("plain.service", "launched")
	w.unit("bound.service", "launched", "MachineMetadata=disk=ssd")
	w.unit("lone.service", "launched", "Conflicts=x.service")
	if plan.Calm(w.snap, w.opt, w.now)("plain.service") {
		t.Error("a unit without a host is calm")
	}
	w.settle()
	other := *w.snap.Units["lone.service"]
	other.Req.Replaces = []string{"plain.*"}
	w.snap.SetUnit(&other)
	if plan.Calm(w.snap, w.opt, w.now)("plain.service") {
		t.Error("a unit that another one replaces is calm")
	}
	other.Req.Replaces = nil
	knows := plan.Calm(w.snap, w.opt, w.now)
	if !knows("plain.service") || !knows("bound.service") || knows("lone.service") || knows("other.service") {
		t.Error("want plain and bound to be calm, lone (it looks at others) and other (there is none) not to be")
	}
}
