package cluster

import (
	"fmt"
	"time"
)

// Boot names one run of a host: the kernel's boot id, and how often systemd soft-rebooted
// since (SoftRebootsCount of org.freedesktop.systemd1(5), which leaves the boot id as it is).
type Boot struct {
	ID   string `json:"id"`
	Soft int    `json:"soft,omitempty"`
}

// Name tells one run of a host from another in a word, as Alive and Status have it: the boot id, and after N soft
// reboots of it +N.
func (b Boot) Name() string {
	if b.Soft == 0 {
		return b.ID
	}
	return fmt.Sprintf("%s+%d", b.ID, b.Soft)
}

// Phase is where a host stands on its way through a reboot.
type Phase int

// The phases. From PhaseDraining to PhaseSettling the host holds a slot of its groups and gets no
// new units; in all others it holds none. The first three are said of hosts without a slot, and
// stand in no key.
const (
	PhaseNone      Phase = iota
	PhaseWanted          // it needs a reboot, and nothing lets it have one by itself: no window is set
	PhaseQueued          // it waits for a window, a slot, or others
	PhaseFrozen          // a person froze it, its group or all
	PhaseDraining        // its units go elsewhere
	PhaseDrained         // nothing that can move is left; hooks and checks before the reboot run
	PhaseGranted         // it may reboot, until the grant's time is over
	PhaseRebooting       // it has used the grant
	PhaseOverdue         // it did not come back in time
	PhaseReturning       // it is back, and not yet all is well
	PhaseSettling        // all is well, and has to stay so for a while
	PhaseDone            // over, well
	PhaseBlocked         // over: its units have no place, or its checks were red, before it rebooted
	PhaseAbandoned       // over: it did not use its grant, or nobody wants the reboot any more
	PhaseFailed          // over: the host could not reboot
	PhaseLoop            // over: it needs the reboot still that it had, again and again
	PhaseReleased        // over: a person took the slot away, or the host was removed
)

func phases() [PhaseReleased + 1]string {
	return [...]string{
		"", "wanted", "queued", "frozen", "draining", "drained", "granted", "rebooting", "overdue", "returning", "settling",
		"done", "blocked", "abandoned", "failed", "loop", "released",
	}
}

// String is the phase's word in keys, API and CLI; "" for PhaseNone.
func (p Phase) String() string {
	if p < PhaseNone || p > PhaseReleased {
		return fmt.Sprintf("phase(%d)", int(p))
	}
	return phases()[p]
}

// MarshalText writes the phase's word; an unknown phase is an error.
func (p Phase) MarshalText() ([]byte, error) {
	if p < PhaseNone || p > PhaseReleased {
		return nil, fmt.Errorf("unknown phase %d", int(p))
	}
	return []byte(phases()[p]), nil
}

// UnmarshalText reads a phase's word; an unknown word is an error and leaves p alone.
func (p *Phase) UnmarshalText(b []byte) error {
	for i, w := range phases() {
		if w == string(b) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("unknown phase %q", b)
}

// Holds says whether a host in this phase holds a slot, and is closed to new units.
func (p Phase) Holds() bool { return p >= PhaseDraining && p <= PhaseSettling }

// Ended says whether a reboot in this phase is over, whatever came of it.
func (p Phase) Ended() bool { return p >= PhaseDone }

// Away says whether a host in this phase is expected to be absent: it used its grant, or may be about to.
func (p Phase) Away() bool { return p == PhaseGranted || p == PhaseRebooting }

// Grant is the leader's word on a host's reboot (key to/<host>/grant). It is a plain key, for a
// lease would end with the reboot. It outlives the reboot as the host's last outcome.
//
// Generation is the store revision at which this reboot was decided and names it. The agent uses a
// grant by a transaction that puts Booting if the key still has the mod revision that it read
// (cluster/store); reclaiming one compares that nobody did.
type Grant struct {
	Generation int64         `json:"generation"`
	Phase      Phase         `json:"phase"`
	Groups     []string      `json:"groups"`             // whose slots it takes, sorted
	Boot       Boot          `json:"boot"`               // the run of the host that is to end
	Cause      string        `json:"cause"`              // why the host is to reboot: who asked, or what needs it
	Wish       int64         `json:"wish,omitempty"`     // RebootWish.ID of the newest wish that it or one before it serves
	Need       bool          `json:"need,omitempty"`     // it serves no wish: the host's own need
	Now        bool          `json:"now,omitempty"`      // windows and freezes do not hold it up
	Soft       bool          `json:"soft,omitempty"`     // only systemd restarts: systemd-soft-reboot.service(8)
	External   bool          `json:"external,omitempty"` // the host is rebooted by who asked (FleetLock), not by its agent
	Within     time.Duration `json:"within,omitempty"`   // of PhaseGranted: how long it may be used, from when the agent first sees it; nanoseconds
	Until      time.Time     `json:"until,omitzero"`     // of PhaseGranted: when the first of its windows closes, by the leader's clock; shown, never compared (Within ends before it); zero = none binds it
	Checks     []Check       `json:"checks,omitempty"`   // of its groups: what must be well before and after
	Hooks      time.Duration `json:"hooks,omitempty"`    // how long the hooks before and after may take each; nanoseconds
	Wall       string        `json:"wall,omitempty"`     // message to logged-in users; "" = none
	Grace      time.Duration `json:"grace,omitempty"`    // how long logged-in users have after it; nanoseconds
	Reason     string        `json:"reason"`             // of the phase, one sentence
	Began      time.Time     `json:"began"`              // of the reboot; clock of the leader, shown, never compared
	Since      time.Time     `json:"since"`              // of the phase; the same
	Times      int           `json:"times,omitempty"`    // reboots in a row for the same cause, this one counted
	Empty      bool          `json:"empty,omitempty"`    // what could move had left it: it came as far as PhaseDrained
	Etcd       bool          `json:"etcd,omitempty"`     // the host had a member of etcd when it began
	Away       time.Duration `json:"away,omitempty"`     // from PhaseRebooting to PhaseReturning, as the leader saw them; nanoseconds
	Pause      time.Duration `json:"pause,omitempty"`    // of a reboot that is over: until the host is tried again by itself; nanoseconds
}

// Granting is a Grant in a View, with the revision that using it compares.
type Granting struct {
	Grant
	Rev int64 `json:"rev"` // mod revision
}

// Booting is a host's word that it uses a grant (key boot/<host>), or that it could not.
type Booting struct {
	Generation int64  `json:"generation"` // of the grant
	Grant      int64  `json:"grant"`      // mod revision of the grant that was used
	Boot       Boot   `json:"boot"`       // that is to end
	Refused    string `json:"refused,omitempty"`
}

// RebootReport is what an agent says about reboots of its host (in HostInfo).
type RebootReport struct {
	Soft    int           `json:"soft,omitempty"`    // soft reboots of the present boot
	Need    Need          `json:"need,omitzero"`     // whether the host needs a reboot
	Rivals  []Rival       `json:"rivals,omitempty"`  // what else may reboot it
	Down    *GoingDown    `json:"down,omitempty"`    // somebody else is rebooting it just now
	Before  *Verdict      `json:"before,omitempty"`  // of hooks and checks in the phase PhaseDrained
	After   *Verdict      `json:"after,omitempty"`   // of hooks and checks since this boot, while a grant stands
	Last    *LastBoot     `json:"last,omitempty"`    // how this boot came about
	Delay   time.Duration `json:"delay,omitempty"`   // logind's InhibitDelayMaxSec as it is in force; nanoseconds
	Skew    time.Duration `json:"skew,omitempty"`    // this host's clock minus the leader's, if that is more than 5 s; nanoseconds
	Only    bool          `json:"only,omitempty"`    // this host is here for reboots alone and takes no units
	Problem string        `json:"problem,omitempty"` // what a person should mend: a source or setting that cannot work
}

// Need is the answer to "does this host need a reboot?" Unknown never reboots.
type Need struct {
	State   NeedState `json:"state"`
	Reasons []string  `json:"reasons,omitempty"` // one sentence each: "kernel: /run/reboot-required (linux-image-amd64)"
}

// NeedState is yes, no or unknown.
type NeedState int

// The answers.
const (
	NeedUnknown NeedState = iota
	NeedNo
	NeedYes
)

// String is the answer's word.
func (n NeedState) String() string {
	switch n {
	case NeedYes:
		return "yes"
	case NeedNo:
		return "no"
	}
	return "unknown"
}

// MarshalText writes the answer's word.
func (n NeedState) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads an answer's word; what is neither yes nor no is unknown.
func (n *NeedState) UnmarshalText(b []byte) error {
	switch string(b) {
	case "yes":
		*n = NeedYes
	case "no":
		*n = NeedNo
	default:
		*n = NeedUnknown
	}
	return nil
}

// Rival is something else that may reboot the host without asking us.
type Rival struct {
	Name string `json:"name"` // locksmithd.service
	Why  string `json:"why"`  // one sentence
	Mend string `json:"mend"` // the command that ends it
}

// GoingDown says that the host is being shut down by somebody else.
type GoingDown struct {
	Kind  string    `json:"kind"` // reboot, poweroff, halt, kexec, soft-reboot; "" = not known
	Since time.Time `json:"since"`
}

// Verdict is what became of the hooks and checks on one side of a reboot.
type Verdict struct {
	Generation int64  `json:"generation"` // of the grant
	Well       bool   `json:"well"`
	Busy       bool   `json:"busy,omitempty"` // not known yet
	Reason     string `json:"reason,omitempty"`
}

// LastBoot says how the present boot came about.
type LastBoot struct {
	Before Boot   `json:"before"` // the boot that ended
	How    string `json:"how"`    // granted, typed, unexpected
}

// RebootWish is a person's request that a host reboot, or a client's (FleetLock). ID is the store revision at
// which it was asked, the same for all hosts of one request: it orders requests and tells a
// repeated wish from one that was served.
type RebootWish struct {
	ID       int64 `json:"id"`
	By       Note  `json:"by"`
	Now      bool  `json:"now,omitempty"`
	Soft     bool  `json:"soft,omitempty"`
	External bool  `json:"external,omitempty"`
}

// DrainWish is a person's request that a host's units go elsewhere.
type DrainWish struct {
	By        Note          `json:"by"`
	OnBlocked OnBlocked     `json:"on_blocked"`
	Timeout   time.Duration `json:"timeout,omitempty"` // after which OnBlocked applies; nanoseconds
}

// OnBlocked says what a drain does about a unit that could move but has no place.
type OnBlocked string

// The ways. Abort is the default.
const (
	AbortDrain OnBlocked = "abort" // nothing more moves; the host stays cordoned
	SkipUnit   OnBlocked = "skip"  // it stays, the others go
	StopUnit   OnBlocked = "stop"  // it is stopped, and placed when there is room
)

// Freeze holds reboots up until a person ends it, or until a time by the leader's clock.
type Freeze struct {
	By    Note      `json:"by"`
	Until time.Time `json:"until,omitzero"` // zero = until thawed
}

// Holds says whether it is in force.
func (f *Freeze) Holds(now time.Time) bool {
	return f != nil && (f.Until.IsZero() || now.Before(f.Until))
}

// Unlock is a person's word that a host's grant ends, whatever the host is doing.
type Unlock struct {
	By         Note  `json:"by"`
	Generation int64 `json:"generation"` // of the grant
}

// Record is the outcome of one reboot, or of what ended instead of one (key history/<host>/<generation>).
type Record struct {
	Host       HostID    `json:"host"`
	Name       string    `json:"name"`
	Generation int64     `json:"generation"` // of the grant; of an unasked boot, the revision at which it was noticed
	Groups     []string  `json:"groups,omitempty"`
	Outcome    Phase     `json:"outcome"`
	Cause      string    `json:"cause"`
	Reason     string    `json:"reason,omitempty"`
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended"`
	Away       float64   `json:"away,omitempty"`    // seconds from use of the grant to the host's return, as the leader saw them
	Unasked    bool      `json:"unasked,omitempty"` // the host rebooted without a grant
	Boot       Boot      `json:"boot,omitzero"`     // the run of the host that ended, or was to

	Rev int64 `json:"-"` // mod revision: when it was recorded
}

// Notified says how far the leader told what became of reboots (key notified). It goes on from there, so
// that each outcome is told at least once, whoever leads. Empty while there is no webhook.
type Notified struct {
	Record  int64                   `json:"record,omitempty"`  // Rev of the newest record that was told, or given up
	Windows map[GroupName]time.Time `json:"windows,omitempty"` // end of each window's newest opening that was summed up
	Lost    int                     `json:"lost,omitempty"`    // messages that were given up
	Trouble string                  `json:"trouble,omitempty"` // why the newest one that was given up was
	Since   time.Time               `json:"since,omitzero"`    // when that was; clock of the leader
}

// HistoryKey names one Record.
type HistoryKey struct {
	Host       HostID
	Generation int64
}
