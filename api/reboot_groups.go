package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// defaultGroup is the group of the hosts that no other one selects.
const defaultGroup = cluster.DefaultGroup

// belongs are the hosts of each group, in the order of their ids.
func belongs(c *cluster.Snapshot) map[cluster.GroupName][]*cluster.Host {
	out := cluster.NewMembership(c).Members(c)
	for name := range c.Groups {
		if _, ok := out[name]; !ok {
			out[name] = nil
		}
	}
	return out
}

// groupViews are the groups by name. The one that nobody made is shown while hosts belong to it.
func groupViews(c *cluster.Snapshot, hosts []HostReboot, now time.Time) []RebootGroup {
	in := belongs(c)
	out := []RebootGroup{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		head := c.Groups[name]
		if head == nil && len(in[name]) == 0 {
			continue
		}
		g := RebootGroup{Name: name, Hosts: len(in[name])}
		var spec cluster.Group
		if head != nil {
			spec = head.Group
			g.Problem = head.Unusable()
		}
		g.Max, g.Windows, g.Freeze = spec.Max.Of(g.Hosts), spec.Windows, spec.Freeze
		for _, h := range in[name] {
			if takesSlot(h) {
				g.Used++
			}
		}
		var bad string
		if g.Until, g.Next, bad = openings(c, spec.Windows, now); g.Problem == "" {
			g.Problem = bad
		}
		g.Halted = haltedBy(name, spec.Failures, hosts)
		out = append(out, g)
	}
	return out
}

// takesSlot says that a host counts as away: it holds a slot, goes down, or is absent and nobody gave it up.
func takesSlot(h *cluster.Host) bool {
	if h.Alive == nil && !h.HoldsSlot() {
		return h.Grant == nil || h.Grant.Phase != cluster.PhaseReleased
	}
	return h.HoldsSlot() || h.Info != nil && h.Info.Reboot != nil && h.Info.Reboot.Down != nil
}

// openings say until when one of the windows is open, zero while none is, and when the next one opens.
func openings(c *cluster.Snapshot, names []cluster.GroupName, now time.Time) (until, next time.Time, bad string) {
	for _, name := range names {
		w := c.Windows[name]
		if w == nil {
			bad = cmp.Or(bad, fmt.Sprintf("there is no window %s", name))
			continue
		}
		list, err := w.Openings(now, 2)
		if err != nil || w.Bad != "" {
			bad = cmp.Or(bad, fmt.Sprintf("window %s: %s", name, cmp.Or(w.Bad, fmt.Sprint(err))))
			continue
		}
		for _, o := range list {
			switch {
			case !o.From.After(now):
				if o.Until.After(until) {
					until = o.Until
				}
			case next.IsZero() || o.From.Before(next):
				next = o.From
			}
		}
	}
	return until, next, bad
}

// haltedBy says which hosts keep a group from beginning other reboots, if they are more than it goes on with; "" = none.
func haltedBy(group string, allowed int, hosts []HostReboot) string {
	var why []string
	for _, h := range hosts {
		if h.Halts && slices.Contains(h.Groups, group) {
			why = append(why, fmt.Sprintf("%s is %s since %s", h.Name, h.Phase, clock(h.Since)))
		}
	}
	if len(why) <= allowed {
		return ""
	}
	return strings.Join(why, "; ")
}
