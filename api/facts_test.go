package api

import (
	"slices"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// TestEventsOfOneLook: orders and what became of them are told, however many a look finds at once.
func TestEventsOfOneLook(t *testing.T) {
	order := func(state cluster.Order, generation int64, reason string) cluster.Placement {
		return cluster.Placement{State: state, Generation: generation, Reason: reason}
	}
	status := func(generation int64, active, sub, invocation string) cluster.Status {
		return cluster.Status{Generation: generation, Boot: "b1", Invocation: invocation, State: units.State{Active: active, Sub: sub}}
	}
	launch, again := order(cluster.Launched, 5, "fewest units"), order(cluster.Launched, 7, "restart was asked for")
	third := order(cluster.Launched, 9, "restart was asked for")
	for _, tt := range []struct {
		name  string
		looks []cluster.Placed // at each look; Host and Unit do not matter
		says  []cluster.Status
		want  []string
	}{
		{
			"apart",
			[]cluster.Placed{{Placement: launch}, {Placement: launch}, {Placement: again}, {Placement: again}},
			[]cluster.Status{{}, status(5, "active", "running", "i1"), status(5, "active", "running", "i1"), status(7, "active", "running", "i2")},
			[]string{"ordered launched: fewest units", "active/running", "ordered launched: restart was asked for", "restarted: active/running"},
		},
		{
			"together",
			[]cluster.Placed{{Placement: launch}, {Placement: again}, {Placement: third}},
			[]cluster.Status{status(5, "active", "running", "i1"), status(7, "active", "running", "i2"), status(9, "failed", "failed", "i3")},
			[]string{
				"ordered launched: fewest units", "active/running", "ordered launched: restart was asked for", "restarted: active/running",
				"ordered launched: restart was asked for", "failed/failed",
			},
		},
		{
			"nothing new",
			[]cluster.Placed{{Placement: launch}, {Placement: launch}},
			[]cluster.Status{status(5, "active", "running", "i1"), status(5, "active", "running", "i1")},
			[]string{"ordered launched: fewest units", "active/running"},
		},
		{
			"left of an earlier order",
			[]cluster.Placed{{Placement: again}, {Placement: again}, {Placement: again}},
			[]cluster.Status{status(5, "failed", "failed", "i1"), status(5, "failed", "failed", "i1"), status(7, "active", "running", "i2")},
			[]string{"ordered launched: restart was asked for", "active/running"},
		},
	} {
		last := &facts{}
		var got []string
		for i, placed := range tt.looks {
			next := factsOf(oneUnit(placed, tt.says[i]), last)
			for _, e := range last.diff(next, time.Time{}) {
				if e.Kind == EventUnit {
					got = append(got, e.Text)
				}
			}
			last = next
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: events = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// oneUnit is a cluster of one host with one unit.
func oneUnit(p cluster.Placed, st cluster.Status) *cluster.Snapshot {
	s := cluster.NewSnapshot()
	s.SetHostInfo("h1", &cluster.HostInfo{Name: "h1"}, time.Time{})
	s.SetAlive("h1", &cluster.Alive{Boot: "b1"}, 2)
	p.Host, p.Unit = "h1", "a.service"
	s.SetPlaced(&p)
	if st.Generation > 0 {
		s.SetStatus(cluster.Where{Host: "h1", Unit: "a.service"}, &st)
	}
	return s
}
