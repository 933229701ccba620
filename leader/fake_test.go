package leader_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader"
	"flotilla/units"
)

// fake is a store with its mirror. The mirror can be held back.
type fake struct {
	t *testing.T

	mu      sync.Mutex
	truth   *cluster.Snapshot
	shown   *cluster.Snapshot
	pending []func(*cluster.Snapshot)
	held    bool
	moved   chan struct{}
	subs    []chan struct{}

	host      cluster.HostID // of the candidate
	term      int64          // create revision of the leader key, 0 without one
	depose    context.CancelFunc
	campaigns int
	resigned  int
	reads     int
	applied   [][]cluster.Orders
	collected int
	barriers  int

	ahead     atomic.Int64  // by how much the clock was set forward; nanoseconds
	afterRead func()        // while planning ends
	onApply   func() error  // instead of checking, nil = check
	bad       cluster.Unit  // orders to put it can never be written
	lose      bool          // commit, and say that nobody knows
	late      time.Duration // say so, and commit that much later
	check     func(versions map[cluster.HostID]string) error
	free      chan struct{} // holds a value while nobody leads
}

func newFake(t *testing.T) *fake {
	f := &fake{
		t: t, truth: cluster.NewSnapshot(), shown: cluster.NewSnapshot(),
		moved: make(chan struct{}), free: make(chan struct{}, 1),
	}
	f.free <- struct{}{}
	f.do(func(s *cluster.Snapshot) { s.Complete, s.Watched = true, time.Now() })
	return f
}

// do changes the cluster at a revision of its own.
func (f *fake) do(change func(*cluster.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doLocked(change)
}

func (f *fake) doLocked(change func(*cluster.Snapshot)) int64 {
	step := func(s *cluster.Snapshot) {
		s.Revision++
		change(s)
	}
	step(f.truth)
	f.pending = append(f.pending, step)
	if !f.held {
		f.flush()
	}
	return f.truth.Revision
}

func (f *fake) flush() {
	for _, step := range f.pending {
		step(f.shown)
	}
	f.pending = nil
	close(f.moved)
	f.moved = make(chan struct{})
	for _, c := range f.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (f *fake) hold(held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held = held; !held {
		f.flush()
	}
}

func (f *fake) Read(use func(*cluster.Snapshot)) {
	f.mu.Lock()
	f.reads++
	use(f.shown)
	after := f.afterRead
	f.mu.Unlock()
	if after != nil {
		after()
	}
}

func (f *fake) Subscribe() (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{}, 1)
	f.subs = append(f.subs, c)
	return c, func() {}
}

func (f *fake) WaitRevision(ctx context.Context, rev int64) error {
	for {
		f.mu.Lock()
		at, moved := f.shown.Revision, f.moved
		f.mu.Unlock()
		if at >= rev {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (f *fake) Campaign(ctx context.Context) (leader.Leadership, error) {
	f.mu.Lock()
	f.campaigns++
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return leader.Leadership{}, ctx.Err()
	case <-f.free:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.term = f.doLocked(func(*cluster.Snapshot) {})
	ctx, f.depose = context.WithCancel(ctx)
	return leader.Leadership{Term: cluster.Term{Revision: f.term, Leader: f.host}, Ctx: ctx, Resign: f.resign}, nil
}

func (f *fake) resign(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.depose()
	f.resigned++
	f.term = 0
	select {
	case f.free <- struct{}{}:
	default:
	}
	return nil
}

func (f *fake) Check(_ string, versions map[cluster.HostID]string) error {
	if f.check == nil {
		return nil
	}
	return f.check(versions)
}

func (f *fake) Barrier(_ context.Context, term cluster.Term) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.barriers++
	if term.Revision != f.term {
		return 0, leader.ErrOver
	}
	return f.doLocked(func(*cluster.Snapshot) {}), nil
}

func (f *fake) Collect(_ context.Context, term cluster.Term) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collected++
	if term.Revision != f.term {
		return 0, leader.ErrOver
	}
	return 0, nil
}

func (f *fake) Apply(_ context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, orders)
	errs := make([]error, len(orders))
	var last int64
	for i, o := range orders {
		switch {
		case f.late > 0:
			time.AfterFunc(f.late, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				if term.Revision == f.term && f.holds(o.If) {
					f.write(o)
				}
			})
			errs[i] = errors.New("outcome unknown")
		case f.onApply != nil && f.onApply() != nil:
			errs[i] = f.onApply()
		case term.Revision != f.term:
			errs[i] = leader.ErrOver
		case f.bad != "" && len(o.Put) > 0 && o.Put[0].Unit == f.bad:
			errs[i] = leader.ErrBad
		case !f.holds(o.If):
			errs[i] = fmt.Errorf("order %d: %w", i, leader.ErrStale)
		default:
			last = f.write(o)
			if f.lose {
				errs[i] = errors.New("outcome unknown")
			}
		}
	}
	f.lose, f.late = false, 0
	return last, errs
}

func (f *fake) write(o cluster.Orders) int64 {
	return f.doLocked(func(s *cluster.Snapshot) {
		for _, pl := range o.Put {
			pl.Rev = s.Revision
			s.SetPlaced(&pl)
		}
		for _, w := range o.Delete {
			s.DeletePlaced(w)
		}
		for _, g := range o.Grants {
			s.SetGrant(g.Host, g.Grant, "", s.Revision, f.now())
		}
		for _, r := range o.Records {
			r.Rev = s.Revision
			s.History[cluster.HistoryKey{Host: r.Host, Generation: r.Generation}] = &r
		}
		if o.Notified != nil {
			s.Notified = *o.Notified
		}
	})
}

// now is the clock of mirror and loop.
func (f *fake) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

func (f *fake) holds(conditions []cluster.Condition) bool {
	for _, c := range conditions {
		var got int64
		switch c.Kind {
		case cluster.UnitAt:
			if u := f.truth.Units[c.Unit]; u != nil {
				got = u.Rev
			}
		case cluster.AliveAt:
			if h := f.truth.Hosts[c.Host]; h != nil {
				got = h.AliveRev
			}
		case cluster.PlacedAt:
			if pl := f.truth.Placed[c.Unit][c.Host]; pl != nil {
				got = pl.Rev
			}
		case cluster.HostsAt:
			got = f.truth.HostsEpoch
		case cluster.OrphanAt:
			got = f.truth.OrphanStops[cluster.Where{Host: c.Host, Unit: c.Unit}]
		case cluster.GrantAt:
			got = f.truth.Hosts[c.Host].GrantRev
		case cluster.BootingAt:
			got = f.truth.Hosts[c.Host].BootingRev
		}
		if got != c.Revision {
			return false
		}
	}
	return true
}

// What tests do to the cluster.

func (f *fake) addHost(id cluster.HostID) { f.addHostOf(id, "1.0.0") }

func (f *fake) addHostOf(id cluster.HostID, version string) {
	f.do(func(s *cluster.Snapshot) {
		s.SetHostInfo(id, &cluster.HostInfo{Name: string(id), Boot: "1", Reboot: &cluster.RebootReport{}}, time.Now())
		s.SetAlive(id, &cluster.Alive{Boot: "1", Version: version}, s.Revision)
	})
}

func (f *fake) kill(id cluster.HostID) {
	f.do(func(s *cluster.Snapshot) { s.DeleteAlive(id, s.Revision, time.Now()) })
}

func (f *fake) launch(name units.Name) {
	f.do(func(s *cluster.Snapshot) {
		s.SetUnit(&cluster.UnitHead{
			Name: name, Rev: s.Revision, File: &units.File{Name: name},
			Spec: cluster.UnitSpec{Blob: "x", Target: units.Launched},
		})
	})
}

func (f *fake) placed(name units.Name) map[cluster.HostID]cluster.Order {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[cluster.HostID]cluster.Order{}
	for id, pl := range f.truth.Placed[name] {
		out[id] = pl.State
	}
	return out
}

type counts struct{ Campaigns, Resigned, Applied, Barriers int }

func (f *fake) counts() counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return counts{f.campaigns, f.resigned, len(f.applied), f.barriers}
}

func (f *fake) collects() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.collected
}

// run starts a loop that ends with the test's bubble.
func (f *fake) run(opt leader.Options) (l *leader.Loop, stop func()) {
	opt.Store, opt.Mirror = f, f
	l = leader.New(opt)
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			f.t.Errorf("Run() = %v, want context.Canceled", err)
		}
	}
}
