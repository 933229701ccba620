package plan

import (
	"cmp"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Left is a unit that still has to leave a host that is drained.
type Left struct {
	Unit    cluster.Unit `json:"unit"`
	Blocked bool         `json:"blocked,omitempty"` // it could move, and no host takes it
	Reason  string       `json:"reason"`            // why it is there still, one sentence
}

// Drain says how far a host is drained.
type Drain struct {
	Host  cluster.HostID `json:"host"`
	Left  []Left         `json:"left,omitempty"`  // units that still have to leave it, by name
	Stays []Left         `json:"stays,omitempty"` // units that do not leave it, and why
	Over  bool           `json:"over,omitempty"`  // its time is over
}

// drainTimeout is how long a drain goes on with units that have no place, when nobody said how long.
const drainTimeout = 15 * time.Minute

// draining is how a host's units are to leave it.
type draining struct {
	reason    string // of the move, in words
	onBlocked cluster.OnBlocked
	until     time.Time // when onBlocked applies; zero = never
	hurry     bool      // the host goes down whatever becomes of its units
}

// drainOf is the drain of a host that is left; the word of a person goes before that of a reboot.
func (p *planner) drainOf(h *host) draining {
	if h.drain != nil {
		return *h.drain
	}
	one, _ := h.shut.phrases(h.shutBy())
	d := draining{reason: "host " + h.Name() + " " + one, onBlocked: cluster.SkipUnit, hurry: goesDown(h.Host)}
	switch {
	case h.Spec.Drain != nil:
		w := h.Spec.Drain
		d.onBlocked, d.until = cmp.Or(w.OnBlocked, cluster.AbortDrain), h.DrainSeen.Add(cmp.Or(w.Timeout, drainTimeout))
	case h.Grant != nil && h.Grant.Phase == cluster.PhaseDrained: // its time is over, or nothing was left
		d.onBlocked, _ = p.blockedBy(h.Grant)
		d.until = h.GrantSeen
	case h.Grant != nil && h.Grant.Phase == cluster.PhaseDraining:
		var after time.Duration
		d.onBlocked, after = p.blockedBy(h.Grant)
		d.until = h.GrantSeen.Add(after)
	}
	h.drain = &d
	return d
}

// blockedBy is what the groups of a grant say of units without a place: the most careful word of all, and
// the shortest time after which it applies.
func (p *planner) blockedBy(g *cluster.Grant) (on cluster.OnBlocked, after time.Duration) {
	careful := []cluster.OnBlocked{cluster.StopUnit, cluster.SkipUnit, cluster.AbortDrain}
	most := -1
	for _, name := range g.Groups {
		head := p.snap.Groups[name]
		if head == nil || head.Bad != "" {
			continue
		}
		most = max(most, slices.Index(careful, cmp.Or(head.OnBlocked, cluster.AbortDrain)))
		if t := cmp.Or(head.Times.Drain, drainTimeout); after == 0 || t < after {
			after = t
		}
	}
	if most < 0 {
		return cluster.AbortDrain, drainTimeout
	}
	return careful[most], after
}

// expired says that units without a place have had all the time that the drain has for them.
func (p *planner) expired(d draining) bool {
	switch {
	case d.until.IsZero():
		return false
	case p.now.Before(d.until):
		p.wake(d.until)
		return false
	}
	return true
}

// stays says why a unit is not moved off a host that is drained, "" for one that is. Units that are bound to each
// other by MachineOf go together, or stay together.
func (p *planner) stays(u cluster.Unit, h *host) string {
	band := p.band(u, h)
	over := true
	for _, mate := range band {
		why, ended := p.staysAlone(mate, h)
		switch {
		case why == "":
			over = over && ended
		case mate == u:
			return why
		default:
			return "it belongs with " + string(mate) + " (MachineOf), of which is said: " + why
		}
	}
	if over {
		return "it has ended"
	}
	return ""
}

// staysAlone says why the unit by itself stays, or that it has ended.
func (p *planner) staysAlone(u cluster.Unit, h *host) (why string, ended bool) {
	head := p.snap.Units[u]
	switch {
	case p.snap.Unreadable(u) != nil:
		return "one of its orders cannot be read, so it stays as it is", false
	case head == nil:
		return "its head is missing, so it stays as it is", false
	case head.Bad != "":
		return "its content cannot be used, so it stays as it is", false
	case head.Req.Global:
		return "it is global", false
	case head.Req.MachineID != "":
		return "it belongs on this machine (MachineID)", false
	case head.Req.Drain == units.DrainStay:
		return "what it needs is on this host (Drain=stay)", false
	}
	st, ok := h.StatusOf(u)
	return "", ok && endedWell(st)
}

// drains says whether a unit that suits its host leaves it because the host is drained.
func (p *planner) drains(head *cluster.UnitHead, h *host) bool {
	return h.leaves && p.stays(head.Name, h) == ""
}

// left are the units that still have to leave a host that is drained, by name: also those that are being stopped
// there. What stays is not among them, and neither is what the drain has given up.
func (p *planner) left(h *host) []Left {
	var out []Left
	for u := range h.Placed {
		switch st := p.order(u, h); {
		case st == 0:
		case st == cluster.Gone:
			out = append(out, Left{Unit: u, Reason: p.stopping(u, h)})
		case p.stays(u, h) == "" && !p.skipped(u, h):
			out = append(out, Left{Unit: u, Blocked: p.stranded[u], Reason: p.lingering(u)})
		}
	}
	slices.SortFunc(out, func(a, b Left) int { return cmp.Compare(a.Unit, b.Unit) })
	return out
}

// lingering says why a unit is still on a host that is drained.
func (p *planner) lingering(u cluster.Unit) string {
	if why := p.lingers[u]; why != "" {
		return why
	}
	if to := p.heirs[u]; to != nil {
		return "it starts on host " + to.Name() + " first"
	}
	return p.sentence(u)
}

// stopping says of a unit that is being stopped where it goes.
func (p *planner) stopping(u cluster.Unit, h *host) string {
	if h.Alive == nil {
		return absence(p, h) + ", where it was to be stopped"
	}
	to := p.promises[u]
	if at := p.liveHosts(u); len(at) > 0 {
		to = at[0]
	}
	if to == nil {
		return "it is being stopped"
	}
	if p.live(u, to) {
		return "it is being stopped, for it runs on host " + to.Name()
	}
	return "it is being stopped, then it starts on host " + to.Name()
}

// stayed are the units that are ordered to be on a host and that a drain leaves there, by name.
func (p *planner) stayed(h *host) []Left {
	var out []Left
	for u := range h.Placed {
		if !p.live(u, h) {
			continue
		}
		why := p.stays(u, h)
		if why == "" && p.skipped(u, h) {
			why = "no other host takes it, and the drain goes on without it"
		}
		if why != "" {
			out = append(out, Left{Unit: u, Reason: why})
		}
	}
	slices.SortFunc(out, func(a, b Left) int { return cmp.Compare(a.Unit, b.Unit) })
	return out
}

// drained says how far the hosts are that are drained.
func (p *planner) drained() []Drain {
	var out []Drain
	for _, h := range p.hosts {
		if h.leaves && !h.removed {
			left := p.left(h)
			out = append(out, Drain{Host: h.ID, Left: left, Stays: p.stayed(h), Over: len(left) > 0 && p.expired(p.drainOf(h))})
		}
	}
	return out
}

// skipped says that a drain goes on without a unit that has no place.
func (p *planner) skipped(u cluster.Unit, h *host) bool {
	d := p.drainOf(h)
	return p.stranded[u] && d.onBlocked == cluster.SkipUnit && p.expired(d)
}
