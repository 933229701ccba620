package sim

import (
	"fmt"
	"os"
	"testing"
)

// TestRebootSeeds plays SIM_REBOOTS seeds with reboots from SIM_FIRST on, or the one seed SIM_REBOOT.
func TestRebootSeeds(t *testing.T) {
	first, n := number(t, "SIM_FIRST", 1), number(t, "SIM_REBOOTS", 7)
	if os.Getenv("SIM_REBOOT") != "" {
		first, n = number(t, "SIM_REBOOT", 0), 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o := play(t, newRebootSchedule(seed), seams{})
			if len(o.Broken) > 0 {
				t.Errorf("run again with SIM_REBOOT=%d\n%s", seed, o.Report())
			}
			t.Log(o.Count)
		})
	}
}
