package systemdtest

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

// What the cases run.
const (
	runsOn   = "[Service]\nExecStart=/bin/sleep infinity\n"
	fails    = "[Service]\nExecStart=/bin/false\n"
	once     = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
	remains  = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
	onceFail = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
	slow     = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 1\n"
)

func unitCases() []Case {
	return []Case{
		{"unknown units are not found", unknown},
		{"a service from file to end", life},
		{"a restart is a new invocation", restart},
		{"a changed file needs a reload and stops nothing", changedFile},
		{"a removed file stops nothing", removedFile},
		{"a bad file is refused", badFile},
		{"one-shots", oneShots},
		{"a service that fails", failing},
		{"automatic restarts end at the limit", startLimit},
		{"explicit restarts end at the limit", restartLimit},
		{"a killed service", killed},
		{"facts about the manager", facts},
	}
}

func unknown(t *testing.T, h Host) {
	names := []string{"suite-nothing.service", "suite-none@1.service", "no such name", "suite-nothing.service", "x.unknown"}
	units, err := h.Manager.Units(t.Context(), names)
	if err != nil || len(units) != len(names) {
		t.Fatalf("Units(%q) = %d units, %v, want %d", names, len(units), err, len(names))
	}
	for i, u := range units {
		if u.Name != names[i] || u.Load != systemd.NotFound || u.Active != systemd.Inactive || u.InvocationID != "" {
			t.Errorf("Units(%q)[%d] = %+v, want not-found and inactive", names, i, u)
		}
	}
	if units, err := h.Manager.Units(t.Context(), nil); err != nil || len(units) != 0 {
		t.Errorf("Units(nil) = %v, %v, want none", units, err)
	}
	for _, verb := range []systemd.Verb{systemd.Start, systemd.Restart} {
		r := h.Manager.Jobs(t.Context(), []systemd.Job{{Name: "suite-nothing.service", Verb: verb}})[0]
		if !errors.Is(r.Err, systemd.ErrNoSuchUnit) {
			t.Errorf("%s of an unknown unit = %q, %v, want ErrNoSuchUnit", verb, r.Outcome, r.Err)
		}
	}
	must(t, h, systemd.Stop, "nothing.service", systemd.Done)
	if err := h.Manager.ResetFailed(t.Context(), "suite-nothing.service"); err != nil {
		t.Errorf("ResetFailed of an unknown unit = %v, want nil", err)
	}
}

func life(t *testing.T, h Host) {
	const name = "life@1.service"
	install(t, h, map[string]string{name: runsOn})
	wantState(t, mustUnit(t, h, name), systemd.Loaded, systemd.Inactive, "dead", "success")

	before := time.Now().Add(-time.Second)
	must(t, h, systemd.Start, name, systemd.Done)
	u := mustUnit(t, h, name)
	wantState(t, u, systemd.Loaded, systemd.Active, "running", "success")
	if u.MainPID == 0 || len(u.InvocationID) != 32 || u.StateChange.Before(before) || u.StateChangeMono <= 0 || u.NRestarts != 0 || u.NeedDaemonReload {
		t.Errorf("a running unit = %+v, want a process, an invocation and a fresh time", u)
	}
	if want := filepath.Join(h.Folder, prefix+name); u.FragmentPath != want {
		t.Errorf("FragmentPath = %s, want %s", u.FragmentPath, want)
	}
	want := filepath.Join(h.Folder, prefix+name+".d", systemd.DropIn)
	if len(u.DropInPaths) != 1 || u.DropInPaths[0] != want {
		t.Errorf("DropInPaths = %q, want %s", u.DropInPaths, want)
	}

	must(t, h, systemd.Start, name, systemd.Done)
	if again := mustUnit(t, h, name); again.InvocationID != u.InvocationID {
		t.Errorf("a start of a running unit made invocation %s of %s", again.InvocationID, u.InvocationID)
	}
	must(t, h, systemd.Stop, name, systemd.Done)
	stopped := mustUnit(t, h, name)
	wantState(t, stopped, systemd.Loaded, systemd.Inactive, "dead", "success")
	if stopped.MainPID != 0 {
		t.Errorf("MainPID of a stopped unit = %d", stopped.MainPID)
	}
	must(t, h, systemd.Stop, name, systemd.Done)
	must(t, h, systemd.Start, name, systemd.Done)
	if again := mustUnit(t, h, name); again.InvocationID == u.InvocationID {
		t.Errorf("a second run has the invocation of the first, %s", u.InvocationID)
	}
}

func restart(t *testing.T, h Host) {
	const name = "again.service"
	install(t, h, map[string]string{name: runsOn})
	must(t, h, systemd.Restart, name, systemd.Done) // starts what does not run
	first := mustUnit(t, h, name)
	must(t, h, systemd.Restart, name, systemd.Done)
	second := mustUnit(t, h, name)
	wantState(t, second, systemd.Loaded, systemd.Active, "running", "success")
	if first.InvocationID == second.InvocationID || first.MainPID == second.MainPID || second.NRestarts != 0 {
		t.Errorf("before a restart %+v, after it %+v, want another run that is not automatic", first, second)
	}
}

func changedFile(t *testing.T, h Host) {
	const name = "changed.service"
	install(t, h, map[string]string{name: runsOn})
	must(t, h, systemd.Start, name, systemd.Done)
	first := mustUnit(t, h, name)
	steps := []struct {
		what  string
		write func()
		want  bool
	}{
		{"the same bytes", func() { mustWrite(t, h, prefix+name, runsOn) }, false},
		{"another file", func() { mustWrite(t, h, prefix+name, runsOn+"# changed\n") }, true},
		{"another drop-in", func() {
			if err := h.Dir.WriteDropIn(prefix+name, systemd.DropIn, []byte("[Unit]\nDescription=changed\n")); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
	for _, step := range steps {
		step.write()
		if u := mustUnit(t, h, name); u.NeedDaemonReload != step.want {
			t.Errorf("NeedDaemonReload after %s = %v, want %v", step.what, u.NeedDaemonReload, step.want)
		}
		mustReload(t, h)
		if u := mustUnit(t, h, name); u.NeedDaemonReload || u.InvocationID != first.InvocationID {
			t.Errorf("after a reload with %s: %+v, want no need of another and the same run", step.what, u)
		}
	}
}

func removedFile(t *testing.T, h Host) {
	const name = "removed.service"
	install(t, h, map[string]string{name: runsOn})
	must(t, h, systemd.Start, name, systemd.Done)
	first := mustUnit(t, h, name)
	if err := h.Dir.Remove(prefix + name); err != nil {
		t.Fatal(err)
	}
	mustReload(t, h)
	u := mustUnit(t, h, name)
	if u.Load != systemd.NotFound || u.Active != systemd.Active || u.InvocationID != first.InvocationID || u.FragmentPath != "" {
		t.Errorf("a running unit without a file = %+v, want not-found, active and the same run", u)
	}
	must(t, h, systemd.Stop, name, systemd.Done)
	if u := mustUnit(t, h, name); u.Load != systemd.NotFound || u.Active != systemd.Inactive {
		t.Errorf("after its stop = %+v, want not-found and inactive", u)
	}
}

func badFile(t *testing.T, h Host) {
	install(t, h, map[string]string{"bad.service": "[Service]\nRestart=no\n", "needs.service": "[Unit]\nRequires=%snothing.service\n" + runsOn})
	if u := mustUnit(t, h, "bad.service"); u.Load != "bad-setting" {
		t.Errorf("Load of a service without a command = %s, want bad-setting", u.Load)
	}
	if got, err := h.Manager.Start(t.Context(), prefix+"bad.service"); !errors.Is(err, systemd.ErrBadUnit) {
		t.Errorf("Start of it = %q, %v, want ErrBadUnit", got, err)
	}
	if got, err := h.Manager.Start(t.Context(), prefix+"needs.service"); !errors.Is(err, systemd.ErrNoSuchUnit) {
		t.Errorf("Start with an unknown Requires= = %q, %v, want ErrNoSuchUnit", got, err)
	}
}

func oneShots(t *testing.T, h Host) {
	install(t, h, map[string]string{"once.service": once, "remains.service": remains, "fails.service": onceFail})
	must(t, h, systemd.Start, "once.service", systemd.Done)
	wantState(t, mustUnit(t, h, "once.service"), systemd.Loaded, systemd.Inactive, "dead", "success")
	must(t, h, systemd.Start, "remains.service", systemd.Done)
	wantState(t, mustUnit(t, h, "remains.service"), systemd.Loaded, systemd.Active, "exited", "success")
	must(t, h, systemd.Start, "fails.service", systemd.JobFailed)
	u := mustUnit(t, h, "fails.service")
	wantState(t, u, systemd.Loaded, systemd.Failed, "failed", "exit-code")
	if u.ExecMainStatus != 1 || u.InvocationID == "" {
		t.Errorf("a failed one-shot = %+v, want status 1 and its invocation", u)
	}
	if err := h.Manager.ResetFailed(t.Context(), prefix+"fails.service"); err != nil {
		t.Fatal(err)
	}
	wantState(t, mustUnit(t, h, "fails.service"), systemd.Loaded, systemd.Inactive, "dead", "success")
}

func failing(t *testing.T, h Host) {
	install(t, h, map[string]string{"failing.service": fails})
	must(t, h, systemd.Start, "failing.service", systemd.Done) // a simple service is started once it was forked
	u := until(t, h, "failing.service", "failed", state(systemd.Failed, "failed"))
	wantState(t, u, systemd.Loaded, systemd.Failed, "failed", "exit-code")
	must(t, h, systemd.Stop, "failing.service", systemd.Done)
	wantState(t, mustUnit(t, h, "failing.service"), systemd.Loaded, systemd.Failed, "failed", "exit-code")
}

func startLimit(t *testing.T, h Host) {
	const name = "limit.service"
	install(t, h, map[string]string{name: "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=3\n" +
		fails + "Restart=on-failure\nRestartSec=50ms\n"})
	must(t, h, systemd.Start, name, systemd.Done)
	u := until(t, h, name, "failed", state(systemd.Failed, "failed"))
	wantState(t, u, systemd.Loaded, systemd.Failed, "failed", "exit-code")
	if u.NRestarts != 3 {
		t.Errorf("NRestarts at the limit of 3 starts = %d, want 3", u.NRestarts)
	}
	must(t, h, systemd.Start, name, systemd.JobFailed)
	if err := h.Manager.ResetFailed(t.Context(), prefix+name); err != nil {
		t.Fatal(err)
	}
	must(t, h, systemd.Start, name, systemd.Done)
	until(t, h, name, "failed", state(systemd.Failed, "failed"))
}

func restartLimit(t *testing.T, h Host) {
	const limited, free = "limited.service", "free.service"
	install(t, h, map[string]string{limited: runsOn, free: "[Unit]\nStartLimitIntervalSec=0\n" + runsOn})
	for range 5 {
		must(t, h, systemd.Restart, limited, systemd.Done)
	}
	must(t, h, systemd.Restart, limited, systemd.JobFailed)
	wantState(t, mustUnit(t, h, limited), systemd.Loaded, systemd.Failed, "failed", "start-limit-hit")
	for range 8 {
		must(t, h, systemd.Restart, free, systemd.Done)
	}
}

func killed(t *testing.T, h Host) {
	install(t, h, map[string]string{"killed.service": runsOn, "back.service": runsOn + "Restart=always\nRestartSec=50ms\n"})
	for _, name := range []string{"killed.service", "back.service"} {
		must(t, h, systemd.Start, name, systemd.Done)
	}
	first := mustUnit(t, h, "back.service")
	for _, name := range []string{"killed.service", "back.service"} {
		if err := h.Kill(prefix + name); err != nil {
			t.Fatalf("Kill(%s): %v", name, err)
		}
	}
	u := until(t, h, "killed.service", "failed", state(systemd.Failed, "failed"))
	wantState(t, u, systemd.Loaded, systemd.Failed, "failed", "signal")
	if u.ExecMainStatus != 9 {
		t.Errorf("ExecMainStatus of a killed service = %d, want 9", u.ExecMainStatus)
	}
	back := until(t, h, "back.service", "running again", func(u systemd.Unit) bool {
		return u.Active == systemd.Active && u.InvocationID != first.InvocationID
	})
	if back.NRestarts != 1 || back.MainPID == first.MainPID {
		t.Errorf("after an automatic restart = %+v, want one restart and another process than %d", back, first.MainPID)
	}
}

func facts(t *testing.T, h Host) {
	if v, err := h.Manager.Version(t.Context()); err != nil || v < 250 || v > 999 {
		t.Errorf("Version() = %d, %v, want 250 or more", v, err)
	}
	if ts, err := h.Manager.UserspaceTimestamp(t.Context()); err != nil || ts <= 0 || ts > h.Now() {
		t.Errorf("UserspaceTimestamp() = %s, %v, want between 0 and %s", ts, err, h.Now())
	}
	const name = "facts.service"
	install(t, h, map[string]string{name: runsOn + "TimeoutStopSec=7\n"})
	for _, p := range []struct {
		iface, name string
		want        any
	}{
		{"Unit", "ActiveState", "inactive"},
		{"Service", "TimeoutStopUSec", uint64(7_000_000)},
	} {
		if got, err := h.Manager.Property(t.Context(), prefix+name, p.iface, p.name); err != nil || got != p.want {
			t.Errorf("Property(%s.%s) = %v, %v, want %v", p.iface, p.name, got, err, p.want)
		}
	}
	if got, err := h.Manager.Property(t.Context(), prefix+name, "Unit", "NoSuchThing"); err == nil {
		t.Errorf("Property(NoSuchThing) = %v, want an error", got)
	}
}
