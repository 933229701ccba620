package cluster

import (
	"cmp"
	"maps"
	"slices"

	"flotilla/units"
)

// DefaultGroup is the group of the hosts that no other group selects. It is there also when nobody made it:
// then one of its hosts may be away at a time, and nothing reboots by itself.
const DefaultGroup = "default"

// Membership knows which hosts belong to which groups. NewMembership reads each selector once; with many hosts
// that is what costs.
type Membership struct {
	groups   []member // by name, without the default one
	fallback *GroupHead
}

type member struct {
	*GroupHead
	selector units.Selector
}

// NewMembership reads the groups of a snapshot. A group that cannot be used selects nobody: see GroupHead.Unusable.
func NewMembership(snap *Snapshot) *Membership {
	m := &Membership{fallback: &GroupHead{Name: DefaultGroup}}
	for _, name := range slices.Sorted(maps.Keys(snap.Groups)) {
		g := snap.Groups[name]
		if name == DefaultGroup {
			m.fallback = g
			continue
		}
		if selector, err := units.ParseSelector(g.Selector); err == nil && g.Bad == "" {
			m.groups = append(m.groups, member{g, selector})
		}
	}
	return m
}

// Of are the groups of a host, by name: at least one.
func (m *Membership) Of(h *Host) []*GroupHead { return m.OfLabels(h.Labels()) }

// OfLabels are the groups of a host with these labels, by name: at least one.
func (m *Membership) OfLabels(labels map[string]string) []*GroupHead {
	var out []*GroupHead
	for _, g := range m.groups {
		if g.selector.Match(labels) {
			out = append(out, g.GroupHead)
		}
	}
	if len(out) == 0 {
		out = append(out, m.fallback)
	}
	return out
}

// GroupsOf are the groups of one host, by name: at least one. Of many hosts NewMembership is asked.
func GroupsOf(snap *Snapshot, h *Host) []*GroupHead { return NewMembership(snap).Of(h) }

// Members are the known hosts of each group, by id. The default group is among them.
func (m *Membership) Members(snap *Snapshot) map[GroupName][]*Host {
	out := map[GroupName][]*Host{}
	for _, h := range snap.KnownHosts() {
		for _, g := range m.Of(h) {
			out[g.Name] = append(out[g.Name], h)
		}
	}
	return out
}

// Unusable says why none of a group's hosts reboots by it, "" if it can be used.
func (g *GroupHead) Unusable() string {
	_, err := units.ParseSelector(g.Selector)
	if err != nil {
		return cmp.Or(g.Bad, err.Error())
	}
	return g.Bad
}
