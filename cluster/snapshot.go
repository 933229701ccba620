package cluster

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is the whole cluster at one revision, with its indexes. The store's mirror
// changes it through the Set and Delete methods, one owner at a time; planners only
// read it. Nothing is decided on a snapshot that is not Complete. A load sets
// Revision, Loaded and Watched; a watch only Revision.
type Snapshot struct {
	Revision   int64
	Complete   bool
	Store      Identity
	Hosts      map[HostID]*Host
	Units      map[Unit]*UnitHead
	Placed     map[Unit]map[HostID]*Placed // the same values as Host.Placed, by unit
	HostsEpoch int64                       // mod revision of epoch/hosts
	Watched    time.Time                   // since when this process sees every change without a gap
	Loaded     int64                       // revision of the load that Watched began with
	Resumed    int64                       // mod revision of the operator's failover resume, 0 without one

	Unplaced    map[Unit]*UnitHead          // the heads of Units that have no placement, not even a tombstone
	Several     map[Unit]bool               // units with more than one placement, tombstones included
	Orphans     map[Unit]map[HostID]*Status // statuses of units that run without an order, by unit: see Status.Unordered
	Destroyed   map[Unit]int64              // mod revisions of destroyed/<unit>: a user destroyed it, and this is the order to end it
	OrphanStops map[Where]int64             // mod revisions of orphan/<host>/<unit>: an operator wants this orphan stopped

	Groups  map[GroupName]*GroupHead
	Windows map[GroupName]*WindowHead
	Reboots RebootPolicy
	History map[HistoryKey]*Record

	RebootsRev int64 // mod revision of Reboots, 0 without one
	Notified   Notified
}

// GroupHead is a Group in a Snapshot.
type GroupHead struct {
	Group
	Name GroupName
	Rev  int64  // mod revision
	Bad  string // why it cannot be used: its hosts do not reboot
}

// WindowHead is a Window in a Snapshot.
type WindowHead struct {
	Window
	Name GroupName
	Rev  int64  // mod revision
	Bad  string // why it cannot be used: it never opens
}

// NewSnapshot is an empty, incomplete snapshot.
func NewSnapshot() *Snapshot {
	return &Snapshot{
		Hosts:  map[HostID]*Host{},
		Units:  map[Unit]*UnitHead{},
		Placed: map[Unit]map[HostID]*Placed{},

		Unplaced:    map[Unit]*UnitHead{},
		Several:     map[Unit]bool{},
		Orphans:     map[Unit]map[HostID]*Status{},
		Destroyed:   map[Unit]int64{},
		OrphanStops: map[Where]int64{},

		Groups:  map[GroupName]*GroupHead{},
		Windows: map[GroupName]*WindowHead{},
		History: map[HistoryKey]*Record{},
	}
}

// host finds or makes the entry of a host.
func (s *Snapshot) host(id HostID) *Host {
	h := s.Hosts[id]
	if h == nil {
		h = &Host{ID: id, Placed: map[Unit]*Placed{}, Status: map[Unit]*Status{}}
		s.Hosts[id] = h
	}
	return h
}

// SetUnit records a unit head.
func (s *Snapshot) SetUnit(u *UnitHead) {
	s.Units[u.Name] = u
	if len(s.Placed[u.Name]) == 0 {
		s.Unplaced[u.Name] = u
	}
}

// DeleteUnit forgets a unit head; its placements stay until the leader ends them.
func (s *Snapshot) DeleteUnit(name Unit) {
	delete(s.Units, name)
	delete(s.Unplaced, name)
}

// SetHostSpec records what the operator says of a host. DrainSeen stays while the wish to drain does.
func (s *Snapshot) SetHostSpec(id HostID, spec HostSpec, rev int64, now time.Time) {
	h := s.host(id)
	switch was := h.Spec.Drain; {
	case spec.Drain == nil:
		h.DrainSeen = time.Time{}
	case was == nil || *was != *spec.Drain:
		h.DrainSeen = now
	}
	h.Spec, h.SpecRev = spec, rev
}

// DeleteHostSpec forgets what the operator said.
func (s *Snapshot) DeleteHostSpec(id HostID) {
	if h := s.Hosts[id]; h != nil {
		h.Spec, h.SpecRev, h.DrainSeen = HostSpec{}, 0, time.Time{}
		s.prune(h)
	}
}

// SetHostInfo records what an agent says of its host; a host first seen this way
// without a sign of life counts as absent from now on.
func (s *Snapshot) SetHostInfo(id HostID, info *HostInfo, now time.Time) {
	h := s.host(id)
	h.Info = info
	if info == nil {
		s.prune(h)
		return
	}
	if h.Alive == nil && h.Absent.IsZero() {
		h.Absent = now
	}
}

// SetAlive records a sign of life; rev is the key's create revision.
func (s *Snapshot) SetAlive(id HostID, a *Alive, rev int64) {
	h := s.host(id)
	h.Alive, h.AliveRev, h.Absent, h.AbsentRev = a, rev, time.Time{}, 0
}

// DeleteAlive records that a host's lease was seen to end at revision rev.
func (s *Snapshot) DeleteAlive(id HostID, rev int64, now time.Time) {
	h := s.host(id)
	if h.Alive != nil || h.Absent.IsZero() {
		h.Absent, h.AbsentRev = now, rev
	}
	h.Alive, h.AliveRev = nil, 0
	s.prune(h)
}

// SetPlaced records a placement. A unit that counted as without an order has one now.
func (s *Snapshot) SetPlaced(p *Placed) {
	s.host(p.Host).Placed[p.Unit] = p
	m := s.Placed[p.Unit]
	if m == nil {
		m = map[HostID]*Placed{}
		s.Placed[p.Unit] = m
		delete(s.Unplaced, p.Unit)
	}
	m[p.Host] = p
	if len(m) > 1 {
		s.Several[p.Unit] = true
	}
	s.noteOrphan(Where{Host: p.Host, Unit: p.Unit})
}

// DeletePlaced forgets a placement.
func (s *Snapshot) DeletePlaced(w Where) {
	if m := s.Placed[w.Unit]; m != nil {
		delete(m, w.Host)
		if len(m) < 2 {
			delete(s.Several, w.Unit)
		}
		if len(m) == 0 {
			delete(s.Placed, w.Unit)
			if head := s.Units[w.Unit]; head != nil {
				s.Unplaced[w.Unit] = head
			}
		}
	}
	if h := s.Hosts[w.Host]; h != nil {
		delete(h.Placed, w.Unit)
		s.noteOrphan(w)
		s.prune(h)
	}
}

// SetStatus records an agent's report of one unit. Seen stays what it was while the unit stays as it was.
func (s *Snapshot) SetStatus(w Where, st *Status) {
	h := s.host(w.Host)
	if old := h.Status[w.Unit]; old != nil && old.sameAs(st) {
		st.Seen = old.Seen
	}
	h.Status[w.Unit] = st
	s.noteOrphan(w)
}

// noteOrphan keeps Orphans up to date. A unit whose order has just vanished counts before
// its host says so, so that it is not placed elsewhere in between.
func (s *Snapshot) noteOrphan(w Where) {
	h := s.Hosts[w.Host]
	st := h.Status[w.Unit]
	if st == nil || !st.Unordered(h.Placed[w.Unit] != nil) {
		s.deleteOrphan(w)
		return
	}
	m := s.Orphans[w.Unit]
	if m == nil {
		m = map[HostID]*Status{}
		s.Orphans[w.Unit] = m
	}
	m[w.Host] = st
}

// DeleteStatus forgets a report.
func (s *Snapshot) DeleteStatus(w Where) {
	if h := s.Hosts[w.Host]; h != nil {
		delete(h.Status, w.Unit)
		s.prune(h)
	}
	s.deleteOrphan(w)
}

func (s *Snapshot) deleteOrphan(w Where) {
	m := s.Orphans[w.Unit]
	delete(m, w.Host)
	if m != nil && len(m) == 0 {
		delete(s.Orphans, w.Unit)
	}
}

// SetDestroyed records that a user destroyed a unit. A head that is merely missing ends nothing.
func (s *Snapshot) SetDestroyed(name Unit, rev int64) { s.Destroyed[name] = rev }

// DeleteDestroyed forgets that: nothing of the unit is left, or it was submitted again.
func (s *Snapshot) DeleteDestroyed(name Unit) { delete(s.Destroyed, name) }

// SetOrphanStop records an operator's wish that an orphan be stopped.
func (s *Snapshot) SetOrphanStop(w Where, rev int64) { s.OrphanStops[w] = rev }

// DeleteOrphanStop forgets that wish.
func (s *Snapshot) DeleteOrphanStop(w Where) { delete(s.OrphanStops, w) }

// SetGrant records the leader's word on a host's reboot; bad says why it cannot be read. GrantSeen stays
// what it was while the grant stays in its phase, GrantReady and GrantBack for as long as it is the same reboot's.
func (s *Snapshot) SetGrant(id HostID, g *Grant, bad string, rev int64, now time.Time) {
	h := s.host(id)
	if h.Grant == nil || g == nil || h.Grant.Generation != g.Generation || h.Grant.Phase != g.Phase {
		h.GrantSeen = now
	}
	if h.Grant == nil || g == nil || h.Grant.Generation != g.Generation {
		h.GrantReady, h.GrantBack = time.Time{}, time.Time{}
	}
	switch {
	case g == nil:
	case g.Phase == PhaseDrained && h.GrantReady.IsZero():
		h.GrantReady = now
	case (g.Phase == PhaseReturning || g.Phase == PhaseSettling) && h.GrantBack.IsZero():
		h.GrantBack = now
	}
	h.Grant, h.GrantBad, h.GrantRev = g, bad, rev
}

// DeleteGrant forgets it.
func (s *Snapshot) DeleteGrant(id HostID) {
	if h := s.Hosts[id]; h != nil {
		h.Grant, h.GrantBad, h.GrantRev = nil, "", 0
		h.GrantSeen, h.GrantReady, h.GrantBack = time.Time{}, time.Time{}, time.Time{}
		s.prune(h)
	}
}

// SetBooting records a host's word that it uses a grant; nil forgets it.
func (s *Snapshot) SetBooting(id HostID, b *Booting, rev int64) {
	h := s.host(id)
	h.Booting, h.BootingRev = b, rev
	s.prune(h)
}

// prune drops a host of which nothing is known any more.
func (s *Snapshot) prune(h *Host) {
	if h.SpecRev == 0 && h.Info == nil && h.Alive == nil && len(h.Placed) == 0 && len(h.Status) == 0 && h.GrantRev == 0 && h.BootingRev == 0 {
		delete(s.Hosts, h.ID)
	}
}

// Unreadable is the unit's first placement, by host id, that cannot be read, or nil. A newer leader may
// know orders that this flotilla does not: nothing of such a unit is touched.
func (s *Snapshot) Unreadable(name Unit) *Placed {
	var first *Placed
	for id, p := range s.Placed[name] {
		if p.Bad != "" && (first == nil || id < first.Host) {
			first = p
		}
	}
	return first
}

// KnownHosts are the hosts that belong to the cluster, in the order of their ids: those
// with an agent's word about themselves that no operator removed.
func (s *Snapshot) KnownHosts() []*Host {
	out := make([]*Host, 0, len(s.Hosts))
	for _, h := range s.Hosts {
		if (h.Info != nil || h.Alive != nil) && h.Spec.Removed == nil {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *Host) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// UnitNames are the names of all unit heads and of all placements without a head, sorted.
func (s *Snapshot) UnitNames() []Unit {
	out := make([]Unit, 0, len(s.Units))
	for n := range s.Units {
		out = append(out, n)
	}
	for n := range s.Placed {
		if s.Units[n] == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
