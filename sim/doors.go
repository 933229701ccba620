package sim

import (
	"context"
	"errors"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/daemon/doors"
)

// machine shows an agent its host: the fake systemd, through the process' gate.
type machine struct {
	doors.Host
	fake *fake.Host
	gate *gate
	host *Host
}

func newMachine(h *fake.Host, g *gate) machine {
	return machine{Host: doors.Host{Manager: h, Dir: h.Dir(), Log: h}, fake: h, gate: g}
}

// Units reports systemd's word on exactly these units.
func (m machine) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]agent.Observed, error) {
	if err := m.gate.pass(); err != nil {
		return nil, err
	}
	out, err := m.Host.Units(ctx, names)
	if err != nil {
		return nil, err
	}
	return out, m.gate.pass()
}

// Jobs enqueues all jobs and waits for all.
func (m machine) Jobs(ctx context.Context, jobs []agent.Job) []agent.JobResult {
	out := make([]agent.JobResult, len(jobs))
	for i, j := range jobs {
		out[i].Job = j
	}
	err := m.gate.pass()
	if err == nil {
		out, err = m.Host.Jobs(ctx, jobs), m.gate.pass()
	}
	if err != nil {
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
	return m.Host.List()
}

// WriteDropIn writes a drop-in of a unit of ours.
func (m machine) WriteDropIn(unit, file string, data []byte) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.Host.WriteDropIn(unit, file, data)
}

// RemoveDropIn takes a drop-in of ours away.
func (m machine) RemoveDropIn(unit, file string) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.Host.RemoveDropIn(unit, file)
}

// Write writes a unit file.
func (m machine) Write(name string, data []byte) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.Host.Write(name, data)
}

// Remove takes a unit of ours away.
func (m machine) Remove(unit string) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return m.Host.Remove(unit)
}

// KillUnits ends every process of these units.
func (m machine) KillUnits(names []cluster.Unit) error {
	if err := m.gate.pass(); err != nil {
		return err
	}
	return doors.Killer{Groups: m.fake}.KillUnits(names)
}

// images are the container images of a host, through the process' gate.
type images struct {
	*systemd.Images
	gate *gate
}

// HasImage says whether a runtime has an image.
func (i images) HasImage(ctx context.Context, runtime, ref string) (bool, error) {
	if err := i.gate.pass(); err != nil {
		return false, err
	}
	has, err := i.Images.HasImage(ctx, runtime, ref)
	return has, errors.Join(err, i.gate.pass())
}

// PullImage fetches an image, or waits for the pull that is under way.
func (i images) PullImage(ctx context.Context, runtime, ref string) error {
	if err := i.gate.pass(); err != nil {
		return err
	}
	return errors.Join(i.Images.PullImage(ctx, runtime, ref), i.gate.pass())
}

// Boottime is CLOCK_BOOTTIME.
func (m machine) Boottime() time.Duration { return m.fake.Boottime() }

// Monotonic is CLOCK_MONOTONIC; nothing suspends a simulated host.
func (m machine) Monotonic() time.Duration { return m.fake.Boottime() }
