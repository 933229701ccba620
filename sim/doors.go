package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store"
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

// views shows an agent its orders. A store without an identity is one whose orders must
// not be followed, not one that cannot be read.
type views struct{ *store.Store }

// View reads all orders for a host.
func (v views) View(ctx context.Context, host cluster.HostID) (cluster.View, error) {
	got, err := v.Store.View(ctx, host)
	if errors.Is(err, store.ErrNoStore) {
		return cluster.View{Host: host}, nil
	}
	return got, err
}

// life shows an agent its host's life in the store.
type life struct {
	store *store.Store
	host  cluster.HostID
}

// Announce makes the host alive.
func (l life) Announce(ctx context.Context, a cluster.Alive, old agent.Lease) (agent.Lease, error) {
	got, err := l.store.Announce(ctx, l.host, a, l.out(old))
	return in(got), leaseError(err)
}

// Renew sends one keep-alive.
func (l life) Renew(ctx context.Context, held agent.Lease) (time.Duration, error) {
	ttl, err := l.store.Renew(ctx, l.out(held))
	return ttl, leaseError(err)
}

// Remaining is what is left of a life.
func (l life) Remaining(ctx context.Context, held agent.Lease) (time.Duration, error) {
	ttl, err := l.store.Remaining(ctx, l.out(held))
	return ttl, leaseError(err)
}

// Report writes what the host says of itself.
func (l life) Report(ctx context.Context, held agent.Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error {
	return leaseError(l.store.Report(ctx, l.out(held), info, put, del))
}

// Reported is what the host said last.
func (l life) Reported(ctx context.Context) (*cluster.HostInfo, map[cluster.Unit]cluster.Status, error) {
	return l.store.Reported(ctx, l.host)
}

func (l life) out(held agent.Lease) store.Lease {
	if held.ID == 0 {
		return store.Lease{}
	}
	return store.Lease{Host: l.host, ID: store.LeaseID(held.ID), AliveRev: held.AliveRev, Nonce: held.Nonce}
}

func in(l store.Lease) agent.Lease {
	return agent.Lease{ID: int64(l.ID), AliveRev: l.AliveRev, Nonce: l.Nonce}
}

// leaseError turns the store's words on a life into the agent's.
func leaseError(err error) error {
	var taken *store.TakenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &taken):
		return &agent.TakenError{Lease: in(taken.Lease), Alive: taken.Alive}
	case errors.Is(err, store.ErrLapsed), errors.Is(err, store.ErrLeaseNotFound):
		return fmt.Errorf("%w: %w", agent.ErrLost, err)
	}
	return err
}
