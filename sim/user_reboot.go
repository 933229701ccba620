package sim

import (
	"context"
	"time"

	"flotilla/cluster"
)

// revision is the newest one, as a mirror has it.
func (j *Judge) revision() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rev
}

// generationOf is that of a host's newest reboot.
func (j *Judge) rebootOf(id cluster.HostID) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return generationOf(j.fact(id).grant)
}

// WishReboots asks for reboots of hosts, all with one wish.
func (w *World) WishReboots(what string, hosts []*Host, wish cluster.RebootWish) {
	wish.ID = w.Judge.revision()
	for _, h := range hosts {
		w.Edit(what, h, func(s *cluster.HostSpec) {
			next := wish
			next.By = me()
			s.Reboot = &next
		})
	}
}

// CancelReboot takes the wish for a host's reboot back.
func (w *World) CancelReboot(h *Host) {
	w.Edit("cancel the reboot of", h, func(s *cluster.HostSpec) { s.Reboot = nil })
}

// Unlock ends a host's grant, whatever became of the host.
func (w *World) Unlock(h *Host) {
	w.Edit("unlock", h, func(s *cluster.HostSpec) {
		if n := w.Judge.rebootOf(h.id); n != 0 {
			s.Unlock = &cluster.Unlock{By: me(), Generation: n}
		}
	})
}

// FreezeReboots holds a host's reboots up, or lets them go.
func (w *World) FreezeReboots(h *Host, on bool) {
	w.Edit("freeze or thaw reboots of", h, func(s *cluster.HostSpec) { s.Freeze = freeze(on) })
}

func freeze(on bool) *cluster.Freeze {
	if !on {
		return nil
	}
	return &cluster.Freeze{By: me()}
}

// FreezeAll holds all reboots up, or lets them go.
func (w *World) FreezeAll(on bool) {
	w.Type("freeze or thaw all reboots", func(ctx context.Context) error {
		_, err := w.User().EditRebootPolicy(ctx, 0, func(*cluster.RebootPolicy) (*cluster.RebootPolicy, error) {
			return &cluster.RebootPolicy{Freeze: freeze(on), By: me()}, nil
		})
		return err
	})
}

// Drain has a host's units go elsewhere, or ends that.
func (w *World) Drain(h *Host, on bool, blocked cluster.OnBlocked) {
	w.Edit("drain or uncordon", h, func(s *cluster.HostSpec) {
		if s.Drain = nil; on {
			s.Drain = &cluster.DrainWish{By: me(), OnBlocked: blocked, Timeout: groupTimes().Drain}
		}
	})
}

// EditGroup changes a group, and makes it where there is none.
func (w *World) EditGroup(name string, edit func(*cluster.Group)) {
	w.Type("edit group "+name, func(ctx context.Context) error {
		_, err := w.User().EditGroup(ctx, name, 0, func(g *cluster.Group) (*cluster.Group, error) {
			if g == nil {
				g = &cluster.Group{Times: groupTimes()}
			}
			edit(g)
			g.By = me()
			return g, nil
		})
		return err
	})
}

// EditWindow makes or changes a window.
func (w *World) EditWindow(name string, next cluster.Window) {
	w.Type("edit window "+name, func(ctx context.Context) error {
		_, err := w.User().EditWindow(ctx, name, 0, func(*cluster.Window) (*cluster.Window, error) {
			next.By = me()
			return &next, nil
		})
		return err
	})
}

// groupTimes are the deadlines of simulated groups: short, for runs are.
func groupTimes() cluster.Times {
	return cluster.Times{
		Drain: 30 * time.Second, Grant: 12 * time.Second, Return: 40 * time.Second, Gate: 30 * time.Second,
		Settle: 5 * time.Second, Hooks: 10 * time.Second, Retry: 25 * time.Second,
	}
}
