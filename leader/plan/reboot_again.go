package plan

import "flotilla/cluster"

// again says why a host that has leave to reboot had better not do so now after all, where a client carries that out: it
// asks again before it does, and much may have changed since. nil = it may still.
func (c *coordinator) again(h *host) *hold {
	g := h.Grant
	if g == nil || h.GrantBad != "" || !g.External || g.Phase < cluster.PhaseGranted || g.Phase > cluster.PhaseOverdue || h.Alive == nil || h.rebooted() {
		return nil
	}
	if x := c.late(h); x != nil {
		return x
	}
	if why := h.verdict(); why != "" && !h.Used() { // later nobody makes the checks any more
		return queued(why)
	}
	return c.unsafe(h, true)
}

// warn puts what again says into the standing of a host, if nothing else holds it up.
func (c *coordinator) warn(h *host, r *HostReboot) {
	x := c.again(h)
	if x == nil || r.Hold != HoldNone {
		return
	}
	r.Hold, r.Reason = x.word(), r.Reason+"; "+x.reason
}

// haltedFor is why a group lets a host not go down: others of it fail. What the host itself counts is no reason.
func (c *coordinator) haltedFor(t *team, h *host) string {
	if t.halted == "" || c.fails(h) == "" {
		return t.halted
	}
	rest := *t
	rest.failing = nil
	for _, x := range t.failing {
		if x != h {
			rest.failing = append(rest.failing, x)
		}
	}
	return c.halt(&rest)
}
