package fake

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"flotilla/agent/systemd"
)

// relation is one of a definition's lists of names.
type relation int

const (
	requires relation = iota
	requisite
	partOf
	conflicts
	after
	before
)

// index leads from a unit to those that name it in one of their lists.
type index map[edge]map[string]struct{}

type edge struct {
	relation relation
	to       string
}

func (d *definition) relations() map[relation][]string {
	return map[relation][]string{
		requires: d.requires, requisite: d.requisite, partOf: d.partOf,
		conflicts: d.conflicts, after: d.after, before: d.before,
	}
}

func (x index) add(name string, d *definition) {
	for r, targets := range d.relations() {
		for _, to := range targets {
			if x[edge{r, to}] == nil {
				x[edge{r, to}] = map[string]struct{}{}
			}
			x[edge{r, to}][name] = struct{}{}
		}
	}
}

func (x index) remove(name string, d *definition) {
	for r, targets := range d.relations() {
		for _, to := range targets {
			delete(x[edge{r, to}], name)
			if len(x[edge{r, to}]) == 0 {
				delete(x, edge{r, to})
			}
		}
	}
}

// naming returns who names a unit in any of these lists, sorted, each once.
func (x index) naming(name string, relations ...relation) []string {
	var names []string
	for _, r := range relations {
		for n := range x[edge{r, name}] {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Reload reads all files that changed since the last one.
func (h *Host) Reload(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return fmt.Errorf("daemon-reload: %w", err)
	}
	h.counts.Reload++
	h.event("reload", "", "call")
	if d := h.draw(h.opts.ReloadTime); d > 0 {
		epoch := h.epoch
		h.mu.Unlock()
		err := pause(ctx, d)
		h.mu.Lock()
		if err == nil && h.epoch != epoch {
			err = systemd.ErrDisconnected
		}
		if err == nil {
			err = h.reachable()
		}
		if err != nil {
			return fmt.Errorf("daemon-reload: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.dirty)) {
		h.load(name)
	}
	clear(h.dirty)
	h.tellAll()
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// load makes a unit's definition from its files as they are now.
func (h *Host) load(name string) {
	if old := h.defs[name]; old != nil {
		h.index.remove(name, old)
	}
	delete(h.defs, name)
	h.known[name] = h.version[name]
	data, ok := h.files[name]
	fragment := full(name)
	if host, own := h.hosts[name]; own && !ok {
		data, fragment, ok = host.data, host.path, true
	}
	if !ok {
		return
	}
	s := settings{}
	s.read(data)
	var paths []string
	for _, file := range slices.Sorted(maps.Keys(h.dropIns[name])) {
		s.read(h.dropIns[name][file])
		paths = append(paths, path.Join(full(name)+".d", file))
	}
	_, instance := instanceOf(name)
	d := define(name, instance, s)
	d.fragment, d.dropIns = fragment, paths
	if h.opts.Behave != nil {
		if b, ok := h.opts.Behave(name); ok {
			d.behave = b
		}
	}
	h.defs[name] = d
	h.index.add(name, d)
	if u := h.units[name]; u != nil {
		u.def = d
	}
}

// Units returns the current state of exactly these units.
func (h *Host) Units(ctx context.Context, names []string) ([]systemd.Unit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return nil, fmt.Errorf("list %d units: %w", len(names), err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %d units: %w", len(names), err)
	}
	units := make([]systemd.Unit, len(names))
	for i, name := range names {
		if h.opts.Notices && h.dirty[name] && h.defs[name] == nil {
			h.load(name)
			delete(h.dirty, name)
		}
		units[i] = h.report(name)
	}
	return units, nil
}

// report is what this systemd says of a unit.
func (h *Host) report(name string) systemd.Unit {
	r := systemd.Unit{Name: name, Load: systemd.NotFound, Active: systemd.Inactive, Sub: "dead"}
	if d := h.defs[name]; d != nil {
		r.Load = systemd.Loaded
		if d.bad {
			r.Load = "bad-setting"
		}
		r.FragmentPath = d.fragment
		r.DropInPaths = slices.Clone(d.dropIns)
		r.NeedDaemonReload = h.version[name] != h.known[name]
		if d.kind == "service" || d.kind == "timer" {
			r.Result = "success"
		}
	}
	if u := h.units[name]; u != nil {
		r.Active, r.Sub, r.Result = u.active, u.sub, u.result
		r.InvocationID, r.MainPID = u.invocation, u.pid
		r.NRestarts, r.ExecMainStatus = u.restarts, u.status
		r.StateChange = u.changed
		if !u.changed.IsZero() {
			r.StateChangeMono = max(u.changed.Sub(h.bootedAt), time.Microsecond)
		}
	}
	return r
}

// Property knows the few properties that are asked for beside Units.
func (h *Host) Property(_ context.Context, unit, iface, name string) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return nil, err
	}
	r := h.report(unit)
	switch iface + "." + name {
	case "Manager.Version":
		return "257 (fake)", nil
	case "Manager.UserspaceTimestampMonotonic":
		return uint64(userspace.Microseconds()), nil
	case "Unit.ActiveState":
		return r.Active, nil
	case "Unit.SubState":
		return r.Sub, nil
	case "Unit.LoadState":
		return r.Load, nil
	case "Unit.FragmentPath":
		return r.FragmentPath, nil
	case "Unit.NeedDaemonReload":
		return r.NeedDaemonReload, nil
	case "Service.Result":
		return r.Result, nil
	case "Service.NRestarts":
		return uint32(r.NRestarts), nil
	case "Service.TimeoutStopUSec":
		if d := h.defs[unit]; d != nil {
			return uint64(d.stopLimit.Microseconds()), nil
		}
	}
	return nil, fmt.Errorf("read %s.%s of %q: unknown property", iface, name, unit)
}

// Version is systemd's major version.
func (h *Host) Version(context.Context) (int, error) { return 257, nil }

// UserspaceTimestamp is when this systemd started, on the clock of Boottime.
func (h *Host) UserspaceTimestamp(context.Context) (time.Duration, error) { return userspace, nil }
