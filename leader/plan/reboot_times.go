package plan

import (
	"cmp"
	"time"

	"flotilla/cluster"
)

// Defaults of a group's Times; that of Drain is drainTimeout.
const (
	grantWithin  = time.Minute
	returnWithin = 10 * time.Minute
	gateWithin   = 10 * time.Minute
	settleFor    = 15 * time.Second
	hookWithin   = 5 * time.Minute
	retryAfter   = time.Hour
	loopsAt      = 2
)

// externalWithin is how long the grant of a host stands at least that a client of FleetLock reboots: such
// clients ask again every 5 minutes or so.
const externalWithin = 12 * time.Minute

// terms are what the groups of a reboot allow it: the longest time of each, and the strictest word of the rest.
type terms struct {
	grant, comes, gate, settle, hooks, grace, retry time.Duration

	finish bool // what began in a window may reboot after its end
	loops  int
	wall   string
	checks []cluster.Check
}

// terms are those of these groups as they are now. Groups that are gone, or cannot be read, have the defaults.
func (p *planner) terms(groups []string) terms {
	var out terms
	for i, name := range groups {
		var g cluster.Group
		if head := p.snap.Groups[name]; head != nil && head.Bad == "" {
			g = head.Group
		}
		out.grant = max(out.grant, cmp.Or(g.Times.Grant, grantWithin))
		out.comes = max(out.comes, cmp.Or(g.Times.Return, returnWithin))
		out.gate = max(out.gate, cmp.Or(g.Times.Gate, gateWithin))
		out.settle = max(out.settle, cmp.Or(g.Times.Settle, settleFor))
		out.hooks = max(out.hooks, cmp.Or(g.Times.Hooks, hookWithin))
		out.grace = max(out.grace, g.Times.Grace)
		out.retry = max(out.retry, cmp.Or(g.Times.Retry, retryAfter))
		out.finish = g.Finish && (i == 0 || out.finish)
		if n := cmp.Or(g.Loops, loopsAt); i == 0 || n < out.loops {
			out.loops = n
		}
		out.wall = cmp.Or(out.wall, g.Wall)
		for _, check := range g.Checks {
			out.checks = appendNew(out.checks, check)
		}
	}
	return out
}

func appendNew(to []cluster.Check, one cluster.Check) []cluster.Check {
	for _, c := range to {
		same := c.PromQL == one.PromQL || c.PromQL != nil && one.PromQL != nil && *c.PromQL == *one.PromQL
		c.PromQL = one.PromQL
		if same && c == one {
			return to
		}
	}
	return append(to, one)
}

// onLeave says until when an absent host is not missed: it may reboot, or does.
func (p *planner) onLeave(h *host) (until time.Time, ok bool) {
	if h.removed || h.Alive != nil || h.Grant == nil || !h.Grant.Phase.Away() {
		return time.Time{}, false
	}
	if h.Grant.Phase == cluster.PhaseGranted {
		return p.expires(h), true
	}
	return h.GrantSeen.Add(p.terms(h.Grant.Groups).comes), true
}

// expires is when a grant is taken back that was not used. Its agent counts from when it first sees it, and may
// see it late.
func (p *planner) expires(h *host) time.Time {
	return h.GrantSeen.Add(h.Grant.Within + 2*p.opt.Timing.TTL)
}
