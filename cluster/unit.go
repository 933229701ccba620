package cluster

import (
	"fmt"
	"time"

	"flotilla/units"
)

// Unit is a unit's name.
type Unit = units.Name

// UnitSpec is the head of a raw unit (key unit/<name>), written by users only.
// Run rises with every start, Restart with every restart or replaced content: the
// agent compares them with what it last carried out, so that an order is
// obeyed once, whoever dies in between.
type UnitSpec struct {
	Blob     units.Hash `json:"blob"`
	DropIns  units.Hash `json:"dropins,omitempty"`  // the bundle of the user's drop-ins; "" = none
	Template Unit       `json:"template,omitempty"` // the template an instance was made of
	// TemplateDropIns is the bundle that the template had then. DropIns holds it and the instance's own.
	TemplateDropIns units.Hash `json:"template_dropins,omitempty"`

	Target  units.Target `json:"target"`
	Run     int64        `json:"run,omitempty"`
	Restart int64        `json:"restart,omitempty"`
	By      Note         `json:"by"`
	Request string       `json:"request,omitempty"` // that made it so: a repeat of it changes nothing
	Shift   Shift        `json:"shift,omitzero"`
	Applied string       `json:"applied,omitempty"` // the set of files that flotilla apply made it of, last
}

// Shift is the move of one placement to another host, as a user's wish (rebalance) and in the orders that
// carry a move out. It holds for the placement on From at exactly this generation: once that changed, it
// means nothing.
type Shift struct {
	From       HostID `json:"from"`
	Generation int64  `json:"generation"`
	To         HostID `json:"to,omitempty"` // tried first, if it still fits
}

// Outdated says that the template of an instance is another now than it was made of. template is
// the template's head, which may be nil.
func (s *UnitSpec) Outdated(template *UnitSpec) bool {
	return s.Template != "" && template != nil && (s.Blob != template.Blob || s.TemplateDropIns != template.DropIns)
}

// UnitHead is a UnitSpec in a Snapshot, with its content parsed.
type UnitHead struct {
	Name Unit
	Spec UnitSpec
	Rev  int64       // mod revision of the head
	File *units.File // nil while the blob is not at hand
	Req  units.Requirements
	Bad  string // why the content cannot be used; such a unit is never touched
}

// Order is the state the leader wants of a placement.
type Order int

// The orders. Gone is the tombstone: only this explicit order ends a unit on a host
// (law 1: absence is never an order).
const (
	Loaded Order = iota + 1
	Launched
	Draining
	Gone
)

// words are the orders' words, by order.
func words() [Gone + 1]string {
	return [...]string{Loaded: "loaded", Launched: "launched", Draining: "draining", Gone: "gone"}
}

// String is the order's word in keys, API and CLI.
func (o Order) String() string {
	if o < Loaded || o > Gone {
		return fmt.Sprintf("order(%d)", int(o))
	}
	return words()[o]
}

// MarshalText writes the order's word; an unknown order is an error.
func (o Order) MarshalText() ([]byte, error) {
	if o < Loaded || o > Gone {
		return nil, fmt.Errorf("unknown order %d", int(o))
	}
	return []byte(words()[o]), nil
}

// UnmarshalText reads an order's word; an unknown word is an error and leaves o alone.
func (o *Order) UnmarshalText(b []byte) error {
	for i, w := range words() {
		if w != "" && w == string(b) {
			*o = Order(i)
			return nil
		}
	}
	return fmt.Errorf("unknown order %q", b)
}

// Placement is a leader's order (key to/<host>/place/<unit>): this unit, these
// bytes, on this host, in this state. Generation is the store revision it was
// decided at: it only grows for a unit, over moves and over destroy and submit, and
// doubles as the fence token.
type Placement struct {
	Generation int64         `json:"generation"`
	State      Order         `json:"state"`
	Blob       units.Hash    `json:"blob"`
	DropIns    units.Hash    `json:"dropins,omitempty"` // the bundle of the user's drop-ins
	Run        int64         `json:"run,omitempty"`
	Restart    int64         `json:"restart,omitempty"`
	Fence      bool          `json:"fence,omitempty"`
	StopWithin time.Duration `json:"stop_within,omitempty"` // nanoseconds; 0 = the unit's own TimeoutStopSec
	Reason     string        `json:"reason"`

	// Shift is the move between living hosts that the order is a part of. A placement that has one takes
	// over from that on Shift.From, which stays until this one is available (start-first). A tombstone that
	// has one was written because its user wanted the unit to leave its host.
	Shift Shift `json:"shift,omitzero"`
	// Tries counts the hosts on which the unit failed, one after the other, with this content: in the
	// tombstone that its failure left there, and in a placement those that led to it.
	Tries int `json:"tries,omitempty"`
}

// Placed is a Placement in a Snapshot.
type Placed struct {
	Placement
	Host HostID
	Unit Unit
	Rev  int64  // mod revision
	Bad  string // why it cannot be read; what it says then stands for an order to keep the unit
}

// Status is what a host's agent reports of one unit (key status/<host>/<unit>). It
// is believed while the host is alive with the same boot id.
type Status struct {
	Generation int64       `json:"generation"` // of the placement that was obeyed; 0 for an orphan
	Order      Order       `json:"order,omitempty"`
	Blob       units.Hash  `json:"blob,omitempty"`    // what the unit file holds
	DropIn     units.Hash  `json:"dropin,omitempty"`  // what our drop-in holds
	DropIns    units.Hash  `json:"dropins,omitempty"` // the bundle of the user's drop-ins
	Boot       string      `json:"boot"`
	State      units.State `json:"state"`
	Invocation string      `json:"invocation,omitempty"`
	Since      time.Time   `json:"since,omitzero"`
	Restarts   int         `json:"restarts,omitempty"` // automatic restarts by systemd
	Orphan     bool        `json:"orphan,omitempty"`   // ours, running, without any order
	Message    string      `json:"message,omitempty"`  // why it is not as ordered, one sentence
	Refused    bool        `json:"refused,omitempty"`  // by the host or its systemd, which nobody asks again: Message says why
	Tail       []string    `json:"tail,omitempty"`     // last log lines of a unit that failed or was refused, at most 10
	Seen       time.Time   `json:"-"`                  // when this process first saw the unit so: see sameAs
}

// sameAs says that the unit has been in one state from one report to the other.
func (s *Status) sameAs(o *Status) bool {
	return s.Generation == o.Generation && s.Order == o.Order && s.Boot == o.Boot && s.State == o.State && s.Invocation == o.Invocation
}

// Restarting begins the Message of a unit that failed and that systemd restarts in a moment; how it
// failed follows.
const Restarting = "waiting for systemd to restart it: "

// Ended begins the Message of a unit that is over, with no job of ours under way.
const Ended = "ended"

// Acknowledged says that the tombstone p was carried out on a host: nothing of the
// unit runs there any more.
func (s *Status) Acknowledged(p Placement) bool {
	return s != nil && p.State == Gone && s.Order == Gone && s.Generation >= p.Generation
}

// Unordered says that the unit runs on its host without an order: the host says so, or
// there is none while it says that the unit runs.
func (s *Status) Unordered(placed bool) bool {
	if s.Orphan || placed {
		return s.Orphan
	}
	switch s.State.Active {
	case "active", "activating", "reloading", "deactivating":
		return true
	}
	return false
}

// View is all that one agent obeys, read at one revision: the placements under
// to/<host>/ and the store's identity. An agent acts on complete views only.
type View struct {
	Host     HostID   `json:"host"`
	Store    Identity `json:"store"`
	Revision int64    `json:"revision"`
	// Seen is set in a view that repeats the one before, and says the revision at which the
	// store was just found to be the same one still.
	Seen  int64              `json:"-"`
	Place map[Unit]Placement `json:"place"`
	// Bad are placements that cannot be read, with the reason: a newer leader may know orders
	// that this agent does not. Such a unit is never touched.
	Bad      map[Unit]string `json:"bad,omitempty"`
	Accepted *Acceptance     `json:"accepted,omitempty"`
	// Grant is the leader's word on the host's reboot, nil without one. It is not kept on disk: what it
	// allows is done by a transaction.
	Grant *Granting `json:"-"`
}

// Identity is the store's own random id and its generation (key store). etcd's
// cluster id is no identity: the same flags after a wipe give the same one.
type Identity struct {
	ID         string `json:"id"`         // 32 hex digits, random
	Generation int64  `json:"generation"` // raised by a restore
	Schema     string `json:"schema"`     // semantic version of the key layout
}

// Acceptance is an operator's word that hosts frozen on the store Old may follow
// this one (key accepted).
type Acceptance struct {
	ID  string `json:"id"` // random: hosts remember which ones they used up
	Old string `json:"old"`
	By  Note   `json:"by"`
}
