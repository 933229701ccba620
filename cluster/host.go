package cluster

import (
	"errors"
	"fmt"
	"time"
)

// HostID is a systemd machine id (machine-id(5)): 32 lower-case hex digits.
type HostID string

// ErrBadHostID says that a text is not a machine id.
var ErrBadHostID = errors.New("not a machine id: want 32 hex digits, as in /etc/machine-id")

// ParseHostID accepts a machine id.
func ParseHostID(s string) (HostID, error) {
	if len(s) != 32 {
		return "", fmt.Errorf("host %q: %w", s, ErrBadHostID)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("host %q: %w", s, ErrBadHostID)
		}
	}
	return HostID(s), nil
}

// Short is the first eight digits, as lists show it.
func (id HostID) Short() string { return string(id[:min(8, len(id))]) }

// Note says who asked for something, when and why. When is the clock of the
// daemon that took the request and is shown, never compared.
type Note struct {
	Who  string    `json:"who"`
	When time.Time `json:"when"`
	Why  string    `json:"why,omitempty"`
}

// HostSpec is what an operator said about a host (key host/<id>).
type HostSpec struct {
	Labels  map[string]string `json:"labels,omitempty"` // override those of HostInfo; "" removes one
	Cordon  *Note             `json:"cordon,omitempty"`
	Drain   *DrainWish        `json:"drain,omitempty"`
	Reboot  *RebootWish       `json:"reboot,omitempty"`
	Unlock  *Unlock           `json:"unlock,omitempty"`
	Freeze  *Freeze           `json:"freeze,omitempty"`
	Removed *Note             `json:"removed,omitempty"`
	Left    bool              `json:"left,omitempty"` // the removal is the host's own leave: joining again ends it
}

// Readmit ends a removal, whoever it was that removed the host.
func (s *HostSpec) Readmit() { s.Removed, s.Left = nil, false }

// HostInfo is what a host's agent says about its host (key hostinfo/<id>). It is a
// plain key, believed while Alive exists with the same boot id.
type HostInfo struct {
	Boot     string            `json:"boot"`
	Name     string            `json:"name"`
	Address  string            `json:"address"` // host:port of its API
	Version  string            `json:"version"` // of flotilla
	OS       string            `json:"os,omitempty"`
	Kernel   string            `json:"kernel,omitempty"`
	Systemd  int               `json:"systemd,omitempty"`
	Runtimes map[string]string `json:"runtimes,omitempty"` // docker, podman → version
	CPUs     int               `json:"cpus,omitempty"`
	Memory   int64             `json:"memory,omitempty"`   // bytes
	Reserved int64             `json:"reserved,omitempty"` // bytes of Memory that units may not have
	Labels   map[string]string `json:"labels,omitempty"`   // from the agent's flags
	Reboot   *RebootReport     `json:"reboot,omitempty"`
	Etcd     string            `json:"etcd,omitempty"` // this host's member of our etcd: "" = it has none, EtcdHealthy, or why it is not
}

// EtcdHealthy is what HostInfo.Etcd says of a member that is well.
const EtcdHealthy = "healthy"

// Alive is a host's leased sign of life (key alive/<id>). The key's create
// revision names this life of the host; orders rest on it.
type Alive struct {
	Address string `json:"address"`
	Boot    string `json:"boot"`
	Nonce   string `json:"nonce"` // random, kept in /run: tells a restarted agent from a second host with the same id
	Version string `json:"version"`
}

// Host is everything known of one host in a Snapshot.
type Host struct {
	ID       HostID
	Spec     HostSpec
	SpecRev  int64 // mod revision of host/<id>, 0 without one
	Info     *HostInfo
	Alive    *Alive
	AliveRev int64     // create revision of alive/<id>, 0 while absent
	Absent   time.Time // when this process first saw the host absent; zero while alive
	// AbsentRev is the revision at which the watch saw the lease end; 0 while alive, and
	// for a host that was absent already when the mirror was loaded.
	AbsentRev int64
	Placed    map[Unit]*Placed
	Status    map[Unit]*Status

	DrainSeen  time.Time // when this process first saw the present drain wish; zero without one
	Grant      *Grant    // nil = there never was one
	GrantRev   int64     // mod revision, 0 without one
	GrantSeen  time.Time // when this process first saw this grant in this phase
	GrantReady time.Time // when this process first saw the host drained for this reboot; zero before
	GrantBack  time.Time // when this process first saw the host back from this reboot; zero before
	GrantBad   string    // why the grant cannot be read: it may hold a slot
	Booting    *Booting
	BootingRev int64 // mod revision, 0 without one
}

// Labels unites what the agent and the operator say; the operator wins, and an
// empty value of the operator's removes a label.
func (h *Host) Labels() map[string]string {
	out := map[string]string{}
	if h.Info != nil {
		for k, v := range h.Info.Labels {
			out[k] = v
		}
	}
	for k, v := range h.Spec.Labels {
		out[k] = v
		if v == "" {
			delete(out, k)
		}
	}
	return out
}

// Capacity is what units may reserve on the host: bytes of memory and thousandths of a core.
// known is false for a host that never said how much it has.
func (h *Host) Capacity() (memory, cpu int64, known bool) {
	if h.Info == nil || h.Info.Memory == 0 || h.Info.CPUs == 0 {
		return 0, 0, false
	}
	return max(0, h.Info.Memory-h.Info.Reserved), int64(h.Info.CPUs) * 1000, true
}

// Name is the host name, or the short id of a host that never said one.
func (h *Host) Name() string {
	if h.Info != nil && h.Info.Name != "" {
		return h.Info.Name
	}
	return h.ID.Short()
}

// Departed says that the host was removed, or left, and is away: what it reported last counts
// for nothing, and nobody will report the end of what ran there.
func (h *Host) Departed() bool { return h.Spec.Removed != nil && h.Alive == nil }

// StatusOf is the unit's status on this host if it can be believed: the host is
// alive and its present boot reported it.
func (h *Host) StatusOf(u Unit) (*Status, bool) {
	s := h.Status[u]
	return s, s != nil && h.Alive != nil && h.Alive.Boot == s.Boot
}

// Boot is the present run of a host that is alive and said so.
func (h *Host) Boot() (Boot, bool) {
	if h.Alive == nil || h.Info == nil {
		return Boot{}, false
	}
	b := h.Info.Run()
	return b, b.Name() == h.Alive.Boot
}

// Run is the run of the host in which this was said.
func (i *HostInfo) Run() Boot {
	b := Boot{ID: i.Boot}
	if i.Reboot != nil {
		b.Soft = i.Reboot.Soft
	}
	return b
}

// Used says that the host committed itself to its present grant, and did not take that back.
func (h *Host) Used() bool {
	return h.Grant != nil && h.Booting != nil && h.Booting.Generation == h.Grant.Generation && h.Booting.Refused == ""
}

// HoldsSlot says that the host takes a reboot slot, as far as can be read.
func (h *Host) HoldsSlot() bool { return h.GrantBad != "" || h.Grant != nil && h.Grant.Phase.Holds() }
