package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"flotilla/cluster"
)

// evenFor is how long after the end of a host's reboot the units that left for it are evened out.
const evenFor = 30 * time.Minute

// evening is the last step of a roll of reboots: whoever reboots last is empty afterwards, and those before it hold its
// units. It moves instances of families that nothing but the roll has touched, among those that the roll moved, to
// hosts that it rebooted, one by one nearer to an even share; so it comes to an end, and begins only with a roll.
type evening struct {
	*planner
	back  []*host // that rebooted lately, or were drained for it
	first int64   // generation of the first of their reboots
	last  int64   // revision at which the last of them was over
}

// evenOut evens families out when no host reboots any more, or will soon.
func (p *planner) evenOut() {
	e := evening{planner: p}
	for _, h := range p.hosts {
		g := h.Grant
		switch {
		case h.HoldsSlot() && !h.removed:
			return
		case g == nil || !g.Phase.Ended() || h.shut != open || p.now.Sub(h.GrantSeen) >= evenFor:
			continue
		case len(e.back) == 0 || g.Generation < e.first:
			e.first = g.Generation
		}
		e.back, e.last = append(e.back, h), max(e.last, h.GrantRev)
	}
	if len(e.back) == 0 || p.goesOn() {
		return
	}
	p.instances("") // fills the roster
	for _, name := range slices.Sorted(maps.Keys(p.roster)) {
		e.family(p.roster[name])
	}
}

// goesOn says that a host waits for its reboot only because of those before it.
func (p *planner) goesOn() bool {
	return slices.ContainsFunc(p.reboots, func(r HostReboot) bool {
		return r.Phase == cluster.PhaseQueued && r.Hold != HoldWindow && r.Hold != HoldFreeze && r.Hold != HoldHealth
	})
}

// stance is how a family stands on the hosts.
type stance struct {
	on    map[*host]int
	may   map[*host][]*cluster.UnitHead // that may move
	hosts int                           // that have it, or could since they rebooted
	all   int                           // instances that stand on a host
}

// family moves instances of one family from hosts that have more than their share.
func (e *evening) family(list []cluster.Unit) {
	s, ok := e.shares(list)
	for ok {
		from := e.fullest(s)
		if from == nil {
			return
		}
		if !e.relieve(s, from) {
			delete(s.may, from)
		}
	}
}

// shares counts a family. ok is false for one that is just changing, or that something else than the roll has moved.
// Instances that are not well count where they stand, and stay there; those without a host do not count.
func (e *evening) shares(list []cluster.Unit) (s stance, ok bool) {
	s = stance{on: map[*host]int{}, may: map[*host][]*cluster.UnitHead{}}
	for _, u := range list {
		head, at := e.snap.Units[u], e.snap.Placed[u]
		if len(at) > 1 {
			return s, false
		}
		for id, pl := range at {
			h := e.byID[id]
			s.on[h]++
			s.all++
			switch x := e.healthAt(u, h); {
			case pl.State == cluster.Gone, x == fresh, x == starting, x == changing, x == absent:
				return s, false
			case x != well, pl.State != cluster.Launched, len(e.snap.Orphans[u]) > 0, head.File == nil, head.Bad != "":
				continue
			case pl.Generation > e.last && pl.Shift.To != id:
				return s, false
			case pl.Generation > e.first && e.stays(u, h) == "" && len(e.band(u, h)) == 1 && len(head.Req.MachineOf) == 0:
				s.may[h] = append(s.may[h], head)
			}
		}
	}
	req := &e.snap.Units[list[0]].Req
	for _, h := range e.back {
		if s.on[h] == 0 && h.ready && !h.removed && e.static(req, h) == fits {
			s.hosts++
		}
	}
	s.hosts += len(s.on)
	return s, true
}

// fullest is the host with most of the family that has one to give away.
func (e *evening) fullest(s stance) *host {
	var most *host
	for _, h := range e.hosts {
		if len(s.may[h]) > 0 && (most == nil || s.on[h] > s.on[most]) {
			most = h
		}
	}
	return most
}

// relieve moves one instance off the host, if another host is better off with it. What stops first is moved only where
// its host has more than one above the even share.
func (e *evening) relieve(s stance, from *host) bool {
	for i, head := range s.may[from] {
		first := startsFirst(head, from.Placed[head.Name])
		if !first && s.on[from] <= s.all/s.hosts+1 {
			continue
		}
		to := e.emptier(s, head, from)
		if to == nil {
			continue
		}
		d := departure{
			pl: from.Placed[head.Name], first: first, drained: true, evens: true,
			reason: fmt.Sprintf("after the reboots host %s has %d of %s, and %s has %d", from.Name(), s.on[from], head.Name.Template(), to.Name(), s.on[to]),
		}
		if !e.spareFor(head, d) {
			continue
		}
		e.leaving[head.Name] = d
		if first {
			e.takeOver(head, d, to, "fewest of "+string(head.Name.Template()))
		} else {
			e.stopFor(head, d, to)
		}
		s.on[from]--
		s.on[to]++
		s.may[from] = slices.Delete(s.may[from], i, i+1)
		return true
	}
	return false
}

// emptier is the host with fewest of the family, and at least two fewer, that takes the unit and is no worse for it.
func (e *evening) emptier(s stance, head *cluster.UnitHead, from *host) *host {
	b := balancer{planner: e.planner}
	c := e.candidate(head)
	defer func() { e.spare = c }()
	var best *host
	for _, to := range e.back {
		if s.on[from]-s.on[to] < 2 || best != nil && s.on[to] >= s.on[best] {
			continue
		}
		if e.check(c, to) == fits && prefsOn(c.req, to) >= prefsOn(c.req, from) && b.spreads(c, from, to) {
			best = to
		}
	}
	return best
}

// spareFor says that the family can do without the unit while it moves.
func (e *evening) spareFor(head *cluster.UnitHead, d departure) bool {
	return d.first || e.muster(head).spare(head, 1)
}
