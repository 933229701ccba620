package plan

import (
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// filter is what keeps a unit off a host, in the order in which they are asked.
type filter int

const (
	fits filter = iota
	isRemoved
	isAbsent
	isSilent
	isCordoned
	isOtherMachine
	lacksLabel
	lacksPeer
	hasConflict
)

// candidate is a unit in search of a host.
type candidate struct {
	head  *cluster.UnitHead
	req   *units.Requirements
	party party
	keeps bool // it already runs where it is placed: an orphan is adopted even on a cordoned host
}

func (p *planner) candidate(head *cluster.UnitHead) *candidate {
	p.conflicts.fill(&p.ledger)
	return &candidate{head: head, req: &head.Req, party: p.conflicts.party(head)}
}

// check asks all filters of one host.
func (p *planner) check(c *candidate, h *host) filter {
	switch {
	case h.removed:
		return isRemoved
	case h.Alive == nil:
		return isAbsent
	case !h.ready:
		return isSilent
	case h.Spec.Cordon != nil && !c.keeps:
		return isCordoned
	}
	if f := p.static(c.req, h); f != fits {
		return f
	}
	for _, peer := range c.req.MachineOf {
		if !p.live(peer, h) {
			return lacksPeer
		}
	}
	if c.party.clash(h, p.order(c.head.Name, h) != 0) {
		return hasConflict
	}
	return fits
}

// static asks the filters whose answer no placement changes.
func (p *planner) static(req *units.Requirements, h *host) filter {
	if !req.MatchMachine(string(h.ID)) {
		return isOtherMachine
	}
	if len(req.Metadata) > 0 && !req.MatchMetadata(h.label()) {
		return lacksLabel
	}
	return fits
}

// ambiguous says that a MachineID names more than one known host.
func (p *planner) ambiguous(id string) bool {
	n := 0
	for _, h := range p.hosts {
		if h.known && !h.removed && units.NamesMachine(id, string(h.ID)) {
			n++
		}
	}
	return n > 1
}

// phrase says what the filter found, of one host or of several.
func (p *planner) phrase(c *candidate, h *host, f filter) (one, many string) {
	switch f {
	case isRemoved:
		return "was removed", "were removed"
	case isAbsent:
		return "is absent", "are absent"
	case isSilent:
		return "has not reported since it booted", "have not reported since they booted"
	case isCordoned:
		return "is cordoned", "are cordoned"
	case isOtherMachine:
		return "is not machine " + c.req.MachineID, "are not machine " + c.req.MachineID
	case lacksLabel:
		for _, r := range c.req.Metadata {
			if !r.Match(h.label()) {
				return "lacks label " + r.String(), "lack label " + r.String()
			}
		}
	case lacksPeer:
		for _, peer := range c.req.MachineOf {
			if !p.live(peer, h) {
				return fmt.Sprintf("does not hold %s (MachineOf)", peer), fmt.Sprintf("do not hold %s (MachineOf)", peer)
			}
		}
	case hasConflict:
		return "holds a unit that conflicts with it", "hold units that conflict with it"
	}
	return "fits", "fit"
}

// count is one part of a refusal: how many hosts a filter removed, for one cause.
type count struct {
	filter    filter
	one, many string
	n         int
}

// whyNot counts what removed the hosts, in the order of the filters.
func (p *planner) whyNot(c *candidate) string {
	if c.req.MachineID != "" && p.ambiguous(c.req.MachineID) {
		return fmt.Sprintf("MachineID=%s is the beginning of more than one host's id: write it in full", c.req.MachineID)
	}
	var counts []count
	for _, h := range p.hosts {
		if !h.known || h.removed {
			continue
		}
		f := p.check(c, h)
		one, many := p.phrase(c, h, f)
		i := slices.IndexFunc(counts, func(x count) bool { return x.many == many })
		if i < 0 {
			i, counts = len(counts), append(counts, count{filter: f, one: one, many: many})
		}
		counts[i].n++
	}
	if len(counts) == 0 {
		return "no host: none has joined yet"
	}
	slices.SortFunc(counts, func(a, b count) int {
		if a.filter != b.filter {
			return int(b.filter - a.filter)
		}
		return strings.Compare(a.many, b.many)
	})
	parts := make([]string, len(counts))
	for i, x := range counts {
		if parts[i] = fmt.Sprintf("%d %s", x.n, x.many); x.n == 1 {
			parts[i] = "1 " + x.one
		}
	}
	return "no host: " + strings.Join(parts, ", ")
}

// broken says which constraint of a placed unit no longer holds on its living host;
// "" when all do, or when the host cannot be judged.
func (p *planner) broken(head *cluster.UnitHead, h *host) string {
	if !h.ready {
		return ""
	}
	c := candidate{head: head, req: &head.Req}
	if f := p.static(c.req, h); f != fits {
		one, _ := p.phrase(&c, h, f)
		return one
	}
	for _, peer := range head.Req.MachineOf {
		if p.moving[peer] {
			return fmt.Sprintf("is left by %s (MachineOf)", peer)
		}
		if !p.live(peer, h) && p.runsElsewhere(peer) {
			return fmt.Sprintf("no longer holds %s (MachineOf)", peer)
		}
	}
	if rival := p.rival(head, h); rival != "" {
		return fmt.Sprintf("holds %s (Conflicts)", rival)
	}
	return ""
}

// runsElsewhere says whether the peer is placed on any living host.
func (p *planner) runsElsewhere(peer cluster.Unit) bool {
	return slices.ContainsFunc(p.liveHosts(peer), func(h *host) bool { return h.Alive != nil })
}

// rival is a unit on the host that this one declares a conflict with, and that is
// not the one that must yield: of two that declare it, the newer placement does.
func (p *planner) rival(head *cluster.UnitHead, h *host) cluster.Unit {
	if len(head.Req.Conflicts) == 0 {
		return ""
	}
	p.conflicts.fill(&p.ledger)
	pt := p.conflicts.party(head)
	if !(&party{own: pt.own, both: pt.both}).clash(h, true) {
		return ""
	}
	var found []cluster.Unit
	for u := range h.Placed {
		if !p.live(u, h) || !head.Req.ConflictsWith(head.Name, u) {
			continue
		}
		if other := p.snap.Units[u]; other != nil && other.Req.ConflictsWith(u, head.Name) && p.newer(u, head.Name, h) {
			continue
		}
		found = append(found, u)
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}

// newer says whether a's placement on the host is younger than b's.
func (p *planner) newer(a, b cluster.Unit, h *host) bool {
	ga, gb := h.Placed[a].Generation, h.Placed[b].Generation
	if ga != gb {
		return ga > gb
	}
	return a > b
}
