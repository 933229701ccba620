package daemon

import (
	"context"
	"fmt"
	"time"

	"flotilla/api"
	"flotilla/cluster"
)

// healthTick is how often a host with a member of our etcd looks at the members: a reboot of one of them
// waits for the word of all.
const healthTick = 10 * time.Second

// etcdHealth is what a member's host says of our etcd: healthy only if all members are, as seen from here. A member
// that belongs to no host any more would be missed if each spoke for itself alone.
func etcdHealth(list []api.EtcdMember, host cluster.HostID) string {
	own := false
	for _, m := range list {
		who := m.Host
		if who == "" {
			who = m.Address
		}
		switch {
		case !m.Healthy:
			return fmt.Sprintf("etcd member %.8s: %s", who, m.Reason)
		case m.Learner:
			return fmt.Sprintf("etcd member %.8s has no vote yet", who)
		}
		own = own || m.Host == string(host)
	}
	if !own {
		return "the etcd member of this host is not in the list of members"
	}
	return cluster.EtcdHealthy
}

// watchEtcd keeps what this host says of our etcd true.
func (d *Daemon) watchEtcd(ctx context.Context) error {
	tick := time.NewTicker(healthTick)
	defer tick.Stop()
	said := ""
	for {
		limited, cancel := context.WithTimeout(ctx, healthTick/2)
		now := etcdHealth(d.looks.etcd(limited), d.host)
		cancel()
		if ctx.Err() == nil && now != said {
			said = now
			d.agent.ChangeInfo(func(info *cluster.HostInfo) { info.Etcd = now })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
