package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flotilla/cluster"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Doors are the outside that an agent needs. All but Killer and Images are required.
type Doors struct {
	Systemd  Systemd
	Changes  Changes
	Timers   Timers
	Killer   Killer    // nil = the switch of fenced units has no second line
	Files    UnitFiles // used by the agent's goroutine alone
	Journal  Journal
	Images   Images // nil = units see to their images themselves
	Clock    Clock
	Views    Views
	Presence Presence
	Reporter Reporter
	Logind   Logind // nil = this host's reboots are none of the agent's business; else Machine and Grants are needed
	Machine  Machine
	Grants   Grants
	Checks   Checks // nil = no check is well
	Needs    Needs  // nil = nobody asks whether the host needs a reboot
}

// Options make an Agent.
type Options struct {
	Host     cluster.HostID
	Info     cluster.HostInfo // with the boot id, the soft reboots of it, the address and the version
	Timing   cluster.Timing   // zero = cluster.DefaultTiming
	UnitDir  string           // where our unit files stand; default /run/systemd/system
	StateDir string           // survives boots; default /var/lib/flotilla
	RunDir   string           // ends with the boot; default /run/flotilla
	Tick     time.Duration    // of the safety pass; default 5 min
	Look     time.Duration    // between two looks at whether the host needs a reboot; default 1 min
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil = none
}

// State is what an agent says of itself; it needs no store.
type State struct {
	Frozen   string           // why no orders are followed: a foreign store
	Taken    string           // why nothing is touched: another host has our id
	Refused  string           // why this version may write nothing and so carries out nothing
	Waiting  string           // why orders are not carried out yet
	Problem  string           // what a person should mend, such as a damaged file
	Store    cluster.Identity // that this host belongs to
	Revision int64            // of the last view that was obeyed
	Away     time.Time        // since when the store is out of reach; zero = it is not
	Lease    cluster.Lease    // zero while this host has none
	Fenced   bool             // fenced units may run
	Missing  int              // unit files that could not be fetched yet
}

// Agent converges one host. New makes it, Run runs it once.
type Agent struct {
	doors   Doors
	opt     Options
	boot    string
	log     *slog.Logger
	metrics *metrics
	wake    bell // something changed, run a pass

	link     *link
	keeper   *keeper
	presence *presence
	fence    *fence
	reporter *reporter
	tails    *tails
	images   *fetches
	reboots  *reboots // nil without Logind
	jobs     sync.WaitGroup
	step     func(what string) error // a test's way to end the process between two lines

	// Owned by Run's goroutine.
	ledger    *ledger
	files     map[cluster.Unit]UnitFile
	stale     bool // files must be listed again
	seen      map[cluster.Unit]Observed
	dirty     map[cluster.Unit]bool
	names     map[cluster.Unit]bool     // that concern this host, in this pass
	improper  map[cluster.Unit]bool     // ordered names that are none of systemd's
	elsewhere map[cluster.Unit]string   // where the host has a unit of that name of its own, "" = nowhere
	watched   int                       // names told to Watch
	flying    map[cluster.Unit]flight   // jobs that have not ended
	retries   map[cluster.Unit]*backoff // units whose last action went wrong
	said      map[cluster.Unit]string   // why a unit is not as ordered
	refusals  map[cluster.Unit]refusal  // starts that ended otherwise than well
	needed    map[cluster.Unit]need     // images, by the unit's content
	awaits    map[cluster.Unit][]Image  // of units that are not as ordered before all of them are there
	began     time.Time
	passAt    time.Time
	work      time.Duration // of the last pass, without its waits for systemd and disk
	pace      pace
	reloadAt  time.Time // of the last daemon-reload
	owesLoad  bool      // files changed, or may have before this process, and no reload succeeded since
	firedSeen int
	reread    int64 // the fresh read that fenced units wait for

	mu      sync.Mutex
	landed  []landing
	changed []string
	all     bool // any unit may have changed
	problem string
	hung    string // why systemd is of no help now
	waiting string
	status  map[cluster.Unit]cluster.Status
}

// New makes an agent. It reads what the agent before left; damaged files are told in
// State and in the log, and stop nothing.
func New(doors Doors, opt Options) (*Agent, error) {
	opt = opt.withDefaults()
	if opt.Host == "" || opt.Info.Boot == "" {
		return nil, errors.New("make an agent: host and boot id are needed")
	}
	if err := opt.Timing.Check(); err != nil {
		return nil, fmt.Errorf("make an agent: %w", err)
	}
	if err := errors.Join(os.MkdirAll(opt.RunDir, 0o755), os.MkdirAll(opt.StateDir, 0o700)); err != nil {
		return nil, fmt.Errorf("make an agent: %w", err)
	}
	a := &Agent{
		doors: doors, opt: opt, boot: opt.boot().Name(), log: opt.Log.With("component", "agent"), metrics: newMetrics(opt.Metrics),
		wake: newBell(), link: &link{}, stale: true, all: true, owesLoad: true,
		step: func(string) error { return nil },
		seen: map[cluster.Unit]Observed{}, dirty: map[cluster.Unit]bool{}, flying: map[cluster.Unit]flight{},
		retries: map[cluster.Unit]*backoff{}, said: map[cluster.Unit]string{}, refusals: map[cluster.Unit]refusal{}, elsewhere: map[cluster.Unit]string{},
		needed: map[cluster.Unit]need{}, awaits: map[cluster.Unit][]Image{},
	}
	a.doors.Systemd = patient{doors.Systemd, a.answered}
	return a, a.build()
}

func (o Options) withDefaults() Options {
	if o.Timing == (cluster.Timing{}) {
		o.Timing = cluster.DefaultTiming()
	}
	if o.UnitDir == "" {
		o.UnitDir = "/run/systemd/system"
	}
	if o.StateDir == "" {
		o.StateDir = "/var/lib/flotilla"
	}
	if o.RunDir == "" {
		o.RunDir = "/run/flotilla"
	}
	if o.Tick <= 0 {
		o.Tick = 5 * time.Minute // everything is told by watches; this only heals what was missed
	}
	if o.Look <= 0 {
		o.Look = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// build makes the parts. Only what cannot be worked without is an error.
func (a *Agent) build() error {
	o, d := a.opt, a.doors
	var err, damaged error
	if a.ledger, err = openLedger(filepath.Join(o.RunDir, "applied"), a.boot); a.ledger == nil {
		return err
	}
	damaged = errors.Join(damaged, err)
	a.keeper, err = newKeeper(d.Views, o.Host, a.boot, o.StateDir, o.Timing.TTL, a.link, a.log, a.heard)
	damaged = errors.Join(damaged, err)
	a.fence = &fence{
		systemd: d.Systemd, timers: d.Timers, clock: d.Clock, killer: d.Killer, budget: o.Timing.StopBudget,
		path: filepath.Join(o.RunDir, "fence.json"), log: a.log, metrics: a.metrics, tell: a.wake.ring,
		kick: newBell(), guardKick: newBell(),
	}
	damaged = errors.Join(damaged, a.fence.load(a.boot))
	a.reporter = &reporter{
		door: d.Reporter, limit: o.Timing.TTL, log: a.log, metrics: a.metrics, kick: newBell(),
		lease: a.mayReport, info: o.Info, lost: func() { a.presence.doubt() }, tell: a.reported,
	}
	a.presence = &presence{
		door: d.Presence, check: a.keeper.check, clock: d.Clock, timing: o.Timing, link: a.link, log: a.log, metrics: a.metrics,
		host: o.Host, me: cluster.Alive{Address: o.Info.Address, Boot: a.boot, Version: o.Info.Version},
		path: filepath.Join(o.RunDir, "lease.json"), kick: newBell(),
		renewed: a.fence.confirm,
		fenced:  a.keeper.fenced,
		began:   func() { a.keeper.ask() },
		tell:    func() { a.heard(); a.reporter.kick.ring() },
	}
	damaged = errors.Join(damaged, a.presence.load(newNonce()))
	a.tails = newTails(d.Journal, a.log, a.wake.ring)
	a.images = &fetches{door: d.Images, log: a.log, metrics: a.metrics, tell: a.wake.ring, running: &a.jobs, of: map[Image]*fetch{}}
	if d.Logind != nil {
		a.reboots, err = newReboots(a)
		damaged = errors.Join(damaged, err)
	}
	if damaged != nil {
		a.problem = "damaged file: " + damaged.Error()
		a.log.Error("a file of the agent before is damaged; nothing is stopped because of it", "err", damaged)
	}
	return nil
}

// heard is called when the orders or our life in the store changed.
func (a *Agent) heard() {
	a.wake.ring()
	if a.reboots != nil {
		a.reboots.notice()
	}
}

// reported is called when the store has taken in what this host says of itself.
func (a *Agent) reported() {
	if a.reboots != nil {
		a.reboots.moved.ring()
	}
}

func newNonce() string {
	var raw [16]byte
	rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// mayReport is the lease under which reports are written.
func (a *Agent) mayReport() (cluster.Lease, bool) {
	st := a.presence.current()
	return st.lease, st.settled && st.taken == "" && a.keeper.orders().frozen == ""
}

// ChangeInfo edits what this host says of itself. What HostInfo points to is to be replaced, not changed.
func (a *Agent) ChangeInfo(edit func(*cluster.HostInfo)) { a.reporter.change(edit) }

// Run obeys orders until ctx ends or the agent cannot work at all. It stops no unit
// when it ends, and leaves the lease to run on, so that a restart is not noticed; unless the host goes down as granted.
func (a *Agent) Run(ctx context.Context) error {
	a.began = time.Now()
	defer a.jobs.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also what listens to systemd, when a part failed
	changes, err := a.doors.Changes.Changes(ctx)
	if err != nil {
		return fmt.Errorf("listen to systemd: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.keeper.follow(ctx) })
	g.Go(func() error { return a.keeper.run(ctx) })
	g.Go(func() error { return a.presence.run(ctx) })
	g.Go(func() error { return a.fence.run(ctx) })
	g.Go(func() error { return a.fence.guard(ctx) })
	g.Go(func() error { return a.reporter.run(ctx) })
	g.Go(func() error { return a.tails.run(ctx) })
	g.Go(func() error { return a.listen(ctx, changes) })
	g.Go(func() error { return a.loop(ctx) })
	if a.reboots != nil {
		g.Go(func() error { return a.reboots.run(ctx) })
		g.Go(func() error { return a.reboots.attend(ctx) })
		g.Go(func() error { return a.reboots.look(ctx) })
	}
	err = g.Wait()
	if a.reboots != nil && a.reboots.fallsAsGranted() {
		a.presence.leave()
	}
	return err
}

// listen gathers what systemd tells.
func (a *Agent) listen(ctx context.Context, changes <-chan []string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case names, ok := <-changes:
			if !ok {
				return nil
			}
			a.mu.Lock()
			a.all = a.all || names == nil
			a.changed = append(a.changed, names...)
			a.mu.Unlock()
			a.wake.ring()
		}
	}
}

// loop runs a pass at each wake-up and tick. An error of pass is one that a test asked for.
func (a *Agent) loop(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	tick := time.NewTicker(a.opt.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.stale = true
			a.tellAll()
		case <-a.wake:
		case <-next.C:
		}
		a.work = 0
		if err := a.pass(ctx); err != nil {
			return err
		}
		if rest := a.pace.rest(a.work, time.Now()); rest > 0 && !sleep(ctx, rest) {
			return nil
		}
		next.Reset(a.nextDue())
	}
}

func (a *Agent) tellAll() {
	a.mu.Lock()
	a.all = true
	a.mu.Unlock()
}

// State says what the agent does and what it waits for.
func (a *Agent) State() State {
	o, p := a.keeper.orders(), a.presence.current()
	now := a.doors.Clock.Boottime()
	a.mu.Lock()
	defer a.mu.Unlock()
	problem := a.problem
	if a.hung != "" {
		problem = a.hung
	}
	return State{
		Frozen: o.frozen, Taken: p.taken, Refused: p.refused, Waiting: a.waiting, Problem: problem,
		Store: o.view.Store, Revision: o.view.Revision, Away: a.link.away(), Lease: p.lease,
		Fenced: now < a.fence.current().until, Missing: o.missing,
	}
}

// Statuses are the newest statuses of this host's units, as they are or will be reported.
func (a *Agent) Statuses() map[cluster.Unit]cluster.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status // replaced by each pass, never changed
}
