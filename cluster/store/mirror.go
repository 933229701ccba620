package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"flotilla/cluster"
)

// Mirror keeps the whole cluster in memory as a cluster.Snapshot: one load at one
// revision, then a watch. Run owns it; everybody else reads.
type Mirror struct {
	s     *Store
	clock func() time.Time

	mu    sync.RWMutex // guards what the view holds and refers to
	view  *decoder
	moved chan struct{} // closed and replaced at each change
	err   error         // why it cannot go on at the moment

	loaded atomic.Pointer[seen] // what the view holds

	subMu sync.Mutex
	subs  map[chan struct{}]struct{}
}

// seen is which store was read, and up to which revision. The pulse compares it without the
// mirror's lock: a reader may hold that for longer than a TTL, and the pulse would take the
// wait for an outage.
type seen struct {
	id  cluster.Identity
	rev int64
}

// NewMirror makes a mirror that is empty and incomplete until Run has loaded it. clock
// stamps absences and gaps; nil = time.Now.
func NewMirror(s *Store, clock func() time.Time) *Mirror {
	if clock == nil {
		clock = time.Now
	}
	return &Mirror{
		s:     s,
		clock: clock,
		view:  newDecoder(s.keys, clock, newBlobCache()),
		moved: make(chan struct{}),
		subs:  map[chan struct{}]struct{}{},
	}
}

// Pauses between attempts while the store cannot be read.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// errTrouble says that the store was out of reach for longer than a host's lease.
var errTrouble = errors.New("store was out of reach for longer than the TTL")

// Run keeps the mirror up to date until ctx ends, and returns ctx's error then. While
// the store cannot be read the mirror keeps its last state, and Err says why.
func (m *Mirror) Run(ctx context.Context) error {
	p := attempts{}
	for {
		err := m.session(ctx, &p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.s.log.Warn("mirror starts anew", "err", err)
		m.setErr(err)
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
}

// session loads everything and follows the watch, over its breaks, until there is a gap.
func (m *Mirror) session(ctx context.Context, p *attempts) error {
	d, err := m.load(ctx)
	if err != nil {
		return err
	}
	*p = attempts{}
	m.install(d)
	ctx, cancel := context.WithCancelCause(ctx)
	var pulse sync.WaitGroup
	defer pulse.Wait()
	defer cancel(nil)
	pulse.Go(func() { m.pulse(ctx, cancel) })
	for {
		err := m.follow(ctx, p)
		for err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			if errors.Is(err, ErrCompacted) || errors.Is(err, errReplaced) {
				return err
			}
			m.setErr(err)
			if p.wait(ctx) == nil {
				err = m.check(ctx)
			}
		}
		m.setErr(m.view.fault())
	}
}

// check asks whether the store still is the one that was loaded. It takes no lock.
func (m *Mirror) check(ctx context.Context) error {
	was := m.loaded.Load()
	ask, cancel := context.WithTimeout(ctx, m.s.ttl/2)
	defer cancel()
	_, err := m.s.stillSame(ask, was.id, was.rev)
	return err
}

// pulse asks the store for its identity now and then. When it could not answer for longer
// than the TTL, leases may have been lengthened and hosts been silent without a
// trace in the watch: the session ends, and Watched begins anew. So it does on another
// store.
func (m *Mirror) pulse(ctx context.Context, end context.CancelCauseFunc) {
	next := time.NewTimer(m.s.ttl / 2)
	defer next.Stop()
	last := m.clock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		err := m.check(ctx)
		if errors.Is(err, errReplaced) {
			end(err)
			return
		}
		if err != nil {
			next.Reset(m.s.ttl / 20)
			continue
		}
		now := m.clock()
		if now.Sub(last) > m.s.ttl {
			end(errTrouble)
			return
		}
		last = now
		next.Reset(m.s.ttl / 2)
	}
}

// follow applies changes from the snapshot's revision on until the watch breaks.
func (m *Mirror) follow(ctx context.Context, p *attempts) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.RLock()
	from := m.view.snap.Revision + 1
	m.mu.RUnlock()
	events := m.s.b.Watch(ctx, m.s.keys.prefix, from)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batch, ok := <-events:
			if err := watchFault(ctx, batch, ok); err != nil {
				return err
			}
			if err := m.apply(ctx, batch); err != nil {
				return err
			}
			*p = attempts{}
		}
	}
}

// apply fetches the contents that new heads name, then changes the snapshot under the lock.
func (m *Mirror) apply(ctx context.Context, batch WatchEvents) error {
	fetched, err := m.view.fetch(ctx, m.s, batch.Events)
	if err != nil {
		return err
	}
	m.mu.Lock()
	for _, e := range batch.Events {
		m.view.event(e, fetched)
	}
	m.view.finish(max(batch.Revision, m.view.snap.Revision))
	m.err = m.view.fault()
	m.loaded.Store(&seen{m.view.snap.Store, m.view.snap.Revision})
	m.mu.Unlock()
	m.announce()
	return nil
}

// install replaces the snapshot after a load.
func (m *Mirror) install(d *decoder) {
	m.mu.Lock()
	m.view = d
	m.err = d.fault()
	m.loaded.Store(&seen{d.snap.Store, d.snap.Revision})
	m.mu.Unlock()
	m.announce()
}

func (m *Mirror) setErr(err error) {
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
}

// announce wakes subscribers and those who wait for a revision.
func (m *Mirror) announce() {
	m.mu.Lock()
	close(m.moved)
	m.moved = make(chan struct{})
	m.mu.Unlock()
	m.subMu.Lock()
	defer m.subMu.Unlock()
	for c := range m.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Read calls f with the snapshot under a read lock. f must not keep the snapshot and
// must not call the mirror.
func (m *Mirror) Read(f func(*cluster.Snapshot)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(m.view.snap)
}

// Err says why the mirror cannot go on at the moment, or which keys it cannot decode;
// nil when all is well.
func (m *Mirror) Err() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.err
}

// Subscribe returns a channel that holds a value whenever something changed since it
// was last emptied, and a function that ends the subscription.
func (m *Mirror) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	m.subMu.Lock()
	m.subs[c] = struct{}{}
	m.subMu.Unlock()
	return c, func() {
		m.subMu.Lock()
		delete(m.subs, c)
		m.subMu.Unlock()
	}
}

// WaitRevision returns when the snapshot has reached rev, or with ctx's error. rev must
// be that of a write under the store's prefix, such as Apply, Barrier and a Term give.
func (m *Mirror) WaitRevision(ctx context.Context, rev int64) error {
	for {
		m.mu.RLock()
		at, moved := m.view.snap.Revision, m.moved
		m.mu.RUnlock()
		if at >= rev {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the mirror reaches revision %d, it is at %d: %w", rev, at, ctx.Err())
		case <-moved:
		}
	}
}

// attempts counts the pause between attempts, which grows.
type attempts struct{ last time.Duration }

func (p *attempts) wait(ctx context.Context) error {
	p.last = min(max(2*p.last, pauseFirst), pauseMost)
	if !pause(ctx, p.last) {
		return ctx.Err()
	}
	return nil
}
