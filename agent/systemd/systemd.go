// Package systemd is the door to the systemd of this host: its manager over
// D-Bus, the folder of unit files that we write, the journal, and facts about
// the machine. D-Bus is imported nowhere else.
//
// A caller makes one Manager and one Dir, writes files through the Dir, calls
// Manager.Reload, enqueues jobs with Manager.Jobs, and reads states with
// Manager.Units whenever Manager.Changes names a unit. Package fake holds the
// same contract in memory; package systemdtest is the contract as a test suite.
package systemd

import (
	"errors"
	"time"
)

// Unit is what systemd reports of one unit.
type Unit struct {
	Name             string
	Load             string // "loaded", "not-found", "bad-setting", "error", "masked"
	Active           string // "active", "inactive", "activating", "deactivating", "failed", "reloading"
	Sub              string // "running", "dead", "exited", "auto-restart", …
	Result           string // "success", "exit-code", "signal", "timeout", "start-limit-hit", …; "" where the type has none
	FragmentPath     string
	InvocationID     string // 32 hexadecimal digits; new at each start; "" if it never started
	NeedDaemonReload bool
	MainPID          int
	DropInPaths      []string
	StateChange      time.Time     // when Active last changed; zero if it never did
	StateChangeMono  time.Duration // the same on CLOCK_MONOTONIC
	NRestarts        int           // automatic restarts since the last explicit start
	ExecMainStatus   int           // exit status or signal number of the last main process
}

// The words of Unit.Load and Unit.Active that callers decide on.
const (
	Loaded   = "loaded"
	NotFound = "not-found"

	Active       = "active"
	Activating   = "activating"
	Deactivating = "deactivating"
	Inactive     = "inactive"
	Failed       = "failed"
)

// Verb is what a job does to its unit.
type Verb string

// The verbs. All are enqueued in systemd's mode "replace".
const (
	Start   Verb = "start"
	Stop    Verb = "stop"
	Restart Verb = "restart"
)

// Job asks for one verb on one unit.
type Job struct {
	Name string
	Verb Verb
}

// How a job ended, in systemd's words.
const (
	Done       = "done"
	JobFailed  = "failed"
	TimedOut   = "timeout"
	Dependency = "dependency" // a unit that it needs did not start
	Canceled   = "canceled"   // another job replaced it
	Skipped    = "skipped"
)

// Result is how one job ended. Outcome is empty if Err is set.
type Result struct {
	Job
	Outcome string
	Err     error
}

// Errors that callers decide on. All others are worth a retry: the bus was
// away, the call timed out, the disk refused.
var (
	// ErrNoSuchUnit says that systemd has no such unit to start.
	ErrNoSuchUnit = errors.New("no such unit")
	// ErrExists says that a transient unit of that name exists already.
	ErrExists = errors.New("unit exists already")
	// ErrBadUnit says that systemd refuses to load the unit's file.
	ErrBadUnit = errors.New("systemd refuses the unit")
	// ErrDisconnected says that the bus went away while we waited for a job.
	ErrDisconnected = errors.New("connection to systemd was lost")
	// ErrJobUnseen says that a job ended and its result never reached us.
	ErrJobUnseen = errors.New("the job's result was not seen")
	// ErrNotOurs says that a file of that name exists which we did not write.
	ErrNotOurs = errors.New("not a unit of ours")
	// ErrBadName says that a name cannot be a unit's or a drop-in's file name.
	ErrBadName = errors.New("bad unit file name")
)
