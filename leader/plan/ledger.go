package plan

import (
	"cmp"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// host is a cluster host with what this plan knows of it besides.
type host struct {
	*cluster.Host
	index    int
	known    bool      // it told us who it is, or holds a slot
	removed  bool      // by an operator
	ready    bool      // alive, and what it says of itself is from its present boot
	shut     closure   // why it takes no new units
	leaves   bool      // its units are to go elsewhere
	drain    *draining // once somebody asked: see drainOf
	gone     bool      // its absence was judged: its units may run elsewhere
	due      bool      // absent for long enough to be believed, storm or not
	believed time.Time // when an absent host's absence may be acted on
	units    int       // that occupy it
	taken    room      // that they reserve
	share    float64   // of the scarcer of memory and processor that is reserved
	capacity capacity
	labels   map[string]string
	changed  map[cluster.Unit]cluster.Order // what this plan changed here; 0 = deleted
}

// label is Labels, computed once.
func (h *host) label() map[string]string {
	if h.labels == nil {
		h.labels = h.Labels()
	}
	return h.labels
}

// ledger is the snapshot with the decisions of this plan carried out. A host is
// occupied by its placements and by its tombstones until they are acknowledged.
type ledger struct {
	hosts     []*host // by id
	byID      map[cluster.HostID]*host
	added     map[cluster.Unit][]*host           // hosts that got the unit in this plan
	spots     slab[*host]                        // of added
	freed     map[cluster.Unit][]*cluster.Placed // acknowledged tombstones that stand until the unit is placed
	released  int                                // how often a unit left a host in this plan
	loosened  int                                // and how often one in service
	conflicts conflicts
	families  families
	replacers replacers
	of        *cluster.Snapshot
}

func newLedger(snap *cluster.Snapshot) ledger {
	l := ledger{
		hosts: make([]*host, 0, len(snap.Hosts)),
		byID:  make(map[cluster.HostID]*host, len(snap.Hosts)),
		added: map[cluster.Unit][]*host{},
		freed: map[cluster.Unit][]*cluster.Placed{},
		of:    snap,
	}
	for _, h := range snap.Hosts {
		_, ready := h.Boot()
		l.hosts = append(l.hosts, &host{
			Host: h, units: len(h.Placed),
			known:   h.Info != nil || h.Alive != nil || h.HoldsSlot(),
			removed: h.Spec.Removed != nil,
			ready:   ready,
			shut:    closed(h), leaves: leaves(h),
		})
	}
	slices.SortFunc(l.hosts, func(a, b *host) int { return cmp.Compare(a.ID, b.ID) })
	for i, h := range l.hosts {
		h.index = i
		h.capacity = capacityOf(h)
		l.byID[h.ID] = h
	}
	return l
}

// order is the state of the unit's placement on the host, 0 without one.
func (l *ledger) order(u cluster.Unit, h *host) cluster.Order {
	if len(h.changed) > 0 {
		if st, changed := h.changed[u]; changed {
			return st
		}
	}
	if pl := h.Placed[u]; pl != nil {
		return pl.State
	}
	return 0
}

// live says whether the unit is ordered to be on the host.
func (l *ledger) live(u cluster.Unit, h *host) bool {
	st := l.order(u, h)
	return st != 0 && st != cluster.Gone
}

// liveHosts are the hosts that the unit is ordered to be on, by id.
func (l *ledger) liveHosts(u cluster.Unit) []*host {
	var out []*host
	for id := range l.of.Placed[u] {
		if h := l.byID[id]; l.live(u, h) {
			out = append(out, h)
		}
	}
	for _, h := range l.added[u] {
		if h.Placed[u] == nil && l.live(u, h) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *host) int { return cmp.Compare(a.index, b.index) })
	return out
}

// occupy records that the unit stands on the host in this state from now on.
func (l *ledger) occupy(u cluster.Unit, h *host, st cluster.Order) {
	if l.order(u, h) == 0 {
		h.units++
		l.count(u, h, +1)
	}
	h.change(u, st)
	if st == cluster.Gone {
		return
	}
	if at := l.added[u]; len(at) > 0 {
		l.added[u] = append(at, h)
	} else {
		l.added[u] = l.spots.of(h)
	}
}

// change records what this plan makes of the unit here.
func (h *host) change(u cluster.Unit, st cluster.Order) {
	if h.changed == nil {
		h.changed = map[cluster.Unit]cluster.Order{}
	}
	h.changed[u] = st
}

// count keeps all counts when a unit comes to or leaves a host.
func (l *ledger) count(u cluster.Unit, h *host, by int) {
	l.conflicts.count(l.of, u, h, int32(by))
	l.families.count(u, h, by)
	if head := l.of.Units[u]; head != nil {
		l.stands(head, h, by)
	}
}

// stands keeps what a host's units reserve and replace.
func (l *ledger) stands(head *cluster.UnitHead, h *host, by int) {
	h.reserve(demand(&head.Req), int64(by))
	l.replacers.count(head, h, by)
}

// takesNothing says that a unit matters to its host only as one more.
func takesNothing(req *units.Requirements) bool {
	return req.Memory == 0 && req.CPU == 0 && len(req.Replaces) == 0
}

// release records that nothing of the unit is left on the host.
func (l *ledger) release(u cluster.Unit, h *host) {
	if l.order(u, h) == 0 {
		return
	}
	h.units--
	l.released++
	if h.ready {
		l.loosened++
	}
	l.count(u, h, -1)
	h.change(u, 0)
}

// placements are those of a unit in the snapshot, by host. A unit on many hosts, which is a
// global one, needs no sorting: the hosts are sorted.
func (l *ledger) placements(u cluster.Unit) []*cluster.Placed {
	at := l.of.Placed[u]
	if len(at) < len(l.hosts)/8 {
		return sorted(at)
	}
	out := make([]*cluster.Placed, 0, len(at))
	for _, h := range l.hosts {
		if pl := at[h.ID]; pl != nil {
			out = append(out, pl)
		}
	}
	return out
}

// tombstones are those of its placements that end it.
func (l *ledger) tombstones(u cluster.Unit) []*cluster.Placed {
	at := l.of.Placed[u]
	out := make([]*cluster.Placed, 0, min(len(at), 4))
	for _, pl := range at {
		if pl.State == cluster.Gone {
			out = append(out, pl)
		}
	}
	slices.SortFunc(out, func(a, b *cluster.Placed) int { return cmp.Compare(a.Host, b.Host) })
	return out
}

// sorted are the placements of a unit, by host.
func sorted(at map[cluster.HostID]*cluster.Placed) []*cluster.Placed {
	out := make([]*cluster.Placed, 0, len(at))
	for _, pl := range at {
		out = append(out, pl)
	}
	slices.SortFunc(out, func(a, b *cluster.Placed) int { return cmp.Compare(a.Host, b.Host) })
	return out
}
