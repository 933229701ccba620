package plan

import (
	"fmt"

	"flotilla/cluster"
	"flotilla/units"
)

// want is the placement that the head asks for. was is the present one, or nil.
func (p *planner) want(head *cluster.UnitHead, was *cluster.Placed) cluster.Placement {
	out := cluster.Placement{
		Generation: p.snap.Revision,
		State:      cluster.Launched,
		Blob:       head.Spec.Blob,
		DropIns:    head.Spec.DropIns,
		Run:        head.Spec.Run,
		Restart:    head.Spec.Restart,
		Fence:      head.Req.Fence,
	}
	if head.Spec.Target == units.Loaded {
		out.State = cluster.Loaded
	} else if was != nil && was.State == cluster.Draining {
		out.State = cluster.Draining
	}
	if out.Fence {
		out.StopWithin = p.opt.Timing.StopBudget
	}
	if was != nil {
		out.Shift = was.Shift
		out.Tries = p.triesOf(head, was)
	}
	return out
}

// differs says whether the placement is not what the head asks for.
func (p *planner) differs(pl *cluster.Placed, head *cluster.UnitHead) bool {
	w := p.want(head, pl)
	w.Generation, w.Reason = pl.Generation, pl.Reason
	return w != pl.Placement
}

// orders are those of a placement on a living host, over a tombstone if one stands there.
func (p *planner) orders(head *cluster.UnitHead, to *host, reason string) cluster.Orders {
	pl := p.want(head, nil)
	pl.Reason, pl.Tries = reason, p.setbacks(head)
	o := cluster.Orders{
		Put: p.puts.of(cluster.Placed{Placement: pl, Host: to.ID, Unit: head.Name}),
		If:  p.conditions.of(headAt(head), aliveAt(to), placedAt(head.Name, to), p.hostsAt()),
	}
	for _, peer := range head.Req.MachineOf {
		if p.placed[peer] { // both or none, as far as a change of the peer's head goes
			o.If = append(o.If, p.unitAt(peer))
		}
	}
	if head.Req.Global {
		return o
	}
	for _, pl := range sorted(p.snap.Placed[head.Name]) {
		// Tombstones that this very plan writes count too, and those that it forgets.
		if h := p.byID[pl.Host]; h != to && h.Alive == nil && (pl.State == cluster.Gone || p.order(head.Name, h) == cluster.Gone) {
			o.If = append(o.If, aliveAt(h))
		}
	}
	return o
}

// slab makes many small slices at the cost of a few large ones. What is appended to one of them
// later goes elsewhere.
type slab[T any] struct{ block []T }

// mostInBlock is how many values a block holds when there are many; the first ones are small.
const mostInBlock = 1024

func (s *slab[T]) of(values ...T) []T {
	if cap(s.block)-len(s.block) < len(values) {
		s.block = make([]T, 0, max(len(values), min(mostInBlock, 2*cap(s.block))))
	}
	at := len(s.block)
	s.block = append(s.block, values...)
	return s.block[at:len(s.block):len(s.block)]
}

// maxConditions is what one order may rest on: a transaction of the store holds 128 compares,
// and a few are its own.
const maxConditions = 120

// tooMany says that an order rests on more than one write can compare.
func tooMany(o cluster.Orders) string {
	return fmt.Sprintf("its order would rest on %d conditions, and one write holds %d: name fewer units in MachineOf, "+
		"and remove the hosts that are gone for good", len(o.If), maxConditions)
}

// tombstone ends a placement.
func (p *planner) tombstone(was *cluster.Placed, reason string) cluster.Placed {
	out := *was
	out.Rev = 0
	out.State, out.Generation, out.Reason = cluster.Gone, p.snap.Revision, reason
	out.Shift, out.Tries = cluster.Shift{}, 0
	return out
}

// stop orders that the unit ends on the host.
func (p *planner) stop(pl *cluster.Placed, reason string) { p.stopAs(p.tombstone(pl, reason)) }

// stopAs orders it with this tombstone, if more holds than what every end rests on.
func (p *planner) stopAs(tomb cluster.Placed, more ...cluster.Condition) {
	h := p.byID[tomb.Host]
	p.occupy(tomb.Unit, h, cluster.Gone)
	p.decide(Stop, tomb.Unit, h.ID, "", tomb.Reason, cluster.Orders{
		Put: []cluster.Placed{tomb},
		If:  append([]cluster.Condition{p.unitAt(tomb.Unit), placedAt(tomb.Unit, h), p.hostsAt()}, more...),
	})
}

// remove deletes a placement key of which nothing is left to carry out.
func (p *planner) remove(pl *cluster.Placed, reason string) {
	h := p.byID[pl.Host]
	p.release(pl.Unit, h)
	p.decide(Forget, pl.Unit, h.ID, "", reason, cluster.Orders{
		Delete: []cluster.Where{{Host: h.ID, Unit: pl.Unit}},
		If:     []cluster.Condition{placedAt(pl.Unit, h), aliveAt(h), p.hostsAt()},
	})
}

// update brings a placement up to its head.
func (p *planner) update(head *cluster.UnitHead, pl *cluster.Placed) {
	h := p.byID[pl.Host]
	next := p.want(head, pl)
	next.Reason = changed(pl, &next)
	p.occupy(head.Name, h, next.State)
	p.decide(Update, head.Name, h.ID, "", next.Reason, cluster.Orders{
		Put: []cluster.Placed{{Placement: next, Host: h.ID, Unit: head.Name}},
		If:  []cluster.Condition{p.unitAt(head.Name), aliveAt(h), placedAt(head.Name, h)},
	})
}

// changed names what a new placement brings, the weightiest thing first.
func changed(was *cluster.Placed, now *cluster.Placement) string {
	switch {
	case was.State != now.State:
		return "target is " + now.State.String()
	case was.Blob != now.Blob:
		return "content changed"
	case was.DropIns != now.DropIns:
		return "drop-ins changed"
	case was.Restart != now.Restart:
		return "restart was asked for"
	case was.Run != now.Run:
		return "start was asked for"
	case was.Tries != now.Tries:
		return "it runs well here"
	default:
		return "options changed"
	}
}

func (p *planner) unitAt(u cluster.Unit) cluster.Condition {
	c := cluster.Condition{Kind: cluster.UnitAt, Unit: u}
	if head := p.snap.Units[u]; head != nil {
		c.Revision = head.Rev
	}
	return c
}

func headAt(head *cluster.UnitHead) cluster.Condition {
	return cluster.Condition{Kind: cluster.UnitAt, Unit: head.Name, Revision: head.Rev}
}

func aliveAt(h *host) cluster.Condition {
	return cluster.Condition{Kind: cluster.AliveAt, Host: h.ID, Revision: h.AliveRev}
}

func placedAt(u cluster.Unit, h *host) cluster.Condition {
	c := cluster.Condition{Kind: cluster.PlacedAt, Host: h.ID, Unit: u}
	if pl := h.Placed[u]; pl != nil {
		c.Revision = pl.Rev
	}
	return c
}

func (p *planner) hostsAt() cluster.Condition {
	return cluster.Condition{Kind: cluster.HostsAt, Revision: p.snap.HostsEpoch}
}
