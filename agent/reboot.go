package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// How often the parts of a reboot are looked at while a grant stands.
const (
	recheck    = 3 * time.Second  // hooks that went well, checks, the state of systemd
	hookRetry  = 30 * time.Second // a hook that failed
	useRetry   = time.Second      // a grant whose use was not answered
	askLimit   = 30 * time.Second // for logind's answer to a reboot
	lookLimit  = 10 * time.Second // for logind's and systemd's answers to questions
	restLength = time.Hour        // nothing to do: a change rings
)

// reboots is the part of an agent that owns its host's reboots. It warns people, runs hooks and checks, uses the grant by a transaction,
// asks logind, and after the boot says whether all is well. One goroutine (run) walks through the phases, one
// (attend) answers shutdowns that others ask for, one (look) asks who needs a reboot.
type reboots struct {
	logind  Logind
	machine Machine
	door    Grants
	checks  Checks
	needs   Needs
	systemd Systemd
	journal Journal
	clock   Clock
	log     *slog.Logger
	metrics *metrics

	host    cluster.HostID
	boot    cluster.Boot
	version int           // of systemd; 0 = not known
	limit   time.Duration // of one call to the store
	period  time.Duration // between two looks at who needs a reboot
	orders  func() orders
	lease   func() (cluster.Lease, bool) // ok is false while nothing may be written
	content func(units.Hash) ([]byte, error)
	dropIns func(units.Hash) (units.DropIns, error)
	told    func() bool                       // the store has the newest report
	change  func(func(*cluster.RebootReport)) // edits the report
	kick    bell
	moved   bell // orders changed
	relook  bell // what look reports changed

	hold holder
	life lifeFile // survives the boot

	work     workFile // of this boot; owned by run
	workPath string
	tried    time.Duration // when boot-complete.target was asked for last; owned by run
	retry    time.Duration // when a hook that failed is due again; owned by run
	why      string        // it failed; owned by run
	deaf     bool          // logind did not answer the last look; owned by look

	mu      sync.Mutex
	doing   *doing // what run is at, so that a grant that is taken back ends it
	stays   string // what the hook before a reboot that did not come did, and nothing has undone
	used    int64  // generation of the grant that this process knows as used and carried out
	undone  string // why the reboot that logind took on did not come
	falling fall
}

// doing is a step of a grant's way that may take long.
type doing struct {
	generation int64
	phase      cluster.Phase
	committed  bool // to reboot: that its phase goes on is no reason to stop
	cancel     context.CancelFunc
}

// newReboots reads what the agent before left. The error is about damaged files and stops nothing.
func newReboots(a *Agent) (*reboots, error) {
	d, o := a.doors, a.opt
	r := &reboots{
		logind: d.Logind, machine: d.Machine, door: d.Grants, checks: d.Checks, needs: d.Needs,
		systemd: d.Systemd, journal: d.Journal, clock: d.Clock, log: a.log, metrics: a.metrics,
		host: o.Host, boot: o.boot(), version: o.Info.Systemd, limit: o.Timing.TTL, period: o.Look,
		orders: a.keeper.orders, lease: a.mayReport, content: a.keeper.content, dropIns: a.keeper.dropIns, told: a.reporter.told,
		change: func(edit func(*cluster.RebootReport)) {
			a.reporter.change(func(info *cluster.HostInfo) { info.Reboot = edited(info.Reboot, edit) })
		},
		kick: newBell(), moved: newBell(), relook: newBell(), workPath: filepath.Join(o.RunDir, "reboot.json"),
	}
	r.hold.door = d.Logind
	err := r.life.open(filepath.Join(o.StateDir, "reboot.json"), r.boot)
	r.change(func(report *cluster.RebootReport) { report.Soft, report.Last = r.boot.Soft, r.life.last() })
	if _, bad := readJSON(r.workPath, &r.work); bad != nil || r.work.Boot != r.boot {
		r.work = workFile{Boot: r.boot}
		err = errors.Join(err, bad)
	}
	return r, err
}

// edited is a report with a change; nil is an empty one.
func edited(report *cluster.RebootReport, edit func(*cluster.RebootReport)) *cluster.RebootReport {
	var next cluster.RebootReport
	if report != nil {
		next = *report
	}
	edit(&next)
	return &next
}

// boot is the run of the host in which this agent lives.
func (o Options) boot() cluster.Boot {
	b := cluster.Boot{ID: o.Info.Boot}
	if o.Info.Reboot != nil {
		b.Soft = o.Info.Reboot.Soft
	}
	return b
}

// notice is called when orders or the lease changed. What is being done for a grant that is another one by now ends.
func (r *reboots) notice() {
	g := r.orders().view.Grant
	r.mu.Lock()
	if d := r.doing; d != nil && (g == nil || g.Generation != d.generation || g.Phase != d.phase && !d.committed) {
		d.cancel()
	}
	r.mu.Unlock()
	r.kick.ring()
	r.moved.ring()
}

// run walks through the phases of this host's grants until ctx ends.
func (r *reboots) run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
		case <-next.C:
		}
		next.Reset(r.step(ctx))
	}
}

// step does what the grant's phase asks of this host now, and says when to look again.
func (r *reboots) step(ctx context.Context) time.Duration {
	o := r.orders()
	g := o.view.Grant
	if o.frozen != "" {
		return restLength
	}
	if g != nil && !g.Phase.Holds() {
		g = nil
	}
	if g == nil && o.taken { // the view on disk has no grants
		r.forget()
	}
	if wait, first := r.undoes(ctx, o, g); first {
		return wait
	}
	if g == nil {
		return restLength
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	r.doing = &doing{generation: g.Generation, phase: g.Phase, cancel: cancel}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.doing = nil
		r.mu.Unlock()
	}()
	r.begin(g.Generation)
	switch {
	case g.Boot != r.boot:
		return r.after(ctx, *g)
	case g.Phase == cluster.PhaseDrained, g.Phase == cluster.PhaseGranted && g.External: // who uses it does not make the checks
		return r.before(ctx, *g)
	case g.Phase == cluster.PhaseGranted, g.Phase == cluster.PhaseRebooting, g.Phase == cluster.PhaseOverdue:
		return r.use(ctx, *g)
	}
	return restLength
}

// forget drops what was said and done for a grant that has ended, whatever the host did about it.
func (r *reboots) forget() {
	r.change(func(report *cluster.RebootReport) { report.Before, report.After = nil, nil })
	if r.life.granted() == 0 {
		return
	}
	r.ends(func(l *life) { l.Granted = 0 })
	r.moved.ring()
}

// begin forgets what was done for another grant.
func (r *reboots) begin(generation int64) {
	if r.work.Generation != generation {
		r.work = workFile{Boot: r.boot, Generation: generation}
		r.tried, r.retry = 0, 0
		r.stuck("")
	}
}

// save keeps what was done for the grant in /run, for the agent after this one.
func (r *reboots) save() error { return writeJSON(r.workPath, r.work, false) }
