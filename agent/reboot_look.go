package agent

import (
	"context"
	"time"

	"flotilla/cluster"
)

// look asks now and then whether the host needs a reboot, who else may reboot it, and who is logged in. What
// it finds is written only if it is another thing than before.
func (r *reboots) look(ctx context.Context) error {
	tick := time.NewTicker(r.period)
	defer tick.Stop()
	var changed <-chan struct{}
	if r.needs != nil {
		changed = r.needs.Changed(ctx)
	}
	for {
		r.lookOnce(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed:
		case <-r.relook:
		}
	}
}

func (r *reboots) lookOnce(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	logins, err := r.logind.Logins(limited)
	cancel()
	if failed := err != nil && ctx.Err() == nil; failed != r.deaf {
		r.deaf = failed
		if failed {
			r.log.Warn("logind does not say who is logged in", "err", err)
		}
	}
	var need cluster.Need
	var rivals []cluster.Rival
	var problem string
	if r.needs != nil {
		need, rivals, problem = r.needs.Look(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	problem = joined([]string{problem, r.stays})
	r.mu.Unlock()
	r.metrics.needReboot.Set(map[cluster.NeedState]float64{cluster.NeedYes: 1, cluster.NeedUnknown: -1}[need.State])
	r.change(func(report *cluster.RebootReport) {
		if err == nil {
			report.Delay = logins.Delay
		}
		report.Need, report.Rivals, report.Problem = need, rivals, problem
	})
}
