package plan

import (
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// conflicts counts, for each glob that some unit declares in Conflicts=, how many
// occupants of each host match it and how many declare it: a host is checked by
// looking at two numbers for each glob, not at its units. It is filled at the
// first question.
type conflicts struct {
	globs    map[string]*glob
	byPrefix map[string][]*glob // by the text before the first wildcard
	lengths  []int              // of the prefixes, ascending
	filled   bool
}

// glob is one declared glob with its counts by host index. Most globs concern few hosts.
type glob struct {
	text     string
	id       int // in the order of their declaration
	matching map[int32]int32
	declared map[int32]int32
}

// declare makes the globs known.
func (c *conflicts) declare(texts []string) {
	for _, t := range texts {
		if c.globs[t] != nil {
			continue
		}
		if c.globs == nil {
			c.globs, c.byPrefix = map[string]*glob{}, map[string][]*glob{}
		}
		g := &glob{text: t, id: len(c.globs), matching: map[int32]int32{}, declared: map[int32]int32{}}
		c.globs[t] = g
		prefix := t
		if i := strings.IndexAny(t, "*?["); i >= 0 {
			prefix = t[:i]
		}
		if c.byPrefix[prefix] == nil && !slices.Contains(c.lengths, len(prefix)) {
			c.lengths = append(c.lengths, len(prefix))
			slices.Sort(c.lengths)
		}
		c.byPrefix[prefix] = append(c.byPrefix[prefix], g)
	}
}

// against are the globs that match the unit's name.
func (c *conflicts) against(u cluster.Unit) []*glob {
	var out []*glob
	for _, n := range c.lengths {
		if n > len(u) {
			break
		}
		for _, g := range c.byPrefix[string(u[:n])] {
			if ok, err := units.Match(g.text, string(u)); ok && err == nil {
				out = append(out, g)
			}
		}
	}
	return out
}

// fill counts all occupants of all hosts.
func (c *conflicts) fill(l *ledger) {
	if c.filled || len(c.globs) == 0 {
		return
	}
	c.filled = true
	for u, at := range l.of.Placed {
		globs, declared := c.against(u), c.declaredBy(l.of.Units[u])
		if len(globs) == 0 && len(declared) == 0 {
			continue
		}
		for id := range at {
			if h := l.byID[id]; l.order(u, h) != 0 {
				tally(globs, declared, h, +1)
			}
		}
	}
	for _, h := range l.hosts {
		for u, st := range h.changed {
			if st != 0 && h.Placed[u] == nil {
				tally(c.against(u), c.declaredBy(l.of.Units[u]), h, +1)
			}
		}
	}
}

func (c *conflicts) declaredBy(head *cluster.UnitHead) []*glob {
	if head == nil || len(head.Req.Conflicts) == 0 {
		return nil
	}
	out := make([]*glob, 0, len(head.Req.Conflicts))
	for _, t := range head.Req.Conflicts {
		if g := c.globs[t]; g != nil {
			out = append(out, g)
		}
	}
	return out
}

func tally(matching, declared []*glob, h *host, by int32) {
	for _, g := range matching {
		g.matching[int32(h.index)] += by
	}
	for _, g := range declared {
		g.declared[int32(h.index)] += by
	}
}

// count keeps the counts when a unit comes to or leaves a host.
func (c *conflicts) count(snap *cluster.Snapshot, u cluster.Unit, h *host, by int32) {
	if c.filled {
		tally(c.against(u), c.declaredBy(snap.Units[u]), h, by)
	}
}

// party is a unit's side in conflicts: what it declares and what is declared against it.
type party struct {
	own, against []*glob
	both         []*glob // own globs that match its own name
}

func (c *conflicts) party(head *cluster.UnitHead) party {
	pt := party{own: c.declaredBy(head), against: c.against(head.Name)}
	for _, g := range pt.own {
		if slices.Contains(pt.against, g) {
			pt.both = append(pt.both, g)
		}
	}
	return pt
}

// clash says whether an occupant of the host, other than the unit itself,
// conflicts with it in either direction. here says that the unit occupies the host.
func (pt *party) clash(h *host, here bool) bool {
	for _, g := range pt.own {
		n := g.matching[int32(h.index)]
		if here && slices.Contains(pt.both, g) {
			n--
		}
		if n > 0 {
			return true
		}
	}
	for _, g := range pt.against {
		n := g.declared[int32(h.index)]
		if here && slices.Contains(pt.both, g) {
			n--
		}
		if n > 0 {
			return true
		}
	}
	return false
}
