package plan

import (
	"fmt"
	"maps"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// need is what the first pass leaves to the later ones.
type need int

const (
	needNothing need = iota
	needFailover
	needPlace
	needHost // another than the living one where it is
)

// tidy does what takes no choice of a host: ends, changes in place, the removal of
// tombstones that were carried out.
func (p *planner) tidy(u cluster.Unit) need {
	if bad := p.snap.Unreadable(u); bad != nil {
		p.refuse(u, bad.Host, "%s", Unreadable(p.byID[bad.Host].Host, bad))
		return needNothing
	}
	p.sweep(u)
	n := p.tidyUnit(u)
	if n == needNothing {
		p.forget(u, nil)
	}
	return n
}

// Unreadable says why a unit is left alone that has this order on the host.
func Unreadable(h *cluster.Host, bad *cluster.Placed) string {
	return fmt.Sprintf("its order on host %s cannot be read, so it stays as it is; a newer flotilla may have written it: %s", h.Name(), bad.Bad)
}

// sweep frees the hosts whose tombstones were acknowledged, or that an operator
// removed and that are away. Their keys go later, unless the unit returns there.
func (p *planner) sweep(u cluster.Unit) {
	for _, pl := range p.tombstones(u) {
		h := p.byID[pl.Host]
		st, ok := h.StatusOf(u)
		if ok && st.Acknowledged(pl.Placement) || h.removed && h.Alive == nil {
			p.release(u, h)
			p.freed[u] = append(p.freed[u], pl)
		}
	}
}

// forget deletes the freed tombstones except that on the unit's new host.
func (p *planner) forget(u cluster.Unit, to *host) {
	for _, pl := range p.freed[u] {
		h := p.byID[pl.Host]
		switch {
		case h == to || p.order(u, h) != 0 || p.remembers(u, pl):
		case h.removed && h.Alive == nil:
			p.remove(pl, "host was removed")
		default:
			p.remove(pl, "nothing of it is left there")
		}
	}
}

func (p *planner) tidyUnit(u cluster.Unit) need {
	head := p.snap.Units[u]
	switch {
	case head == nil && p.snap.Destroyed[u] != 0:
		p.endAll(u, "unit was destroyed")
	case head == nil:
		if p.livesAnywhere(u) {
			p.refuse(u, "", "its head is missing though nobody destroyed it, so it stays as it is; to decide, submit it again or type: flotilla destroy %s", u)
		}
	case head.Spec.Blob == "": // it did not decode: what its user wants is not known
		p.refuse(u, "", "its head cannot be used, so it stays as it is: %s", head.Bad)
	case head.Spec.Target == units.Inactive:
		p.endAll(u, "target is inactive")
	case head.Bad != "":
		p.refuse(u, "", "its content cannot be used: %s", head.Bad)
	case head.File == nil:
		p.refuse(u, "", "its content is not at hand yet")
	case u.IsTemplate():
		p.refuse(u, "", "it is a template, which runs nowhere: start an instance such as %s", u.With("1"))
	case head.Req.Global:
		return p.tidyGlobal(head)
	default:
		return p.tidySingle(head)
	}
	return needNothing
}

// livesAnywhere says whether any host still has an order to keep the unit.
func (p *planner) livesAnywhere(u cluster.Unit) bool {
	for _, pl := range p.snap.Placed[u] {
		if pl.State != cluster.Gone {
			return true
		}
	}
	return false
}

// forgetDestroyed takes the marks away of destroyed units of which nothing is left, and
// of those that were submitted again.
func (p *planner) forgetDestroyed() {
	for _, u := range slices.Sorted(maps.Keys(p.snap.Destroyed)) {
		reason := "nothing of it is left"
		switch {
		case p.snap.Units[u] != nil:
			reason = "it was submitted again"
		case len(p.snap.Placed[u]) > 0:
			continue
		}
		p.decide(Forget, u, "", "", reason, cluster.Orders{
			Forget: []cluster.Unit{u}, If: []cluster.Condition{p.unitAt(u)},
		})
	}
}

// endAll ends a unit wherever it is.
func (p *planner) endAll(u cluster.Unit, reason string) {
	for _, pl := range p.placements(u) {
		h := p.byID[pl.Host]
		if p.live(u, h) {
			p.end(pl, reason)
		}
		if h.Alive == nil && p.order(u, h) == cluster.Gone {
			p.refuse(u, h.ID, "%s; it is still to be stopped there: %s", reason, absence(p, h))
		}
	}
}

// end stops a placement, or deletes it where nobody is left to stop it.
func (p *planner) end(pl *cluster.Placed, reason string) {
	if h := p.byID[pl.Host]; h.removed && h.Alive == nil {
		p.remove(pl, "host was removed")
		return
	}
	p.stop(pl, reason)
}

// tidySingle looks after a unit that belongs on one host.
func (p *planner) tidySingle(head *cluster.UnitHead) need {
	if old, next := p.pair(head); next != nil {
		p.heirs[head.Name] = p.byID[next.Host]
		return p.tidyPair(head, old, next)
	}
	pl := p.single(head.Name)
	if pl == nil {
		return needPlace
	}
	h := p.byID[pl.Host]
	switch {
	case h.gone:
		return needFailover
	case h.removed:
		return p.leave(head, pl, "was removed")
	case h.Alive == nil && h.due:
		p.refuse(head.Name, h.ID, "%s; %s", absence(p, h), p.stormSays())
	case h.Alive == nil:
		p.refuse(head.Name, h.ID, "%s; its units move at %s", absence(p, h), clock(h.believed))
	default:
		if why := p.broken(head, h); why != "" {
			return p.leave(head, pl, why)
		}
		if p.wishes(head, h, pl) {
			return needHost
		}
	}
	if p.differs(pl, head) {
		p.change(head, pl)
	}
	return needNothing
}

func (p *planner) stormSays() string {
	return fmt.Sprintf("failover is paused because %d of %d hosts are absent; to go on, type: %s",
		len(p.storm.Hosts), p.storm.Known, ResumeCommand)
}

// single is the unit's one placement. Where there are several, the best stays: on a
// living host, then the newest, then the first host.
func (p *planner) single(u cluster.Unit) *cluster.Placed {
	var best *cluster.Placed
	var all []*cluster.Placed
	for _, pl := range sorted(p.snap.Placed[u]) {
		if pl.State == cluster.Gone {
			continue
		}
		all = append(all, pl)
		if best == nil || p.better(pl, best) {
			best = pl
		}
	}
	for _, pl := range all {
		if pl != best {
			p.end(pl, "it belongs on one host, and is placed on "+p.byID[best.Host].Name()+" as well")
		}
	}
	return best
}

func (p *planner) better(a, b *cluster.Placed) bool {
	if x, y := p.byID[a.Host].Alive != nil, p.byID[b.Host].Alive != nil; x != y {
		return x
	}
	return a.Generation > b.Generation
}

// leave moves a unit off a living host that does not suit it any more. Unless it starts first, it is
// stopped there, and placed anew when that is acknowledged.
func (p *planner) leave(head *cluster.UnitHead, pl *cluster.Placed, why string) need {
	h := p.byID[pl.Host]
	reason := fmt.Sprintf("host %s %s", h.Name(), why)
	if startsFirst(head, pl) {
		p.leaving[head.Name] = departure{pl: pl, reason: reason, first: true}
		return needHost
	}
	p.moving[head.Name] = true
	p.stop(pl, reason)
	p.refuse(head.Name, h.ID, "%s: it is stopped there first, then placed anew", reason)
	return needNothing
}

// stopOrphans orders the end of the orphans that an operator wants stopped.
func (p *planner) stopOrphans() {
	for _, w := range sortedWheres(p.snap.OrphanStops) {
		h := p.byID[w.Host]
		if h == nil || !p.isOrphan(w.Unit, h) {
			p.dropStop(w, h)
			continue
		}
		const reason = "an operator wants the orphan stopped"
		p.occupy(w.Unit, h, cluster.Gone)
		p.decide(Stop, w.Unit, h.ID, "", reason, cluster.Orders{
			Put: []cluster.Placed{{Host: h.ID, Unit: w.Unit, Placement: cluster.Placement{
				Generation: p.snap.Revision, State: cluster.Gone, Blob: h.Status[w.Unit].Blob, Reason: reason,
			}}},
			If: []cluster.Condition{p.unitAt(w.Unit), aliveAt(h), placedAt(w.Unit, h)},
		})
	}
}

// dropStop takes the wish to stop an orphan away where none is left, so that it does not stop a later
// one of that name. Of a host that is absent nobody knows.
func (p *planner) dropStop(w cluster.Where, h *host) {
	cond := []cluster.Condition{{Kind: cluster.OrphanAt, Host: w.Host, Unit: w.Unit, Revision: p.snap.OrphanStops[w]}}
	on := w.Host
	switch {
	case h == nil: // it is forgotten
		on = ""
	case h.Departed(): // nothing that it said counts any more
	case !h.ready, p.stoppedNow(w.Unit, h), h.Placed[w.Unit] != nil && h.Placed[w.Unit].Bad != "":
		return // a tombstone ends the wish itself
	default:
		st, believed := h.StatusOf(w.Unit)
		if h.Status[w.Unit] != nil && !believed || believed && st.Unordered(h.Placed[w.Unit] != nil) {
			return
		}
		cond = append(cond, aliveAt(h))
	}
	p.decide(Forget, w.Unit, on, "", "no orphan of it is left there", cluster.Orders{Drop: []cluster.Where{w}, If: cond})
}

// isOrphan says that a living host reports the unit as running without any order.
func (p *planner) isOrphan(u cluster.Unit, h *host) bool {
	if len(p.snap.Orphans[u]) == 0 {
		return false
	}
	st, ok := h.StatusOf(u)
	return ok && st.Unordered(h.Placed[u] != nil) && p.order(u, h) == 0
}
