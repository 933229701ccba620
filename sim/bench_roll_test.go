package sim

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster"
)

// TestRoll reboots all of SIM_ROLL hosts, 5 % of them at a time, in virtual time.
func TestRoll(t *testing.T) {
	hosts := int(number(t, "SIM_ROLL", 40))
	dir := folder(t)
	var r RollResult
	before := used(t)
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = BenchRoll(BenchOptions{Dir: dir, Hosts: hosts, Units: 2 * hosts}, cluster.Slots{N: 5, Percent: true, Given: true}); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d hosts, %d units, at most %d hosts at once: %.1f virtual minutes, %.1f s of CPU", hosts, r.Units, r.Most, r.Took.Minutes(), (used(t) - before).Seconds())
	if r.Reboots != hosts {
		t.Errorf("%d hosts rebooted %d times", hosts, r.Reboots)
	}
	if most := max(1, hosts/20); r.Most != most {
		t.Errorf("%d hosts took a slot at once, want %d", r.Most, most)
	}
}

// used is how much of a CPU this process had so far.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
