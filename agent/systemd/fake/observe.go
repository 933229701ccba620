package fake

// Observe has f called for each event at the moment it happens, under the host's lock:
// f must not use the host. Besides what Events lists, f hears each change of a unit's
// active state, as an event with Op "state" and the new state in By.
func (h *Host) Observe(f func(Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observe = f
}

func (h *Host) show(e Event) {
	if h.observe != nil {
		h.observe(e)
	}
}
