package plan

import (
	"cmp"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// replacers are the units that declare Replaces=. A unit that one of them matches leaves the
// host on which that one is placed, and never comes to it. It is no conflict: the other way
// round the host is free for the unit that replaces.
//
// A declaration is ignored between units that replace each other, be it through others: they would
// drive one another from host to host forever. So it is for a unit that must be where the
// other one is (MachineOf).
type replacers struct {
	globs    conflicts // only to find those that match a name
	declared map[cluster.Unit]*cluster.UnitHead
	at       map[int32][]*cluster.UnitHead // that occupy a host, by its index
	reach    map[cluster.Unit]map[cluster.Unit]bool
}

func (r *replacers) declare(head *cluster.UnitHead) {
	if r.declared == nil {
		r.declared = map[cluster.Unit]*cluster.UnitHead{}
		r.at = map[int32][]*cluster.UnitHead{}
		r.reach = map[cluster.Unit]map[cluster.Unit]bool{}
	}
	r.declared[head.Name] = head
	r.globs.declare(head.Req.Replaces)
}

// count keeps the lists when a unit comes to or leaves a host.
func (r *replacers) count(head *cluster.UnitHead, h *host, by int) {
	if head == nil || len(head.Req.Replaces) == 0 {
		return
	}
	i := int32(h.index)
	if by > 0 {
		r.declare(head)
		r.at[i] = append(r.at[i], head)
		return
	}
	r.at[i] = slices.DeleteFunc(r.at[i], func(x *cluster.UnitHead) bool { return x == head })
}

// matches says whether any declaration names the unit.
func (r *replacers) matches(u cluster.Unit) bool {
	return len(r.declared) > 0 && len(r.globs.against(u)) > 0
}

// replaces says whether a drives b from its host.
func (p *planner) replaces(a, b *cluster.UnitHead) bool {
	if a.Name == b.Name || !anyMatches(a.Req.Replaces, b.Name) || p.boundTo(a, b.Name, nil) {
		return false
	}
	return len(b.Req.Replaces) == 0 || !p.reachedFrom(b)[a.Name]
}

func anyMatches(globs []string, u cluster.Unit) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, err := units.Match(g, string(u))
		return ok && err == nil
	})
}

// boundTo says whether a unit must be where the other is, perhaps through others.
func (p *planner) boundTo(a *cluster.UnitHead, b cluster.Unit, seen map[cluster.Unit]bool) bool {
	for _, peer := range a.Req.MachineOf {
		if peer == b {
			return true
		}
		if head := p.snap.Units[peer]; head != nil && !seen[peer] {
			if seen == nil {
				seen = map[cluster.Unit]bool{}
			}
			seen[peer] = true
			if p.boundTo(head, b, seen) {
				return true
			}
		}
	}
	return false
}

// reachedFrom are the units with Replaces= that this one replaces, and so on.
func (p *planner) reachedFrom(from *cluster.UnitHead) map[cluster.Unit]bool {
	r := &p.replacers
	if known := r.reach[from.Name]; known != nil {
		return known
	}
	out := map[cluster.Unit]bool{}
	open, asked := []*cluster.UnitHead{from}, map[string]bool{}
	for len(open) > 0 {
		head := open[len(open)-1]
		open = open[:len(open)-1]
		for _, g := range head.Req.Replaces {
			if asked[g] {
				continue
			}
			asked[g] = true
			for u, next := range r.declared {
				if !out[u] && anyMatches([]string{g}, u) {
					out[u] = true
					open = append(open, next)
				}
			}
		}
	}
	r.reach[from.Name] = out
	return out
}

// replacer is the first unit that drives this one from the host; also one that is only being
// stopped there, unless live. nil without one.
func (p *planner) replacer(head *cluster.UnitHead, h *host, live bool) *cluster.UnitHead {
	var first *cluster.UnitHead
	for _, a := range p.replacers.at[int32(h.index)] {
		if (first == nil || a.Name < first.Name) && p.replaces(a, head) && (!live || p.live(a.Name, h)) {
			first = a
		}
	}
	return first
}

// replaced are the units that stand where another one replaces them.
func (p *planner) replaced() []cluster.Unit {
	var out []cluster.Unit
	for i, list := range p.replacers.at {
		if len(list) == 0 {
			continue
		}
		for u := range p.hosts[i].Placed {
			if p.snap.Units[u] != nil && p.replacers.matches(u) {
				out = append(out, u)
			}
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}
