package agent

import (
	"context"
	"time"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/units"
)

// What the daemon does for the real doors is done here for the ones in memory.

type systemdDoor struct{ h *fake.Host }

func (d systemdDoor) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]Observed, error) {
	asked := make([]string, len(names))
	for i, n := range names {
		asked[i] = string(n)
	}
	found, err := d.h.Units(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := make(map[cluster.Unit]Observed, len(found))
	for _, u := range found {
		out[cluster.Unit(u.Name)] = Observed{
			State:    units.State{Load: u.Load, Active: u.Active, Sub: u.Sub, Result: u.Result},
			Fragment: u.FragmentPath, Invocation: u.InvocationID, NeedReload: u.NeedDaemonReload,
			Since: u.StateChange, Changed: u.StateChangeMono, Restarts: u.NRestarts, ExitStatus: u.ExecMainStatus,
		}
	}
	return out, nil
}

func (d systemdDoor) Reload(ctx context.Context) error { return d.h.Reload(ctx) }

func (d systemdDoor) ResetFailed(ctx context.Context, name string) error {
	return d.h.ResetFailed(ctx, name)
}

func (d systemdDoor) Jobs(ctx context.Context, jobs []Job) []JobResult {
	asked := make([]systemd.Job, len(jobs))
	for i, j := range jobs {
		asked[i] = systemd.Job{Name: string(j.Unit), Verb: systemd.Verb(j.Verb.String())}
	}
	out := make([]JobResult, len(jobs))
	for i, r := range d.h.Jobs(ctx, asked) {
		out[i] = JobResult{jobs[i], r.Outcome, r.Err}
	}
	return out
}

type killerDoor struct{ h *fake.Host }

func (d killerDoor) KillUnits(names []cluster.Unit) error {
	asked := make([]string, len(names))
	for i, n := range names {
		asked[i] = string(n)
	}
	return d.h.Kill(asked)
}

type logindDoor struct{ fake.Logind }

func (d logindDoor) Logins(ctx context.Context) (Logins, error) {
	now, err := d.Logind.Logins(ctx)
	return Logins(now), err
}

type filesDoor struct{ *fake.Dir }

func (d filesDoor) List() ([]UnitFile, error) {
	entries, err := d.Dir.List()
	out := make([]UnitFile, len(entries))
	for i, e := range entries {
		out[i] = UnitFile{Unit: cluster.Unit(e.Name), Blob: units.Hash(e.Hash), DropIn: e.DropIn, DropIns: e.Others}
	}
	return out, err
}

type journalDoor struct{ h *fake.Host }

func (d journalDoor) LastLines(ctx context.Context, unit, invocation string, n int) ([]string, error) {
	entries, err := d.h.LastLines(ctx, unit, invocation, n)
	var out []string
	for _, e := range entries {
		out = append(out, string(e.Message))
	}
	return out, err
}

type clockDoor struct{ h *fake.Host }

func (d clockDoor) Boottime() time.Duration  { return d.h.Boottime() }
func (d clockDoor) Monotonic() time.Duration { return d.h.Boottime() }
