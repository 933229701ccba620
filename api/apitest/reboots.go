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
}

func (r *reboots) report() *cluster.RebootReport {
	if !r.obeys {
		return nil
	}
	return &cluster.RebootReport{Need: cluster.Need{State: cluster.NeedNo}, Before: r.before, After: r.after}
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
