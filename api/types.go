package api

import (
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Unit is a unit as lists and status show it.
type Unit struct {
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Target      units.Target `json:"target"` // what the user wants
	State       units.Target `json:"state"`  // what was reached, in the same words
	Hash        units.Hash   `json:"hash"`
	DropIns     units.Hash   `json:"dropins,omitempty"` // of all its drop-ins together; empty = it has none
	Template    string       `json:"template,omitempty"`
	Outdated    bool         `json:"outdated,omitempty"` // its template is another now than it was made of
	Applied     string       `json:"applied,omitempty"`  // the set of files of which flotilla apply made it
	Global      bool         `json:"global,omitempty"`
	Fence       bool         `json:"fence,omitempty"`
	Revision    int64        `json:"revision"` // of the head: what If-Match compares
	Settled     bool         `json:"settled"`  // everything is as wanted
	Failed      bool         `json:"failed,omitempty"`
	Ended       bool         `json:"ended,omitempty"`   // what was started has ended well; a one-shot is settled by it
	Failure     string       `json:"failure,omitempty"` // how it failed that systemd restarts now
	Reason      string       `json:"reason,omitempty"`  // why it is not settled, or why a global unit is not on more hosts; one sentence
	Instances   []Instance   `json:"instances"`         // by host name, then id; empty while unplaced
}

// Instance is a unit on one host.
type Instance struct {
	Unit       string     `json:"unit"`
	Host       string     `json:"host"`
	HostName   string     `json:"host_name"`
	Address    string     `json:"address,omitempty"`
	Order      string     `json:"order,omitempty"` // loaded, launched, draining, gone; unreadable; empty for an orphan
	Generation int64      `json:"generation,omitempty"`
	Hash       units.Hash `json:"hash,omitempty"`
	DropIns    units.Hash `json:"dropins,omitempty"` // of the drop-ins, together
	Load       string     `json:"load"`
	Active     string     `json:"active"` // "unknown" while the host's word cannot be believed
	Sub        string     `json:"sub"`
	Result     string     `json:"result,omitempty"`
	Since      time.Time  `json:"since,omitzero"`
	Invocation string     `json:"invocation,omitempty"`
	Restarts   int        `json:"restarts,omitempty"`
	Orphan     bool       `json:"orphan,omitempty"`
	Message    string     `json:"message,omitempty"`
	Why        string     `json:"why,omitempty"` // the leader's reason for the order
	Tail       []string   `json:"tail,omitempty"`
}

// Host is a host as lists and status show it.
type Host struct {
	ID       string             `json:"id"`
	Name     string             `json:"name"`
	Address  string             `json:"address,omitempty"`
	State    HostState          `json:"state"`
	Since    time.Time          `json:"since,omitzero"`         // of the absence
	Earlier  bool               `json:"since_before,omitempty"` // absent since before Since: this daemon did not see it begin
	Labels   map[string]string  `json:"labels"`
	Cordon   *cluster.Note      `json:"cordon,omitempty"`
	Drain    *cluster.DrainWish `json:"drain,omitempty"`    // a person wants its units to go elsewhere
	Draining *Draining          `json:"draining,omitempty"` // how far it is drained, by a person or for a reboot
	Version  string             `json:"version,omitempty"`
	OS       string             `json:"os,omitempty"`
	Kernel   string             `json:"kernel,omitempty"`
	Systemd  int                `json:"systemd,omitempty"`
	Runtimes map[string]string  `json:"runtimes,omitempty"`
	CPUs     int                `json:"cpus,omitempty"`
	Memory   int64              `json:"memory,omitempty"`   // bytes
	Reserved int64              `json:"reserved,omitempty"` // bytes of Memory that units may not have
	Boot     string             `json:"boot,omitempty"`
	Units    int                `json:"units"` // placed here, tombstones not counted
	Active   int                `json:"active"`
	Orphans  []string           `json:"orphans,omitempty"`
	Revision int64              `json:"revision"`
	Leader   bool               `json:"leader,omitempty"`

	Reboot     *cluster.RebootWish `json:"reboot,omitempty"`     // the newest request that it reboot
	Phase      cluster.Phase       `json:"phase,omitzero"`       // of its present or last reboot
	Generation int64               `json:"generation,omitempty"` // of that
	Served     int64               `json:"served,omitempty"`     // id of the request that it is for
	Freeze     *cluster.Freeze     `json:"freeze,omitempty"`
}

// HostState is a host's state in one word.
type HostState string

// The states of a host. Only a watch says HostGone, once, of a host that is no more.
const (
	HostAlive   HostState = "alive"
	HostAbsent  HostState = "absent"
	HostRemoved HostState = "removed"
	HostGone    HostState = "gone"
)

// Cluster is the whole in a few figures.
type Cluster struct {
	Revision int64     `json:"revision"`
	Store    string    `json:"store"`
	Schema   string    `json:"schema"`
	Leader   string    `json:"leader,omitempty"` // name of the leading host; empty while there is none
	Hosts    []Host    `json:"hosts"`
	Units    int       `json:"units"`             // that should run
	Running  int       `json:"running"`           // of those
	Waiting  []Waiting `json:"waiting,omitempty"` // the first thousand

	WaitingUnits int `json:"waiting_units"` // how many there are

	Etcd []EtcdMember `json:"etcd,omitempty"` // members of our etcd, by name; empty for one that is not ours

	Reboots string   `json:"reboots,omitempty"` // what is going on or stuck, one sentence
	Notices []string `json:"notices,omitempty"` // what a person should know: storm brake, frozen, orphans
	Local   Local    `json:"local"`
}

// Waiting is a unit that is not as wanted, and why.
type Waiting struct {
	Unit   string `json:"unit"`
	Reason string `json:"reason"`
}

// Local is what the answering daemon says of itself and its agent; it needs no store.
type Local struct {
	Host     string    `json:"host"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Frozen   string    `json:"frozen,omitempty"`   // why the agent follows no orders
	StoreOut time.Time `json:"store_out,omitzero"` // since when the store is out of reach
	Message  string    `json:"message,omitempty"`

	Boot cluster.Boot `json:"boot,omitzero"` // the present run of the host
}

// Change is one wish about one unit, part of a batch: POST /v1/changes takes them as
// NDJSON and answers one Result each, in order. A batch is not atomic, and is safe to repeat.
type Change struct {
	Name     string        `json:"name"`
	Content  *string       `json:"content,omitempty"`  // the unit file; absent = what the cluster has (or the template)
	DropIns  *[]DropIn     `json:"dropins,omitempty"`  // absent = what it has; empty = none. Without content, those that an instance has beside its template's
	File     string        `json:"file,omitempty"`     // the name to cite in errors
	Template bool          `json:"template,omitempty"` // the content is that of the instance's template
	Applied  string        `json:"applied,omitempty"`  // the set of files that the change belongs to
	Target   *units.Target `json:"target,omitempty"`
	Only     Only          `json:"only,omitempty"`    // Target does not apply the other way
	Replace  bool          `json:"replace,omitempty"` // differing content or drop-ins, or the template's, replace what is there (and restart it)
	Restart  bool          `json:"restart,omitempty"`
	Delete   bool          `json:"delete,omitempty"`
	IfMatch  int64         `json:"if_match,omitempty"` // 0 = any, -1 = must not exist
}

// DropIn is one file of a unit's drop-in folder, UNIT.d/NAME.
type DropIn struct {
	Name    string `json:"name"` // ends in .conf
	Content string `json:"content"`
}

// Only says which way a Change's target applies; empty is both.
type Only string

// The ways. Raise leaves alone what is beyond the target already; Lower what has not come so far, and
// makes no unit of a template.
const (
	Raise Only = "raise"
	Lower Only = "lower"
)

// Result is what became of one Change.
type Result struct {
	Name     string `json:"name"`
	Changed  bool   `json:"changed"`
	Note     string `json:"note,omitempty"`
	Revision int64  `json:"revision,omitempty"` // of the store when the intent was durable
	Error    *Error `json:"error,omitempty"`
}

// HostPatch changes what the operator says of a host. A nil label removes the operator's word.
type HostPatch struct {
	Labels map[string]*string `json:"labels,omitempty"`
	Remove *bool              `json:"remove,omitempty"`
	Why    string             `json:"why,omitempty"`

	Cordon Maybe[CordonAsk] `json:"cordon,omitzero"` // null = it takes new units again
	Drain  Maybe[DrainAsk]  `json:"drain,omitzero"`  // null = it is drained no more

	Reboot Maybe[RebootAsk] `json:"reboot,omitzero"` // null = it is not wanted any more
	Unlock Maybe[UnlockAsk] `json:"unlock,omitzero"`
	Freeze Maybe[FreezeAsk] `json:"freeze,omitzero"` // null = thawed
}

// Explanation answers "why is this as it is?" in sentences.
type Explanation struct {
	Thing   string   `json:"thing"`
	Summary string   `json:"summary"`
	Lines   []string `json:"lines,omitempty"`

	Hosts []HostVerdict `json:"hosts,omitempty"` // of a unit: each host, by name
}

// HostVerdict says of one host whether a unit is there, and why it could be there or not.
type HostVerdict struct {
	Host   string `json:"host"`
	Name   string `json:"name"`
	Placed bool   `json:"placed,omitempty"` // the unit is ordered to be there
	Fits   bool   `json:"fits"`             // it may be there
	Units  int    `json:"units"`            // that the host has
	Reason string `json:"reason"`           // a sentence without its subject, the host
}

// Event is one change a person may want to see.
type Event struct {
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time"`
	Kind     EventKind `json:"kind"`
	Subject  string    `json:"subject"`
	Host     string    `json:"host,omitempty"`
	Text     string    `json:"text"`
}

// EventKind says what an event is about.
type EventKind string

// The kinds of events.
const (
	EventUnit   EventKind = "unit"
	EventHost   EventKind = "host"
	EventLeader EventKind = "leader"
	EventStorm  EventKind = "storm"
	EventReboot EventKind = "reboot"
)

// LogEntry is one journal line.
type LogEntry struct {
	Time     time.Time `json:"time"`
	Host     string    `json:"host"`
	Unit     string    `json:"unit,omitempty"`
	PID      int       `json:"pid,omitempty"`
	Priority int       `json:"priority"`
	Message  string    `json:"message"`
}

// Resumed is the answer of POST /v1/failover/resume.
type Resumed struct {
	Paused bool `json:"paused"` // the storm brake held until now
}

// Accepted is the answer of POST /v1/store/accept.
type Accepted struct {
	Note string `json:"note"`
}

// Version is the answer of GET /v1/version.
type Version struct {
	Version string `json:"version"`
	API     string `json:"api"`
}
