package daemon

import (
	"context"
	"math/rand/v2"
	"time"

	"flotilla/members"
)

// How often a host asks which etcd members there are: soon after its start and after a
// change, and seldom in a cluster that has settled, of which there may be thousands of hosts.
const (
	endpointsSoon   = time.Minute
	endpointsSeldom = 10 * time.Minute // and up to twice that later
)

// endpointsWait is how long after a question the next is due. Members, which are few and found
// the cluster, ask often.
func endpointsWait(last time.Duration, changed, member bool, jitter float64) time.Duration {
	if last == 0 || changed || member {
		return endpointsSoon
	}
	if next := 2 * last; next < endpointsSeldom {
		return next
	}
	return endpointsSeldom + time.Duration(jitter*2*float64(endpointsSeldom))
}

// keepEndpoints learns of etcd members that came or went, for this process and, on disk,
// for the next one: a host must find the cluster whichever members are away. While the
// store is out of reach it asks as often as it can.
func (d *Daemon) keepEndpoints(ctx context.Context) error {
	tick := time.NewTicker(endpointsSoon)
	defer tick.Stop()
	var asked time.Time
	var wait time.Duration
	for {
		if time.Since(asked) >= wait-time.Second || !d.agent.State().Away.IsZero() {
			changed, err := d.learnEndpoints(ctx)
			if err != nil && ctx.Err() == nil {
				d.log.Debug("ask which etcd members there are", "err", err)
			}
			asked = time.Now()
			wait = endpointsWait(wait, changed || err != nil, d.opt.Config.Etcd.Member, rand.Float64())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Daemon) learnEndpoints(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := d.members.Endpoints(ctx)
	if err != nil {
		return false, err
	}
	if changed, err = members.SaveEndpoints(d.opt.Paths, found); err != nil {
		return false, err
	}
	if changed {
		d.log.Info("etcd members changed", "endpoints", found)
		d.backend.SetEndpoints(inOrder(d.opt.Config, found))
	}
	return changed, nil
}
