package systemdtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

func onceCases() []Case {
	return []Case{
		{"a command runs once and leaves nothing", onceDone},
		{"a command that failed stays until it is forgotten", onceFailed},
		{"a command outlives who waits for it", onceJoined},
		{"a command that takes too long has failed", onceLimit},
	}
}

const command = "command.service"

func runOnce(t *testing.T, ctx context.Context, h Host, limit time.Duration, words ...string) (string, error) {
	t.Helper()
	t.Cleanup(func() {
		over := context.Background() // the test's own has ended
		if _, err := h.Manager.Stop(over, prefix+command); err != nil {
			t.Errorf("Stop(%s) at the end: %v", command, err)
		}
		if err := h.Manager.ResetFailed(over, prefix+command); err != nil {
			t.Errorf("ResetFailed(%s) at the end: %v", command, err)
		}
	})
	return h.Manager.RunOnce(ctx, prefix+command, systemd.Once{Description: "the suite's", Command: words, Environment: []string{"SUITE=yes"}, Limit: limit})
}

func onceDone(t *testing.T, h Host) {
	for range 2 { // the name is free again
		if got, err := runOnce(t, t.Context(), h, 0, "/bin/true"); err != nil || got != systemd.Done {
			t.Errorf("RunOnce(true) = %q, %v, want done", got, err)
		}
		until(t, h, command, "gone after it ended", gone)
	}
}

func onceFailed(t *testing.T, h Host) {
	if got, err := runOnce(t, t.Context(), h, time.Hour, "/bin/false"); err != nil || got != systemd.JobFailed {
		t.Fatalf("RunOnce(false) = %q, %v, want failed", got, err)
	}
	first := mustUnit(t, h, command)
	wantState(t, first, systemd.Loaded, systemd.Failed, "failed", "exit-code")
	if first.ExecMainStatus != 1 || first.InvocationID == "" {
		t.Errorf("a command that failed = %+v, want its exit status and its invocation", first)
	}
	if got, err := runOnce(t, t.Context(), h, time.Hour, "/bin/true"); !errors.Is(err, systemd.ErrExists) {
		t.Errorf("RunOnce of a name that exists = %q, %v, want ErrExists", got, err)
	}
	for range 7 { // no limit of starts
		must(t, h, systemd.Start, command, systemd.JobFailed)
	}
	if again := mustUnit(t, h, command); again.InvocationID == first.InvocationID {
		t.Errorf("Start of a command that failed did not run it again: %+v", again)
	}
	if err := h.Manager.ResetFailed(t.Context(), prefix+command); err != nil {
		t.Fatal(err)
	}
	until(t, h, command, "gone after it was forgotten", gone)
}

func onceJoined(t *testing.T, h Host) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := runOnce(t, ctx, h, time.Hour, "/bin/sleep", "10"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("RunOnce with a short context = %q, %v, want DeadlineExceeded", got, err)
	}
	first := until(t, h, command, "still under way", func(u systemd.Unit) bool { return u.Active == systemd.Activating })
	mustReload(t, h)
	if got, err := runOnce(t, t.Context(), h, time.Hour, "/bin/sleep", "10"); !errors.Is(err, systemd.ErrExists) {
		t.Errorf("RunOnce beside the first = %q, %v, want ErrExists", got, err)
	}
	joined := make(chan systemd.Result, 1)
	both := t.Context()
	go func() {
		joined <- h.Manager.Jobs(both, []systemd.Job{{Name: prefix + command, Verb: systemd.Start}})[0]
	}()
	u := until(t, h, command, "ended", func(u systemd.Unit) bool { // between two answers it may be gone, and has no run
		return u.Active != systemd.Activating || u.InvocationID != first.InvocationID && u.InvocationID != ""
	})
	if u.Active == systemd.Activating {
		t.Errorf("the command was begun again: %+v, first %+v", u, first)
	}
	if r := <-joined; r.Err != nil || r.Outcome != systemd.Done {
		t.Errorf("Start of a command under way = %q, %v, want done", r.Outcome, r.Err)
	}
	until(t, h, command, "gone after it ended", gone)
}

func onceLimit(t *testing.T, h Host) {
	if got, err := runOnce(t, t.Context(), h, 500*time.Millisecond, "/bin/sleep", "1000"); err != nil || got != systemd.JobFailed {
		t.Errorf("RunOnce(sleep) with a limit = %q, %v, want failed", got, err)
	}
	wantState(t, mustUnit(t, h, command), systemd.Loaded, systemd.Failed, "failed", "timeout")
}
