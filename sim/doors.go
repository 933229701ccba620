package sim

import (
	"context"
	"errors"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/units"
)

// machine shows an agent its host: the fake systemd, through the process' gate.
type machine struct {
	*fake.Host
	dir  *fake.Dir
	gate *gate
}

// Units reports systemd's word on exactly these units.
func (m machine) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]agent.Observed, error) {
	if err := m.gate.pass(); err != nil {
		return nil, err
	}
	plain := make([]string, len(names))
	for i, n := range names {
		plain[i] = string(n)
	}
	list, err := m.Host.Units(ctx, plain)
	if err != nil {
		return nil, err
	}
	out := make(map[cluster.Unit]agent.Observed, len(list))
	for _, u := range list {
		out[cluster.Unit(u.Name)] = agent.Observed{
			State:    units.State{Load: u.Load, Active: u.Active, Sub: u.Sub, Result: u.Result},
			Fragment: u.FragmentPath, Invocation: u.InvocationID, NeedReload: u.NeedDaemonReload,
			Since: u.StateChange, Changed: u.StateChangeMono, Restarts: u.NRestarts, ExitStatus: u.ExecMainStatus,
		}
	}
	return out, m.gate.pass()
}

// Jobs enqueues all jobs and waits for all.
func (m machine) Jobs(ctx context.Context, jobs []agent.Job) []agent.JobResult {
	out := make([]agent.JobResult, len(jobs))
	plain := make([]systemd.Job, len(jobs))
	verbs := map[agent.Kind]systemd.Verb{agent.Start: systemd.Start, agent.Stop: systemd.Stop, agent.Restart: systemd.Restart}
	for i, j := range jobs {
		out[i].Job = j
		plain[i] = systemd.Job{Name: string(j.Unit), Verb: verbs[j.Verb]}
	}
	if err := m.gate.pass(); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	for i, r := range m.Host.Jobs(ctx, plain) {
		out[i].Outcome, out[i].Err = r.Outcome, r.Err
	}
	if err := m.gate.pass(); err != nil {
		for i := range out {
			out[i].Err = err
		}
	}
	return out
}

// Reload has systemd read its unit files.
func (m machine) Reload(ctx context.Context) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return errors.Join(m.Host.Reload(ctx), m.gate.pass())
}

// ResetFailed forgets a failure.
func (m machine) ResetFailed(ctx context.Context, name string) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.Host.ResetFailed(ctx, name)
}

// StartTransientTimer arms a timer.
func (m machine) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return errors.Join(m.Host.StartTransientTimer(ctx, name, onStartup, unit), m.gate.pass())
}

// List lists the units of ours on disk.
func (m machine) List() ([]agent.UnitFile, error) {
	if err := m.gate.pass(); err != nil {
		return nil, err
	}
	entries, err := m.dir.List()
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
func (m machine) WriteDropIn(unit, file string, data []byte) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.dir.WriteDropIn(unit, file, data)
}

// Write writes a unit file.
func (m machine) Write(name string, data []byte) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.dir.Write(name, data)
}

// Remove takes a unit of ours away.
func (m machine) Remove(unit string) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.dir.Remove(unit)
}

// Elsewhere says where the host has a unit of that name of its own.
func (m machine) Elsewhere(name string) (string, bool) { return m.dir.Elsewhere(name) }

// LastLines are the last lines of one run of a unit.
func (m machine) LastLines(ctx context.Context, unit, invocation string, n int) ([]string, error) {
	entries, err := m.Host.LastLines(ctx, unit, invocation, n)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = string(e.Message)
	}
	return out, nil
}

// Monotonic is CLOCK_MONOTONIC; nothing suspends a simulated host.
func (m machine) Monotonic() time.Duration { return m.Boottime() }
