package plan

import (
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster"
)

// band are the units on the host that are bound to this one by MachineOf, itself included: those that others name
// come before those, then by name.
func (p *planner) band(u cluster.Unit, h *host) []cluster.Unit {
	if head := p.snap.Units[u]; len(p.followers[u]) == 0 && (head == nil || len(head.Req.MachineOf) == 0) {
		return []cluster.Unit{u}
	}
	found := map[cluster.Unit]bool{u: true}
	for open := []cluster.Unit{u}; len(open) > 0; open = open[1:] {
		near := slices.Clone(p.followers[open[0]])
		if head := p.snap.Units[open[0]]; head != nil {
			near = append(near, head.Req.MachineOf...)
		}
		for _, x := range near {
			if !found[x] && p.live(x, h) {
				found[x] = true
				open = append(open, x)
			}
		}
	}
	out := make([]cluster.Unit, 0, len(found))
	for x := range found {
		out = append(out, x)
	}
	slices.Sort(out)
	return p.peersFirst(out)
}

// chooseFor finds the host that takes the whole band. why is set where there is none.
func (p *planner) chooseFor(e *evacuation) (to *host, reason, why string) {
	p.avoid = e.from
	defer func() { p.avoid = nil }()
	if len(e.heads) == 1 {
		to, reason, why = p.choose(e.heads[0])
		if why != "" {
			why = p.orLater(e.heads[0], p.leaving[e.heads[0].Name], why)
		}
		return to, reason, why
	}
	band := p.candidates(e)
	for _, h := range p.hosts {
		if h != e.from && (to == nil || p.ahead(band[0], h, to)) && p.takes(band, h) {
			to = h
		}
	}
	if to != nil {
		return to, "it takes " + listed(e.names()), ""
	}
	for i, c := range band {
		if !slices.ContainsFunc(p.hosts, func(h *host) bool { return p.check(c, h) == fits }) {
			return nil, "", fmt.Sprintf("%s belong together (MachineOf), and for %s there is %s", listed(e.names()), e.heads[i].Name, p.whyNot(c))
		}
	}
	return nil, "", "no host takes all of " + listed(e.names()) + ", which belong together (MachineOf)"
}

// candidates are the members of a band in search of a host, each with the others. The first stands for what all
// of them reserve.
func (p *planner) candidates(e *evacuation) []*candidate {
	out := make([]*candidate, len(e.heads))
	var all room
	for i, head := range e.heads {
		out[i] = p.candidate(head)
		out[i].company = e.names()
		all.memory, all.cpu = all.memory+out[i].demand.memory, all.cpu+out[i].demand.cpu
	}
	out[0].demand = all
	return out
}

// takes says that a host takes all of a band.
func (p *planner) takes(band []*candidate, h *host) bool {
	kin := map[*family]int{}
	for _, c := range band {
		if p.check(c, h) != fits {
			return false
		}
		if kin[c.family]++; c.req.MaxPerHost > 0 && p.siblings(c, h)+kin[c.family] > c.req.MaxPerHost {
			return false
		}
	}
	return true
}

// mostListed is how many units a sentence names.
const mostListed = 4

func listed(names []cluster.Unit) string {
	words := make([]string, 0, mostListed)
	for _, u := range names[:min(len(names), mostListed)] {
		words = append(words, string(u))
	}
	if more := len(names) - len(words); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words, ", "), more)
	}
	return strings.Join(words, ", ")
}
