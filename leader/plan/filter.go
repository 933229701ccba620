package plan

import (
	"fmt"
	"slices"

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
	isShut
	isOtherMachine
	lacksLabel
	lacksRuntime
	lacksPeer
	hasConflict
	isReplaced
	isCrowded
	lacksSpread
	isUneven
	hidesRoom
	lacksMemory
	lacksCPU
	isLeft
	failedIt
)

// candidate is a unit in search of a host.
type candidate struct {
	head      *cluster.UnitHead
	req       *units.Requirements
	party     party
	family    *family // of an instance
	demand    room
	signature string
	own       []*host        // that it occupies itself, where that counts for Spread=
	fewest    []int          // for each label of Spread=: of its family where fewest are; nil until asked for
	stands    bool           // it occupies a host itself
	yields    bool           // another unit may replace it
	company   []cluster.Unit // that come to the host together with it
	keeps     bool           // it already runs where it is placed: an orphan is adopted even on a host that is shut
}

func (p *planner) candidate(head *cluster.UnitHead) *candidate {
	p.conflicts.fill(&p.ledger)
	c := p.spare
	if p.spare = nil; c == nil {
		c = &candidate{}
	}
	*c = candidate{
		head: head, req: &head.Req, party: p.conflicts.party(head),
		family: p.family(head.Name), demand: demand(&head.Req), signature: signature(&head.Req),
		stands: len(p.snap.Placed[head.Name]) > 0 || len(p.added[head.Name]) > 0,
		yields: p.replacers.matches(head.Name),
	}
	if c.stands && len(c.spreads()) > 0 {
		for _, h := range p.hosts {
			if c.here(p, h) {
				c.own = append(c.own, h)
			}
		}
	}
	return c
}

// here says whether the unit occupies the host itself.
func (c *candidate) here(p *planner, h *host) bool {
	return c.stands && p.order(c.head.Name, h) != 0
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
	case h.shut != open && !c.keeps:
		return isShut
	}
	if f := p.static(c.req, h); f != fits {
		return f
	}
	for _, peer := range c.req.MachineOf {
		if !p.live(peer, h) && !slices.Contains(c.company, peer) {
			return lacksPeer
		}
	}
	switch {
	case c.party.clash(h, c.here(p, h)):
		return hasConflict
	case c.yields && p.replacer(c.head, h, false) != nil:
		return isReplaced
	case c.req.MaxPerHost > 0 && p.siblings(c, h) >= c.req.MaxPerHost:
		return isCrowded
	}
	if f, _ := p.uneven(c, h); f != fits {
		return f
	}
	if f := p.lacks(c, h); f != fits || !c.stands {
		return f
	}
	return p.bars(c.head.Name, h)
}

// siblings are the other instances of the unit's family on the host.
func (p *planner) siblings(c *candidate, h *host) int {
	n := c.family.on(h)
	if n > 0 && c.here(p, h) {
		n--
	}
	return n
}

// uneven asks the hard labels of Spread=, and says which of them is against the host.
func (p *planner) uneven(c *candidate, h *host) (f filter, nth int) {
	for i, s := range c.spreads() {
		if !s.Hard {
			continue
		}
		v, ok := h.label()[s.Label]
		if !ok {
			return lacksSpread, i
		}
		if p.others(c, i, counter(p.values(c.family, s.Label), v), v) > p.fewestOf(c)[i] {
			return isUneven, i
		}
	}
	return fits, 0
}

// fewestOf is, for each label of Spread=, how many others of the family stand where fewest do. The
// values that count are those of hosts that are in service and that the unit may have, full or not.
func (p *planner) fewestOf(c *candidate) []int {
	if c.fewest == nil {
		q := p.queueOf(c)
		for i, counts := range q.domains {
			least := noLabel
			for k, n := range counts {
				least = min(least, p.others(c, i, n, q.values[i][k]))
			}
			c.fewest = append(c.fewest, least)
		}
	}
	return c.fewest
}

// static asks the filters whose answer no placement changes.
func (p *planner) static(req *units.Requirements, h *host) filter {
	if f := p.pinned(req, h); f != fits {
		return f
	}
	if req.Runtime != "" && !h.hasRuntime(req.Runtime) {
		return lacksRuntime
	}
	return fits
}

func (h *host) hasRuntime(name string) bool {
	if h.Info == nil {
		return false
	}
	_, ok := h.Info.Runtimes[name]
	return ok
}

// pinned asks the filters that also move a unit which is placed already. No other does: what a host
// has no room for any more, or no runtime at this moment, is left alone.
func (p *planner) pinned(req *units.Requirements, h *host) filter {
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

// broken says which constraint of a placed unit no longer holds on its living host;
// "" when all do, or when the host cannot be judged.
func (p *planner) broken(head *cluster.UnitHead, h *host) string {
	if !h.ready {
		return ""
	}
	c := candidate{head: head, req: &head.Req}
	if f := p.pinned(c.req, h); f != fits {
		return p.phrase(&c, h, f)
	}
	for _, peer := range head.Req.MachineOf {
		if p.moving[peer] {
			return fmt.Sprintf("is left by %s (MachineOf)", peer)
		}
		if !h.leaves && !p.live(peer, h) && p.runsElsewhere(peer) { // else it follows within its family's budget
			return fmt.Sprintf("no longer holds %s (MachineOf)", peer)
		}
	}
	if rival := p.rival(head, h); rival != "" {
		return fmt.Sprintf("holds %s (Conflicts)", rival)
	}
	if p.replacers.matches(head.Name) {
		if by := p.replacer(head, h, true); by != nil {
			return fmt.Sprintf("holds %s (Replaces)", by.Name)
		}
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
