package cluster_test

import (
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
