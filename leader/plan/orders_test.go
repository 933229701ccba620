package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// TestOrderBeyondOneWrite: a unit that would rest on more than a transaction holds is refused
// in words; all others are placed, and so is it once its peers stand.
func TestOrderBeyondOneWrite(t *testing.T) {
	w := newWorld(t)
	w.addHost("a")
	var peers []cluster.Unit
	for i := range 130 {
		name := fmt.Sprintf("peer%03d.service", i)
		w.unit(name, "launched")
		peers = append(peers, cluster.Unit(name))
	}
	w.unit("big.service", "launched")
	big := *w.snap.Units["big.service"]
	big.Req.MachineOf = peers // more than a file may name
	w.snap.SetUnit(&big)
	r := plan.Plan(w.snap, w.opt, w.now)
	for _, d := range r.Decisions {
		if len(d.Orders.If) > 120 {
			t.Errorf("orders of %s rest on %d conditions, want 120 at most", d.Unit, len(d.Orders.If))
		}
	}
	if len(r.Decisions) != 130 || len(r.Waiting) != 1 || !strings.Contains(r.Waiting[0].Reason, "name fewer units in MachineOf") {
		t.Fatalf("Plan() made %d decisions, waiting %v, want 130, and big.service waits", len(r.Decisions), r.Waiting)
	}
	w.step()
	if r = plan.Plan(w.snap, w.opt, w.now); len(r.Decisions) != 1 || r.Decisions[0].Unit != "big.service" {
		t.Errorf("Plan() beside the peers = %v, want big.service alone", r.Decisions)
	}
}
