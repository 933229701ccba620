package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Assumptions are what WhatIf takes for granted of a cluster.
type Assumptions struct {
	Labels map[cluster.HostID]map[string]string // that an operator sets; "" removes one
	Cordon []cluster.HostID                     // take no more units
	Drain  []cluster.HostID                     // and give away those they have, but for those that a drain leaves where they are
	Lose   []cluster.HostID                     // die
	Remove []cluster.HostID                     // are gone for good: removed by an operator
	Add    []cluster.UnitHead                   // are started, in the place of a unit of the same name
	Resume bool                                 // an operator lets failover go on should the storm brake hold
}

// Forecast is what a cluster comes to under assumptions, against what it comes to without them.
type Forecast struct {
	Moves   []Transfer     `json:"moves"`   // by unit name
	Waiting []Misfit       `json:"waiting"` // units that no living host has in the end, by name
	Hosts   []HostForecast `json:"hosts"`   // by host name
	Storm   *Storm         `json:"storm,omitempty"`
	Brake   string         `json:"brake,omitempty"` // Storm as a sentence
	Resumed bool           `json:"resumed,omitempty"`
	Units   int            `json:"units"`             // that have a living host in the end
	Endless bool           `json:"endless,omitempty"` // it did not come to rest: this is how far it was followed
}

// Transfer is a unit that goes from one host to another. From is empty for a unit that had no host and for
// another copy of a global one, To for a copy that ends.
type Transfer struct {
	Unit     cluster.Unit   `json:"unit"`
	From     cluster.HostID `json:"from,omitempty"`
	FromName string         `json:"from_name,omitempty"`
	To       cluster.HostID `json:"to,omitempty"`
	ToName   string         `json:"to_name,omitempty"`
	Why      string         `json:"why"`
}

// Misfit is a unit that should run and that no living host takes.
type Misfit struct {
	Unit     cluster.Unit   `json:"unit"`
	From     cluster.HostID `json:"from,omitempty"` // that had it without the assumptions
	FromName string         `json:"from_name,omitempty"`
	Reason   string         `json:"reason"`
	Already  bool           `json:"already,omitempty"` // so it is without the assumptions too
}

// HostForecast is how many units are ordered to be on a host without the assumptions and with them.
type HostForecast struct {
	Host   cluster.HostID `json:"host"`
	Name   string         `json:"name"`
	State  string         `json:"state,omitempty"` // removed, lost, absent, drained or cordoned
	Before int            `json:"before"`
	After  int            `json:"after"`
}

// WhatIf runs the planner on a copy of the snapshot until nothing changes, once as the cluster is and once
// under the assumptions, and says how the two differ. Hosts that live do at once as ordered; time passes as
// far as decisions wait for it. The snapshot is not changed; an incomplete one gives a zero Forecast.
func WhatIf(snap *cluster.Snapshot, opt Options, a Assumptions, now time.Time) Forecast {
	if !snap.Complete {
		return Forecast{}
	}
	was := newTrial(snap, opt, now)
	was.obeyAll()
	before := was.settle(false)
	is := newTrial(was.snap, opt, was.now)
	is.assume(a)
	after := is.settle(a.Resume)
	out := Forecast{
		Storm: is.storm, Resumed: is.storm != nil && a.Resume, Endless: was.endless || is.endless,
		Hosts: hostForecasts(was.snap, is.snap, a), Waiting: misfits(was, is, before, after),
	}
	if is.storm != nil {
		out.Brake = is.storm.String()
	}
	for u := range is.snap.Units {
		if is.runs(u) {
			out.Units++
		}
	}
	out.Moves = transfers(was, is)
	return out
}

// trial is a cluster in which the planner's decisions are carried out at once.
type trial struct {
	snap    *cluster.Snapshot
	opt     Options
	now     time.Time
	storm   *Storm
	left    map[cluster.Unit]string // why a unit left a host
	got     map[cluster.Unit]string // why it got another
	endless bool
}

// newTrial is one on a copy of the snapshot.
func newTrial(snap *cluster.Snapshot, opt Options, now time.Time) *trial {
	return &trial{snap: snap.Clone(), opt: opt, now: now, left: map[cluster.Unit]string{}, got: map[cluster.Unit]string{}}
}

// plan is what a leader would decide, but for what it would decide of reboots.
func (t *trial) plan() Result { return planUnits(t.snap, t.opt, t.now) }

// mostRounds is more plans than a cluster needs to come to rest.
const mostRounds = 5000

// settle plans and carries out until nothing changes, and returns the last plan.
func (t *trial) settle(resume bool) Result {
	for range mostRounds {
		res := t.plan()
		if res.Storm != nil && t.storm == nil {
			t.storm = res.Storm
		}
		for _, d := range res.Decisions {
			t.carryOut(d)
		}
		switch {
		case len(res.Decisions) > 0:
		case res.Next.After(t.now):
			t.now = res.Next
		case res.Storm != nil && resume:
			t.snap.Resumed = t.rev()
		default:
			return res
		}
	}
	t.endless = true
	return t.plan()
}

func (t *trial) rev() int64 {
	t.snap.Revision++
	return t.snap.Revision
}

// carryOut writes a decision and lets its hosts obey.
func (t *trial) carryOut(d Decision) {
	switch d.Kind {
	case Stop, Move:
		if t.left[d.Unit] == "" {
			t.left[d.Unit] = d.Reason
		}
	case Place, Adopt:
		t.got[d.Unit] = d.Reason
	}
	rev := t.rev()
	for _, pl := range d.Orders.Put {
		pl.Rev = rev
		t.snap.SetPlaced(&pl)
		t.obey(&pl)
	}
	for _, w := range d.Orders.Delete {
		t.snap.DeleteStatus(w)
		t.snap.DeletePlaced(w)
	}
	for _, u := range d.Orders.Forget {
		t.snap.DeleteDestroyed(u)
	}
	for _, w := range d.Orders.Drop {
		t.snap.DeleteOrphanStop(w)
	}
}

// obeyAll lets the living hosts carry out what they were ordered before.
func (t *trial) obeyAll() {
	for _, h := range t.snap.Hosts {
		for u, pl := range h.Placed {
			if st, ok := h.StatusOf(u); !ok || st.Generation < pl.Generation || st.Order != pl.State {
				t.obey(pl)
			}
		}
	}
}

// obey is the word of a living host that it did as ordered, if it could read the order.
func (t *trial) obey(pl *cluster.Placed) {
	h := t.snap.Hosts[pl.Host]
	if h.Alive == nil || pl.Bad != "" {
		return
	}
	state := units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"}
	if pl.State == cluster.Launched || pl.State == cluster.Draining {
		state.Active, state.Sub = "active", "running"
	}
	t.snap.SetStatus(cluster.Where{Host: pl.Host, Unit: pl.Unit}, &cluster.Status{
		Generation: pl.Generation, Order: pl.State, Blob: pl.Blob, DropIns: pl.DropIns, Boot: h.Alive.Boot, State: state, Since: t.now,
	})
}

// assume changes the cluster as the assumptions say.
func (t *trial) assume(a Assumptions) {
	for id, labels := range a.Labels {
		t.edit(id, func(s *cluster.HostSpec) {
			s.Labels = maps.Clone(s.Labels)
			if s.Labels == nil {
				s.Labels = map[string]string{}
			}
			maps.Copy(s.Labels, labels)
		})
	}
	for _, id := range slices.Concat(a.Cordon, a.Drain) {
		t.edit(id, func(s *cluster.HostSpec) { s.Cordon = &cluster.Note{Why: "assumed"} })
	}
	for _, id := range a.Drain {
		t.drain(t.snap.Hosts[id])
	}
	for _, id := range a.Remove {
		t.edit(id, func(s *cluster.HostSpec) { s.Removed = &cluster.Note{Why: "assumed"} })
	}
	for _, id := range slices.Concat(a.Lose, a.Remove) {
		if h := t.snap.Hosts[id]; h != nil && h.Alive != nil {
			t.snap.DeleteAlive(id, t.rev(), t.now)
			t.note(h, h.Name()+" is "+outlook(h, a))
		}
	}
	for i := range a.Add {
		t.add(a.Add[i])
	}
}

func (t *trial) edit(id cluster.HostID, change func(*cluster.HostSpec)) {
	h := t.snap.Hosts[id]
	if h == nil {
		return
	}
	spec := h.Spec
	change(&spec)
	rev := t.rev()
	t.snap.SetHostSpec(id, spec, rev, t.now)
	t.snap.HostsEpoch = rev
}

// note says why the units of a host leave it.
func (t *trial) note(h *cluster.Host, why string) {
	for u := range h.Placed {
		t.left[u] = why
	}
}

// drain takes the units off a host that do not stay wherever they are.
func (t *trial) drain(h *cluster.Host) {
	if h == nil {
		return
	}
	p := newPlanner(t.snap, t.opt, t.now)
	p.run()
	for _, u := range slices.Sorted(maps.Keys(h.Placed)) {
		head := t.snap.Units[u]
		if h.Placed[u].State == cluster.Gone || head == nil || !wanted(head) || head.File == nil || p.stays(u, p.byID[h.ID]) != "" {
			continue
		}
		t.left[u] = h.Name() + " is drained"
		w := cluster.Where{Host: h.ID, Unit: u}
		t.snap.DeleteStatus(w)
		t.snap.DeletePlaced(w)
	}
}

// add starts a unit. One that runs with the same content stays as it is.
func (t *trial) add(head cluster.UnitHead) {
	old := t.snap.Units[head.Name]
	if old != nil && old.Spec.Target == units.Launched && old.Spec.Blob == head.Spec.Blob {
		return
	}
	if old != nil {
		head.Spec.Run, head.Spec.Restart = old.Spec.Run+1, old.Spec.Restart
	}
	head.Spec.Target, head.Rev = units.Launched, t.rev()
	t.snap.SetUnit(&head)
	t.snap.DeleteDestroyed(head.Name)
}

// wanted says that the unit's user wants it on a host.
func wanted(head *cluster.UnitHead) bool { return head.Spec.Target != units.Inactive }

// homes are the hosts that are ordered to have the unit, by id.
func (t *trial) homes(u cluster.Unit) []cluster.HostID {
	var out []cluster.HostID
	for id, pl := range t.snap.Placed[u] {
		if pl.State != cluster.Gone {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// runs says that a living host has the unit.
func (t *trial) runs(u cluster.Unit) bool {
	return slices.ContainsFunc(t.homes(u), func(id cluster.HostID) bool { return t.snap.Hosts[id].Alive != nil })
}

func (t *trial) name(id cluster.HostID) string {
	if h := t.snap.Hosts[id]; h != nil {
		return h.Name()
	}
	return id.Short()
}

// transfers are the units that are elsewhere in the end.
func transfers(was, is *trial) []Transfer {
	out := []Transfer{}
	names := slices.Concat(was.snap.UnitNames(), is.snap.UnitNames())
	slices.Sort(names)
	for _, u := range slices.Compact(names) {
		from, to := apart(was.homes(u), is.homes(u)), apart(is.homes(u), was.homes(u))
		if len(to) == 0 && len(from) > 0 && !is.runs(u) {
			continue // it is one of the misfits
		}
		for i := range max(len(from), len(to)) {
			x := Transfer{Unit: u, Why: join(is.left[u], is.got[u])}
			if i < len(from) {
				x.From, x.FromName = from[i], was.name(from[i])
			}
			if i < len(to) {
				x.To, x.ToName = to[i], is.name(to[i])
			}
			out = append(out, x)
		}
	}
	return out
}

// apart are the hosts of a that are not among b.
func apart(a, b []cluster.HostID) []cluster.HostID {
	return slices.DeleteFunc(slices.Clone(a), func(id cluster.HostID) bool { return slices.Contains(b, id) })
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// misfits are the units that should run and that no living host has in the end.
func misfits(was, is *trial, before, after Result) []Misfit {
	already := map[cluster.Unit]bool{}
	for _, r := range before.Waiting {
		already[r.Unit] = !was.runs(r.Unit)
	}
	out := []Misfit{}
	for _, r := range after.Waiting {
		if head := is.snap.Units[r.Unit]; head == nil || !wanted(head) || is.runs(r.Unit) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Unit == r.Unit {
			continue
		}
		m := Misfit{Unit: r.Unit, Reason: r.Reason, Already: already[r.Unit]}
		if from := was.homes(r.Unit); len(from) > 0 {
			m.From, m.FromName = from[0], was.name(from[0])
		}
		out = append(out, m)
	}
	return out
}

// hostForecasts counts the units of each host that belongs to the cluster.
func hostForecasts(was, is *cluster.Snapshot, a Assumptions) []HostForecast {
	out := []HostForecast{}
	for _, h := range was.KnownHosts() {
		out = append(out, HostForecast{
			Host: h.ID, Name: h.Name(), State: outlook(is.Hosts[h.ID], a), Before: ordered(h), After: ordered(is.Hosts[h.ID]),
		})
	}
	slices.SortFunc(out, func(a, b HostForecast) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host)) })
	return out
}

// outlook is a host's state under the assumptions in one word, "" when nothing is to be said.
func outlook(h *cluster.Host, a Assumptions) string {
	switch {
	case h == nil: // nothing is known of it any more
		return "lost"
	case h.Spec.Removed != nil:
		return "removed"
	case slices.Contains(a.Lose, h.ID):
		return "lost"
	case h.Alive == nil:
		return "absent"
	case slices.Contains(a.Drain, h.ID), h.Spec.Drain != nil:
		return "drained"
	case h.Spec.Cordon != nil:
		return "cordoned"
	}
	return ""
}

// ordered is how many units a host is ordered to have.
func ordered(h *cluster.Host) int {
	if h == nil {
		return 0
	}
	n := 0
	for _, pl := range h.Placed {
		if pl.State != cluster.Gone {
			n++
		}
	}
	return n
}
