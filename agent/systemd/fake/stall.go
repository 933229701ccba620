package fake

import "flotilla/agent/systemd"

// Stall makes systemd itself stand still, as a long daemon-reload does: calls fail, and
// what is due happens only at Resume. Processes go on.
func (h *Host) Stall() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = true
}

// Resume ends a stall: everything that was due happens now, in its order.
func (h *Host) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = false
	late := h.late
	h.late = nil
	for _, do := range late {
		do()
		h.settle()
	}
	h.tellAll()
}

// Kill ends the processes of services with SIGKILL, past systemd and even while it is
// stalled.
func (h *Host) Kill(names []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		u := h.units[name]
		if u == nil || u.pid == 0 {
			continue
		}
		h.event("kill", name, "outside")
		u.pid = 0
		h.notice(func() { h.killed(u) })
	}
	h.settle()
	return nil
}

// notice does what systemd does about something, now or when it is no longer stalled.
func (h *Host) notice(do func()) {
	if h.stalled {
		h.late = append(h.late, do)
		return
	}
	do()
}

// killed takes in that a service's main process was killed.
func (h *Host) killed(u *unit) {
	switch {
	case h.units[u.name] != u || !u.up():
	case u.active == systemd.Deactivating:
		u.result, u.status = "signal", 9
		h.fail(u)
	default:
		h.exited(u, 0, 9)
	}
}
