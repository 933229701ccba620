package agent

import (
	"context"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Job asks systemd for one verb (Start, Stop or Restart) on one unit.
type Job struct {
	Unit cluster.Unit
	Verb Kind
}

// JobResult is how a job ended, in systemd's word ("done", "failed", "dependency",
// "canceled", …), or why nobody knows.
type JobResult struct {
	Job
	Outcome string
	Err     error
}

// Systemd is the host's manager. Jobs enqueues all jobs in their order, then waits for
// all; when ctx ends the wait ends, not the jobs.
type Systemd interface {
	Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]Observed, error)
	Reload(ctx context.Context) error
	Jobs(ctx context.Context, jobs []Job) []JobResult
	ResetFailed(ctx context.Context, name string) error
}

// Changes tells the names of units whose state may have changed; nil = all of them.
// Watch says which units it is about.
type Changes interface {
	Changes(ctx context.Context) (<-chan []string, error)
	Watch(ctx context.Context, names []string) error
}

// Timers are transient timers, counted from the manager's start on CLOCK_MONOTONIC.
// A timer whose instant has passed fires at once.
type Timers interface {
	StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error
	UserspaceTimestamp(ctx context.Context) (time.Duration, error)
}

// UnitFile is one unit of ours on disk.
type UnitFile struct {
	Unit    cluster.Unit
	Blob    units.Hash
	DropIn  []byte        // that is ours
	DropIns units.DropIns // those of the user's that we wrote
	bundle  units.Hash    // of DropIns, as one content
}

// UnitFiles is the folder of our unit files. Our drop-in is written before the
// file, so that no file of ours ever stands there without its mark.
type UnitFiles interface {
	DropInFiles
	List() ([]UnitFile, error)
	Write(name string, data []byte) error
	Remove(unit string) error
	Elsewhere(name string) (path string, ok bool)
}

// DropInFiles are the drop-ins that we write. One by another hand is never touched.
type DropInFiles interface {
	WriteDropIn(unit, file string, data []byte) error
	RemoveDropIn(unit, file string) error
}

// Journal reads the last lines of one run of a unit.
type Journal interface {
	LastLines(ctx context.Context, unit, invocation string, n int) ([]string, error)
}

// Clock is the host's clock since its boot. Boottime counts suspends, Monotonic
// does not.
type Clock interface {
	Boottime() time.Duration
	Monotonic() time.Duration
}

// Views are the orders for one host and the content they name. View of a store without an
// identity is cluster.ErrNoStore. Pin tells the door which store this host belongs to, so that
// no other one is ever written.
type Views interface {
	View(ctx context.Context, host cluster.HostID) (cluster.View, error)
	FollowView(ctx context.Context, host cluster.HostID, f func(cluster.View)) error
	Blobs(ctx context.Context, hashes []units.Hash) (map[units.Hash][]byte, error)
	Pin(id cluster.Identity)
}

// Presence is the host's sign of life in the store.
//
// Announce goes on with an old lease of the same nonce, ends an old lease of another
// nonce and begins anew, or begins anew; who else lives is a *cluster.TakenError.
// cluster.ErrLapsed from Renew, Remaining or Announce says that the life is over.
// CheckVersion is asked before Announce: cluster.ErrSchema says that this flotilla must not
// write to the store; Renew never says so.
type Presence interface {
	CheckVersion(ctx context.Context, version string, host cluster.HostID) error
	Announce(ctx context.Context, host cluster.HostID, a cluster.Alive, old cluster.Lease) (cluster.Lease, error)
	Renew(ctx context.Context, l cluster.Lease) (time.Duration, error)
	Remaining(ctx context.Context, l cluster.Lease) (time.Duration, error)
	// End ends this host's life in the store, before its lease would.
	End(ctx context.Context, l cluster.Lease) error
}

// Reporter writes what this host says of itself, and reads what it said last.
type Reporter interface {
	Report(ctx context.Context, l cluster.Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error
	Reported(ctx context.Context, host cluster.HostID) (*cluster.HostInfo, map[cluster.Unit]cluster.Status, error)
}

// Logind is the host's login manager. It carries out reboots, and tells of those that others ask for.
type Logind interface {
	// Reboot asks for a reboot; soft restarts systemd alone. Refused is logind's reason not to. After an error it is
	// not known whether the host goes down.
	Reboot(ctx context.Context, soft bool) (refused string, err error)
	// Hold delays each shutdown that is asked for until release is called, or logind's own limit
	// has passed.
	Hold(ctx context.Context) (release func(), err error)
	// Shutdowns tells the present state first, and then the newest one: what kind of shutdown is under way (reboot,
	// poweroff, halt, kexec, soft-reboot; AnyShutdown where logind does not tell), "" = none is.
	Shutdowns(ctx context.Context) (<-chan string, error)
	Logins(ctx context.Context) (Logins, error)
	// Wall writes to everybody who is logged in at a terminal.
	Wall(ctx context.Context, text string) error
}

// AnyShutdown is a shutdown of which logind does not tell the kind.
const AnyShutdown = "shutdown"

// Logins is what logind says of people and of its limit.
type Logins struct {
	Users    int           // sessions of people
	Delay    time.Duration // how long Hold delays at most
	Shutdown string        // as Shutdowns tells it
}

// Machine is the host's manager as a whole: its state in the words of systemctl is-system-running, and the units
// that failed.
type Machine interface {
	State(ctx context.Context) (state string, failed []string, err error)
}

// Grants are this host's grants to reboot, in the store. An error of UseGrant means that the host must not
// reboot; Booting then tells, by a quorum, whether it is committed. RefuseGrant ends a grant that could not
// be carried out.
type Grants interface {
	UseGrant(ctx context.Context, l cluster.Lease, g cluster.Granting, boot cluster.Boot) error
	RefuseGrant(ctx context.Context, l cluster.Lease, g cluster.Granting, boot cluster.Boot, why string) error
	Booting(ctx context.Context, host cluster.HostID) (*cluster.Booting, error)
}

// Checks makes one check within its timeout. The error says what is not well; a source that does not answer
// is not well.
type Checks interface {
	Check(ctx context.Context, c cluster.Check) error
}

// Needs tells whether the host needs a reboot, and who else may reboot it.
type Needs interface {
	// Look asks all sources; problem is what a person should mend about them, "" = nothing.
	Look(ctx context.Context) (need cluster.Need, rivals []cluster.Rival, problem string)
	// Changed tells when a look is worth while before the next is due. It may be nil.
	Changed(ctx context.Context) <-chan struct{}
}
