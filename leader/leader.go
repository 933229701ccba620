package leader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// What a Store says of orders it did not write. After ErrStale and ErrBad the term goes on; after
// ErrBad that unit waits until its head changes, or a minute. Every other error leaves open whether
// they were, or still will be, written: the loop ends its term, which ends them too.
var (
	ErrStale = errors.New("orders rest on an old view") // one of their conditions does not hold
	ErrOver  = errors.New("term is over")               // or the store is another one
	ErrBad   = errors.New("orders can never be written as they are")
)

// Store is what the loop writes through. Its implementation knows who the candidate is.
type Store interface {
	// Campaign blocks until this candidate is elected, ctx ends or the store fails.
	Campaign(ctx context.Context) (Leadership, error)
	// Apply writes the orders, each whole or not at all, and returns the revision of
	// the last commit and an error at each one's place: nil, ErrStale, ErrBad, ErrOver or
	// another. The order of those that touch one placement is kept; all others are free.
	Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error)
	// Barrier makes one write under the term and returns its revision: a mirror that
	// has reached it has seen why earlier orders were stale.
	Barrier(ctx context.Context, term cluster.Term) (int64, error)
	// Check says whether this binary may write beside these daemons, one of each version,
	// into a store with this schema, without asking anybody.
	Check(schema string, versions map[cluster.HostID]string) error
	// Collect deletes contents that nothing has named for a day, and says how many.
	Collect(ctx context.Context, term cluster.Term) (int, error)
}

// Mirror is what the loop reads. The snapshot may be used during the call of f only.
type Mirror interface {
	Read(f func(*cluster.Snapshot))
	Subscribe() (changed <-chan struct{}, cancel func())
	WaitRevision(ctx context.Context, revision int64) error
}

// collectEvery is how often a leader looks for contents that nothing names.
const collectEvery = time.Hour

// Leadership is one term. Ctx descends from Campaign's and ends before anybody else can lead.
type Leadership struct {
	Term   cluster.Term
	Ctx    context.Context
	Resign func(context.Context) error // called once, also after Ctx has ended
}

// Options are what a Loop is made of. Store and Mirror are required.
type Options struct {
	Store   Store
	Mirror  Mirror
	Plan    plan.Options
	Clock   func() time.Time      // the one that stamps absences in the mirror; nil = time.Now
	Log     *slog.Logger          // nil = silent
	Metrics prometheus.Registerer // nil = none
	Poster  Poster                // nil = outcomes of reboots are told to nobody
}

// Pauses of the loop.
const (
	pauseFirst   = 100 * time.Millisecond // after the first failure, then doubled
	pauseMost    = 5 * time.Second
	resignWithin = 2 * time.Second // the lease lapses by itself when the store does not answer
	restMost     = 500 * time.Millisecond
	restTimes    = 4 // a plan that took d is followed by 4 d of rest, a fifth of a CPU; by restMost if d is beyond 125 ms
)

// Loop is one candidate.
type Loop struct {
	store   Store
	mirror  Mirror
	options plan.Options
	clock   func() time.Time
	log     *slog.Logger
	metrics metrics
	poster  Poster

	bad     unwritable // of the goroutine that leads
	reboots watched    // of it as well

	mu     sync.Mutex
	latest Report
}

// New makes a candidate; Run lets it stand.
func New(opt Options) *Loop {
	l := &Loop{
		store: opt.Store, mirror: opt.Mirror, options: opt.Plan, clock: opt.Clock, log: opt.Log,
		metrics: newMetrics(opt.Metrics), poster: opt.Poster,
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

// Run campaigns and leads, again and again, until ctx ends, and returns ctx's error.
func (l *Loop) Run(ctx context.Context) error {
	changed, cancel := l.mirror.Subscribe()
	defer cancel()
	var p pause
	for {
		if err := l.fit(ctx, changed); err != nil {
			return err
		}
		lead, err := l.store.Campaign(ctx)
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		if err != nil {
			l.trouble(fmt.Errorf("campaign: %w", err))
			if p.wait(ctx) != nil {
				return ctx.Err()
			}
			continue
		}
		worked := l.lead(lead, changed)
		l.resign(ctx, lead)
		if worked { // terms without any use must not follow each other in a tight loop
			p = pause{}
		}
		if p.wait(ctx) != nil {
			return ctx.Err()
		}
	}
}

// fit waits until this candidate could lead: it knows the whole cluster, and its version may write.
func (l *Loop) fit(ctx context.Context, changed <-chan struct{}) error {
	for {
		complete, err := l.ready()
		if complete && err == nil {
			return nil
		}
		if err != nil {
			l.trouble(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (l *Loop) ready() (complete bool, err error) {
	l.mirror.Read(func(s *cluster.Snapshot) {
		if complete = s.Complete; complete {
			err = l.checkVersions(s)
		}
	})
	return complete, err
}

func (l *Loop) checkVersions(s *cluster.Snapshot) error {
	first := map[string]cluster.HostID{} // of each version, the host that an error names
	for id, h := range s.Hosts {
		if h.Alive == nil || h.Alive.Version == "" {
			continue
		}
		if other, known := first[h.Alive.Version]; !known || id < other {
			first[h.Alive.Version] = id
		}
	}
	versions := make(map[cluster.HostID]string, len(first))
	for version, id := range first {
		versions[id] = version
	}
	return l.store.Check(s.Store.Schema, versions)
}

// resign ends the term for others at once; a store that does not answer lets it lapse.
func (l *Loop) resign(ctx context.Context, lead Leadership) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignWithin)
	defer cancel()
	if err := lead.Resign(ctx); err != nil {
		l.log.Debug("resign", "term", lead.Term.Revision, "err", err)
	}
}

// pause grows from failure to failure.
type pause struct{ last time.Duration }

func (p *pause) wait(ctx context.Context) error {
	p.last = min(max(2*p.last, pauseFirst), pauseMost)
	return sleep(ctx, p.last)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
