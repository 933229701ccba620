package sim

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// TestRebootSeeds plays SIM_REBOOTS seeds with reboots from SIM_FIRST on, or the one seed SIM_REBOOT. Together they must
// have seen what the judge judges.
func TestRebootSeeds(t *testing.T) {
	first, n := number(t, "SIM_FIRST", 1), number(t, "SIM_REBOOTS", 7)
	if os.Getenv("SIM_REBOOT") != "" {
		first, n = number(t, "SIM_REBOOT", 0), 1
	}
	var mu sync.Mutex
	total := map[string]int{}
	t.Run("seed", func(t *testing.T) {
		for seed := first; seed < first+n; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				o := play(t, newRebootSchedule(seed), seams{})
				if len(o.Broken) > 0 {
					t.Errorf("run again with SIM_REBOOT=%d\n%s", seed, o.Report())
				}
				mu.Lock()
				defer mu.Unlock()
				for what, times := range o.Count {
					total[what] += times
				}
			})
		}
	})
	t.Log(total)
	for _, what := range seenIn(n) {
		if total[what] == 0 {
			t.Errorf("%d seeds, and not once: %s", n, what)
		}
	}
}

// seenIn is what must have happened in so many seeds at least once.
func seenIn(seeds uint64) []string {
	var out []string
	if seeds >= 7 { // every theme
		out = append(out, "coordinated", "drained of units", "instance drained", "used and done", "overdue", "trap", "down soft-reboot")
	}
	if seeds >= 140 {
		out = append(out, "window closed", "going down", "unasked typed", "unasked unexpected", "refused",
			"outcome loop", "outcome blocked", "outcome abandoned", "outcome failed", "outcome released")
	}
	return out
}
