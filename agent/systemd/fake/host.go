// Package fake is a small honest systemd in memory: unit files that exist only
// after a reload, jobs that take their time and can fail, dependencies, start
// limits, timers, crashes and power losses. It keeps the contract of package
// systemdtest, as the real one does, and needs nothing but package time, so that
// it lives inside testing/synctest.
//
// A Host is one machine: it has all methods of systemd.Manager, and Dir has those
// of systemd.Dir. Everything random comes from Options.Seed. Where systemd's
// behaviour varies it takes the unkind way: a stopped unit is forgotten at once
// (with its InvocationID and its start limit), and a file is unknown until Reload
// (systemd itself sometimes notices a new file earlier).
package fake

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"flotilla/agent/systemd"
)

// Behaviour is how a service's process behaves. The zero value starts at once,
// runs until it is stopped and obeys SIGTERM at once.
type Behaviour struct {
	Start      time.Duration // until it is ready; Options.StartTime is added
	Stop       time.Duration // from SIGTERM until it has ended; Options.StopTime is added
	IgnoreTerm bool          // ends only by SIGKILL, after TimeoutStopSec=
	Exits      bool          // ends by itself
	Run        time.Duration // if it exits: after this long
	Status     int           // if it exits: its exit status
}

// Range is a span from which durations are drawn.
type Range struct{ From, To time.Duration }

// Options make a Host. The zero value takes no time for anything.
type Options struct {
	Seed       uint64
	StartTime  Range
	StopTime   Range
	ReloadTime Range
	PullTime   Range // of one image
	// Behave overrides what the unit's ExecStart= says. It knows /bin/true,
	// /bin/false, /bin/sleep N and "systemctl stop UNIT…"; anything else runs on.
	Behave func(name string) (Behaviour, bool)
	// Notices has a unit that was never known read from its new files when it is asked
	// for, without a reload, as systemd does. False is the unkind way.
	Notices bool
	// MachineID names the host; empty: drawn from the seed.
	MachineID string
}

// SoftReboots is how often this boot's systemd was started anew.
func (h *Host) SoftReboots(context.Context) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.soft, h.reachable()
}

// State is the manager's own state, and the units that failed.
func (h *Host) State(context.Context) (state string, failed []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return "", nil, err
	}
	for name, u := range h.units {
		if u.active == systemd.Failed {
			failed = append(failed, name)
		}
	}
	slices.Sort(failed)
	if len(failed) > 0 {
		return "degraded", failed, nil
	}
	return "running", nil, nil
}

// userspace is how long after the boot this systemd says it started.
const userspace = 1500 * time.Millisecond

// Host is one machine. It is safe for use by many goroutines.
type Host struct {
	opts      Options
	machineID string

	mu           sync.Mutex
	chance       *rand.Rand
	power        bool // false: nothing runs, calls fail
	bus          bool // false: calls fail, units run
	stalled      bool // see Stall
	late         []func()
	images       map[image]bool
	registryAway bool

	epoch    int // raised at each power loss: what was scheduled before never happens
	bootedAt time.Time
	bootID   string
	nextPID  int

	files   map[string]string            // unit files in our folder
	dropIns map[string]map[string]string // unit to file name to content
	version map[string]int               // of a unit's files: raised at each write
	dirty   map[string]bool              // names whose files changed since the last reload
	hosts   map[string]hostUnit          // the host's own units; they stay over boots

	defs  map[string]*definition // as of the last reload
	known map[string]int         // version of each definition
	index index
	units map[string]*unit // active, failed or with a job

	ready  []func() // what is due now; run by settle
	heard  map[*systemd.Changed]struct{}
	owned  map[string]bool
	events []Event
	counts Counts
	lines  map[string][]systemd.LogEntry
	cursor int

	observe func(Event) // see Observe

	logind logind
	soft   int    // soft reboots of this boot
	next   string // the kind of shutdown that took the power, for Boot
}

// New boots a host.
func New(opts Options) *Host {
	h := &Host{
		opts:   opts,
		heard:  map[*systemd.Changed]struct{}{},
		hosts:  map[string]hostUnit{},
		images: map[image]bool{},
	}
	h.chance = rand.New(rand.NewPCG(opts.Seed, 0x666c6f74696c6c61))
	h.machineID = opts.MachineID
	if h.machineID == "" {
		h.machineID = h.id()
	}
	h.boot()
	return h
}

// boot begins a life with nothing in /run.
func (h *Host) boot() {
	h.power, h.bus = true, true
	h.nextPID = 100
	if h.next == "soft-reboot" {
		h.soft++ // the kernel and /run stay
		h.dirty = map[string]bool{}
		for name := range h.files {
			h.dirty[name] = true
		}
	} else {
		h.bootedAt, h.bootID, h.soft = time.Now().Add(-userspace), h.id(), 0
		h.files = map[string]string{}
		h.dropIns = map[string]map[string]string{}
		h.version = map[string]int{}
		h.dirty = map[string]bool{}
	}
	h.next = ""
	h.defs = map[string]*definition{}
	h.known = map[string]int{}
	h.index = index{}
	h.units = map[string]*unit{}
	h.lines = map[string][]systemd.LogEntry{}
	h.ready = nil
	for name := range h.hosts {
		h.load(name)
	}
	for name := range h.dirty {
		h.load(name)
	}
	clear(h.dirty)
	h.logind.going = ""
	h.tellShutdown()
}

// MachineID stays over boots.
func (h *Host) MachineID() string { return h.machineID }

// BootID is new at each boot.
func (h *Host) BootID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bootID
}

// Boottime is how long the host has been up: its CLOCK_BOOTTIME and CLOCK_MONOTONIC.
func (h *Host) Boottime() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.bootedAt)
}

// PowerLoss ends every unit and forgets all of /run. Waits for jobs end with
// systemd.ErrDisconnected; calls fail until Boot.
func (h *Host) PowerLoss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose("power-loss", "")
}

// lose ends a life of the host.
func (h *Host) lose(how, kind string) {
	if !h.power {
		return
	}
	h.event(how, "", cmp.Or(kind, "outside"))
	h.next = kind
	h.epoch++
	h.power = false
	for _, u := range h.units {
		if u.job != nil {
			u.job.leave()
		}
	}
	h.units = map[string]*unit{}
	h.ready, h.late, h.stalled = nil, nil, false
}

// Boot starts a host that has lost its power.
func (h *Host) Boot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.power {
		return
	}
	h.boot()
	h.event("boot", "", "outside")
	h.tellAll()
}

// Reboot is PowerLoss and Boot.
func (h *Host) Reboot() {
	h.PowerLoss()
	h.Boot()
}

// Disconnect breaks the connection to systemd: calls fail, waits for jobs end with
// systemd.ErrDisconnected, units go on.
func (h *Host) Disconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bus = false
	for _, u := range h.units {
		if u.job != nil {
			u.job.leave()
		}
	}
}

// Connect mends it; Changes then says "all".
func (h *Host) Connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bus = true
	h.tellAll()
}

type hostUnit struct{ path, data string }

// AddHostUnit gives the host a unit of its own, as in /usr/lib/systemd/system, known at once.
func (h *Host) AddHostUnit(name, path, data string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hosts[name] = hostUnit{path, data}
	h.load(name)
}

// reachable is nil if calls can be answered.
func (h *Host) reachable() error {
	if !h.power || !h.bus || h.stalled {
		return systemd.ErrDisconnected
	}
	return nil
}

// after does something later in this life of the host, or in settle if d is not positive.
func (h *Host) after(d time.Duration, do func()) {
	if d <= 0 {
		h.ready = append(h.ready, do)
		return
	}
	if d == forever {
		return
	}
	epoch := h.epoch
	time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.epoch != epoch || !h.power {
			return
		}
		h.notice(do)
		h.settle()
	})
}

// settle does what is due now, and what that makes due.
func (h *Host) settle() {
	for len(h.ready) > 0 {
		do := h.ready[0]
		h.ready = h.ready[1:]
		do()
	}
}

func (h *Host) draw(r Range) time.Duration {
	if r.To <= r.From {
		return r.From
	}
	return r.From + time.Duration(h.chance.Int64N(int64(r.To-r.From)))
}

// id draws 128 bits.
func (h *Host) id() string {
	return fmt.Sprintf("%016x%016x", h.chance.Uint64(), h.chance.Uint64())
}
