package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// RebootGroup says how a group stands in a plan: with it the plan decided on the reboots of its hosts.
type RebootGroup struct {
	Name    cluster.GroupName
	Hosts   int              // members that are known
	Takers  []cluster.HostID // whose slots are taken: by id, then those that begin in this plan
	Max     int              // slots
	Halting []cluster.HostID // because of which it begins no other reboot, by name; none = it goes on
	Until   time.Time        // one of its windows is open until then; zero = none is
	Next    time.Time        // when the next one opens, but for the jitter of each host; zero = none does
	Problem string           // what is wrong with one of its windows
}

// Survey is Plan with the groups as well, for those who show them. The leader needs them only while a host reboots
// or is to; to have them always costs it a look at the labels of each host.
func Survey(snap *cluster.Snapshot, opt Options, now time.Time) Result {
	if !snap.Complete {
		return Result{}
	}
	p := newPlanner(snap, opt, now)
	p.survey = true
	p.run()
	return p.result()
}

// surveyed are the groups by name, the default one among them also when nobody made it.
func (c *coordinator) surveyed() []RebootGroup {
	teams := append(slices.Clone(c.teams), c.fallback)
	slices.SortFunc(teams, func(a, b *team) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range teams {
		t.hosts = 0
	}
	for _, h := range c.hosts {
		if h.known && !h.removed {
			for _, t := range c.teamsOf(h) {
				t.hosts++
			}
		}
	}
	out := make([]RebootGroup, 0, len(teams))
	for _, t := range teams {
		at := c.hoursOf(t, nil)
		g := RebootGroup{
			Name: t.Name, Hosts: t.hosts, Max: c.max(t), Takers: ids(t.takers),
			Until: at.until, Next: at.opens, Problem: at.bad,
		}
		if t.halted != "" {
			by := slices.SortedFunc(slices.Values(t.failing), func(a, b *host) int {
				return cmp.Or(strings.Compare(a.Name(), b.Name()), cmp.Compare(a.ID, b.ID))
			})
			g.Halting = ids(by)
		}
		out = append(out, g)
	}
	return out
}

func ids(hosts []*host) []cluster.HostID {
	out := make([]cluster.HostID, len(hosts))
	for i, h := range hosts {
		out[i] = h.ID
	}
	return out
}
