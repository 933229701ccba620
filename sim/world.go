package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/leader"
	"flotilla/leader/plan"
)

// Options make a World.
type Options struct {
	Seed       uint64
	Hosts      int
	Candidates int // the first hosts that may lead; 0 = all, at most three
	Timing     cluster.Timing
	Plan       plan.Options
	Kind       bool // the store is exact and immediate
	Unwatched  bool // no Judge: for benches
	// Backend makes each process' and the user's way to a store outside, which the caller
	// ends after Close. nil = the store in memory. There are no faults then, and no Judge.
	Backend    func() store.Backend
	Dir        string // for the agents' files; the caller removes it
	Log        *slog.Logger
	StartTime  fake.Range
	StopTime   fake.Range
	ReloadTime fake.Range
	Reboots    *Reboots  // hosts reboot, and agents and leader see to it; nil = they do not
	Trace      io.Writer // gets the judge's trace as it grows; nil = nobody
	seams      seams
}

// seams are where a test may put a defect between two rooms.
type seams struct {
	backend func(store.Backend) store.Backend // below a process' Store
	doors   func(*agent.Doors)
	leader  func(leader.Store) leader.Store
	mirror  func(leader.Mirror) leader.Mirror
}

// World is a whole cluster in this process: hosts with real agents and leaders on fake
// systemds and one store in memory. It runs in real time, or in virtual time when it was
// made in a synctest bubble. Close ends it.
type World struct {
	Store *memory.Store
	Judge *Judge // nil when Unwatched
	Hosts []*Host

	opt    Options
	wg     sync.WaitGroup
	typing turn // one user, who does one thing after the other
	ended  chan struct{}
	later  atomic.Int64 // things that after will still do

	outside atomic.Bool // what groups check does not answer

	mu    sync.Mutex
	user  *store.Store // its user's way to the store, as unkind as everybody's
	above *store.Store // above all faults, for who judges
	acked map[cluster.Unit]*cluster.UnitSpec
}

// NewWorld makes the store and the hosts; the daemons are started by Start.
func NewWorld(opt Options) (*World, error) {
	if opt.Timing == (cluster.Timing{}) {
		opt.Timing = cluster.DefaultTiming()
	}
	if opt.Candidates == 0 {
		opt.Candidates = min(3, opt.Hosts)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Plan.Timing = opt.Timing
	if opt.Backend != nil {
		opt.Unwatched = true
		opt.seams.backend = func(store.Backend) store.Backend { return opt.Backend() }
	}
	w := &World{
		opt: opt, Store: memory.New(memory.Options{Seed: opt.Seed, Kind: opt.Kind}),
		typing: make(turn, 1), ended: make(chan struct{}),
	}
	w.meet()
	if !opt.Unwatched {
		w.Judge = newJudge(opt.Timing, rules{brake: !opt.Plan.StormOff})
		w.Judge.tell = opt.Trace
		w.Store.OnCommit(w.Judge.committed)
	}
	if _, err := w.Above().Init(context.Background()); err != nil {
		return nil, fmt.Errorf("init the store: %w", err)
	}
	for n := range opt.Hosts {
		w.Hosts = append(w.Hosts, newHost(w, n, fmt.Sprintf("h%d", n+1)))
	}
	return w, nil
}

// Start starts the daemons of all hosts.
func (w *World) Start() error {
	for _, h := range w.Hosts {
		if err := h.Start(); err != nil {
			return err
		}
	}
	return nil
}

// meet gives the user and the judge new ways to the store, which know nothing of it yet.
func (w *World) meet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	user, above := store.Backend(w.Store.Of("user")), w.Store.Observer()
	if w.opt.Backend != nil {
		user, above = w.opt.Backend(), w.opt.Backend()
	}
	w.user = store.New(user, "", store.Options{TTL: w.opt.Timing.TTL})
	w.above = store.New(above, "", store.Options{TTL: w.opt.Timing.TTL})
	w.acked = map[cluster.Unit]*cluster.UnitSpec{}
}

// User is the user's way to the store.
func (w *World) User() *store.Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.user
}

// Above is a way to the store that no fault strikes.
func (w *World) Above() *store.Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.above
}

// run starts a goroutine that Close waits for.
func (w *World) run(f func()) { w.wg.Go(f) }

// Close ends all daemons and waits for them.
func (w *World) Close() {
	close(w.ended)
	for _, h := range w.Hosts {
		h.mu.Lock()
		p := h.proc
		h.mu.Unlock()
		if p == nil {
			continue
		}
		p.gate.kill()
		p.stall.kill()
		p.cancel()
	}
	w.Store.Close()
	w.wg.Wait()
}

// after does something later, unless the world has ended by then.
func (w *World) after(d time.Duration, do func()) {
	w.later.Add(1)
	w.run(func() {
		defer w.later.Add(-1)
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			do()
		case <-w.ended:
		}
	})
}

// addGuest boots another machine with a host's id.
func (w *World) addGuest(of *Host) error {
	g := newHost(w, len(w.Hosts), of.name+"-twin")
	g.id, g.candidate = of.id, false
	w.Judge.mu.Lock()
	g.truth.id, g.truth.guest = of.id, true
	w.Judge.mu.Unlock()
	w.Hosts = append(w.Hosts, g)
	return g.Start()
}

// Leader is the host whose loop leads, or nil.
func (w *World) Leader() *Host {
	info, _, err := w.Above().Leader(context.Background())
	if err != nil {
		return nil
	}
	for _, h := range w.Hosts {
		if h.id == info.Host && !h.truth.guest {
			return h
		}
	}
	return nil
}

// pauseFor lets time pass.
func pauseFor(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}
