package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// facts are what events tell of, in comparable form. Their strings are the snapshot's own.
type facts struct {
	revision int64
	hosts    map[cluster.HostID]hostFact
	heads    map[cluster.Unit]headFact
	units    map[cluster.Where]unitFact
	groups   map[cluster.GroupName]frozenFact
	frozen   frozenFact // of all hosts
	absent   int
	leader   string
	storm    string
}

type hostFact struct {
	name    string
	state   HostState
	version string
	reboot  rebootFact
}

type headFact struct {
	target       units.Target
	blob         units.Hash
	dropIns      units.Hash
	run, restart int64
	who          string
}

type unitFact struct {
	order      cluster.Order
	generation int64
	reason     string
	active     string // "" until the first order was obeyed
	sub        string
	result     string
	invocation string
}

// factsOf takes up what a snapshot says. A host counts once it has said its name; what an
// absent host's units do stays as last says.
func factsOf(c *cluster.Snapshot, last *facts) *facts {
	f := &facts{
		revision: c.Revision, hosts: make(map[cluster.HostID]hostFact, len(c.Hosts)),
		heads: make(map[cluster.Unit]headFact, len(c.Units)), units: make(map[cluster.Where]unitFact, len(c.Placed)),
		groups: make(map[cluster.GroupName]frozenFact, len(c.Groups)), frozen: frozenFactOf(c.Reboots.Freeze),
	}
	for name, g := range c.Groups {
		f.groups[name] = frozenFactOf(g.Freeze)
	}
	for name, u := range c.Units {
		f.heads[name] = headFact{u.Spec.Target, u.Spec.Blob, u.Spec.DropIns, u.Spec.Run, u.Spec.Restart, u.Spec.By.Who}
	}
	for id, h := range c.Hosts {
		if h.Info == nil {
			continue
		}
		f.hosts[id] = hostFact{h.Name(), hostState(h), h.Info.Version, rebootFactOf(h)}
		if h.Alive == nil && h.Spec.Removed == nil {
			f.absent++
		}
		for name, p := range h.Placed {
			w := cluster.Where{Host: id, Unit: name}
			if old, known := last.unit(w); known && h.Alive == nil && old.order == p.State {
				f.units[w] = old
				continue
			}
			f.units[w] = unitFactOf(h, name, p, last)
		}
	}
	return f
}

func (f *facts) unit(w cluster.Where) (unitFact, bool) {
	if f == nil {
		return unitFact{}, false
	}
	u, ok := f.units[w]
	return u, ok
}

// unitFactOf is an order with what its host says of the unit. Until a first order was obeyed that is
// of an earlier time; a host that says nothing at the moment leaves what it said last.
func unitFactOf(h *cluster.Host, name cluster.Unit, p *cluster.Placed, last *facts) unitFact {
	out, _ := last.unit(cluster.Where{Host: h.ID, Unit: name})
	out.order, out.generation, out.reason = p.State, p.Generation, p.Reason
	st, ok := h.StatusOf(name)
	if !ok || out.active == "" && st.Generation < p.Generation {
		return out
	}
	out.invocation = st.Invocation
	out.active, out.sub, out.result = st.State.Active, st.State.Sub, st.State.Result
	return out
}

// diff lists what changed: who leads, hosts by name with their reboots, users' wishes, then units.
func (f *facts) diff(next *facts, now time.Time) []Event {
	var out []Event
	add := func(kind EventKind, subject, host, format string, args ...any) {
		out = append(out, Event{Revision: next.revision, Time: now, Kind: kind, Subject: subject, Host: host, Text: fmt.Sprintf(format, args...)})
	}
	if next.leader != f.leader && next.leader != "" {
		add(EventLeader, next.leader, "", "leads")
	}
	if next.storm != f.storm {
		add(EventStorm, "failover", "", "%s", cmp.Or(next.storm, "failover goes on"))
	}
	f.diffHosts(next, add)
	f.diffFreezes(next, add)
	f.diffHeads(next, add)
	f.diffUnits(next, add)
	return out
}

// adder takes an event.
type adder func(kind EventKind, subject, host, format string, args ...any)

func (f *facts) diffHosts(next *facts, add adder) {
	byName := func(a, b cluster.HostID) int {
		return cmp.Or(cmp.Compare(next.hosts[a].name, next.hosts[b].name), cmp.Compare(a, b))
	}
	for _, id := range slices.SortedFunc(maps.Keys(next.hosts), byName) {
		old, h := f.hosts[id], next.hosts[id]
		switch {
		case old.state != h.state:
			add(EventHost, h.name, "", "%s", h.state)
		case old.version != h.version:
			add(EventHost, h.name, "", "runs flotilla %s", h.version)
		}
		old.reboot.diff(h.reboot, h.name, add)
	}
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		if _, ok := next.hosts[id]; !ok {
			add(EventHost, f.hosts[id].name, "", "%s", HostGone)
		}
	}
}

func (f *facts) diffHeads(next *facts, add adder) {
	for _, name := range changed(f.heads, next.heads, cmp.Compare[cluster.Unit]) {
		old, had := f.heads[name]
		h, has := next.heads[name]
		switch {
		case !has:
			add(EventUnit, string(name), "", "destroyed")
		case !had:
			add(EventUnit, string(name), "", "submitted by %s, wanted %s", h.who, h.target)
		case old.blob != h.blob:
			add(EventUnit, string(name), "", "content replaced by %s, wanted %s", h.who, h.target)
		case old.dropIns != h.dropIns:
			add(EventUnit, string(name), "", "drop-ins replaced by %s, wanted %s", h.who, h.target)
		case old.target != h.target || old.run != h.run:
			add(EventUnit, string(name), "", "wanted %s by %s", h.target, h.who)
		case old.restart != h.restart:
			add(EventUnit, string(name), "", "restart wanted by %s", h.who)
		}
	}
}

func (f *facts) diffUnits(next *facts, add adder) {
	byUnit := func(a, b cluster.Where) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Host, b.Host)) }
	for _, w := range changed(f.units, next.units, byUnit) {
		old, had := f.units[w]
		u, has := next.units[w]
		host := cmp.Or(next.hosts[w.Host].name, f.hosts[w.Host].name, w.Host.Short())
		if !has {
			add(EventUnit, string(w.Unit), host, "no longer on %s", host)
			continue
		}
		if !had || old.order != u.order || old.generation != u.generation {
			add(EventUnit, string(w.Unit), host, "ordered %s: %s", u.order, u.reason)
		}
		switch {
		case u.active == "":
		case old.active == "active" && u.active == "active" && old.invocation != u.invocation && old.invocation != "":
			add(EventUnit, string(w.Unit), host, "restarted: %s/%s", u.active, u.sub)
		case old.active != u.active || old.sub != u.sub:
			add(EventUnit, string(w.Unit), host, "%s", stateText(u))
		}
	}
}

func stateText(u unitFact) string {
	if u.active == "failed" && u.result != "" {
		return fmt.Sprintf("%s/%s (%s)", u.active, u.sub, u.result)
	}
	return u.active + "/" + u.sub
}

// changed are the keys whose values differ between two maps, in order.
func changed[K comparable, V comparable](old, next map[K]V, order func(a, b K) int) []K {
	var out []K
	for k, v := range next {
		if was, ok := old[k]; !ok || was != v {
			out = append(out, k)
		}
	}
	for k := range old {
		if _, ok := next[k]; !ok {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, order)
	return out
}
