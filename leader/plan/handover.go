package plan

import (
	"fmt"

	"flotilla/cluster"
	"flotilla/units"
)

// departure is a unit that is to leave a living host, if another takes it.
type departure struct {
	pl      *cluster.Placed
	reason  string // in words
	first   bool   // it starts on the other host before it stops here
	wished  bool   // by its user
	fell    bool   // it failed here
	evens   bool   // its family, after a roll of reboots
	drained bool   // its host is
}

// startsFirst says that a unit runs on its next host before it leaves a living one. A fenced unit never
// does: it promises to run once at most.
func startsFirst(head *cluster.UnitHead, pl *cluster.Placed) bool {
	return head.Req.Handover == units.StartFirst && !head.Req.Fence && !pl.Fence && runs(head, pl)
}

// shifted says that the unit's user wants this very placement to leave its host.
func shifted(head *cluster.UnitHead, pl *cluster.Placed) bool {
	return head.Spec.Shift.From == pl.Host && head.Spec.Shift.Generation == pl.Generation && pl.State != cluster.Gone
}

// restless says that a unit with nothing broken has a look of its own to be taken at.
func (p *planner) restless(head *cluster.UnitHead, h *host, pl *cluster.Placed) bool {
	return pl.Tries > 0 || shifted(head, pl) || p.gaveUp(head, h, pl)
}

// wishes says whether a unit on a host that suits it leaves all the same: its user wants it to, its host is
// drained, or it failed there and asks for another host.
func (p *planner) wishes(head *cluster.UnitHead, h *host, pl *cluster.Placed) bool {
	switch {
	case shifted(head, pl):
		p.leaving[head.Name] = departure{
			pl: pl, reason: "its user wants it to leave host " + h.Name(), first: startsFirst(head, pl),
			wished: true, drained: p.drains(head, h),
		}
	case p.drains(head, h):
		p.leaving[head.Name] = departure{pl: pl, reason: p.drainOf(h).reason, first: startsFirst(head, pl), drained: true}
		p.follow(head)
	case p.gaveUp(head, h, pl) && !p.differs(pl, head):
		p.leaving[head.Name] = departure{pl: pl, reason: p.failures(head, h), fell: true}
	default:
		return false
	}
	return true
}

// depart finds a unit the host that it leaves the present one for. Where there is none it stays: nothing
// that runs is stopped for nowhere.
func (p *planner) depart(u cluster.Unit) {
	head, d := p.snap.Units[u], p.leaving[u]
	if why, stuck := p.held(head, d); why != "" {
		p.stay(head, d, stuck, why)
		return
	}
	from := p.byID[d.pl.Host]
	p.avoid = from
	to, reason, why := p.choose(head)
	p.avoid = nil
	switch {
	case why != "":
		p.stay(head, d, false, p.orLater(head, d, "no other host takes it: "+why))
	case d.first:
		p.takeOver(head, d, to, reason)
	default:
		p.stopFor(head, d, to)
	}
}

// held says what a departure has to wait for, "" = nothing, and whether it takes a person to end that.
func (p *planner) held(head *cluster.UnitHead, d departure) (why string, stuck bool) {
	if why = p.waitsToGo(head, d); why != "" || d.first {
		return why, false
	}
	if from := p.byID[d.pl.Host]; d.wished && crewOf(head) != "" && p.runsAt(head.Name, from) {
		if c := p.muster(head); !c.spare(head, p.cost(head.Name, from)) {
			b := c.blocker(d.pl)
			return "waits for " + p.awaited(b, head), b.stuck()
		}
	}
	return "", false
}

// waitsToGo says what a unit has to wait for whatever becomes of others.
func (p *planner) waitsToGo(head *cluster.UnitHead, d departure) string {
	if at := p.nextTry(head, d); p.now.Before(at) {
		p.wake(at)
		return p.after(head, d, at)
	}
	if !d.first {
		return ""
	}
	for _, pl := range p.tombstones(head.Name) { // never more than two copies, as far as hosts are believed to be there
		if h := p.byID[pl.Host]; p.order(head.Name, h) == cluster.Gone && !h.gone {
			return "it must stop on host " + h.Name() + " first"
		}
	}
	return ""
}

// stay says why a unit is still where it is, and keeps it up to its head there.
func (p *planner) stay(head *cluster.UnitHead, d departure, stuck bool, why string) {
	switch {
	case d.fell:
		p.waits(head.Name, d.pl.Host, stuck, "%s; %s", d.reason, why)
	default:
		p.waits(head.Name, d.pl.Host, stuck, "%s, and it stays there for now: %s", d.reason, why)
	}
	p.forget(head.Name, nil)
	if p.differs(d.pl, head) {
		p.change(head, d.pl)
	}
}

// takeOver starts a unit on its next host; the old placement ends when that one is available.
func (p *planner) takeOver(head *cluster.UnitHead, d departure, to *host, reason string) {
	from := p.byID[d.pl.Host]
	why := fmt.Sprintf("%s: it starts here first (%s)", d.reason, reason)
	o := p.orders(head, to, why)
	o.Put[0].Shift = cluster.Shift{From: from.ID, Generation: d.pl.Generation}
	if d.evens {
		o.Put[0].Shift.To = to.ID
	}
	o.If = append(o.If, aliveAt(from), placedAt(head.Name, from))
	if len(o.If) > maxConditions {
		p.stay(head, d, true, tooMany(o))
		return
	}
	p.occupy(head.Name, to, o.Put[0].State)
	p.placed[head.Name] = true
	p.heirs[head.Name] = to
	p.decide(Place, head.Name, to.ID, from.ID, why, o)
	p.forget(head.Name, to)
}

// stopFor stops a unit on its host because another would take it; it is placed when that is acknowledged.
func (p *planner) stopFor(head *cluster.UnitHead, d departure, to *host) {
	from := p.byID[d.pl.Host]
	tomb := p.tombstone(d.pl, d.reason)
	switch {
	case d.wished:
		tomb.Shift = cluster.Shift{From: from.ID, Generation: d.pl.Generation}
	case d.drained:
		tomb.Shift = cluster.Shift{To: to.ID}
		p.promise(head.Name, to)
	default:
		tomb.Tries = 1 + max(p.setbacks(head), d.pl.Tries)
	}
	p.stopAs(tomb, aliveAt(from), aliveAt(to))
	then := "placed anew"
	if d.drained {
		then = "started on host " + to.Name()
	}
	p.refuse(head.Name, from.ID, "%s: it is stopped there first, then %s", d.reason, then)
	p.forget(head.Name, nil)
}

// pair finds a move that is under way: the placement that is left, and the one that takes over from it.
// Two that stand together for any other reason are no pair, and neither are they once the old one's host
// is lost or the unit must not run twice.
func (p *planner) pair(head *cluster.UnitHead) (old, next *cluster.Placed) {
	if !p.snap.Several[head.Name] || head.Spec.Target != units.Launched || head.Req.Fence {
		return nil, nil
	}
	for _, pl := range sorted(p.snap.Placed[head.Name]) {
		from := p.snap.Placed[head.Name][pl.Shift.From]
		if pl.State == cluster.Gone || from == nil || from == pl || from.State == cluster.Gone || from.Generation != pl.Shift.Generation {
			continue
		}
		h := p.byID[from.Host]
		if h.gone || h.Alive == nil && p.healthAt(head.Name, p.byID[pl.Host]) == well {
			continue
		}
		return from, pl
	}
	return nil, nil
}

// tidyPair goes on with a move that is under way. It is decided anew each time by what stands, so that any
// leader goes on where the last one ended.
func (p *planner) tidyPair(head *cluster.UnitHead, old, next *cluster.Placed) need {
	u, a, b := head.Name, p.byID[old.Host], p.byID[next.Host]
	for _, pl := range sorted(p.snap.Placed[u]) {
		if pl != old && pl != next && pl.State != cluster.Gone {
			p.end(pl, fmt.Sprintf("it belongs on one host, and moves from %s to %s", a.Name(), b.Name()))
		}
	}
	state := p.healthAt(u, b)
	both := []cluster.Condition{aliveAt(a), placedAt(u, a)}
	switch why := p.unfit(head, b); {
	case why != "" && b.Alive == nil && b.removed:
		p.end(next, why)
	case why != "":
		p.stopAs(p.tombstone(next, why), both...)
	case b.Alive == nil:
		p.refuse(u, a.ID, "%s, where it was to start before it stops on host %s", absence(p, b), a.Name())
	case p.differs(next, head):
		p.update(head, next)
	case a.Alive == nil:
		p.refuse(u, b.ID, "%s; it is starting on host %s", absence(p, a), b.Name())
	case p.hopeless(next, state):
		tomb := p.tombstone(next, fmt.Sprintf("it did not come up on host %s (%s)", b.Name(), how(b.Status[u])))
		tomb.Tries = 1 + max(p.setbacks(head), next.Tries)
		p.stopAs(tomb, both...)
	case state == well:
		p.stopAs(p.tombstone(old, "it runs on host "+b.Name()), aliveAt(b), placedAt(u, b))
	default:
		p.refuse(u, b.ID, "it starts on host %s first, then it stops on host %s", b.Name(), a.Name())
	}
	return needNothing
}

// unfit says why a host cannot take over after all.
func (p *planner) unfit(head *cluster.UnitHead, h *host) string {
	switch {
	case h.removed || h.gone:
		return absence(p, h)
	case h.Alive == nil:
		return ""
	}
	if why := p.broken(head, h); why != "" {
		return "host " + h.Name() + " " + why
	}
	return ""
}

// stumbles is how often systemd may restart a unit that takes over before that is called a failure: one
// restart belongs to a start.
const stumbles = 1

// hopeless says that a placement that was to take over will not.
func (p *planner) hopeless(pl *cluster.Placed, state health) bool {
	st := p.byID[pl.Host].Status[pl.Unit]
	return state.stuck() || state == falling && st.Restarts > stumbles
}

// preferred is the host to which the unit's user wants it to move, if it fits.
func (p *planner) preferred(c *candidate) *host {
	s := c.head.Spec.Shift
	to := p.byID[s.To]
	if to == nil || s.To == s.From || !p.leaving[c.head.Name].wished && !p.leftFor(c.head) {
		return nil
	}
	if p.check(c, to) != fits {
		return nil
	}
	return to
}

// leftFor says that the unit was stopped because of its user's present wish.
func (p *planner) leftFor(head *cluster.UnitHead) bool {
	s := head.Spec.Shift
	pl := p.snap.Placed[head.Name][s.From]
	return pl != nil && pl.State == cluster.Gone && pl.Shift.From == s.From && pl.Shift.Generation == s.Generation
}

// bars says why a unit is not to go to this host now, although nothing of what it asks for is against it.
func (p *planner) bars(u cluster.Unit, h *host) filter {
	switch pl := h.Placed[u]; {
	case pl == nil:
	case h == p.avoid, pl.State == cluster.Gone && pl.Shift.From == h.ID && p.home != u:
		return isLeft
	case pl.State == cluster.Gone && p.shuns(pl):
		return failedIt
	}
	return fits
}

// chooseAgain lets a unit that left a host at its user's wish return there when nothing else takes it any more.
func (p *planner) chooseAgain(head *cluster.UnitHead) (to *host, reason, why string) {
	to, reason, why = p.choose(head)
	if why == "" {
		return to, reason, why
	}
	for _, pl := range p.freed[head.Name] {
		if pl.Shift.From == pl.Host {
			p.home = head.Name
			to, reason, why = p.choose(head)
			p.home = ""
			break
		}
	}
	return to, reason, why
}
