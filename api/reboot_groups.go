package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// groupHeads are the groups by name. The default one is among them also when nobody made it: always where
// groups are set, and where reboots are shown while hosts belong to it. unmade says that it is one or the other.
func groupHeads(c *cluster.Snapshot, unmade bool) []*cluster.GroupHead {
	heads := maps.Clone(c.Groups)
	if unmade && heads[cluster.DefaultGroup] == nil {
		heads[cluster.DefaultGroup] = &cluster.GroupHead{Name: cluster.DefaultGroup}
	}
	out := make([]*cluster.GroupHead, 0, len(heads))
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		out = append(out, heads[name])
	}
	return out
}

// rebootGroups joins what the planner says of the groups with how they are set.
func rebootGroups(c *cluster.Snapshot, list []plan.RebootGroup) []RebootGroup {
	said := make(map[cluster.GroupName]plan.RebootGroup, len(list))
	for _, g := range list {
		said[g.Name] = g
	}
	out := []RebootGroup{}
	for _, head := range groupHeads(c, said[cluster.DefaultGroup].Hosts > 0) {
		g := said[head.Name]
		out = append(out, RebootGroup{
			Name: head.Name, Hosts: g.Hosts, Used: len(g.Takers), Max: g.Max, Windows: head.Windows, Until: g.Until, Next: g.Next,
			Freeze: head.Freeze, Halted: haltedBy(c, g.Halting), Problem: cmp.Or(head.Unusable(), g.Problem),
		})
	}
	return out
}

// haltedBy says in a sentence which hosts keep a group from beginning other reboots; "" = none.
func haltedBy(c *cluster.Snapshot, hosts []cluster.HostID) string {
	var why []string
	for _, id := range hosts {
		if h := c.Hosts[id]; h != nil && h.Grant != nil {
			why = append(why, fmt.Sprintf("%s is %s since %s", h.Name(), h.Grant.Phase, clock(h.Grant.Since)))
		}
	}
	return strings.Join(why, "; ")
}
