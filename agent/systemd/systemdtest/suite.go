// Package systemdtest is the contract of package systemd as a test suite. The fake
// runs it in its unit tests, inside testing/synctest; the real door runs it on a
// real systemd (build tag e2e).
package systemdtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/agent/systemd"
)

// Manager is the contract of systemd.Manager and fake.Host. Who needs some of it
// declares an interface of its own.
type Manager interface {
	// Units returns the current state of exactly these units, in their order.
	Units(ctx context.Context, names []string) ([]systemd.Unit, error)
	// Reload makes systemd read all unit files again.
	Reload(ctx context.Context) error
	// Start, Stop and Restart enqueue one job and return how it ended.
	Start(ctx context.Context, name string) (string, error)
	Stop(ctx context.Context, name string) (string, error)
	Restart(ctx context.Context, name string) (string, error)
	// Jobs enqueues all jobs, then waits for all; the end of ctx ends only the wait.
	Jobs(ctx context.Context, jobs []systemd.Job) []systemd.Result
	// ResetFailed makes a failed unit inactive and forgets its start limit.
	ResetFailed(ctx context.Context, name string) error
	// Changes tells which units changed: nil, for all, first and after each reload.
	Changes(ctx context.Context) (<-chan []string, error)
	// Watch limits Changes to these units; nil is every unit.
	Watch(ctx context.Context, names []string) error
	// Property reads one property.
	Property(ctx context.Context, unit, iface, name string) (any, error)
	// Version is systemd's major version.
	Version(ctx context.Context) (int, error)
	// UserspaceTimestamp is when this systemd started, on the clock of the boot.
	UserspaceTimestamp(ctx context.Context) (time.Duration, error)
	// StartTransientTimer starts unit once, onStartup after UserspaceTimestamp.
	StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error
	// RunOnce runs a command as a service in memory; a name that exists is ErrExists.
	RunOnce(ctx context.Context, name string, o systemd.Once) (string, error)
	// State is the manager's own state and the units that failed.
	State(ctx context.Context) (state string, failed []string, err error)
	// SoftReboots is how often this boot's systemd was started anew.
	SoftReboots(ctx context.Context) (int, error)
}

// Dir is the contract of systemd.Dir and fake.Dir.
type Dir interface {
	Write(name string, data []byte) error
	WriteDropIn(unit, file string, data []byte) error
	RemoveDropIn(unit, file string) error
	Remove(unit string) error
	List() ([]systemd.Entry, error)
	Sweep() error
	Elsewhere(name string) (path string, ok bool)
}

// Host is what the suite runs on.
type Host struct {
	Manager    Manager
	Dir        Dir
	Folder     string                            // that Dir writes
	Now        func() time.Duration              // the clock of UserspaceTimestamp
	Kill       func(unit string) error           // SIGKILL for a service's main process
	PutForeign func(name string, b []byte) error // a file in Folder by another hand
	DelForeign func(name string) error           // takes it away
	Systemctl  string                            // how a unit calls it; empty: /bin/systemctl
	Login      Login                             // zero: this systemd has no login manager
	HostUnit   string                            // a unit that the host has elsewhere
	HostOfOurs string                            // an instance whose template the host has elsewhere
}

// Case is one clause of the contract.
type Case struct {
	Name string
	Run  func(t *testing.T, h Host)
}

// Cases is the whole contract.
func Cases() []Case {
	return slices.Concat(unitCases(), jobCases(), fenceCases(), onceCases(), loginCases(), changeCases(), dirCases())
}

// Run runs all cases, each on a host from open.
func Run(t *testing.T, open func(t *testing.T) Host) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, open(t)) })
	}
}

// patience is how long a state may take to come.
const patience = 30 * time.Second

// install writes units as an agent does, reloads, and takes them away at the end.
// Names get a prefix of the suite's; %s in a file stands for it.
func install(t *testing.T, h Host, files map[string]string) {
	t.Helper()
	for name, data := range files {
		mustWrite(t, h, prefix+name, strings.ReplaceAll(data, "%s", prefix))
	}
	mustReload(t, h)
	t.Cleanup(func() { uninstall(t, h, files) })
}

const prefix = "suite-"

func uninstall(t *testing.T, h Host, files map[string]string) {
	ctx := context.Background() // the test's own has ended
	var stops []systemd.Job
	for name := range files {
		stops = append(stops, systemd.Job{Name: prefix + name, Verb: systemd.Stop})
	}
	for _, r := range h.Manager.Jobs(ctx, stops) {
		if r.Err != nil {
			t.Errorf("Stop(%s) at the end: %v", r.Name, r.Err)
		}
	}
	for name := range files {
		if err := errors.Join(h.Manager.ResetFailed(ctx, prefix+name), h.Dir.Remove(prefix+name)); err != nil {
			t.Errorf("taking %s away: %v", name, err)
		}
	}
	if err := h.Manager.Reload(ctx); err != nil {
		t.Errorf("Reload() at the end: %v", err)
	}
}

func mustWrite(t *testing.T, h Host, name, data string) {
	t.Helper()
	if err := h.Dir.WriteDropIn(name, systemd.DropIn, []byte("[Unit]\n")); err != nil {
		t.Fatalf("WriteDropIn(%s): %v", name, err)
	}
	if err := h.Dir.Write(name, []byte(data)); err != nil {
		t.Fatalf("Write(%s): %v", name, err)
	}
}

func mustReload(t *testing.T, h Host) {
	t.Helper()
	if err := h.Manager.Reload(t.Context()); err != nil {
		t.Fatalf("Reload() = %v", err)
	}
}

func mustUnit(t *testing.T, h Host, name string) systemd.Unit {
	t.Helper()
	units, err := h.Manager.Units(t.Context(), []string{prefix + name})
	if err != nil || len(units) != 1 {
		t.Fatalf("Units(%s) = %d units, %v, want one", name, len(units), err)
	}
	return units[0]
}

// must runs one job and wants this outcome.
func must(t *testing.T, h Host, verb systemd.Verb, name, want string) {
	t.Helper()
	r := h.Manager.Jobs(t.Context(), []systemd.Job{{Name: prefix + name, Verb: verb}})[0]
	if r.Err != nil || r.Outcome != want {
		t.Fatalf("%s %s = %q, %v, want %q", verb, name, r.Outcome, r.Err, want)
	}
}

// until waits for a unit to be as wanted, and returns it.
func until(t *testing.T, h Host, name, what string, ok func(systemd.Unit) bool) systemd.Unit {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	for {
		u := mustUnit(t, h, name)
		if ok(u) {
			return u
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s after %s: %+v, want %s", name, patience, u, what)
		}
		<-ticker.C
	}
}

func state(active, sub string) func(systemd.Unit) bool {
	return func(u systemd.Unit) bool { return u.Active == active && u.Sub == sub }
}

func wantState(t *testing.T, u systemd.Unit, load, active, sub, result string) {
	t.Helper()
	got := fmt.Sprint(u.Load, " ", u.Active, " ", u.Sub, " ", u.Result)
	if want := fmt.Sprint(load, " ", active, " ", sub, " ", result); got != want {
		t.Errorf("state of %s = %s, want %s", u.Name, got, want)
	}
}
