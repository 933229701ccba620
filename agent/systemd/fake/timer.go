package fake

import (
	"context"
	"fmt"
	"time"

	"flotilla/agent/systemd"
)

// StartTransientTimer starts a timer that starts a unit once, when this systemd
// has run for onStartup, and then vanishes.
func (h *Host) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	h.mu.Lock()
	if err := h.reachable(); err != nil {
		h.mu.Unlock()
		return fmt.Errorf("start timer %s: %w", name, err)
	}
	if h.defs[name] != nil || h.units[name] != nil {
		h.mu.Unlock()
		return fmt.Errorf("start timer %s: %w", name, systemd.ErrExists)
	}
	d := &definition{
		kind: "timer", fragment: "/run/systemd/transient/" + name,
		onActive: -1, onStartup: max(onStartup, 0), triggers: unit, transient: true,
	}
	h.defs[name] = d
	h.index.add(name, d)
	wait := make(chan string, 1)
	j, err := h.enqueue(name, systemd.Start, "call")
	if err == nil {
		j.waits = append(j.waits, wait)
		h.settle()
	}
	h.mu.Unlock()
	if err == nil {
		_, err = await(ctx, wait)
	}
	if err != nil {
		return fmt.Errorf("start timer %s: %w", name, err)
	}
	return nil
}

// beginTimer makes a timer wait for its instant; one in the past is now.
func (h *Host) beginTimer(u *unit) {
	wait := u.def.onActive
	if u.def.onStartup >= 0 {
		wait = max(0, u.def.onStartup+userspace-time.Since(h.bootedAt))
	}
	h.set(u, systemd.Active, "waiting")
	h.started(u)
	if wait < 0 {
		return
	}
	h.plan(u, wait, func() {
		h.event("elapse", u.name, "timer")
		if _, err := h.enqueue(u.def.triggers, systemd.Start, u.name); err != nil {
			h.say(u, u.name+": Failed to queue unit startup job: "+err.Error())
		}
		if u.def.remain {
			h.set(u, systemd.Active, "elapsed")
			return
		}
		h.dead(u)
	})
}
