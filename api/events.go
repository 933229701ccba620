package api

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
)

// remembered is how many past events a daemon keeps for "flotilla events".
const remembered = 1000

// eventLog turns changes of the mirror into events. Followers read by sequence number, so
// a slow one misses old events rather than holding up others.
type eventLog struct {
	mu    sync.Mutex
	list  []Event // the newest remembered ones
	total int     // how many there ever were
	wake  chan struct{}
}

func newEventLog() *eventLog { return &eventLog{wake: make(chan struct{})} }

// follow compares the mirror with what it last showed, until ctx ends.
func (l *eventLog) follow(ctx context.Context, m Mirror, now func() time.Time) error {
	wake, stop := m.Subscribe()
	defer stop()
	var last facts
	for {
		var next facts
		m.Read(func(c *cluster.Snapshot) { next = factsOf(c) })
		if next.complete {
			if last.complete {
				l.add(last.diff(next, now()))
			}
			last = next
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *eventLog) add(events []Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += len(events)
	l.list = append(l.list, events...)
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

// listEvents answers GET /v1/events; ?watch keeps it open.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) {
	out := newStream(w)
	n := 0
	for {
		events, total, wake := s.events.since(n)
		n = total
		for _, e := range events {
			if out.send(e) != nil {
				return
			}
		}
		if out.flush() != nil || !r.URL.Query().Has("watch") {
			return
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
}

// facts are what events tell of, in comparable form.
type facts struct {
	complete bool
	revision int64
	hosts    map[string]string
	units    map[cluster.Where]string
}

func factsOf(c *cluster.Snapshot) facts {
	f := facts{complete: c.Complete, revision: c.Revision, hosts: map[string]string{}, units: map[cluster.Where]string{}}
	for id, h := range c.Hosts {
		f.hosts[h.Name()] = "absent"
		if h.Alive != nil {
			f.hosts[h.Name()] = "alive"
		}
		for name, p := range h.Placed {
			f.units[cluster.Where{Host: id, Unit: name}] = h.Name() + "\x00ordered " + p.State.String() + ": " + p.Reason
			if st, ok := h.StatusOf(name); ok && st.Generation >= p.Generation {
				f.units[cluster.Where{Host: id, Unit: name}] = h.Name() + "\x00" + st.State.Active + "/" + st.State.Sub
			}
		}
	}
	return f
}

// diff lists what changed, hosts first, in the order of names.
func (f facts) diff(next facts, now time.Time) []Event {
	var out []Event
	for _, name := range slices.Sorted(maps.Keys(next.hosts)) {
		if f.hosts[name] != next.hosts[name] {
			out = append(out, Event{Revision: next.revision, Time: now, Kind: "host", Subject: name, Text: next.hosts[name]})
		}
	}
	byUnit := func(a, b cluster.Where) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Host, b.Host)) }
	for _, w := range slices.SortedFunc(maps.Keys(next.units), byUnit) {
		if f.units[w] != next.units[w] {
			host, text := splitFact(next.units[w])
			out = append(out, Event{Revision: next.revision, Time: now, Kind: "unit", Subject: string(w.Unit), Host: host, Text: text})
		}
	}
	for _, w := range slices.SortedFunc(maps.Keys(f.units), byUnit) {
		if _, ok := next.units[w]; !ok {
			host, _ := splitFact(f.units[w])
			out = append(out, Event{Revision: next.revision, Time: now, Kind: "unit", Subject: string(w.Unit), Host: host, Text: fmt.Sprintf("no longer on %s", host)})
		}
	}
	return out
}

func splitFact(s string) (host, text string) {
	host, text, _ = strings.Cut(s, "\x00")
	return host, text
}
