package apitest

import (
	"context"

	"flotilla/cluster"
)

// Ways in which a host reboots. The zero value is the good one.
const (
	StaysAway = "stays away" // it goes down and does not come back
	IsIll     = "is ill"     // it comes back, and its checks fail
	Refuses   = "refuses"    // its logind does not reboot
)

// Way says how a host reboots from now on. A host that was ill is asked again.
func (c *Cluster) Way(ctx context.Context, h *Host, way string) error {
	a := h.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	a.way = way
	if after := a.report.After; after != nil {
		a.report.After = a.verdict(after.Generation)
		return a.tell(ctx)
	}
	return nil
}

// attend does as an agent does that has a grant: says that all is well before, uses it, and comes back with
// another boot. The caller holds mu. What could not be written, the next view brings again.
func (a *agent) attend(ctx context.Context, g *cluster.Granting) {
	if g == nil {
		return
	}
	now := cluster.Boot{ID: bootID(a.boot)}
	before, after := a.report.Before, a.report.After
	switch {
	case g.Boot == now && g.Phase == cluster.PhaseDrained && (before == nil || before.Generation != g.Generation):
		a.report.Before = a.checked(g.Generation)
		_ = a.tell(ctx)
	case g.Boot == now && g.External: // somebody else reboots it
	case g.Boot == now && g.Phase == cluster.PhaseGranted && a.way == Refuses:
		_ = a.store.RefuseGrant(ctx, a.lease, *g, now, "logind: there is a block inhibitor")
	case g.Boot == now && g.Phase == cluster.PhaseGranted:
		if a.store.UseGrant(ctx, a.lease, *g, now) == nil {
			a.goDown(ctx)
		}
	case g.Boot != now && g.Phase.Holds() && (after == nil || after.Generation != g.Generation):
		a.report.After = a.verdict(g.Generation)
		_ = a.tell(ctx)
	}
}

func (a *agent) verdict(generation int64) *cluster.Verdict {
	if a.way == IsIll {
		return &cluster.Verdict{Generation: generation, Reason: "check tcp 127.0.0.1:80: connection refused"}
	}
	return a.checked(generation)
}

func (a *agent) goDown(ctx context.Context) {
	_ = a.store.Withdraw(ctx, a.lease)
	if a.way == StaysAway {
		return
	}
	a.report = cluster.RebootReport{Need: cluster.Need{State: cluster.NeedNo}}
	_ = a.rise(ctx)
}
