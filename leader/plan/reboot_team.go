package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// team is a group with what this plan knows of its slots.
type team struct {
	*cluster.GroupHead
	stages  []units.Selector
	bad     string  // why none of its hosts begins a reboot
	hosts   int     // members that are known; -1 = nobody asked yet
	takers  []*host // by id, then those that begin in this plan
	failing []*host // by id
	halted  string  // why none of its hosts begins a reboot: others fail
	behind  *want   // the first in the queue that waits for one of its slots
}

func newTeam(head *cluster.GroupHead) *team {
	t := &team{GroupHead: head, hosts: -1}
	why := head.Unusable()
	for _, s := range head.Stages {
		selector, err := units.ParseSelector(s.Selector)
		if err != nil {
			why = cmp.Or(why, err.Error())
		}
		t.stages = append(t.stages, selector)
	}
	if why != "" {
		t.bad = fmt.Sprintf("group %s cannot be used; a newer flotilla may have written it: %s", head.Name, why)
	}
	return t
}

// muster makes the teams and counts who takes their slots.
func (c *coordinator) muster() {
	c.membership = cluster.NewMembership(c.snap)
	c.fallback = newTeam(&cluster.GroupHead{Name: cluster.DefaultGroup})
	for name, head := range c.snap.Groups {
		t := newTeam(head)
		if t.bad != "" && (c.unreadable == "" || t.bad < c.unreadable) {
			c.unreadable = t.bad
		}
		if name == cluster.DefaultGroup {
			c.fallback = t
			continue
		}
		c.teams = append(c.teams, t)
	}
	slices.SortFunc(c.teams, func(a, b *team) int { return strings.Compare(a.Name, b.Name) })
	for _, h := range c.hosts {
		if h.ready && !h.removed && h.Info.Reboot == nil && c.outdated == "" {
			c.outdated = fmt.Sprintf("the agent of %s, version %s, knows no reboots, and could write nothing any more: upgrade it first", h.Name(), h.Info.Version)
		}
		takes, fails := c.takes(h) != "", c.fails(h) != ""
		if !takes && !fails {
			continue
		}
		for _, t := range c.charged(h) {
			if takes {
				t.takers = append(t.takers, h)
			}
			if fails {
				t.failing = append(t.failing, h)
			}
		}
	}
	for _, t := range append(c.teams, c.fallback) {
		t.halted = c.halt(t)
	}
}

// teamsOf are the groups of a host, by name: at least one.
func (c *coordinator) teamsOf(h *host) []*team {
	if known := c.memberOf[h.index]; known != nil {
		return known
	}
	var out []*team
	for _, g := range c.membership.OfLabels(h.label()) {
		out = append(out, c.named(g.Name))
	}
	c.memberOf[h.index] = out
	return out
}

// charged are the groups whose slots a host takes: its own, and those that it had when its reboot began.
func (c *coordinator) charged(h *host) []*team {
	out := slices.Clone(c.teamsOf(h))
	if h.Grant == nil || !h.Grant.Phase.Holds() {
		return out
	}
	for _, name := range h.Grant.Groups {
		if t := c.named(name); t != nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *team) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// named finds a group by its name, nil if there is none any more.
func (c *coordinator) named(name string) *team {
	if name == cluster.DefaultGroup {
		return c.fallback
	}
	i, found := slices.BinarySearchFunc(c.teams, name, func(t *team, name string) int { return strings.Compare(t.Name, name) })
	if !found {
		return nil
	}
	return c.teams[i]
}

func names(teams []*team) []string {
	out := make([]string, len(teams))
	for i, t := range teams {
		out[i] = t.Name
	}
	return out
}

// takes says why a host takes a slot of its groups, "" if it does not. One that is away without a grant
// takes one as well: it is not there, and no more may be missing than that.
func (c *coordinator) takes(h *host) string {
	switch {
	case h.GrantBad != "":
		return "has a grant that cannot be read"
	case h.Grant != nil && h.Grant.Phase.Holds():
		return fmt.Sprintf("is %s since %s", h.Grant.Phase, clock(h.Grant.Since))
	case h.removed, !h.known, h.writtenOff():
		return ""
	case h.Alive == nil:
		return "is absent since " + clock(c.since(h))
	case !h.ready:
		return "has not reported since it booted"
	case goesDown(h.Host):
		return "is going down"
	}
	return ""
}

// busy is takes after what this plan began so far.
func (c *coordinator) busy(h *host) string {
	if c.begun[h] {
		return "begins just now"
	}
	return c.takes(h)
}

// writtenOff says that a person let the others go on without this host, which has not been seen since.
func (h *host) writtenOff() bool {
	g := h.Grant
	return g != nil && g.Phase == cluster.PhaseReleased && h.Alive == nil && h.Info != nil && h.Info.Run() == g.Boot
}

// size is how many hosts a group has, or its stage.
func (c *coordinator) size(t *team, stage int) int {
	if stage < 0 && t.hosts >= 0 {
		return t.hosts
	}
	n := 0
	for _, h := range c.hosts {
		if h.known && !h.removed && slices.Contains(c.teamsOf(h), t) && (stage < 0 || t.stageOf(h) == stage) {
			n++
		}
	}
	if stage < 0 {
		t.hosts = n
	}
	return n
}

// max is how many hosts of a group may be away at once.
func (c *coordinator) max(t *team) int {
	whole := 0
	if t.Max.Percent {
		whole = c.size(t, -1)
	}
	return t.Max.Of(whole)
}

// stageOf is the place of a host in its group's order, from 0: the first stage that selects it, or the end.
func (t *team) stageOf(h *host) int {
	for i, s := range t.stages {
		if s.Match(h.label()) {
			return i
		}
	}
	return len(t.stages)
}

// lacksSlot says why a host gets no slot of the group, given those that take one already; "" = it gets one.
func (c *coordinator) lacksSlot(t *team, h *host, takers []*host) string {
	most := c.max(t)
	if len(takers) >= most {
		return c.full("group "+t.Name, most, takers)
	}
	if i := t.stageOf(h); i < len(t.stages) && t.GroupHead.Stages[i].Max.Given {
		var mates []*host
		for _, x := range takers {
			if t.stageOf(x) == i {
				mates = append(mates, x)
			}
		}
		if most := t.GroupHead.Stages[i].Max.Of(c.size(t, i)); len(mates) >= most {
			return c.full(fmt.Sprintf("stage %d of group %s", i+1, t.Name), most, mates)
		}
	}
	return t.apart(h, takers)
}

// full says who has the slots.
func (c *coordinator) full(what string, most int, takers []*host) string {
	if most == 0 {
		return fmt.Sprintf("%s lets no host reboot (max 0)", what)
	}
	parts := make([]string, 0, len(takers))
	for _, h := range takers[:min(len(takers), maxNamed)] {
		parts = append(parts, h.Name()+" "+c.busy(h))
	}
	more := ""
	if n := len(takers) - len(parts); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("waits for a slot of %s (%d of %d: %s%s)", what, len(takers), most, strings.Join(parts, ", "), more)
}

// apart says which host of the same failure domain has to be back first: never two of one are away at once. A host
// without the label is a domain of its own.
func (t *team) apart(h *host, takers []*host) string {
	if t.Spread == "" {
		return ""
	}
	mine, known := h.label()[t.Spread]
	if !known {
		return ""
	}
	for _, x := range takers {
		if theirs, ok := x.label()[t.Spread]; x != h && ok && theirs == mine {
			return fmt.Sprintf("waits for %s, of the same failure domain (%s=%s) of group %s", x.Name(), t.Spread, mine, t.Name)
		}
	}
	return ""
}
