package systemdtest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

// Logind is the contract of systemd.Logind and fake.Logind.
type Logind interface {
	// Reboot asks for a reboot; refused is why not.
	Reboot(ctx context.Context, soft bool) (refused string, err error)
	// Hold delays shutdowns until release is called.
	Hold(ctx context.Context) (release func(), err error)
	// Shutdowns tells the present state first, "" = none is under way.
	Shutdowns(ctx context.Context) (<-chan string, error)
	// Logins is who is logged in, logind's limit, and whether the host goes down.
	Logins(ctx context.Context) (systemd.Logins, error)
}

// Login is a login manager and a hand that does to it what others do.
type Login struct {
	Logind
	Block func(who string) (release func(), err error) // forbids shutdowns
	Held  func() (int, error)                          // locks of ours that delay shutdowns
}

func loginCases() []Case {
	return []Case{
		{"a delay is held until it is released", holdAndRelease},
		{"a reboot that somebody forbids is refused", refusedReboot},
		{"nothing is under way at first", quietShutdowns},
		{"the manager's state names what failed", stateNamesFailed},
		{"a command that is to be forgotten leaves nothing when it fails", onceForgotten},
	}
}

func mustLogin(t *testing.T, h Host) Login {
	t.Helper()
	if h.Login.Logind == nil {
		t.Skip("the systemd of a user has no login manager")
	}
	return h.Login
}

// eventually asks until it is so; the login manager sees the end of a lock a moment later.
func eventually(t *testing.T, what string, ok func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		so, err := ok()
		if so && err == nil {
			return
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			t.Fatalf("%s: it did not come (%v)", what, err)
		case <-timer.C:
		}
	}
}

func holdAndRelease(t *testing.T, h Host) {
	login := mustLogin(t, h)
	before, err := login.Held()
	if err != nil {
		t.Fatal(err)
	}
	release, err := login.Hold(t.Context())
	if err != nil {
		t.Fatalf("Hold() = %v", err)
	}
	if n, err := login.Held(); err != nil || n != before+1 {
		t.Errorf("%d locks are held after Hold, %v, want %d", n, err, before+1)
	}
	release()
	eventually(t, "the lock is gone", func() (bool, error) { n, err := login.Held(); return n == before, err })
}

func refusedReboot(t *testing.T, h Host) {
	login := mustLogin(t, h)
	release, err := login.Block("suite")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if refused, err := login.Reboot(t.Context(), false); err != nil || !strings.Contains(refused, "suite") {
		t.Errorf("Reboot() = %q, %v, want it refused because of suite", refused, err)
	}
	if now, err := login.Logins(t.Context()); err != nil || now.Shutdown != "" {
		t.Errorf("Logins() = %+v, %v, want nothing under way", now, err)
	}
}

func quietShutdowns(t *testing.T, h Host) {
	login := mustLogin(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	told, err := login.Shutdowns(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if kind, ok := <-told; !ok || kind != "" {
		t.Errorf("Shutdowns() tells %q, %t first, want that none is under way", kind, ok)
	}
	cancel()
	for range told { // it is closed
	}
	if now, err := login.Logins(t.Context()); err != nil || now.Delay < time.Second || now.Shutdown != "" || now.Users < 0 {
		t.Errorf("Logins() = %+v, %v, want a limit and nothing under way", now, err)
	}
}

func stateNamesFailed(t *testing.T, h Host) {
	install(t, h, map[string]string{"fails.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n"})
	must(t, h, systemd.Start, "fails.service", systemd.JobFailed)
	state, failed, err := h.Manager.State(t.Context())
	if err != nil || state != "degraded" || !slices.Contains(failed, prefix+"fails.service") {
		t.Errorf("State() = %q, %v, %v, want it degraded by fails.service", state, failed, err)
	}
	if err := h.Manager.ResetFailed(t.Context(), prefix+"fails.service"); err != nil {
		t.Fatal(err)
	}
	if _, failed, err := h.Manager.State(t.Context()); err != nil || slices.Contains(failed, prefix+"fails.service") {
		t.Errorf("State() after the reset = %v, %v, want it without fails.service", failed, err)
	}
	if n, err := h.Manager.SoftReboots(t.Context()); err != nil || n != 0 {
		t.Errorf("SoftReboots() = %d, %v, want none", n, err)
	}
}

func onceForgotten(t *testing.T, h Host) {
	for range 2 { // the name is free again
		got, err := h.Manager.RunOnce(t.Context(), prefix+command, systemd.Once{Description: "the suite's", Command: []string{"/bin/false"}, Forget: true})
		if err != nil || got != systemd.JobFailed {
			t.Fatalf("RunOnce(false) = %q, %v, want failed", got, err)
		}
		until(t, h, command, "gone after it failed", gone)
	}
}
