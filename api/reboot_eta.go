package api

import (
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// past is how long reboots took: of each host, and of all.
type past struct {
	of  map[cluster.HostID]time.Duration
	all time.Duration
}

// pastOf takes the durations of reboots that ended well from the history.
func pastOf(c *cluster.Snapshot) past {
	took := map[cluster.HostID][]time.Duration{}
	var all []time.Duration
	for _, r := range c.History {
		if d := r.Ended.Sub(r.Began); r.Outcome == cluster.PhaseDone && !r.Unasked && d > 0 {
			took[r.Host] = append(took[r.Host], d)
			all = append(all, d)
		}
	}
	out := past{of: map[cluster.HostID]time.Duration{}, all: median(all)}
	for id, list := range took {
		out.of[id] = median(list)
	}
	return out
}

// median is zero of none.
func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// eta is when a reboot may be done if it takes as long as the host's last ones did, or the cluster's. It is zero
// where there is nothing to go by: no history, a person or another window has to come first, or it took longer already.
func (p past) eta(h HostReboot, groups []RebootGroup, now time.Time) time.Time {
	took := p.of[h.Host]
	if took == 0 {
		took = p.all
	}
	at := time.Time{}
	switch {
	case took == 0:
	case h.Phase.Holds() && h.Phase != cluster.PhaseOverdue && !h.Halts:
		at = h.Began.Add(took)
	case h.Phase == cluster.PhaseQueued && h.Place > 0:
		begin, most, ok := p.turn(h, groups, now)
		if ok {
			at = begin.Add(p.all*time.Duration((h.Place-1)/most) + took)
		}
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}

// turn is when the queue that a host stands in can go on, and how many of it go at once.
func (p past) turn(h HostReboot, groups []RebootGroup, now time.Time) (begin time.Time, most int, ok bool) {
	begin, most = now, 0
	for _, g := range groups {
		if !slices.Contains(h.Groups, g.Name) {
			continue
		}
		if g.Max == 0 || g.Halted != "" || g.Freeze.Holds(now) && !h.Now {
			return begin, 0, false
		}
		if most == 0 || g.Max < most {
			most = g.Max
		}
		switch closed := len(g.Windows) > 0 && g.Until.IsZero() && !h.Now; {
		case closed && g.Next.IsZero():
			return begin, 0, false
		case closed && g.Next.After(begin):
			begin = g.Next
		case !closed && g.Used >= g.Max && begin.Equal(now) && h.Hold != plan.HoldNone: // those before it are under way
			begin = now.Add(p.all / 2)
		}
	}
	return begin, most, most > 0
}
