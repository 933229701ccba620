package apitest

import (
	"context"
	"fmt"

	"flotilla/cluster"
	"flotilla/cluster/store"
)

// reboots is what an agent knows of its host's reboots.
type reboots struct {
	boots         int
	obeys         bool // it says what it makes of grants
	grant         *cluster.Granting
	before, after *cluster.Verdict
	unwell        string // why the checks are red; "" = they are green

	uses bool                  // it uses its grants by itself
	way  string                // how
	said *cluster.RebootReport // what a test has it say beside
}

// Ways in which a host uses its grants by itself. The zero value is the good one.
const (
	StaysAway = "stays away" // it goes down and does not come back
	Refuses   = "refuses"    // its logind does not reboot
	IsIll     = "is ill"     // it comes back, and its checks are red until SetUnwell
)

func (r *reboots) report() *cluster.RebootReport {
	out := cluster.RebootReport{Need: cluster.Need{State: cluster.NeedNo}}
	switch {
	case r.said != nil:
		out = *r.said
	case !r.obeys:
		return nil
	}
	out.Before, out.After = r.before, r.after
	return &out
}

// bootID is the host's present boot.
func (a *agent) bootID() string { return fmt.Sprintf("boot-%d", a.reboots.boots) }

func (a *agent) boot() cluster.Boot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return cluster.Boot{ID: a.bootID()}
}

func (a *agent) renew(ctx context.Context) {
	a.mu.Lock()
	lease := a.lease
	a.mu.Unlock()
	_, _ = a.store.Renew(ctx, lease) // the store is away in some tests
}

// prepare says of the checks before and after a reboot what SetUnwell left them. It never reboots by itself.
func (a *agent) prepare(ctx context.Context, g *cluster.Granting) {
	a.reboots.grant = g
	r := &a.reboots
	if !r.obeys {
		return
	}
	before, after := r.before, r.after
	r.before, r.after = nil, nil
	if g != nil && g.Phase.Holds() {
		v := &cluster.Verdict{Generation: g.Generation, Well: r.unwell == "", Reason: r.unwell}
		switch {
		case g.Boot.ID != a.bootID():
			r.after = v
		case g.Phase == cluster.PhaseDrained, g.Phase == cluster.PhaseGranted:
			r.before = v
		}
	}
	if same(before, r.before) && same(after, r.after) {
		return
	}
	if a.introduce(ctx) != nil { // the next view brings it again
		r.before, r.after = before, after
	}
}

func same(a, b *cluster.Verdict) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// ObeyGrants has all hosts say what they make of grants: their checks are green until SetUnwell.
func (c *Cluster) ObeyGrants(ctx context.Context) error {
	for _, h := range c.Hosts {
		h.agent.mu.Lock()
		h.agent.reboots.obeys = true
		err := h.agent.introduce(ctx)
		h.agent.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// UseGrants is ObeyGrants for hosts that reboot by themselves.
func (c *Cluster) UseGrants(ctx context.Context) error {
	for _, h := range c.Hosts {
		h.agent.mu.Lock()
		h.agent.reboots.uses = true
		h.agent.mu.Unlock()
	}
	return c.ObeyGrants(ctx)
}

// SetWay says how a host that uses its grants by itself does so from now on.
func (h *Host) SetWay(way string) {
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	h.agent.reboots.way = way
}

// use reboots the host when it may. The caller holds mu. What could not be written, the next view brings again.
func (a *agent) use(ctx context.Context, g *cluster.Granting) {
	now := cluster.Boot{ID: a.bootID()}
	if g == nil || !a.reboots.uses || g.External || g.Boot != now || g.Phase != cluster.PhaseGranted {
		return
	}
	if a.reboots.way == Refuses {
		_ = a.store.RefuseGrant(ctx, a.lease, *g, now, "logind: there is a block inhibitor")
		return
	}
	if a.store.UseGrant(ctx, a.lease, *g, now) != nil {
		return
	}
	_ = a.store.Withdraw(ctx, a.lease)
	if a.reboots.way == StaysAway {
		return
	}
	a.lease, a.said, a.reboots.said = store.Lease{}, map[cluster.Unit]cluster.Status{}, nil
	a.reboots.before, a.reboots.after = nil, nil
	if a.reboots.way == IsIll {
		a.reboots.unwell = "check tcp 127.0.0.1:80: connection refused"
	}
	_ = a.begin(ctx)
}

// SetUnwell makes the checks of a host's reboots red, or green again with "".
func (h *Host) SetUnwell(ctx context.Context, why string) {
	a := h.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reboots.unwell = why
	a.prepare(ctx, a.reboots.grant)
}

// GoDown ends a host's boot; its daemon answers nothing until ComeUp.
func (c *Cluster) GoDown(ctx context.Context, h *Host) error {
	h.Stall(true)
	return c.Stop(ctx, h)
}

// ComeUp begins the next boot of a host that went down.
func (c *Cluster) ComeUp(ctx context.Context, h *Host) error {
	defer h.Stall(false)
	a := h.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lease, a.said = store.Lease{}, map[cluster.Unit]cluster.Status{}
	a.reboots.before, a.reboots.after = nil, nil
	if err := a.begin(ctx); err != nil {
		return err
	}
	a.prepare(ctx, a.reboots.grant)
	return nil
}
