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
}

// Reporter writes what this host says of itself, and reads what it said last.
type Reporter interface {
	Report(ctx context.Context, l cluster.Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error
	Reported(ctx context.Context, host cluster.HostID) (*cluster.HostInfo, map[cluster.Unit]cluster.Status, error)
}
