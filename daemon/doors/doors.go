// Package doors shows an agent its host in the agent's words, whichever host that is: the
// daemon's real one or the simulator's. It only translates; a Host is as safe for
// concurrent use as its parts.
package doors

import (
	"context"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/cluster"
	"flotilla/units"
)

// Manager is a systemd: systemd.Manager, or the fake's Host.
type Manager interface {
	Units(ctx context.Context, names []string) ([]systemd.Unit, error)
	Jobs(ctx context.Context, jobs []systemd.Job) []systemd.Result
	Reload(ctx context.Context) error
	ResetFailed(ctx context.Context, name string) error
	State(ctx context.Context) (state string, failed []string, err error)
	agent.Changes
	agent.Timers
}

// Dir is the folder of our unit files: systemd.Dir, or the fake's.
type Dir interface {
	List() ([]systemd.Entry, error)
	WriteDropIn(unit, file string, data []byte) error
	RemoveDropIn(unit, file string) error
	Write(name string, data []byte) error
	Remove(unit string) error
	Elsewhere(name string) (path string, ok bool)
}

// Journal reads the last lines of one run of a unit.
type Journal interface {
	LastLines(ctx context.Context, unit, invocation string, n int) ([]systemd.LogEntry, error)
}

// Login is a login manager: systemd.Logind, or the fake's.
type Login interface {
	Reboot(ctx context.Context, soft bool) (refused string, err error)
	Hold(ctx context.Context) (release func(), err error)
	Shutdowns(ctx context.Context) (<-chan string, error)
	Logins(ctx context.Context) (systemd.Logins, error)
	Wall(ctx context.Context, text string) error
}

// Logind is agent.Logind.
type Logind struct{ Login }

// Logins is what logind says of people and of its limit.
func (l Logind) Logins(ctx context.Context) (agent.Logins, error) {
	now, err := l.Login.Logins(ctx)
	return agent.Logins(now), err
}

// Host is agent.Systemd, agent.Machine, agent.Changes, agent.Timers, agent.UnitFiles and agent.Journal.
type Host struct {
	Manager Manager
	Dir     Dir
	Log     Journal
}

// Units reports systemd's word on exactly these units.
func (h Host) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]agent.Observed, error) {
	list, err := h.Manager.Units(ctx, plain(names))
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

// Jobs enqueues all jobs and waits for all.
func (h Host) Jobs(ctx context.Context, jobs []agent.Job) []agent.JobResult {
	asked := make([]systemd.Job, len(jobs))
	for i, j := range jobs {
		asked[i] = systemd.Job{Name: string(j.Unit), Verb: verb(j.Verb)}
	}
	out := make([]agent.JobResult, len(jobs))
	for i, r := range h.Manager.Jobs(ctx, asked) {
		out[i] = agent.JobResult{Job: jobs[i], Outcome: r.Outcome, Err: r.Err}
	}
	return out
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

// Reload has systemd read its unit files.
func (h Host) Reload(ctx context.Context) error { return h.Manager.Reload(ctx) }

// ResetFailed forgets a failure.
func (h Host) ResetFailed(ctx context.Context, name string) error {
	return h.Manager.ResetFailed(ctx, name)
}

// State is the manager's own state, and the units that failed.
func (h Host) State(ctx context.Context) (state string, failed []string, err error) {
	return h.Manager.State(ctx)
}

// Changes tells which units may have changed.
func (h Host) Changes(ctx context.Context) (<-chan []string, error) { return h.Manager.Changes(ctx) }

// Watch says which units that is about.
func (h Host) Watch(ctx context.Context, names []string) error { return h.Manager.Watch(ctx, names) }

// StartTransientTimer arms a timer.
func (h Host) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	return h.Manager.StartTransientTimer(ctx, name, onStartup, unit)
}

// UserspaceTimestamp is when systemd started, on CLOCK_MONOTONIC.
func (h Host) UserspaceTimestamp(ctx context.Context) (time.Duration, error) {
	return h.Manager.UserspaceTimestamp(ctx)
}

// List lists the units of ours on disk.
func (h Host) List() ([]agent.UnitFile, error) {
	entries, err := h.Dir.List()
	if err != nil {
		return nil, err
	}
	out := make([]agent.UnitFile, len(entries))
	for i, e := range entries {
		out[i] = agent.UnitFile{Unit: cluster.Unit(e.Name), Blob: units.Hash(e.Hash), DropIn: e.DropIn, DropIns: e.Others}
	}
	return out, nil
}

// WriteDropIn writes a drop-in of a unit of ours.
func (h Host) WriteDropIn(unit, file string, data []byte) error {
	return h.Dir.WriteDropIn(unit, file, data)
}

// RemoveDropIn takes a drop-in of ours away.
func (h Host) RemoveDropIn(unit, file string) error { return h.Dir.RemoveDropIn(unit, file) }

// Write writes a unit file.
func (h Host) Write(name string, data []byte) error { return h.Dir.Write(name, data) }

// Remove takes a unit of ours away.
func (h Host) Remove(unit string) error { return h.Dir.Remove(unit) }

// Elsewhere says where the host has a unit of that name of its own.
func (h Host) Elsewhere(name string) (string, bool) { return h.Dir.Elsewhere(name) }

// LastLines are the last lines of one run of a unit.
func (h Host) LastLines(ctx context.Context, unit, invocation string, n int) ([]string, error) {
	entries, err := h.Log.LastLines(ctx, unit, invocation, n)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = string(e.Message)
	}
	return out, nil
}

// Groups ends the processes of units past systemd: systemd.Groups, or the fake's Host.
type Groups interface {
	Kill(names []string) error
}

// Killer is agent.Killer.
type Killer struct{ Groups Groups }

// KillUnits ends every process of these units.
func (k Killer) KillUnits(names []cluster.Unit) error { return k.Groups.Kill(plain(names)) }

func plain(names []cluster.Unit) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}
