package cluster_test

import (
	"testing"

	"flotilla/cluster"
	"flotilla/units"
)

// TestOrphansHaveNoOrder: a unit that ran on while its order was gone is an orphan only until
// it has an order again.
func TestOrphansHaveNoOrder(t *testing.T) {
	s := cluster.NewSnapshot()
	w := cluster.Where{Host: "h", Unit: "a.service"}
	order := &cluster.Placed{Host: w.Host, Unit: w.Unit, Placement: cluster.Placement{State: cluster.Launched}}
	s.SetPlaced(order)
	s.SetStatus(w, &cluster.Status{State: units.State{Active: "active"}})
	for _, c := range []struct {
		what string
		do   func()
		want int
	}{
		{"with its order", func() {}, 0},
		{"its order gone", func() { s.DeletePlaced(w) }, 1},
		{"ordered again", func() { s.SetPlaced(order) }, 0},
	} {
		c.do()
		if got := len(s.Orphans[w.Unit]); got != c.want {
			t.Errorf("%s: %d hosts run it as an orphan, want %d", c.what, got, c.want)
		}
	}
}
