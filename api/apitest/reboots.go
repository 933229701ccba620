package apitest

import (
	"context"

	"flotilla/cluster"
)

// bootNow is the host's present run.
func (a *agent) bootNow() cluster.Boot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return cluster.Boot{ID: bootID(a.boot)}
}

// SetUnwell makes the checks before and after a host's reboots red, or green again with "".
func (h *Host) SetUnwell(ctx context.Context, why string) error {
	a := h.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unwell = why
	before, after := a.report.Before, a.report.After
	if before != nil {
		a.report.Before = a.checked(before.Generation)
	}
	if after != nil {
		a.report.After = a.checked(after.Generation)
	}
	if before == nil && after == nil { // it may be down
		return nil
	}
	return a.tell(ctx)
}

// checked are the checks of a grant. The caller holds mu.
func (a *agent) checked(generation int64) *cluster.Verdict {
	return &cluster.Verdict{Generation: generation, Well: a.unwell == "", Reason: a.unwell}
}

// GoDown ends a host's boot; its daemon answers nothing until ComeUp. This is how a host reboots that somebody
// else reboots, such as a FleetLock client.
func (c *Cluster) GoDown(ctx context.Context, h *Host) error {
	h.Stall(true)
	h.agent.mu.Lock()
	h.agent.report = cluster.RebootReport{}
	h.agent.mu.Unlock()
	return c.Stop(ctx, h)
}

// ComeUp begins the next boot of a host that went down.
func (c *Cluster) ComeUp(ctx context.Context, h *Host) error {
	defer h.Stall(false)
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	h.agent.report = cluster.RebootReport{Need: cluster.Need{State: cluster.NeedNo}}
	return h.agent.rise(ctx)
}
