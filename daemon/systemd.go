package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/cluster"
	"flotilla/units"
)

// host shows the agent its host: systemd, unit files and journal in the agent's words.
type host struct {
	*systemd.Manager
	dir     *systemd.Dir
	journal systemd.Journal
}

// Units reports systemd's word on exactly these units.
func (h host) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]agent.Observed, error) {
	plain := make([]string, len(names))
	for i, n := range names {
		plain[i] = string(n)
	}
	list, err := h.Manager.Units(ctx, plain)
	if err != nil {
		return nil, err
	}
	out := make(map[cluster.Unit]agent.Observed, len(list))
	for _, u := range list {
		out[cluster.Unit(u.Name)] = agent.Observed{
			State:      units.State{Load: u.Load, Active: u.Active, Sub: u.Sub, Result: u.Result},
			Fragment:   u.FragmentPath,
			Invocation: u.InvocationID,
			NeedReload: u.NeedDaemonReload,
			Since:      u.StateChange,
			Changed:    u.StateChangeMono,
			Restarts:   u.NRestarts,
			ExitStatus: u.ExecMainStatus,
		}
	}
	return out, nil
}

// verb is an agent's kind of job in systemd's word, and none of it for what is no job.
func verb(k agent.Kind) systemd.Verb {
	switch k {
	case agent.Start:
		return systemd.Start
	case agent.Stop:
		return systemd.Stop
	case agent.Restart:
		return systemd.Restart
	default:
		var none systemd.Verb
		return none
	}
}

// Jobs enqueues all jobs and waits for all.
func (h host) Jobs(ctx context.Context, jobs []agent.Job) []agent.JobResult {
	plain := make([]systemd.Job, len(jobs))
	for i, j := range jobs {
		plain[i] = systemd.Job{Name: string(j.Unit), Verb: verb(j.Verb)}
	}
	out := make([]agent.JobResult, len(jobs))
	for i, r := range h.Manager.Jobs(ctx, plain) {
		out[i] = agent.JobResult{Job: jobs[i], Outcome: r.Outcome, Err: r.Err}
	}
	return out
}

// List lists the units of ours on disk.
func (h host) List() ([]agent.UnitFile, error) {
	entries, err := h.dir.List()
	if err != nil {
		return nil, err
	}
	out := make([]agent.UnitFile, len(entries))
	for i, e := range entries {
		out[i] = agent.UnitFile{Unit: cluster.Unit(e.Name), Blob: units.Hash(e.Hash), DropIn: e.DropIn}
	}
	return out, nil
}

// WriteDropIn writes a drop-in of a unit of ours.
func (h host) WriteDropIn(unit, file string, data []byte) error {
	return h.dir.WriteDropIn(unit, file, data)
}

// Write writes a unit file.
func (h host) Write(name string, data []byte) error { return h.dir.Write(name, data) }

// Remove takes a unit of ours away.
func (h host) Remove(unit string) error { return h.dir.Remove(unit) }

// Elsewhere says where the host has a unit of that name of its own.
func (h host) Elsewhere(name string) (string, bool) { return h.dir.Elsewhere(name) }

// LastLines are the last lines of one run of a unit.
func (h host) LastLines(ctx context.Context, unit, invocation string, n int) ([]string, error) {
	entries, err := h.journal.LastLines(ctx, unit, invocation, n)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = string(e.Message)
	}
	return out, nil
}

// killer ends units past systemd.
type killer struct{ systemd.Groups }

// KillUnits ends every process of these units.
func (k killer) KillUnits(names []cluster.Unit) error {
	plain := make([]string, len(names))
	for i, n := range names {
		plain[i] = string(n)
	}
	return k.Kill(plain)
}

// newKiller is nil for the systemd of a user, whose one host has nobody to be fenced from, and
// where the units' control groups are not found.
func newKiller(user bool, log *slog.Logger) agent.Killer {
	if user {
		return nil
	}
	groups, err := systemd.HostGroups()
	if err != nil {
		log.Warn("fenced units are stopped by systemd alone here", "err", err)
		return nil
	}
	return killer{groups}
}

// clock is the kernel's: clock_gettime(2).
type clock struct{}

// Boottime is CLOCK_BOOTTIME, which counts suspends.
func (clock) Boottime() time.Duration { return kernelClock(unix.CLOCK_BOOTTIME) }

// Monotonic is CLOCK_MONOTONIC, which systemd's timers follow.
func (clock) Monotonic() time.Duration { return kernelClock(unix.CLOCK_MONOTONIC) }

func kernelClock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic(fmt.Sprintf("clock_gettime(%d): %v", id, err)) // cannot fail on Linux for these clocks
	}
	return time.Duration(ts.Nano())
}

// unitDir opens the folder of our unit files, and knows the host's other ones.
func unitDir(user bool) *systemd.Dir {
	if user {
		return systemd.NewDir(systemd.UserRuntimePath(), systemd.UserUnitPath())
	}
	return systemd.NewDir("/run/systemd/system", systemd.SystemUnitPath())
}
