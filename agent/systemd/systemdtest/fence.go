package systemdtest

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

func fenceCases() []Case {
	return []Case{
		{"a fenced unit needs its target and ends with it", fenced},
		{"a failed requirement ends a start", requirement},
		{"a conflict stops", conflict},
		{"a transient timer fires at its instant", timerFires},
		{"a timer that is stopped does not fire", timerStopped},
		{"a timer in the past fires at once", timerPast},
		{"a timer's service that calls systemctl", timerStops},
	}
}

const behindFence = "[Unit]\nRequisite=%sfence.target\nPartOf=%sfence.target\nAfter=%sfence.target\n"

func fenced(t *testing.T, h Host) {
	install(t, h, map[string]string{"fence.target": "[Unit]\nDescription=fence\n", "fenced.service": behindFence + runsOn, "other.service": runsOn})
	must(t, h, systemd.Start, "fenced.service", systemd.Dependency)
	must(t, h, systemd.Start, "other.service", systemd.Done)
	other := mustUnit(t, h, "other.service")
	must(t, h, systemd.Start, "fence.target", systemd.Done)
	wantState(t, mustUnit(t, h, "fence.target"), systemd.Loaded, systemd.Active, "active", "")
	must(t, h, systemd.Start, "fenced.service", systemd.Done)
	first := mustUnit(t, h, "fenced.service")

	must(t, h, systemd.Restart, "fence.target", systemd.Done)
	second := until(t, h, "fenced.service", "running again", func(u systemd.Unit) bool {
		return u.Active == systemd.Active && u.InvocationID != first.InvocationID
	})
	if second.NRestarts != 0 {
		t.Errorf("NRestarts after a restart of the target = %d, want 0", second.NRestarts)
	}
	must(t, h, systemd.Stop, "fence.target", systemd.Done)
	until(t, h, "fenced.service", "stopped with its target", state(systemd.Inactive, "dead"))
	if u := mustUnit(t, h, "other.service"); u.InvocationID != other.InvocationID {
		t.Errorf("another unit was touched: %+v, before %+v", u, other)
	}
}

func requirement(t *testing.T, h Host) {
	install(t, h, map[string]string{
		"broken.service": onceFail,
		"needs.service":  "[Unit]\nRequires=%sbroken.service\nAfter=%sbroken.service\n" + runsOn,
		"base.service":   runsOn,
		"top.service":    "[Unit]\nRequires=%sbase.service\nAfter=%sbase.service\n" + runsOn,
	})
	must(t, h, systemd.Start, "needs.service", systemd.Dependency)
	must(t, h, systemd.Start, "top.service", systemd.Done)
	if u := mustUnit(t, h, "base.service"); u.Active != systemd.Active {
		t.Errorf("a requirement of a started unit = %+v, want active", u)
	}
	must(t, h, systemd.Stop, "base.service", systemd.Done)
	until(t, h, "top.service", "stopped with its requirement", state(systemd.Inactive, "dead"))
}

func conflict(t *testing.T, h Host) {
	install(t, h, map[string]string{
		"fence.target":   "[Unit]\nDescription=fence\n",
		"fenced.service": behindFence + runsOn,
		"fire.service":   "[Unit]\nConflicts=%sfence.target\nAfter=%sfence.target\n" + once,
	})
	must(t, h, systemd.Start, "fence.target", systemd.Done)
	must(t, h, systemd.Start, "fenced.service", systemd.Done)
	must(t, h, systemd.Start, "fire.service", systemd.Done)
	until(t, h, "fence.target", "stopped by the conflict", state(systemd.Inactive, "dead"))
	until(t, h, "fenced.service", "stopped with the target", state(systemd.Inactive, "dead"))
}

// arm starts a timer that fires after wait, and returns its instant.
func arm(t *testing.T, h Host, name string, wait time.Duration, unit string) time.Duration {
	t.Helper()
	base, err := h.Manager.UserspaceTimestamp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	instant := h.Now() + wait
	if err := h.Manager.StartTransientTimer(t.Context(), prefix+name, instant-base, prefix+unit); err != nil {
		t.Fatalf("StartTransientTimer(%s): %v", name, err)
	}
	return instant
}

func gone(u systemd.Unit) bool { return u.Load == systemd.NotFound && u.Active == systemd.Inactive }

func timerFires(t *testing.T, h Host) {
	install(t, h, map[string]string{"fired.service": remains})
	instant := arm(t, h, "a.timer", time.Second, "fired.service")
	wantState(t, mustUnit(t, h, "a.timer"), systemd.Loaded, systemd.Active, "waiting", "success")
	err := h.Manager.StartTransientTimer(t.Context(), prefix+"a.timer", time.Hour, prefix+"fired.service")
	if !errors.Is(err, systemd.ErrExists) {
		t.Errorf("StartTransientTimer of a name that exists = %v, want ErrExists", err)
	}
	mustReload(t, h) // a reload does not disarm
	until(t, h, "fired.service", "started by the timer", state(systemd.Active, "exited"))
	if now := h.Now(); now < instant {
		t.Errorf("the timer fired before %s, at %s", instant, now)
	}
	until(t, h, "a.timer", "gone after it fired", gone)
}

func timerStopped(t *testing.T, h Host) {
	install(t, h, map[string]string{"fired.service": remains})
	first := arm(t, h, "a.timer", 500*time.Millisecond, "fired.service")
	arm(t, h, "b.timer", time.Hour, "fired.service") // re-arm: the new one first, then the old one away
	must(t, h, systemd.Stop, "a.timer", systemd.Done)
	until(t, h, "a.timer", "gone after its stop", gone)
	until(t, h, "fired.service", "not started", func(systemd.Unit) bool { return h.Now() > first+300*time.Millisecond })
	wantState(t, mustUnit(t, h, "fired.service"), systemd.Loaded, systemd.Inactive, "dead", "success")
	must(t, h, systemd.Stop, "b.timer", systemd.Done)
	arm(t, h, "a.timer", time.Hour, "fired.service") // the name is free again
	must(t, h, systemd.Stop, "a.timer", systemd.Done)
}

func timerPast(t *testing.T, h Host) {
	install(t, h, map[string]string{"fired.service": remains})
	arm(t, h, "a.timer", -time.Second, "fired.service")
	until(t, h, "fired.service", "started at once", state(systemd.Active, "exited"))
	until(t, h, "a.timer", "gone after it fired", gone)
	if err := h.Manager.StartTransientTimer(t.Context(), prefix+"a.timer", -time.Hour, prefix+"fired.service"); err != nil {
		t.Errorf("StartTransientTimer before the start of systemd = %v, want nil", err)
	}
	until(t, h, "a.timer", "gone after it fired", gone)
}

func timerStops(t *testing.T, h Host) {
	systemctl := cmp.Or(h.Systemctl, "/bin/systemctl")
	install(t, h, map[string]string{
		"fence.target":   "[Unit]\nDescription=fence\n",
		"fenced.service": behindFence + runsOn,
		"fire.service":   "[Service]\nType=oneshot\nExecStart=" + systemctl + " --no-block stop %sfence.target\n",
	})
	must(t, h, systemd.Start, "fence.target", systemd.Done)
	must(t, h, systemd.Start, "fenced.service", systemd.Done)
	arm(t, h, "a.timer", 200*time.Millisecond, "fire.service")
	until(t, h, "fenced.service", "stopped by the switch", state(systemd.Inactive, "dead"))
	until(t, h, "fence.target", "stopped by the switch", state(systemd.Inactive, "dead"))
}
