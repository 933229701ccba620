package plan

import (
	"encoding/binary"
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
	if id == "" {
		return false
	}
	if known, asked := p.several[id]; asked {
		return known
	}
	n := 0
	for _, h := range p.hosts {
		if h.known && !h.removed && units.NamesMachine(id, string(h.ID)) {
			n++
		}
	}
	p.several[id] = n > 1
	return n > 1
}

// cause is what keeps a unit off a host: a filter, and which label or peer it is about.
type cause struct {
	filter filter
	nth    int // in Metadata or MachineOf
}

// cause says more of what a filter found on a host.
func (p *planner) cause(c *candidate, h *host, f filter) cause {
	out := cause{filter: f}
	switch f {
	case lacksLabel:
		out.nth = slices.IndexFunc(c.req.Metadata, func(r units.Requirement) bool { return !r.Match(h.label()) })
	case lacksPeer:
		out.nth = slices.IndexFunc(c.req.MachineOf, func(u cluster.Unit) bool { return !p.live(u, h) })
	}
	return out
}

// phrase says what a filter found, of one host or of several.
func (p *planner) phrase(c *candidate, h *host, f filter) (one, many string) {
	return p.cause(c, h, f).phrase(c.req)
}

func (x cause) phrase(req *units.Requirements) (one, many string) {
	switch x.filter {
	case isRemoved:
		return "was removed", "were removed"
	case isAbsent:
		return "is absent", "are absent"
	case isSilent:
		return "has not reported since it booted", "have not reported since they booted"
	case isCordoned:
		return "is cordoned", "are cordoned"
	case isOtherMachine:
		return "is not machine " + req.MachineID, "are not machine " + req.MachineID
	case lacksLabel:
		r := req.Metadata[x.nth]
		if r.Negative() {
			return "has label " + r.Opposite().String(), "have label " + r.Opposite().String()
		}
		return "lacks label " + r.String(), "lack label " + r.String()
	case lacksPeer:
		peer := req.MachineOf[x.nth]
		return fmt.Sprintf("does not hold %s (MachineOf)", peer), fmt.Sprintf("do not hold %s (MachineOf)", peer)
	case hasConflict:
		return "holds a unit that conflicts with it", "hold units that conflict with it"
	default:
		return "fits", "fit"
	}
}

// count is one part of a refusal: how many hosts a filter removed, for one cause.
type count struct {
	filter    filter
	one, many string
	n         int
}

// whyNot counts what removed the hosts, in the order of the filters.
func (p *planner) whyNot(c *candidate) string {
	if p.ambiguous(c.req.MachineID) {
		return fmt.Sprintf("MachineID=%s is the beginning of more than one host's id: write it in full", c.req.MachineID)
	}
	hosts := map[cause]int{}
	for _, h := range p.hosts {
		if h.known && !h.removed {
			hosts[p.cause(c, h, p.check(c, h))]++
		}
	}
	if len(hosts) == 0 {
		return "no host: none has joined yet"
	}
	counts := make([]count, 0, len(hosts))
	for x, n := range hosts {
		one, many := x.phrase(c.req)
		counts = append(counts, count{x.filter, one, many, n})
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

// refusal is why no host takes a unit; it holds for all units that ask for the same until
// something leaves a host.
type refusal struct {
	why      string
	released int
}

// alike is what all units have in common that the same hosts refuse for the same reasons: what
// they ask of a host, and the globs on both sides of their conflicts. ok is false for a unit
// that looks at where others are, or that stands somewhere itself.
func (p *planner) alike(c *candidate) (key string, ok bool) {
	if len(c.req.MachineOf) > 0 || len(p.snap.Placed[c.head.Name]) > 0 || len(p.added[c.head.Name]) > 0 {
		return "", false
	}
	key = signature(c.req)
	if len(c.party.own) == 0 && len(c.party.against) == 0 {
		return key, true
	}
	ids := binary.AppendUvarint(nil, uint64(len(c.party.own)))
	for _, g := range c.party.own {
		ids = binary.AppendUvarint(ids, uint64(g.id))
	}
	for _, g := range c.party.against {
		ids = binary.AppendUvarint(ids, uint64(g.id))
	}
	return key + "\x00" + string(ids), true
}

// spread finds the host with the fewest units for a unit that is bound to no other. One
// refusal speaks for all units alike: at 60,000 units with a mistyped label and 6,000 hosts
// the plan would take minutes otherwise.
func (p *planner) spread(c *candidate) (to *host, reason, why string) {
	key, ok := p.alike(c)
	if r, known := p.refusals[key]; ok && known && r.released == p.released {
		return nil, "", r.why
	}
	if !p.ambiguous(c.req.MachineID) {
		q := p.queueOf(c.req)
		if to = q.best(func(h *host) bool { return p.check(c, h) == fits }); to != nil {
			return to, fmt.Sprintf("fewest units (%d) of %s", to.units, plural(q.size, "host")), ""
		}
	}
	why = p.whyNot(c)
	if ok {
		p.refusals[key] = refusal{why, p.released}
	}
	return nil, "", why
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
