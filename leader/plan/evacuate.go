package plan

import (
	"cmp"
	"fmt"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// evacuation is a band of units that leaves a host which is drained.
type evacuation struct {
	from  *host
	drain draining
	heads []*cluster.UnitHead // those that others name first
	waits string              // for what, before its next host is of interest

	nowhere string // why it has no place, where the drain has given up because of that
	first   bool   // its roots start elsewhere before they stop here, and the others follow
}

// roots are the members that name no other of the band.
func (e *evacuation) roots() []*cluster.UnitHead {
	return slices.DeleteFunc(slices.Clone(e.heads), func(head *cluster.UnitHead) bool { return e.follows(head) })
}

func (e *evacuation) follows(head *cluster.UnitHead) bool {
	return slices.ContainsFunc(e.heads, func(o *cluster.UnitHead) bool { return slices.Contains(head.Req.MachineOf, o.Name) })
}

func (e *evacuation) names() []cluster.Unit {
	out := make([]cluster.Unit, len(e.heads))
	for i, head := range e.heads {
		out[i] = head.Name
	}
	return out
}

// evacuate moves the units of a pass off hosts that are drained, band by band.
func (p *planner) evacuate(list []cluster.Unit) {
	done := map[cluster.Unit]bool{}
	var bands []*evacuation
	for _, u := range list {
		if done[u] {
			continue
		}
		e := p.evacuation(u)
		for _, x := range e.names() {
			done[x] = true
		}
		e.waits = p.underWay(e)
		bands = append(bands, e)
	}
	given := p.givenUp(bands)
	for _, e := range bands {
		switch first := given[e.from]; {
		case e.waits != "":
			p.remain(e, false, "%s", e.waits)
		case e.nowhere != "":
			p.remain(e, true, "no other host takes it: %s", e.nowhere)
		case first != "":
			p.remain(e, true, "nothing more leaves host %s: the drain's time is over, and %s has no place", e.from.Name(), first)
		default:
			p.leaveTogether(e)
		}
	}
}

func (p *planner) evacuation(u cluster.Unit) *evacuation {
	from := p.byID[p.leaving[u].pl.Host]
	e := &evacuation{from: from, drain: p.drainOf(from), first: true}
	for _, x := range p.band(u, from) {
		e.heads = append(e.heads, p.snap.Units[x])
	}
	for _, head := range e.roots() {
		pl := from.Placed[head.Name] // nil for an orphan that was adopted just now
		e.first = e.first && pl != nil && startsFirst(head, pl) && p.runsAt(head.Name, from)
	}
	return e
}

// givenUp are the hosts whose drain is to leave all as it is when its time is over and a unit has no place: the
// first of such units.
func (p *planner) givenUp(bands []*evacuation) map[*host]cluster.Unit {
	out := map[*host]cluster.Unit{}
	for _, e := range bands {
		if e.waits != "" || e.drain.onBlocked != cluster.AbortDrain || !p.expired(e.drain) || p.mayStop(e) {
			continue
		}
		if _, _, e.nowhere = p.chooseFor(e); e.nowhere != "" {
			out[e.from] = cmp.Or(out[e.from], e.heads[0].Name)
			p.strand(e)
		}
	}
	return out
}

// mayStop says that the band is stopped when it has no place in time.
func (p *planner) mayStop(e *evacuation) bool {
	return e.drain.onBlocked == cluster.StopUnit ||
		!slices.ContainsFunc(e.heads, func(head *cluster.UnitHead) bool { return head.Req.Drain != units.DrainStop })
}

// strand notes that a band has no place to go to.
func (p *planner) strand(e *evacuation) {
	for _, head := range e.heads {
		p.stranded[head.Name] = true
	}
}

// remain says why a band is still where it is.
func (p *planner) remain(e *evacuation, stuck bool, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	for _, head := range e.heads {
		d := p.leaving[head.Name]
		if d.drained { // else it is spoken of already
			p.lingers[head.Name] = why
			p.stay(head, d, stuck, why)
		}
	}
}

func (p *planner) leaveTogether(e *evacuation) {
	to, reason, why := p.chooseFor(e)
	switch {
	case why == "":
	case p.peersToCome(e):
		p.remain(e, false, "%s", why)
		return
	default:
		p.blocked(e, why)
		return
	}
	if why, stuck := p.heldBand(e); why != "" {
		p.remain(e, stuck, "%s", why)
		return
	}
	if !e.first {
		for _, head := range e.heads {
			p.stopFor(head, p.leaving[head.Name], to)
		}
		return
	}
	for _, head := range e.heads {
		switch d := p.leaving[head.Name]; {
		case !e.follows(head):
			p.takeOver(head, d, to, reason)
		default:
			p.promise(head.Name, to)
			p.stay(head, d, false, "it follows "+string(e.roots()[0].Name)+" (MachineOf) to host "+to.Name())
		}
	}
}

// underWay says which member of a band is on its way already, or cannot go yet.
func (p *planner) underWay(e *evacuation) string {
	if len(e.roots()) == 0 {
		return "MachineOf goes in a circle through " + listed(e.names()) + ": remove it from one of the units"
	}
	for _, head := range e.heads {
		d := p.leaving[head.Name]
		switch next := p.heirs[head.Name]; {
		case next != nil:
			return fmt.Sprintf("it follows %s (MachineOf) to host %s", head.Name, next.Name())
		case head.File == nil:
			return fmt.Sprintf("the content of %s is not at hand yet", head.Name)
		case !d.drained:
			return fmt.Sprintf("%s has to come to rest first", head.Name)
		}
		d.first = e.first && !e.follows(head)
		if why := p.waitsToGo(head, d); why != "" {
			p.strand(e)
			return why
		}
	}
	return ""
}

// peersToCome says that a unit of the band waits for one that it names and that is on its way.
func (p *planner) peersToCome(e *evacuation) bool {
	for _, head := range e.heads {
		for _, peer := range head.Req.MachineOf {
			if x := p.snap.Units[peer]; x != nil && wanted(x) && len(p.liveHosts(peer)) == 0 && len(p.snap.Placed[peer]) > 0 {
				return true
			}
		}
	}
	return false
}

// blocked deals with a band that has no place: it stays, or it is stopped when the drain's time is over.
func (p *planner) blocked(e *evacuation, why string) {
	if !p.mayStop(e) || !p.expired(e.drain) {
		p.strand(e)
		p.remain(e, false, "no other host takes it: %s", why)
		return
	}
	if held, stuck := p.heldBand(e); held != "" {
		p.strand(e)
		p.remain(e, stuck, "no other host takes it (%s), and before it is stopped it %s", why, held)
		return
	}
	for _, head := range e.heads {
		d := p.leaving[head.Name]
		p.stopAs(p.tombstone(d.pl, e.drain.reason+", and no other host takes it"), aliveAt(e.from))
		p.refuse(head.Name, e.from.ID, "%s: it is stopped, and placed once a host takes it: %s", e.drain.reason, why)
		p.forget(head.Name, nil)
	}
}

// heldBand says what a band has to wait for although it has a place, "" = nothing, and whether it takes a person
// to end that. Only what runs and stops before it starts elsewhere takes anything from its family.
func (p *planner) heldBand(e *evacuation) (why string, stuck bool) {
	if e.first || e.drain.hurry {
		return "", false
	}
	costs := map[cluster.Unit]int{}
	for _, head := range e.heads {
		crew := crewOf(head)
		if crew == "" || !p.runsAt(head.Name, e.from) {
			continue
		}
		c := p.muster(head)
		costs[crew] += p.cost(head.Name, e.from)
		switch most := head.Req.MaxUnavailable.Of(c.whole); {
		case costs[crew] > most:
			return fmt.Sprintf("it has to go with others of its family (MachineOf), and that is more than MaxUnavailable= allows (%d)", most), true
		case !c.spare(head, costs[crew]):
			b := c.blocker(p.leaving[head.Name].pl)
			return "waits for " + p.awaited(b, head), b.stuck()
		}
	}
	return "", false
}
