// Package memory is a store in memory with etcd's semantics, for tests and the
// simulator. It is unkind by default: it does everything a real etcd may do to its
// clients, often. New takes a seed, from which each client draws its own chances.
//
// It uses nothing but time, channels and mutexes, so it runs inside a synctest
// bubble. The caller must Close it; Close waits for every goroutine it started.
// Keys and values that go in or come out are shared: nobody may change them.
package memory

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"flotilla/cluster/store"
)

// Options of a Store. The zero value is an unkind store with seed 0.
type Options struct {
	// Seed decides when the store is unkind, together with the clients' names.
	Seed uint64
	// Kind makes the store exact and immediate. Faults that a caller orders still happen.
	Kind bool
	// Delay bounds the delay of a request, of its reply and of a watch delivery. 0 = 20 ms.
	Delay time.Duration
	// Late bounds how long after its end a lease's keys stay, and how long after its
	// error a given-up transaction may still commit. 0 = 1 s.
	Late time.Duration
	// Keep is how many revisions of history the store keeps at least when nobody
	// compacts it; an unkind store keeps fewer at times. 0 = 10,000.
	Keep int64
}

// Cut says which way a client's connection to the store is broken.
type Cut int

// The ways to cut a client.
const (
	CutNone    Cut = iota
	CutAll         // requests do not arrive, replies and watch events neither
	CutReplies     // requests arrive and are carried out; replies and watch events do not arrive
)

var (
	errClosed  = errors.New("memory store is closed")
	errWatch   = errors.New("watch was canceled by the store")
	errWiped   = errors.New("connection lost: store was wiped")
	errRefused = errors.New("etcd leader changed, request refused")
	errNobody  = errors.New("connection refused")
)

// Store is a store in memory. It is itself a store.Backend: the client without a name.
type Store struct {
	*Client

	opt      Options
	observer *Client

	mu       sync.Mutex
	kind     bool
	rng      *rand.Rand
	clients  map[string]*Client
	down     bool
	nobody   bool // while down, requests are refused instead of unanswered
	readOnly bool
	changed  chan struct{} // closed and replaced when down or a client's cut changes
	onCommit func(rev int64, events []store.Event)
	stats    Stats
	history
	leases
	watchers

	closed chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

// New makes an empty store at revision 1, as a new etcd has it.
func New(opt Options) *Store {
	if opt.Delay == 0 {
		opt.Delay = 20 * time.Millisecond
	}
	if opt.Late == 0 {
		opt.Late = time.Second
	}
	if opt.Keep == 0 {
		opt.Keep = 10_000
	}
	s := &Store{
		opt:     opt,
		kind:    opt.Kind,
		rng:     newRand(opt.Seed, "store"),
		clients: map[string]*Client{},
		changed: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	s.reset()
	s.Client = s.Of("")
	s.observer = &Client{s: s, name: "observer", above: true}
	return s
}

func newRand(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Of returns the client with this name; the same one each time. Faults strike clients.
func (s *Store) Of(name string) *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[name]
	if c == nil {
		c = &Client{s: s, name: name, rng: newRand(s.opt.Seed, "client "+name)}
		s.clients[name] = c
	}
	return c
}

// Observer returns a client above all faults: what it asks is answered exactly and at
// once, even while the store is down. It is for those who judge, not for those judged.
func (s *Store) Observer() store.Backend { return s.observer }

// OnCommit has f called at each revision with its changes, in order, under the store's
// lock: f must not use the store. A wipe calls it with revision 1 and no events.
func (s *Store) OnCommit(f func(rev int64, events []store.Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCommit = f
}

// SetKind turns the unkindness off (true) or on. It ends no fault that was ordered.
func (s *Store) SetKind(kind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kind = kind
}

// Partition cuts the client with this name off, or with CutNone connects it again.
// Requests of a cut client wait until they are given up or the cut ends.
func (s *Store) Partition(name string, how Cut) {
	c := s.Of(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.cut = how
	s.notify()
}

// Down takes the store away from everyone, or brings it back. As with etcd, no lease
// ends while it is away, and all have their full time to live when it is back.
func (s *Store) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down && !down {
		s.lengthenLeases()
	}
	s.down, s.nobody = down, false
	s.notify()
}

// Refuse takes the store away as Down(true) does, but as a host does on which no etcd runs: it
// refuses connections at once, and breaks watches. Down(false) brings it back.
func (s *Store) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakWatches(errNobody, func(w *watcher) bool { return !w.above })
	s.down, s.nobody = true, true
	s.notify()
}

// ReadOnly makes the store refuse puts and new leases, as etcd does without space.
func (s *Store) ReadOnly(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOnly = on
}

// Wipe empties the store: no keys, no leases, revision 1 again, all watches broken.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakWatches(errWiped, func(*watcher) bool { return true })
	s.stopLeases()
	s.reset()
	if s.onCommit != nil {
		s.onCommit(s.rev, nil)
	}
}

// LeaderChange does what a new etcd leader does: all leases get their full time to
// live, and (unless the store is kind) watches break here and there.
func (s *Store) LeaderChange() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaderChange()
}

func (s *Store) leaderChange() {
	s.lengthenLeases()
	if !s.kind {
		s.breakWatches(errWatch, func(*watcher) bool { return s.rng.IntN(4) == 0 })
	}
}

// Close breaks all watches, ends waiting requests and waits for all goroutines.
func (s *Store) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		close(s.closed)
		s.stopLeases()
		s.mu.Unlock()
	})
	s.wg.Wait()
}

// start runs f as a goroutine that Close waits for; false means that it is too late.
func (s *Store) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
		s.wg.Go(f)
		return true
	}
}

func (s *Store) reset() {
	s.history = newHistory()
	s.leases = leases{byID: map[store.LeaseID]*lease{}}
	s.watchers = watchers{byPrefix: map[string][]*watcher{}}
}

// notify wakes those who wait at a gate. The caller holds mu.
func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// gate waits until the client reaches the store (reply false) or the store's reply
// reaches the client (reply true). It says whether it had to wait.
func (s *Store) gate(ctx context.Context, c *Client, reply bool) (waited bool, err error) {
	for {
		s.mu.Lock()
		blocked := s.down || c.cut == CutAll || (c.cut == CutReplies && reply)
		refused := s.nobody && c.cut == CutNone
		changed := s.changed
		s.mu.Unlock()
		if !blocked || c.above {
			return waited, ctx.Err()
		}
		if refused && !reply {
			return waited, errNothing{errNobody}
		}
		if refused {
			return waited, errNobody
		}
		waited = true
		select {
		case <-changed:
		case <-ctx.Done():
			return waited, ctx.Err()
		case <-s.closed:
			return waited, errClosed
		}
	}
}

// Stats counts what was asked of a store.
type Stats struct {
	Txns       int64 // transactions carried out, also those whose compares failed
	Commits    int64 // revisions
	Puts       int64
	Deletes    int64 // keys deleted, also by leases that ended
	Ranges     int64
	RangeKeys  int64
	Watches    int64
	Events     int64 // events delivered to watches
	EventBytes int64 // keys and values of those
	Grants     int64
	Renews     int64
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
