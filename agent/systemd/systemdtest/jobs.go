package systemdtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

func jobCases() []Case {
	return []Case{
		{"many jobs at once", manyJobs},
		{"jobs that are ordered", orderedJobs},
		{"the end of the context ends only the wait", waitEnds},
		{"a stop cancels a start", canceled},
		{"a stop that takes too long is killed", stopTimeout},
	}
}

func manyJobs(t *testing.T, h Host) {
	const n = 150 // more than the bus allows outstanding
	files := map[string]string{}
	var jobs []systemd.Job
	var names []string
	for i := range n {
		name := fmt.Sprintf("many@%d.service", i)
		files[name] = runsOn
		names = append(names, prefix+name)
		jobs = append(jobs, systemd.Job{Name: prefix + name, Verb: systemd.Start})
	}
	install(t, h, files)
	jobs = append(jobs, systemd.Job{Name: "suite-nothing.service", Verb: systemd.Start}, jobs[0])
	results := h.Manager.Jobs(t.Context(), jobs)
	if len(results) != len(jobs) {
		t.Fatalf("Jobs(%d) = %d results", len(jobs), len(results))
	}
	for i, r := range results {
		switch {
		case r.Job != jobs[i]:
			t.Errorf("result %d is of %+v, want %+v", i, r.Job, jobs[i])
		case i == n:
			if !errors.Is(r.Err, systemd.ErrNoSuchUnit) {
				t.Errorf("start of an unknown unit among others = %q, %v, want ErrNoSuchUnit", r.Outcome, r.Err)
			}
		case r.Err != nil || r.Outcome != systemd.Done:
			t.Errorf("start of %s = %q, %v, want done", r.Name, r.Outcome, r.Err)
		}
	}
	units, err := h.Manager.Units(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range units {
		if u.Name != names[i] || u.Active != systemd.Active {
			t.Errorf("Units()[%d] = %+v, want %s active", i, u, names[i])
		}
	}
}

func orderedJobs(t *testing.T, h Host) {
	install(t, h, map[string]string{
		"first.service":  slow,
		"second.service": "[Unit]\nAfter=%sfirst.service\n" + remains,
	})
	results := h.Manager.Jobs(t.Context(), []systemd.Job{
		{Name: prefix + "first.service", Verb: systemd.Start}, {Name: prefix + "second.service", Verb: systemd.Start},
	})
	for _, r := range results {
		if r.Err != nil || r.Outcome != systemd.Done {
			t.Errorf("start of %s = %q, %v, want done", r.Name, r.Outcome, r.Err)
		}
	}
	first, second := mustUnit(t, h, "first.service"), mustUnit(t, h, "second.service")
	if second.StateChange.Before(first.StateChange) {
		t.Errorf("second was active at %s, first at %s, want it after", second.StateChange, first.StateChange)
	}
}

func waitEnds(t *testing.T, h Host) {
	install(t, h, map[string]string{"slow.service": slow})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := h.Manager.Start(ctx, prefix+"slow.service"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start with a short context = %q, %v, want DeadlineExceeded", got, err)
	}
	until(t, h, "slow.service", "active all the same", state(systemd.Active, "exited"))
}

func canceled(t *testing.T, h Host) {
	install(t, h, map[string]string{"cancel.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\nTimeoutStopSec=5\n"})
	started := make(chan systemd.Result, 1)
	ctx := t.Context()
	go func() {
		started <- h.Manager.Jobs(ctx, []systemd.Job{{Name: prefix + "cancel.service", Verb: systemd.Start}})[0]
	}()
	until(t, h, "cancel.service", "activating", func(u systemd.Unit) bool { return u.Active == systemd.Activating })
	must(t, h, systemd.Stop, "cancel.service", systemd.Done)
	if r := <-started; r.Err != nil || r.Outcome != systemd.Canceled {
		t.Errorf("Start that was stopped = %q, %v, want canceled", r.Outcome, r.Err)
	}
}

func stopTimeout(t *testing.T, h Host) {
	// SIGCONT ends no process, so the stop runs into its limit and SIGKILL.
	install(t, h, map[string]string{"stubborn.service": runsOn + "KillSignal=SIGCONT\nTimeoutStopSec=1\n"})
	must(t, h, systemd.Start, "stubborn.service", systemd.Done)
	must(t, h, systemd.Stop, "stubborn.service", systemd.Done)
	u := mustUnit(t, h, "stubborn.service")
	wantState(t, u, systemd.Loaded, systemd.Failed, "failed", "timeout")
	if u.MainPID != 0 {
		t.Errorf("MainPID after SIGKILL = %d, want 0", u.MainPID)
	}
}
