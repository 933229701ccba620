package plan

import (
	"strings"

	"flotilla/cluster"
)

// tidyGlobal looks after the copies of a unit that belongs on every host that fits.
// An absent host keeps its copy: it is not moved, it is there when the host returns.
func (p *planner) tidyGlobal(head *cluster.UnitHead) need {
	for _, pl := range p.placements(head.Name) {
		h := p.byID[pl.Host]
		if pl.State == cluster.Gone {
			continue
		}
		if h.removed {
			p.end(pl, "host was removed")
			continue
		}
		if why := p.broken(head, h); why != "" {
			p.stop(pl, "host "+h.Name()+" "+why)
			continue
		}
		if p.differs(pl, head) {
			p.change(head, pl)
		}
	}
	return needPlace
}

// placeGlobal gives a global unit every living host that fits and lacks it.
func (p *planner) placeGlobal(head *cluster.UnitHead) {
	c := p.candidate(head)
	copies, hosts := 0, 0
	short := map[*host]bool{} // hosts that it belongs on and that have no place for it
	for _, h := range p.hosts {
		if !h.known || h.removed {
			continue
		}
		hosts++
		if p.live(head.Name, h) {
			copies++
			continue
		}
		orphan := p.isOrphan(head.Name, h)
		c.keeps = orphan
		f := p.check(c, h)
		c.keeps = false
		if f >= hasConflict {
			short[h] = true
		}
		if f != fits || p.stoppedNow(head.Name, h) {
			continue
		}
		kind, reason := Place, "global"
		if orphan {
			kind, reason = Adopt, "it runs there already, as an orphan"
		}
		o := p.orders(head, h, reason)
		p.occupy(head.Name, h, p.want(head, nil).State)
		p.decide(kind, head.Name, h.ID, "", reason, o)
		copies++
	}
	p.forget(head.Name, nil)
	switch {
	case copies == 0:
		p.refuse(head.Name, "", "%s", p.whyNot(c))
	case len(short) > 0:
		why := p.against(c, func(h *host) bool { return short[h] })
		p.refuse(head.Name, "", "not on %d of %s: %s", len(short), plural(hosts, "host"), strings.Join(why, ", "))
	}
}

// stoppedNow says that this very plan ended the unit on the host.
func (p *planner) stoppedNow(u cluster.Unit, h *host) bool {
	return h.changed[u] == cluster.Gone
}
