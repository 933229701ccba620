package sim

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"flotilla/agent"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader"
)

// mutation is a deliberate defect between two rooms, and how many seeds of which theme may
// pass before one catches it.
type mutation struct {
	name    string
	theme   string
	seeds   int
	defects func() seams
	from    int // how many seeds of the theme are left out first: they show nothing
}

func mutations() []mutation {
	return []mutation{
		{"a leader's writes compare no term", "leaders", 10, func() seams { return stripped(prefix + "leader") }, 0},
		{"writes compare no store identity", "wipe", 5, func() seams { return stripped(prefix + "store") }, 0},
		{"what may still arrive is taken for refused", "leaders", 10, unclearIsStale, 0},
		{"a move leaves no tombstone", "mixed", 10, func() seams { return edited(withoutTombstone) }, 0},
		{"a failover does not compare that the old host is absent", "flaps", 40, func() seams { return edited(withoutAbsence) }, 0},
		{"a placement does not compare that its host is alive", "leaders", 160, func() seams { return edited(withoutLife) }, 0},
		{"a placement does not compare what operators said of hosts", "removal", 60, func() seams { return edited(withoutHosts) }, 0},
		{"the leader plans on a stale mirror", "mixed", 10, staleMirror, 0},
		{"what is missing in a view is gone", "removal", 10, func() seams { return viewed(missingIsGone()) }, 0},
		{"a changed generation restarts", "mixed", 10, func() seams { return viewed(generationRestarts()) }, 0},
		{"a tombstone is taken for an order to run", "mixed", 10, func() seams { return viewed(goneRuns) }, 0},
		{"the fence counts from the reply", "fence", 60, fenceFromReply, 0},
		{"the fence never fires", "fence", 10, fenceNever, 0},
		{"a foreign store is taken for ours", "wipe", 5, foreignIsOurs, 0},
		{"another host's life is taken over", "guest", 10, takeOver, 0},
	}
}

func TestMutations(t *testing.T) {
	playMutations(t, mutations(), themes(), newSchedule)
}

// TestRebootMutations is TestMutations for seeds in which hosts reboot.
func TestRebootMutations(t *testing.T) {
	playMutations(t, rebootMutations(), rebootThemes(), newRebootSchedule)
}

func playMutations(t *testing.T, all []mutation, themes []theme, schedule func(uint64) *schedule) {
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			index := slices.IndexFunc(themes, func(th theme) bool { return th.name == m.theme })
			if index < 0 {
				t.Fatalf("no theme %q", m.theme)
			}
			for n := range m.seeds {
				seed := uint64(index + (m.from+n)*len(themes))
				if o := play(t, schedule(seed), m.defects()); len(o.Broken) > 0 {
					t.Logf("caught by seed %d, the %d. tried: %s", seed, n+1, o.Broken[0])
					return
				}
			}
			t.Errorf("no seed of %d caught it: the simulation is blind to it", m.seeds)
		})
	}
}

// strip takes the compares of some keys out of every transaction.
type strip struct {
	store.Backend
	key string
}

func (s strip) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	var kept []store.Compare
	for _, c := range t.If {
		if c.Key != s.key || len(t.Then) == 0 || wrote(t, s.key) {
			kept = append(kept, c)
		}
	}
	t.If = kept
	return s.Backend.Txn(ctx, t)
}

// wrote says whether a transaction writes the very key: the campaign stays as it is.
func wrote(t store.Txn, key string) bool {
	for _, op := range t.Then {
		if op.Key == key {
			return true
		}
	}
	return false
}

func stripped(key string) seams {
	return seams{backend: func(b store.Backend) store.Backend { return strip{b, key} }}
}

// editor changes a leader's orders on their way.
type editor struct {
	leader.Store
	edit func(cluster.Orders) cluster.Orders
}

func (e editor) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	changed := make([]cluster.Orders, len(orders))
	for i, o := range orders {
		changed[i] = e.edit(o)
	}
	return e.Store.Apply(ctx, term, changed)
}

func edited(edit func(cluster.Orders) cluster.Orders) seams {
	return seams{leader: func(s leader.Store) leader.Store { return editor{s, edit} }}
}

// careless takes orders whose fate is unknown for refused ones: its term goes on.
type careless struct{ leader.Store }

func (c careless) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	rev, errs := c.Store.Apply(ctx, term, orders)
	for i, err := range errs {
		if err != nil && !errors.Is(err, leader.ErrOver) {
			errs[i] = leader.ErrStale
		}
	}
	return rev, errs
}

// unclearIsStale leaves nothing that keeps late orders out: neither the end of the term nor
// the barrier.
func unclearIsStale() seams {
	s := stripped(prefix + "barrier")
	s.leader = func(s leader.Store) leader.Store { return careless{s} }
	return s
}

func withoutTombstone(o cluster.Orders) cluster.Orders {
	if len(o.Put) < 2 {
		return o
	}
	var puts []cluster.Placed
	for _, p := range o.Put {
		if p.State != cluster.Gone {
			puts = append(puts, p)
		}
	}
	o.Put = puts
	return o
}

// without drops some conditions.
func without(o cluster.Orders, drop func(cluster.Condition) bool) cluster.Orders {
	var kept []cluster.Condition
	for _, c := range o.If {
		if !drop(c) {
			kept = append(kept, c)
		}
	}
	o.If = kept
	return o
}

func withoutAbsence(o cluster.Orders) cluster.Orders {
	return without(o, func(c cluster.Condition) bool { return c.Kind == cluster.AliveAt && c.Revision == 0 })
}

func withoutLife(o cluster.Orders) cluster.Orders {
	return without(o, func(c cluster.Condition) bool { return c.Kind == cluster.AliveAt && c.Revision != 0 })
}

func withoutHosts(o cluster.Orders) cluster.Orders {
	return without(o, func(c cluster.Condition) bool { return c.Kind == cluster.HostsAt })
}

// stale is a mirror that shows what was there some time ago, and says that it has
// reached whatever it is asked for.
type stale struct {
	leader.Mirror
	mu  sync.Mutex
	old *cluster.Snapshot
	at  time.Time
}

func (s *stale) Read(f func(*cluster.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Mirror.Read(func(now *cluster.Snapshot) {
		if s.old == nil || !s.old.Complete || time.Since(s.at) > 1500*time.Millisecond {
			s.old, s.at = now.Clone(), time.Now()
		}
	})
	f(s.old)
}

func (s *stale) WaitRevision(ctx context.Context, _ int64) error {
	pauseFor(50 * time.Millisecond)
	return ctx.Err()
}

func staleMirror() seams {
	return seams{mirror: func(m leader.Mirror) leader.Mirror { return &stale{Mirror: m} }}
}

// spectacles change what an agent sees of its orders.
type spectacles struct {
	agent.Views
	see func(cluster.View) cluster.View
}

func (s spectacles) View(ctx context.Context, host cluster.HostID) (cluster.View, error) {
	v, err := s.Views.View(ctx, host)
	if err != nil || v.Store.ID == "" {
		return v, err
	}
	return s.see(v), nil
}

func (s spectacles) FollowView(ctx context.Context, host cluster.HostID, f func(cluster.View)) error {
	return s.Views.FollowView(ctx, host, func(v cluster.View) { f(s.see(v)) })
}

func viewed(see func(cluster.View) cluster.View) seams {
	return seams{doors: func(d *agent.Doors) { d.Views = spectacles{d.Views, see} }}
}

// missingIsGone makes a tombstone of every order that vanishes.
func missingIsGone() func(cluster.View) cluster.View {
	var mu sync.Mutex
	had := map[cluster.Where]cluster.Placement{}
	return func(v cluster.View) cluster.View {
		mu.Lock()
		defer mu.Unlock()
		for w, p := range had {
			if _, there := v.Place[w.Unit]; w.Host == v.Host && !there && p.State != cluster.Gone {
				p.State = cluster.Gone
				v.Place[w.Unit] = p
			}
		}
		for u, p := range v.Place {
			had[cluster.Where{Host: v.Host, Unit: u}] = p
		}
		return v
	}
}

// generationRestarts counts every new generation as a wish for a restart.
func generationRestarts() func(cluster.View) cluster.View {
	return func(v cluster.View) cluster.View {
		for u, p := range v.Place {
			p.Restart += p.Generation
			v.Place[u] = p
		}
		return v
	}
}

func goneRuns(v cluster.View) cluster.View {
	for u, p := range v.Place {
		if p.State == cluster.Gone {
			p.State = cluster.Launched
			v.Place[u] = p
		}
	}
	return v
}

// foreignIsOurs gives every store the identity of the first one that was seen.
func foreignIsOurs() seams {
	var mu sync.Mutex
	var first cluster.Identity
	return seams{doors: func(d *agent.Doors) {
		d.Views = blind{spectacles{d.Views, func(v cluster.View) cluster.View {
			mu.Lock()
			defer mu.Unlock()
			if first.ID == "" {
				first = v.Store
			}
			v.Store = first
			v.Revision += 1 << 20
			return v
		}}, &mu, &first}
	}}
}

// blind does not see that a store has no identity.
type blind struct {
	spectacles
	mu    *sync.Mutex
	first *cluster.Identity
}

func (b blind) View(ctx context.Context, host cluster.HostID) (cluster.View, error) {
	v, err := b.Views.View(ctx, host)
	b.mu.Lock()
	known := *b.first
	b.mu.Unlock()
	if err == nil && v.Store.ID == "" && known.ID != "" {
		v.Store, v.Place = known, map[cluster.Unit]cluster.Placement{}
	}
	if err != nil {
		return v, err
	}
	return b.see(v), nil
}

// replies notes how long renewals took, and arms the fence so much later.
type replies struct {
	agent.Presence
	agent.Timers
	mu   sync.Mutex
	took time.Duration
}

func (r *replies) Renew(ctx context.Context, l cluster.Lease) (time.Duration, error) {
	sent := time.Now()
	ttl, err := r.Presence.Renew(ctx, l)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = time.Since(sent)
	return ttl, err
}

func (r *replies) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	r.mu.Lock()
	took := r.took
	r.mu.Unlock()
	return r.Timers.StartTransientTimer(ctx, name, onStartup+took, unit)
}

func fenceFromReply() seams {
	return seams{doors: func(d *agent.Doors) {
		r := &replies{Presence: d.Presence, Timers: d.Timers}
		d.Presence, d.Timers, d.Killer = r, r, nil // the second line would cover for the first
	}}
}

// never arms timers for next year.
type never struct{ agent.Timers }

func (n never) StartTransientTimer(ctx context.Context, name string, onStartup time.Duration, unit string) error {
	return n.Timers.StartTransientTimer(ctx, name, onStartup+365*24*time.Hour, unit)
}

func fenceNever() seams {
	return seams{doors: func(d *agent.Doors) { d.Timers, d.Killer = never{d.Timers}, nil }}
}

// usurper takes over whatever life it meets.
type usurper struct{ agent.Presence }

func (u usurper) Announce(ctx context.Context, host cluster.HostID, a cluster.Alive, old cluster.Lease) (cluster.Lease, error) {
	l, err := u.Presence.Announce(ctx, host, a, old)
	if taken, ok := err.(*cluster.TakenError); ok { //nolint:errorlint // the door returns it bare
		return u.Presence.Announce(ctx, host, a, taken.Lease)
	}
	return l, err
}

func takeOver() seams {
	return seams{doors: func(d *agent.Doors) { d.Presence = usurper{d.Presence} }}
}
