//go:build e2e

package systemd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/systemdtest"
)

// These run as root on a real systemd, as its main program or beside others:
//
//	CGO_ENABLED=0 go test -c -tags e2e -o systemd.test ./agent/systemd
//	systemd.test -test.v
//
// FLOTILLA_TEST_USER=1 runs them on the calling user's systemd instead; the user
// must be allowed to read the journal (group systemd-journal).

func userMode() bool { return os.Getenv("FLOTILLA_TEST_USER") != "" }

func mustManager(t testing.TB) *systemd.Manager {
	t.Helper()
	m, err := systemd.New(t.Context(), systemd.Options{User: userMode()})
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func paths() (folder string, elsewhere []string) {
	if userMode() {
		return systemd.UserRuntimePath(), systemd.UserUnitPath()
	}
	return systemd.RuntimePath, systemd.SystemUnitPath()
}

func TestContractOnSystemd(t *testing.T) {
	systemdtest.Run(t, func(t *testing.T) systemdtest.Host {
		m := mustManager(t)
		folder, elsewhere := paths()
		h := systemdtest.Host{
			Manager: m, Dir: systemd.NewDir(folder, elsewhere), Folder: folder,
			Now:        mustMonotonic,
			Kill:       func(unit string) error { return kill(t.Context(), m, unit) },
			PutForeign: func(name string, data []byte) error { return os.WriteFile(filepath.Join(folder, name), data, 0o644) },
			DelForeign: func(name string) error { return os.Remove(filepath.Join(folder, name)) },
			HostUnit:   "dbus.service", HostOfOurs: "getty@tty7.service",
		}
		if !userMode() {
			login := systemd.NewLogind(systemd.Options{})
			t.Cleanup(func() { login.Close() })
			h.Login = systemdtest.Login{Logind: login, Block: block, Held: heldLocks}
		}
		if userMode() {
			h.HostOfOurs, h.Systemctl = "dbus.service", "/bin/systemctl --user"
		}
		return h
	})
}

// block forbids shutdowns as a person does.
func block(who string) (release func(), err error) {
	cmd := exec.Command("systemd-inhibit", "--what=shutdown", "--mode=block", "--who="+who, "--why=the suite", "sh", "-c", "echo held; exec sleep infinity")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its end is the end of its child
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		release()
		return nil, fmt.Errorf("systemd-inhibit: %w", err)
	}
	return release, nil
}

// heldLocks counts the locks of this process that delay shutdowns.
func heldLocks() (int, error) {
	out, err := exec.Command("systemd-inhibit", "--list", "--no-legend", "--no-pager").Output()
	n := 0
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == "flotilla" && slices.Contains(words, fmt.Sprint(os.Getpid())) {
			n++
		}
	}
	return n, err
}

// TestOnceIsLiteral: systemd expands nothing in a command's words.
func TestOnceIsLiteral(t *testing.T) {
	m := mustManager(t)
	const name = "suite-literal.service"
	t.Cleanup(func() {
		if err := m.ResetFailed(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	line := `x=in; test "$x" = in && test "${x}y" = iny && test "%n" = '%'n && test "$$" -gt 1`
	if got, err := m.RunOnce(t.Context(), name, systemd.Once{Description: "the suite's", Command: []string{"/bin/sh", "-c", line}}); err != nil || got != systemd.Done {
		t.Errorf("RunOnce(%s) = %q, %v, want done", line, got, err)
	}
}

func mustMonotonic() time.Duration {
	now, err := systemd.Monotonic()
	if err != nil {
		panic(err)
	}
	return now
}

func kill(ctx context.Context, m *systemd.Manager, unit string) error {
	units, err := m.Units(ctx, []string{unit})
	if err != nil {
		return err
	}
	if units[0].MainPID == 0 {
		return fmt.Errorf("%s has no process", unit)
	}
	return syscall.Kill(units[0].MainPID, syscall.SIGKILL)
}

// installed writes and reloads units, and takes them away at the end.
func installed(t testing.TB, m *systemd.Manager, files map[string]string) {
	t.Helper()
	dir := systemd.NewDir(paths())
	for name, data := range files {
		if err := dir.WriteDropIn(name, systemd.DropIn, nil); err != nil {
			t.Fatal(err)
		}
		if err := dir.Write(name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		var stops []systemd.Job
		for name := range files {
			stops = append(stops, systemd.Job{Name: name, Verb: systemd.Stop})
		}
		m.Jobs(ctx, stops)
		for name := range files {
			if err := dir.Remove(name); err != nil {
				t.Error(err)
			}
		}
		if err := m.Reload(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestJournal(t *testing.T) {
	m := mustManager(t)
	const name = "suite-talks.service"
	// One process writes all lines and lives on: of one that has ended journald cannot tell any more which of a
	// user's units it was.
	installed(t, m, map[string]string{name: "[Service]\n" +
		`ExecStart=/bin/sh -c "l=$$(seq -s x 3000); echo first; printf 'bin\\001ary\\377\\n'; echo '<3>bad'; echo $$l; exec sleep infinity"` + "\n"})
	journal := systemd.Journal{User: userMode()}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	heard := make(chan systemd.LogEntry, 1000)
	go func() {
		defer close(heard)
		for e, err := range journal.Logs(ctx, systemd.LogOptions{Unit: name, Follow: true, Lines: -1}) {
			if err != nil {
				t.Errorf("Logs() = %v", err)
				return
			}
			heard <- e
		}
	}()
	// The follower is ready when it sees a first run; the second is looked at.
	for len(heard) == 0 && ctx.Err() == nil {
		if got, err := m.Restart(ctx, name); err != nil || got != systemd.Done {
			t.Fatalf("Restart() = %q, %v", got, err)
		}
		if err := m.ResetFailed(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := m.Restart(ctx, name); err != nil || got != systemd.Done {
		t.Fatalf("Restart() = %q, %v", got, err)
	}
	units, err := m.Units(ctx, []string{name})
	if err != nil {
		t.Fatal(err)
	}
	var run []systemd.LogEntry
	var all int
	for e := range heard {
		all++
		if e.InvocationID == units[0].InvocationID {
			run = append(run, e)
		}
		if e.InvocationID == units[0].InvocationID && strings.HasPrefix(string(e.Message), "1x2x3x") {
			break
		}
	}
	cancel()
	for range heard { // ends when the child has ended
	}
	for _, want := range []string{"first", "bin\x01ary\xff", "bad"} {
		i := slices.IndexFunc(run, func(e systemd.LogEntry) bool { return string(e.Message) == want })
		if i < 0 {
			t.Errorf("Logs() of run %s has no %q; it has %d entries of %d that were heard", units[0].InvocationID, want, len(run), all)
			continue
		}
		e := run[i]
		if e.Unit != name || e.PID == 0 || e.Time.IsZero() || e.BootID == "" || e.Cursor == "" || (want == "bad") != (e.Priority == 3) {
			t.Errorf("Logs() entry = %+v, want unit, process, time, boot, cursor and priority", e)
		}
	}
	last, err := journal.LastLines(t.Context(), name, units[0].InvocationID, 2)
	if err != nil || len(last) != 2 {
		t.Fatalf("LastLines(2) = %d lines, %v", len(last), err)
	}
	if all, err := journal.LastLines(t.Context(), name, "", 100); err != nil || len(all) < 8 {
		t.Errorf("LastLines of all runs = %d lines, %v, want two runs", len(all), err)
	}
	for e, err := range journal.Logs(t.Context(), systemd.LogOptions{Lines: 5, Boot: "0"}) {
		if err != nil || len(e.Message) == 0 {
			t.Errorf("Logs() of the host = %+v, %v", e, err)
		}
	}
}

func TestConnectsAgain(t *testing.T) {
	if userMode() {
		t.Skip("the user's bus is not ours to restart")
	}
	m := mustManager(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed, err := m.Changes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const name = "suite-again.service"
	installed(t, m, map[string]string{name: "[Service]\nExecStart=/bin/sleep infinity\n"})
	units, err := m.Units(ctx, []string{"dbus.service"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Watch(ctx, []string{name}); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := syscall.Kill(units[0].MainPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for names := range changed { // "all" once the connection is back
		if names == nil {
			break
		}
	}
	for { // systemd itself needs a moment to come back to the bus
		got, err := m.Restart(ctx, name)
		if err == nil && got == systemd.Done {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("Restart() after the bus was killed = %q, %v", got, err)
		}
	}
	for names := range changed {
		if slices.Contains(names, name) {
			return
		}
	}
	t.Error("no change was told after the connection came back")
}

func TestReexec(t *testing.T) {
	if userMode() {
		t.Skip("a user may not make the host's systemd execute itself anew")
	}
	m := mustManager(t)
	const name = "suite-reexec.service"
	installed(t, m, map[string]string{name: "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2\n"})
	started := make(chan systemd.Result, 1)
	go func() {
		started <- m.Jobs(t.Context(), []systemd.Job{{Name: name, Verb: systemd.Start}})[0]
	}()
	for {
		units, err := m.Units(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		if units[0].Active == systemd.Activating {
			break
		}
	}
	if units, err := m.Units(t.Context(), []string{name}); err != nil || units[0].Active != systemd.Activating {
		t.Fatalf("Units() = %+v, %v, want activating", units, err)
	}
	if err := syscall.Kill(1, syscall.SIGTERM); err != nil { // systemd executes itself anew
		t.Fatal(err)
	}
	if r := <-started; r.Err != nil && r.Outcome != systemd.Done {
		t.Logf("the job over a re-execution ended with %q, %v", r.Outcome, r.Err)
	}
	for {
		units, err := m.Units(t.Context(), []string{name})
		if err == nil && units[0].Active == systemd.Active {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("Units() after a re-execution = %+v, %v", units, err)
		}
	}
}

func BenchmarkUnits(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := mustManager(b)
			files, names, starts := map[string]string{}, []string{}, []systemd.Job{}
			for i := range n {
				name := fmt.Sprintf("suite-bench@%d.service", i)
				files[name] = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
				names, starts = append(names, name), append(starts, systemd.Job{Name: name, Verb: systemd.Start})
			}
			installed(b, m, files)
			for _, r := range m.Jobs(b.Context(), starts) {
				if r.Outcome != systemd.Done {
					b.Fatalf("start of %s = %q, %v", r.Name, r.Outcome, r.Err)
				}
			}
			before := cpu(b)
			for b.Loop() {
				if _, err := m.Units(b.Context(), names); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N)/float64(n), "own-cpu-µs/unit")
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkStart(b *testing.B) {
	m := mustManager(b)
	const name = "suite-bench.service"
	installed(b, m, map[string]string{name: "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n"})
	for b.Loop() {
		if got, err := m.Restart(b.Context(), name); err != nil || got != systemd.Done {
			b.Fatalf("Restart() = %q, %v", got, err)
		}
	}
}

func BenchmarkRearm(b *testing.B) {
	m := mustManager(b)
	const name = "suite-bench.service"
	installed(b, m, map[string]string{name: "[Service]\nType=oneshot\nExecStart=/bin/true\n"})
	timer := func(i int) string { return fmt.Sprintf("suite-bench-%d.timer", i%2) }
	i := 0
	for b.Loop() {
		if err := m.StartTransientTimer(b.Context(), timer(i), mustMonotonic()+time.Hour, name); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Stop(b.Context(), timer(i+1)); err != nil {
			b.Fatal(err)
		}
		i++
	}
	if _, err := m.Stop(b.Context(), timer(i-1)); err != nil {
		b.Fatal(err)
	}
}

// The agent starts new units without a daemon-reload where systemd reads them when asked.
func TestNewUnitIsReadWithoutReload(t *testing.T) {
	m := mustManager(t)
	const name = "suite-noticed.service"
	dir := systemd.NewDir(paths())
	if err := errors.Join(dir.WriteDropIn(name, systemd.DropIn, []byte("[Service]\nEnvironment=A=b\n")), dir.Write(name, []byte("[Service]\nExecStart=/bin/sleep 60\n"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(dir.Remove(name), m.Reload(context.Background())); err != nil {
			t.Error(err)
		}
	})
	got, err := m.Units(t.Context(), []string{name})
	if err != nil || got[0].Load != systemd.Loaded || len(got[0].DropInPaths) != 1 || got[0].NeedDaemonReload {
		t.Errorf("Units(%s) = %+v, %v, want it read from its files", name, got, err)
	}
}
