package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Balance says what Rebalance may do. The zero value is no limit, and fenced units stay.
type Balance struct {
	Max    int  // moves at most; 0 = as many as it takes
	Fenced bool // fenced units may move too: each of them stops before it starts elsewhere
}

// Relocation is one unit that Rebalance moves.
type Relocation struct {
	Unit       cluster.Unit   `json:"unit"`
	Revision   int64          `json:"revision"` // of its head when it was chosen
	From       cluster.HostID `json:"from"`
	FromName   string         `json:"from_name"`
	Generation int64          `json:"generation"` // of its placement there
	To         cluster.HostID `json:"to"`
	ToName     string         `json:"to_name"`
	Why        string         `json:"why"`
}

// Shift is the user's wish that makes the move.
func (r Relocation) Shift() cluster.Shift {
	return cluster.Shift{From: r.From, Generation: r.Generation, To: r.To}
}

// Rebalance finds moves that even out how many units the hosts have, fullest host first. Each goes to a host
// that fits and that has at least two units fewer, and that is no worse in what the unit prefers, in how its
// family is spread and in how much of the host is reserved; so every list of them comes to an end, and after
// a whole one there is nothing left to move. What the planner does anyway is counted as done. Global and
// pinned units, those with Drain=stay, those that are bound to others by MachineOf, and those that are just changing
// stay where they are.
func Rebalance(snap *cluster.Snapshot, opt Options, b Balance, now time.Time) []Relocation {
	if !snap.Complete {
		return nil
	}
	p := newPlanner(snap, opt, now)
	p.run()
	r := &balancer{planner: p, opt: b, moved: map[cluster.Unit]int{}, arrived: map[*host][]cluster.Unit{}}
	r.decided()
	r.wished()
	r.targets()
	for r.room() && r.round() {
	}
	return slices.DeleteFunc(r.out, func(x Relocation) bool { return x.From == x.To })
}

// balancer is one run of Rebalance over the ledger of a plan.
type balancer struct {
	*planner
	opt     Balance
	open    []*host // that may take units, fewest units first
	touched map[cluster.Unit]bool
	moved   map[cluster.Unit]int // index in out
	arrived map[*host][]cluster.Unit
	out     []Relocation // one that went on and came back has From and To alike
}

func (r *balancer) room() bool { return r.opt.Max <= 0 || len(r.out) < r.opt.Max }

// decided notes the units that this plan is about: they are not moved besides.
func (r *balancer) decided() {
	r.touched = make(map[cluster.Unit]bool, len(r.decisions)+len(r.waiting))
	for _, d := range r.decisions {
		r.touched[d.Unit] = true
	}
	for _, w := range r.waiting {
		r.touched[w.Unit] = true
	}
}

// wished counts the moves that users wish already as done: they are not wished again, and not made up for.
func (r *balancer) wished() {
	for u, head := range r.snap.Units {
		shift := head.Spec.Shift
		if shift.To == "" || shift.To == shift.From {
			continue
		}
		pl, to := r.snap.Placed[u][shift.From], r.byID[shift.To]
		if pl == nil || to == nil || !shifted(head, pl) {
			continue
		}
		r.touched[u] = true
		r.release(u, r.byID[shift.From])
		r.occupy(u, to, pl.State)
	}
}

// targets are the hosts that may take a unit.
func (r *balancer) targets() {
	for _, h := range r.hosts {
		if h.ready && !h.removed && h.shut == open {
			r.open = append(r.open, h)
		}
	}
}

// round moves one unit off each host that is too full, and says whether any moved.
func (r *balancer) round() bool {
	byUnits := func(a, b *host) int { return cmp.Or(cmp.Compare(a.units, b.units), cmp.Compare(a.index, b.index)) }
	full := slices.DeleteFunc(slices.Clone(r.hosts), func(h *host) bool { return !h.ready || h.removed })
	slices.SortFunc(full, func(a, b *host) int { return cmp.Or(cmp.Compare(b.units, a.units), cmp.Compare(a.index, b.index)) })
	any := false
	for _, from := range full {
		if !r.room() {
			break
		}
		slices.SortFunc(r.open, byUnits)
		any = r.relieve(from) || any
	}
	return any
}

// relieve moves the first unit of a host for which there is a better one.
func (r *balancer) relieve(from *host) bool {
	if len(r.open) == 0 || from.units-r.open[0].units < 2 {
		return false
	}
	var names []cluster.Unit
	for u := range from.Placed {
		if r.live(u, from) && r.movable(u, from) {
			names = append(names, u)
		}
	}
	names = append(names, r.arrived[from]...)
	slices.Sort(names)
	for _, u := range names {
		if to := r.better(r.snap.Units[u], from); to != nil {
			r.move(u, from, to)
			return true
		}
	}
	return false
}

// movable says that a unit stands on the host as its user wants it, and is bound to nothing there.
func (r *balancer) movable(u cluster.Unit, h *host) bool {
	head, pl := r.snap.Units[u], h.Placed[u]
	switch {
	case head == nil, head.File == nil, head.Bad != "", !wanted(head),
		r.touched[u], len(r.snap.Placed[u]) != 1, len(r.snap.Orphans[u]) > 0:
		return false
	case head.Req.Global, head.Req.MachineID != "", len(head.Req.MachineOf) > 0, head.Req.Fence && !r.opt.Fenced:
		return false
	case head.Req.Drain == units.DrainStay && pl.State == cluster.Launched: // what it needs is there
		return false
	case pl.State != cluster.Launched && pl.State != cluster.Loaded, shifted(head, pl):
		return false
	}
	return len(r.followers[u]) == 0
}

// better is the host with the fewest units that fits and is no worse for the unit, nil without one.
func (r *balancer) better(head *cluster.UnitHead, from *host) *host {
	c := r.candidate(head)
	for _, to := range r.open {
		if from.units-to.units < 2 {
			return nil
		}
		if r.check(c, to) == fits && prefsOn(c.req, to) >= prefsOn(c.req, from) && r.spreads(c, from, to) && lighter(c, from, to) {
			return to
		}
	}
	return nil
}

// spreads says that the move leaves the unit's family no less evenly spread over the labels that it names.
func (r *balancer) spreads(c *candidate, from, to *host) bool {
	for _, s := range c.spreads() {
		here, known := from.label()[s.Label]
		there, has := to.label()[s.Label]
		counts := r.values(c.family, s.Label)
		switch {
		case known && !has:
			return false
		case known && here != there && *counter(counts, there)+1 > *counter(counts, here):
			return false
		}
	}
	return true
}

// lighter says that a unit that reserves memory or processors leaves its new host with no more taken of it than its
// old host has now.
func lighter(c *candidate, from, to *host) bool {
	if !c.reserves() || !from.capacity.known || !to.capacity.known {
		return true
	}
	return to.shareWith(c.demand) <= from.share
}

// move carries a move out in the ledger. A unit that moved before just goes further.
func (r *balancer) move(u cluster.Unit, from, to *host) {
	i, again := r.moved[u]
	if !again {
		i = len(r.out)
		r.moved[u] = i
		r.out = append(r.out, Relocation{
			Unit: u, Revision: r.snap.Units[u].Rev, From: from.ID, FromName: from.Name(), Generation: from.Placed[u].Generation,
			Why: fmt.Sprintf("%s has %s, %s has %d", from.Name(), plural(from.units, "unit"), to.Name(), to.units),
		})
	}
	r.out[i].To, r.out[i].ToName = to.ID, to.Name()
	st := r.order(u, from)
	r.release(u, from)
	r.occupy(u, to, st)
	r.arrived[from] = slices.DeleteFunc(r.arrived[from], func(x cluster.Unit) bool { return x == u })
	if to.Placed[u] == nil {
		r.arrived[to] = append(r.arrived[to], u)
	}
}
