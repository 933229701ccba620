package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster"
)

// place gives a unit without a host one.
func (p *planner) place(u cluster.Unit) {
	head := p.snap.Units[u]
	if head.Req.Global {
		p.placeGlobal(head)
		return
	}
	to, reason, why := p.chooseAgain(head)
	if why != "" {
		p.refuse(u, "", "%s", why)
		p.forget(u, nil)
		return
	}
	kind := Place
	if p.isOrphan(u, to) {
		kind = Adopt
	}
	o := p.orders(head, to, reason)
	if kept := p.lastFreed(u); kept != nil && kept.Shift.From == "" && kept.Shift.To == to.ID { // it was stopped for this very host
		o.Put[0].Shift.To = to.ID
	}
	if len(o.If) > maxConditions {
		p.refuse(u, "", "%s", tooMany(o))
		p.forget(u, nil)
		return
	}
	p.occupy(u, to, p.want(head, nil).State)
	if len(p.followers) > 0 {
		p.placed[u] = true
	}
	p.decide(kind, u, to.ID, "", reason, o)
	p.forget(u, to)
}

// choose finds the host for a unit that has none, or none that lives: the one that
// runs it already, its previous one, that of the units that want to be with it,
// else the one with the fewest units. why is set where there is none.
func (p *planner) choose(head *cluster.UnitHead) (to *host, reason, why string) {
	if why := p.peersMissing(head); why != "" {
		return nil, "", why
	}
	c := p.candidate(head)
	defer func() { p.spare = c }()
	stopping, why := p.stillStopping(c)
	if why != "" {
		return nil, "", why
	}
	if to, why := p.runningAlready(c); to != nil || why != "" {
		if to != nil && stopping != nil {
			return nil, "", "it must stop on host " + stopping.Name() + " first"
		}
		return to, "it runs there already, as an orphan", why
	}
	if stopping != nil {
		return stopping, "its previous host", ""
	}
	if to := p.preferred(c); to != nil {
		return to, "its user had it moved here", ""
	}
	if to, from := p.promised(c); to != nil {
		return to, "its place here was kept while it stopped on host " + from.Name(), ""
	}
	if to := p.previous(c); to != nil {
		return to, "its previous host", ""
	}
	if to := p.withFollowers(c); to != nil {
		return to, "a unit that must be with it is there", ""
	}
	if len(head.Req.MachineOf) > 0 {
		if to, reason = p.withPeers(c); to == nil {
			why = p.whyNot(c)
		}
		return to, reason, why
	}
	return p.spread(c)
}

// peersMissing says which unit named in MachineOf has no host yet.
func (p *planner) peersMissing(head *cluster.UnitHead) string {
	for _, peer := range head.Req.MachineOf {
		if len(p.liveHosts(peer)) > 0 {
			continue
		}
		if done, begun := p.visit[peer]; begun && !done {
			return fmt.Sprintf("MachineOf goes in a circle through %s: remove it from one of the units", peer)
		}
		if p.snap.Units[peer] == nil {
			return fmt.Sprintf("waits for %s (MachineOf), which does not exist", peer)
		}
		return fmt.Sprintf("waits for %s (MachineOf), which has no host", peer)
	}
	return ""
}

// runningAlready finds the living hosts that report the unit as an orphan. It is
// never placed beside a running copy.
func (p *planner) runningAlready(c *candidate) (to *host, why string) {
	var on []*host
	for id := range p.snap.Orphans[c.head.Name] {
		if h := p.byID[id]; p.isOrphan(c.head.Name, h) {
			on = append(on, h)
		}
	}
	slices.SortFunc(on, func(a, b *host) int { return cmp.Compare(a.index, b.index) })
	if len(on) > 1 && c.req.Fence {
		return nil, fmt.Sprintf("it is fenced and runs as an orphan on %s: %s", plural(len(on), "host"), orphanStop(on[0], c.head.Name))
	}
	c.keeps = true
	defer func() { c.keeps = false }()
	for _, h := range on {
		f := p.check(c, h)
		if f == fits {
			return h, ""
		}
		if why == "" {
			why = fmt.Sprintf("it runs as an orphan on host %s, which %s: %s", h.Name(), p.phrase(c, h, f), orphanStop(h, c.head.Name))
		}
	}
	return nil, why
}

func orphanStop(h *host, u cluster.Unit) string {
	return fmt.Sprintf("stop it there first: flotilla orphan stop %s %s", h.Name(), u)
}

// stillStopping looks at the tombstones that nobody acknowledged. A unit may return
// to the one living host where it is being stopped; else it waits until it has
// stopped there, or until the absence of that host is believed.
func (p *planner) stillStopping(c *candidate) (to *host, why string) {
	var on []*host
	for _, pl := range sorted(p.snap.Placed[c.head.Name]) {
		h := p.byID[pl.Host]
		if p.order(c.head.Name, h) != cluster.Gone {
			continue
		}
		if h.Alive == nil && !h.due {
			return nil, fmt.Sprintf("%s; it was being stopped there: decided at %s", absence(p, h), clock(h.believed))
		}
		if h.Alive != nil {
			on = append(on, h)
		}
	}
	for id := range p.snap.Orphans[c.head.Name] {
		if h := p.byID[id]; h.Placed[c.head.Name] == nil && p.stoppedNow(c.head.Name, h) {
			on = append(on, h) // an orphan that this plan stops
		}
	}
	slices.SortFunc(on, func(a, b *host) int { return cmp.Compare(a.index, b.index) })
	switch {
	case len(on) == 0:
		return nil, ""
	case len(on) == 1 && on[0].Placed[c.head.Name] != nil && p.check(c, on[0]) == fits:
		return on[0], ""
	}
	names := make([]string, len(on))
	for i, h := range on {
		names[i] = h.Name()
	}
	return nil, "it must stop on host " + strings.Join(names, " and host ") + " first"
}

// previous is the host of the newest tombstone that was carried out, if it still fits.
func (p *planner) previous(c *candidate) *host {
	var best *cluster.Placed
	for _, pl := range p.freed[c.head.Name] {
		if (best == nil || pl.Generation > best.Generation) && p.check(c, p.byID[pl.Host]) == fits {
			best = pl
		}
	}
	if best == nil {
		return nil
	}
	return p.byID[best.Host]
}

// withFollowers is a host where a unit runs that must be with this one.
func (p *planner) withFollowers(c *candidate) *host {
	var best *host
	for _, f := range p.followers[c.head.Name] {
		for _, h := range p.liveHosts(f) {
			if (best == nil || h.index < best.index) && p.check(c, h) == fits {
				best = h
			}
		}
	}
	return best
}

// withPeers is the best host among those of all peers.
func (p *planner) withPeers(c *candidate) (*host, string) {
	var best *host
	for _, h := range p.liveHosts(c.req.MachineOf[0]) {
		if (best == nil || p.ahead(c, h, best)) && p.check(c, h) == fits {
			best = h
		}
	}
	return best, fmt.Sprintf("%s (MachineOf) is there", c.req.MachineOf[0])
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sortedWheres are the keys of m by host and unit.
func sortedWheres(m map[cluster.Where]int64) []cluster.Where {
	out := make([]cluster.Where, 0, len(m))
	for w := range m {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b cluster.Where) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Unit, b.Unit))
	})
	return out
}
