package api

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"flotilla/cluster"
)

// remembered is how many past events a daemon keeps for "flotilla events".
const remembered = 1000

// eventLog holds the newest events. Followers read by sequence number, so a slow one misses
// old events rather than holding up others.
type eventLog struct {
	mu    sync.Mutex
	list  []Event // the newest remembered ones
	total int     // how many there ever were
	wake  chan struct{}
	last  time.Time     // when the newest finished look began
	seen  chan struct{} // closes when a look is done
	asked chan struct{} // capacity one: somebody waits for a look
}

func newEventLog() *eventLog {
	return &eventLog{wake: make(chan struct{}), seen: make(chan struct{}), asked: make(chan struct{}, 1)}
}

// looked notes that a look which began then is done.
func (l *eventLog) looked(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = began
	close(l.seen)
	l.seen = make(chan struct{})
}

// refresh has the loop look now, and waits for it: who asks what happened wants to be
// told of what was done just before.
func (l *eventLog) refresh(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, eventMost)
	defer cancel()
	for {
		l.mu.Lock()
		last, seen := l.last, l.seen
		l.mu.Unlock()
		if !last.Before(now) {
			return
		}
		select {
		case l.asked <- struct{}{}:
		default:
		}
		select {
		case <-seen:
		case <-ctx.Done():
			return
		}
	}
}

// The loop of events looks at most every eventGap, rests eventRest times what a look cost,
// and looks once more eventLater after a change: who leads is known with some delay.
const (
	eventGap   = 100 * time.Millisecond
	eventRest  = 19
	eventMost  = 5 * time.Second // a look that took long on a busy machine is not paid for minutes
	eventLater = 2 * time.Second
)

// followEvents compares the mirror with what it last showed, until ctx ends. It sleeps while
// nothing changes.
func (s *Server) followEvents(ctx context.Context) error {
	wake, stop := s.opt.Mirror.Subscribe()
	defer stop()
	later := time.NewTimer(eventLater)
	defer later.Stop()
	var last *facts
	for {
		began := s.opt.Now()
		next, due := s.look(ctx, last)
		if next != nil && last != nil {
			s.events.add(last.diff(next, began))
		}
		if next != nil {
			last = next
			s.events.looked(began)
		}
		if !due.IsZero() {
			later.Reset(max(due.Sub(began), eventLater))
		}
		pause := time.NewTimer(min(max(eventGap, eventRest*s.opt.Now().Sub(began)), eventMost))
		select {
		case <-pause.C:
		case <-s.events.asked:
			pause.Stop()
			continue
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		select {
		case <-wake:
			later.Reset(eventLater)
		case <-later.C:
		case <-s.events.asked:
		case <-ctx.Done():
			return nil
		}
	}
}

// look takes up the facts of the mirror, nil while it is incomplete, and says when they
// may change by the time alone.
func (s *Server) look(ctx context.Context, last *facts) (next *facts, due time.Time) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			return
		}
		next = factsOf(c, last)
		if next.absent == 0 {
			return
		}
		was := s.plans.at(c, s.opt)
		due = was.next
		if was.storm != nil {
			next.storm = was.storm.String()
		}
	})
	if next == nil {
		return nil, due
	}
	leader, _ := s.opt.Peers.Leader(ctx)
	next.leader = next.hosts[leader].name
	return next, due
}

func (l *eventLog) add(events []Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += len(events)
	l.list = append(l.list, events[max(0, len(events)-remembered):]...)
	if extra := len(l.list) - remembered; extra > 0 {
		l.list = slices.Clone(l.list[extra:])
	}
	close(l.wake)
	l.wake = make(chan struct{})
}

// since returns the events after the first n ever, how many there were, and a channel
// that closes when more come.
func (l *eventLog) since(n int) ([]Event, int, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := max(0, len(l.list)-(l.total-n))
	return slices.Clone(l.list[from:]), l.total, l.wake
}

// listEvents answers GET /v1/events: those that this daemon remembers, with ?limit the newest so
// many of them; ?watch goes on.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) {
	q, err := readListQuery(r.URL.Query())
	if err != nil {
		s.fail(w, err)
		return
	}
	s.events.refresh(r.Context(), s.opt.Now())
	out := newStream(w)
	for n := 0; ; {
		events, total, wake := s.events.since(n)
		if n == 0 && q.limit > 0 {
			events = events[max(0, len(events)-q.limit):]
		}
		n = total
		for _, e := range events {
			if e.Revision <= q.from {
				continue
			}
			if out.send(e) != nil {
				return
			}
		}
		if out.flush() != nil || !q.watch {
			return
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			out.end(ending())
			return
		}
	}
}
