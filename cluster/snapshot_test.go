package cluster_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

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

// TestSeenLastsAsLongAsTheState: what is decided by how long a unit has been up must not begin anew with
// each report, nor last over a restart.
func TestSeenLastsAsLongAsTheState(t *testing.T) {
	s := cluster.NewSnapshot()
	w := cluster.Where{Host: "h", Unit: "a.service"}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	up := units.State{Active: "active"}
	for i, c := range []struct {
		what string
		st   cluster.Status
		want int // second at which the state began
	}{
		{"first report", cluster.Status{Generation: 1, State: up, Invocation: "a"}, 0},
		{"another message", cluster.Status{Generation: 1, State: up, Invocation: "a", Message: "x"}, 0},
		{"restarted", cluster.Status{Generation: 1, State: up, Invocation: "b"}, 2},
		{"failed", cluster.Status{Generation: 1, State: units.State{Active: "failed"}, Invocation: "b"}, 3},
		{"another order", cluster.Status{Generation: 2, State: units.State{Active: "failed"}, Invocation: "b"}, 4},
	} {
		c.st.Seen = began.Add(time.Duration(i) * time.Second)
		s.SetStatus(w, &c.st)
		if got := int(s.Hosts["h"].Status[w.Unit].Seen.Sub(began).Seconds()); got != c.want {
			t.Errorf("%s: seen since second %d, want %d", c.what, got, c.want)
		}
	}
}

// TestUnplacedAreTheHeadsWithoutPlacement: whatever comes and goes, in whatever order.
func TestUnplacedAreTheHeadsWithoutPlacement(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := cluster.NewSnapshot()
	for step := range 2000 {
		w := cluster.Where{Host: cluster.HostID(fmt.Sprintf("h%d", r.IntN(3))), Unit: cluster.Unit(fmt.Sprintf("u%d.service", r.IntN(4)))}
		switch r.IntN(4) {
		case 0:
			s.SetUnit(&cluster.UnitHead{Name: w.Unit, Rev: int64(step)})
		case 1:
			s.DeleteUnit(w.Unit)
		case 2:
			s.SetPlaced(&cluster.Placed{Host: w.Host, Unit: w.Unit})
		case 3:
			s.DeletePlaced(w)
		}
		want := map[cluster.Unit]*cluster.UnitHead{}
		for u, head := range s.Units {
			if len(s.Placed[u]) == 0 {
				want[u] = head
			}
		}
		if !maps.Equal(s.Unplaced, want) {
			t.Fatalf("step %d: Unplaced is %v, want %v", step, s.Unplaced, want)
		}
	}
}
