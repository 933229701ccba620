package api

import (
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// TestETA: it rests on what the last reboots took, of the host or else of all, and is not given where nobody can know.
func TestETA(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	took := func(id cluster.HostID, gen int64, d time.Duration, outcome cluster.Phase) *cluster.Record {
		return &cluster.Record{Host: id, Generation: gen, Outcome: outcome, Began: now.Add(-time.Hour), Ended: now.Add(d - time.Hour)}
	}
	s := cluster.NewSnapshot()
	for i, r := range []*cluster.Record{
		took("h1", 1, 2*time.Minute, cluster.PhaseDone), took("h1", 2, 4*time.Minute, cluster.PhaseDone), took("h1", 3, 3*time.Minute, cluster.PhaseDone),
		took("h1", 4, time.Hour, cluster.PhaseReleased), took("h2", 5, 10*time.Minute, cluster.PhaseDone), took("h2", 6, 10*time.Minute, cluster.PhaseDone),
	} {
		s.History[cluster.HistoryKey{Host: r.Host, Generation: int64(i)}] = r
	}
	groups := []RebootGroup{
		{Name: "open", Max: 1},
		{Name: "two", Max: 2},
		{Name: "shut", Max: 1, Windows: []string{"night"}, Next: now.Add(time.Hour)},
		{Name: "never", Max: 1, Windows: []string{"night"}},
		{Name: "halted", Max: 1, Halted: "h9 is overdue"},
		{Name: "none", Max: 0},
		{Name: "frozen", Max: 1, Freeze: &cluster.Freeze{}},
		{Name: "busy", Max: 1, Used: 1},
	}
	for _, test := range []struct {
		name  string
		host  cluster.HostID
		phase cluster.Phase
		began time.Duration // ago
		group string
		place int
		now   bool
		hold  plan.Hold
		want  time.Duration // from now; 0 = none
	}{
		{"its own last ones", "h1", cluster.PhaseDraining, time.Minute, "open", 0, false, plan.HoldNone, 2 * time.Minute},
		{"those of all", "h3", cluster.PhaseRebooting, time.Minute, "open", 0, false, plan.HoldNone, 3 * time.Minute},
		{"longer than ever", "h1", cluster.PhaseRebooting, 4 * time.Minute, "open", 0, false, plan.HoldNone, 0},
		{"overdue", "h1", cluster.PhaseOverdue, time.Minute, "open", 0, false, plan.HoldNone, 0},
		{"done", "h1", cluster.PhaseDone, time.Minute, "open", 0, false, plan.HoldNone, 0},
		{"first in the queue", "h1", cluster.PhaseQueued, 0, "open", 1, false, plan.HoldNone, 3 * time.Minute},
		{"third in the queue", "h1", cluster.PhaseQueued, 0, "open", 3, false, plan.HoldNone, 11 * time.Minute},
		{"third in the queue, two at once", "h1", cluster.PhaseQueued, 0, "two", 3, false, plan.HoldNone, 7 * time.Minute},
		{"it begins just now, with the only slot", "h1", cluster.PhaseQueued, 0, "busy", 1, false, plan.HoldNone, 3 * time.Minute},
		{"behind one that is under way", "h1", cluster.PhaseQueued, 0, "busy", 1, false, plan.HoldSlots, 5 * time.Minute},
		{"at the next window", "h1", cluster.PhaseQueued, 0, "shut", 1, false, plan.HoldNone, time.Hour + 3*time.Minute},
		{"now", "h1", cluster.PhaseQueued, 0, "shut", 1, true, plan.HoldNone, 3 * time.Minute},
		{"no window any more", "h1", cluster.PhaseQueued, 0, "never", 1, false, plan.HoldNone, 0},
		{"halted", "h1", cluster.PhaseQueued, 0, "halted", 1, false, plan.HoldNone, 0},
		{"max 0", "h1", cluster.PhaseQueued, 0, "none", 1, true, plan.HoldNone, 0},
		{"frozen", "h1", cluster.PhaseQueued, 0, "frozen", 1, false, plan.HoldNone, 0},
		{"frozen, now", "h1", cluster.PhaseQueued, 0, "frozen", 1, true, plan.HoldNone, 3 * time.Minute},
	} {
		h := HostReboot{Now: test.now, HostReboot: plan.HostReboot{Host: test.host, Phase: test.phase, Began: now.Add(-test.began), Groups: []string{test.group}, Place: test.place, Hold: test.hold}}
		want := time.Time{}
		if test.want > 0 {
			want = now.Add(test.want)
		}
		if got := pastOf(s).eta(h, groups, now); !got.Equal(want) {
			t.Errorf("%s: eta = %v, want %v", test.name, got, want)
		}
	}
	h := HostReboot{HostReboot: plan.HostReboot{Host: "h1", Phase: cluster.PhaseDraining, Began: now}}
	if got := pastOf(cluster.NewSnapshot()).eta(h, groups, now); !got.IsZero() {
		t.Errorf("without a history eta = %v, want none", got)
	}
}
