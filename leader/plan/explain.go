package plan

import (
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Explanation says why a unit is where it is, or nowhere, host by host.
type Explanation struct {
	Unit   cluster.Unit  `json:"unit"`
	Exists bool          `json:"exists"`
	Target units.Target  `json:"target"`
	Reason string        `json:"reason"` // one sentence
	Placed []PlacedAt    `json:"placed,omitempty"`
	Hosts  []HostVerdict `json:"hosts,omitempty"`
	Storm  *Storm        `json:"storm,omitempty"`
}

// PlacedAt is one order for the unit.
type PlacedAt struct {
	Host       cluster.HostID `json:"host"`
	Name       string         `json:"name"`
	Order      cluster.Order  `json:"order"`
	Generation int64          `json:"generation"`
	Reason     string         `json:"reason"`
}

// HostVerdict says whether one host could take the unit, and why not.
type HostVerdict struct {
	Host   cluster.HostID `json:"host"`
	Name   string         `json:"name"`
	Fits   bool           `json:"fits"`
	Units  int            `json:"units"` // that the host has
	Reason string         `json:"reason"`
}

// Explain says of one unit what Plan thinks of it, with the same filters.
func Explain(snap *cluster.Snapshot, opt Options, unit cluster.Unit, now time.Time) Explanation {
	out := Explanation{Unit: unit}
	for _, pl := range sorted(snap.Placed[unit]) {
		name := pl.Host.Short()
		if h := snap.Hosts[pl.Host]; h != nil {
			name = h.Name()
		}
		out.Placed = append(out.Placed, PlacedAt{
			Host: pl.Host, Name: name, Order: pl.State, Generation: pl.Generation, Reason: pl.Reason,
		})
	}
	head := snap.Units[unit]
	if head != nil {
		out.Exists, out.Target = true, head.Spec.Target
	}
	if !snap.Complete {
		out.Reason = "the cluster's state is not loaded yet"
		return out
	}
	p := newPlanner(snap, opt, now)
	p.run()
	out.Storm = p.storm
	out.Reason = p.sentence(unit)
	if head != nil && head.Bad == "" && head.File != nil {
		p.verdicts(&out, head)
	}
	return out
}

// sentence is the one reason of a unit.
func (p *planner) sentence(u cluster.Unit) string {
	for _, w := range p.waiting {
		if w.Unit == u {
			return w.Reason
		}
	}
	for _, d := range p.decisions {
		if d.Unit == u && d.Host != "" {
			return "next: " + d.Kind.String() + " on " + p.byID[d.Host].Name() + " (" + d.Reason + ")"
		}
	}
	head := p.snap.Units[u]
	switch {
	case head == nil:
		return "no such unit"
	case head.Spec.Target == units.Inactive:
		return "target is inactive: flotilla start " + string(u)
	}
	for _, pl := range sorted(p.snap.Placed[u]) {
		if pl.State != cluster.Gone {
			return "placed on " + p.byID[pl.Host].Name() + ": " + pl.Reason
		}
	}
	return ""
}

// verdicts asks every host.
func (p *planner) verdicts(out *Explanation, head *cluster.UnitHead) {
	c := p.candidate(head)
	for _, h := range p.hosts {
		if !h.known {
			continue
		}
		f := p.check(c, h)
		one := p.phrase(c, h, f)
		switch f {
		case hasConflict:
			one = "holds " + string(p.rivalOf(head, h)) + ", which conflicts with it"
		case isReplaced:
			one = "holds " + string(p.replacer(head, h, false).Name) + ", which replaces it"
		}
		if p.live(head.Name, h) {
			one = "has the unit, and " + one
		}
		out.Hosts = append(out.Hosts, HostVerdict{Host: h.ID, Name: h.Name(), Fits: f == fits, Units: h.units, Reason: one})
	}
}

// rivalOf is the first unit on the host that conflicts with this one, in either direction.
func (p *planner) rivalOf(head *cluster.UnitHead, h *host) cluster.Unit {
	var found cluster.Unit
	try := func(u cluster.Unit) {
		other := p.snap.Units[u]
		against := other != nil && other.Req.ConflictsWith(u, head.Name)
		if p.order(u, h) != 0 && (against || head.Req.ConflictsWith(head.Name, u)) && (found == "" || u < found) {
			found = u
		}
	}
	for u := range h.Placed {
		try(u)
	}
	for u := range p.added {
		try(u)
	}
	return found
}
