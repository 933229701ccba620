package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Left is a unit that still has to leave a host that is drained.
type Left struct {
	Unit    cluster.Unit `json:"unit"`
	Blocked bool         `json:"blocked,omitempty"` // no host takes it
	Reason  string       `json:"reason"`            // why it is there still, one sentence
}

// drainTimeout is how long a drain may be blocked when nobody said how long.
const drainTimeout = 15 * time.Minute

// draining is how a host's units are to leave it.
type draining struct {
	reason    string // of the move, in words
	onBlocked cluster.OnBlocked
	until     time.Time // when onBlocked applies; zero = never
	hurry     bool      // the host goes down whatever becomes of its units
}

// drainOf is the drain of a host that is left; the word of a person before that of a reboot.
func (p *planner) drainOf(h *host) draining {
	d := draining{onBlocked: cluster.SkipUnit}
	one, _ := h.shut.phrases(h.shutBy())
	d.reason = "host " + h.Name() + " " + one
	switch {
	case h.Spec.Drain != nil:
		w := h.Spec.Drain
		d.onBlocked, d.until = cmp.Or(w.OnBlocked, cluster.AbortDrain), h.DrainSeen.Add(cmp.Or(w.Timeout, drainTimeout))
	case h.Grant != nil && h.Grant.Phase.Holds():
		var timeout time.Duration
		d.onBlocked, timeout = p.blockedGrant(h.Grant)
		d.until = h.GrantSeen.Add(timeout)
		if h.Grant.Phase == cluster.PhaseDrained { // its time was over, or nothing was left
			d.until = p.now
		}
	default:
		d.hurry = true
	}
	d.hurry = d.hurry || goesDown(h.Host)
	return d
}

// blockedGrant is what the groups of a grant say of units without a place, and after which time: the most careful
// word of all, and the shortest time.
func (p *planner) blockedGrant(g *cluster.Grant) (on cluster.OnBlocked, after time.Duration) {
	careful := []cluster.OnBlocked{cluster.StopUnit, cluster.SkipUnit, cluster.AbortDrain}
	at := -1
	for _, name := range g.Groups {
		head := p.snap.Groups[name]
		if head == nil || head.Bad != "" {
			continue
		}
		at = max(at, slices.Index(careful, cmp.Or(head.OnBlocked, cluster.AbortDrain)))
		if t := cmp.Or(head.Times.Drain, drainTimeout); after == 0 || t < after {
			after = t
		}
	}
	if at < 0 {
		return cluster.AbortDrain, cmp.Or(after, drainTimeout)
	}
	return careful[at], after
}

// expired says that a drain's time is over.
func (p *planner) expired(d draining) bool {
	if p.now.Before(d.until) {
		p.wake(d.until)
		return false
	}
	return !d.until.IsZero()
}

// stays says why a unit is not moved off a host that is drained, "" for one that is.
func (p *planner) stays(head *cluster.UnitHead, h *host) string {
	switch req := &head.Req; {
	case req.Global:
		return "it is global"
	case req.MachineID != "":
		return "it belongs on this machine (MachineID)"
	case req.Drain == units.DrainStay:
		return "it asks for that (Drain=stay)"
	}
	if st, ok := h.StatusOf(head.Name); ok && endedWell(st) {
		return "it has ended"
	}
	return ""
}

// drains says whether a unit that suits its host leaves it because the host is drained.
func (p *planner) drains(head *cluster.UnitHead, h *host, pl *cluster.Placed) bool {
	if !h.leaves || p.stays(head, h) != "" {
		return false
	}
	p.leaving[head.Name] = departure{pl: pl, reason: p.drainOf(h).reason, first: startsFirst(head, pl), drained: true}
	return true
}

// left are the units that still have to leave a host that is drained, by name: also those that are being stopped
// there. What stays is not among them, and neither is what the drain has given up.
func (p *planner) left(h *host) []Left {
	var out []Left
	for u, pl := range h.Placed {
		head := p.snap.Units[u]
		switch st := p.order(u, h); {
		case st == 0:
		case st == cluster.Gone:
			out = append(out, Left{Unit: u, Reason: "it is being stopped there"})
		case head == nil, head.Bad != "", pl.Bad != "": // it stays whatever happens
		case p.stays(head, h) == "":
			blocked := p.stranded[u]
			if blocked && p.skips(h) {
				continue
			}
			out = append(out, Left{Unit: u, Blocked: blocked, Reason: p.sentence(u)})
		}
	}
	slices.SortFunc(out, func(a, b Left) int { return cmp.Compare(a.Unit, b.Unit) })
	return out
}

// skips says that a drain has given up the units that have no place.
func (p *planner) skips(h *host) bool {
	d := p.drainOf(h)
	return d.onBlocked == cluster.SkipUnit && p.expired(d)
}

// strand notes that a unit has no place to go to, and stops it where that is wanted.
func (p *planner) strand(head *cluster.UnitHead, d departure, why string) {
	h := p.byID[d.pl.Host]
	dr := p.drainOf(h)
	if p.expired(dr) && (dr.onBlocked == cluster.StopUnit || head.Req.Drain == units.DrainStop) {
		p.stopAs(p.tombstone(d.pl, d.reason+", and no other host takes it"), aliveAt(h))
		p.refuse(head.Name, h.ID, "%s: it is stopped, and placed when a host takes it: %s", d.reason, why)
		p.forget(head.Name, nil)
		return
	}
	p.stranded[head.Name] = true
	p.stay(head, d, false, fmt.Sprintf("no other host takes it: %s", why))
}
