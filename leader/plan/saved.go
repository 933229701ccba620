package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// savedFormat is the number of Saved's layout; another one is refused.
const savedFormat = 1

// Saved is all that the planner looks at, as a file: a snapshot with the contents of its units, the settings
// of the planner and the time. The same cluster makes the same Saved.
type Saved struct {
	Format     int                    `json:"flotilla_snapshot"` // savedFormat
	Taken      time.Time              `json:"taken"`
	Options    Options                `json:"options"`
	Store      cluster.Identity       `json:"store"`
	Revision   int64                  `json:"revision"`
	HostsEpoch int64                  `json:"hosts_epoch,omitempty"`
	Watched    time.Time              `json:"watched,omitzero"`
	Loaded     int64                  `json:"loaded,omitempty"`
	Resumed    int64                  `json:"resumed,omitempty"`
	Hosts      []SavedHost            `json:"hosts"`
	Units      []SavedUnit            `json:"units"`
	Contents   map[units.Hash][]byte  `json:"contents"` // of the unit files, base64
	Destroyed  map[cluster.Unit]int64 `json:"destroyed,omitempty"`
	Stops      []SavedStop            `json:"orphan_stops,omitempty"`
	SavedReboots
}

// SavedHost is a host with its orders and reports.
type SavedHost struct {
	ID        cluster.HostID                `json:"id"`
	Spec      cluster.HostSpec              `json:"spec"`
	SpecRev   int64                         `json:"spec_revision,omitempty"`
	Info      *cluster.HostInfo             `json:"info,omitempty"`
	Alive     *cluster.Alive                `json:"alive,omitempty"`
	AliveRev  int64                         `json:"alive_revision,omitempty"`
	Absent    time.Time                     `json:"absent,omitzero"`
	AbsentRev int64                         `json:"absent_revision,omitempty"`
	DrainSeen time.Time                     `json:"drain_seen,omitzero"`
	Placed    map[cluster.Unit]SavedPlaced  `json:"placed,omitempty"`
	Status    map[cluster.Unit]*SavedStatus `json:"status,omitempty"`
	SavedGrant
}

// SavedStatus is a report with when it was first seen to be so.
type SavedStatus struct {
	cluster.Status
	Seen time.Time `json:"seen,omitzero"`
}

// SavedPlaced is a placement with its mod revision.
type SavedPlaced struct {
	cluster.Placement
	Rev int64  `json:"revision"`
	Bad string `json:"bad,omitempty"` // why the order cannot be read; the rest is empty then
}

// SavedUnit is a unit's head. Its content is under Spec.Blob in Contents; without one Bad says why.
type SavedUnit struct {
	Name cluster.Unit     `json:"name"`
	Spec cluster.UnitSpec `json:"spec"`
	Rev  int64            `json:"revision"`
	Bad  string           `json:"bad,omitempty"`

	// Req is what the unit asks for where its content alone does not say it; nil = as the content says.
	Req *units.Requirements `json:"requirements,omitempty"`
}

// SavedStop is an operator's wish that an orphan be stopped.
type SavedStop struct {
	Host cluster.HostID `json:"host"`
	Unit cluster.Unit   `json:"unit"`
	Rev  int64          `json:"revision"`
}

// ErrNotSaved says that a file is no saved snapshot that this flotilla can read.
var ErrNotSaved = errors.New("not a snapshot that this flotilla can read")

// Save makes a Saved of a snapshot, with which it shares its values.
func Save(snap *cluster.Snapshot, opt Options, now time.Time) Saved {
	out := Saved{
		Format: savedFormat, Taken: now, Options: opt.withDefaults(), Store: snap.Store, Revision: snap.Revision,
		HostsEpoch: snap.HostsEpoch, Watched: snap.Watched, Loaded: snap.Loaded, Resumed: snap.Resumed,
		Hosts: []SavedHost{}, Units: []SavedUnit{}, Contents: map[units.Hash][]byte{}, Destroyed: maps.Clone(snap.Destroyed),
		SavedReboots: saveReboots(snap),
	}
	for _, id := range slices.Sorted(maps.Keys(snap.Hosts)) {
		out.Hosts = append(out.Hosts, saveHost(snap.Hosts[id]))
	}
	for _, name := range slices.Sorted(maps.Keys(snap.Units)) {
		head := snap.Units[name]
		unit := SavedUnit{Name: name, Spec: head.Spec, Rev: head.Rev, Bad: head.Bad}
		if head.File != nil {
			out.Contents[head.Spec.Blob] = head.File.Raw
			if req, err := head.File.Requirements(); err != nil || !reflect.DeepEqual(req, head.Req) {
				unit.Req = &head.Req
			}
		}
		out.Units = append(out.Units, unit)
	}
	for _, w := range sortedWheres(snap.OrphanStops) {
		out.Stops = append(out.Stops, SavedStop{w.Host, w.Unit, snap.OrphanStops[w]})
	}
	return out
}

func saveHost(h *cluster.Host) SavedHost {
	out := SavedHost{
		ID: h.ID, Spec: h.Spec, SpecRev: h.SpecRev, Info: h.Info, Alive: h.Alive, AliveRev: h.AliveRev,
		Absent: h.Absent, AbsentRev: h.AbsentRev, DrainSeen: h.DrainSeen,
		Status: make(map[cluster.Unit]*SavedStatus, len(h.Status)),
		Placed: make(map[cluster.Unit]SavedPlaced, len(h.Placed)), SavedGrant: saveGrant(h),
	}
	for u, st := range h.Status {
		out.Status[u] = &SavedStatus{*st, st.Seen}
	}
	for u, pl := range h.Placed {
		out.Placed[u] = SavedPlaced{pl.Placement, pl.Rev, pl.Bad}
	}
	return out
}

// Snapshot is the snapshot that was saved. The error wraps ErrNotSaved.
func (s *Saved) Snapshot() (*cluster.Snapshot, error) {
	if s.Format != savedFormat {
		return nil, fmt.Errorf("%w: flotilla_snapshot is %d, want %d (flotilla simulate --save FILE writes one)", ErrNotSaved, s.Format, savedFormat)
	}
	out := cluster.NewSnapshot()
	out.Complete = true
	out.Store, out.Revision, out.HostsEpoch = s.Store, s.Revision, s.HostsEpoch
	out.Watched, out.Loaded, out.Resumed = s.Watched, s.Loaded, s.Resumed
	for i := range s.Hosts {
		if err := s.Hosts[i].restore(out); err != nil {
			return nil, err
		}
	}
	for _, u := range s.Units {
		head, err := s.head(u)
		if err != nil {
			return nil, err
		}
		out.SetUnit(head)
	}
	for u, rev := range s.Destroyed {
		out.SetDestroyed(u, rev)
	}
	s.SavedReboots.restore(out)
	for _, w := range s.Stops {
		out.SetOrphanStop(cluster.Where{Host: w.Host, Unit: w.Unit}, w.Rev)
	}
	return out, nil
}

// restore puts a host into a snapshot.
func (h *SavedHost) restore(into *cluster.Snapshot) error {
	if _, err := cluster.ParseHostID(string(h.ID)); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	into.SetHostSpec(h.ID, h.Spec, h.SpecRev, h.DrainSeen)
	host := into.Hosts[h.ID]
	host.Info, host.Alive, host.AliveRev, host.Absent, host.AbsentRev = h.Info, h.Alive, h.AliveRev, h.Absent, h.AbsentRev
	h.SavedGrant.restore(host)
	for u, pl := range h.Placed {
		into.SetPlaced(&cluster.Placed{Placement: pl.Placement, Rev: pl.Rev, Host: h.ID, Unit: u, Bad: pl.Bad})
	}
	for u, st := range h.Status {
		if st == nil {
			return fmt.Errorf("%w: host %s: the status of %s is null", ErrNotSaved, h.ID.Short(), u)
		}
		status := st.Status
		status.Seen = st.Seen
		into.SetStatus(cluster.Where{Host: h.ID, Unit: u}, &status)
	}
	return nil
}

// head parses a unit's content as the store's mirror does.
func (s *Saved) head(u SavedUnit) (*cluster.UnitHead, error) {
	if _, err := units.ParseName(string(u.Name)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	head := &cluster.UnitHead{Name: u.Name, Spec: u.Spec, Rev: u.Rev, Bad: u.Bad}
	raw, found := s.Contents[u.Spec.Blob]
	if !found {
		head.Bad = cmp.Or(u.Bad, "its content is not in the snapshot")
		return head, nil
	}
	if err := parseInto(head, raw); err != nil && u.Bad == "" {
		return nil, fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	if u.Req != nil {
		head.Req = *u.Req
	}
	return head, nil
}

// NewHead is the head of a unit with this content and these drop-ins, as Assumptions.Add takes it. The
// error is that of units.Parse, File.With and File.Requirements.
func NewHead(name cluster.Unit, raw []byte, d units.DropIns) (cluster.UnitHead, error) {
	head := cluster.UnitHead{Name: name}
	head.Spec.Blob, head.Spec.Target = units.HashOf(raw), units.Launched
	if err := parseInto(&head, raw); err != nil || len(d) == 0 {
		return head, err
	}
	file, err := head.File.With(d)
	if err != nil {
		return head, err
	}
	head.File = file
	head.Req, err = file.Requirements()
	return head, err
}

func parseInto(head *cluster.UnitHead, raw []byte) error {
	file, err := units.Parse(head.Name, raw)
	if err != nil {
		return err
	}
	head.File = file
	head.Req, err = file.Requirements()
	return err
}
