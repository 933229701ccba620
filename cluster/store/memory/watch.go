package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster/store"
)

// watchers finds those who watch a key without asking each: by the beginnings of the
// key that have a length that somebody watches.
type watchers struct {
	byPrefix map[string][]*watcher
	lengths  []int // sorted, of the prefixes in byPrefix
}

// watcher is one watch. Its fields are guarded by the store's mu.
type watcher struct {
	prefix  string
	from    int64
	pending []pending
	err     error
	wake    chan struct{} // capacity 1
	above   bool          // of a client that nothing keeps from the store
}

// pending is one revision that was not delivered yet.
type pending struct {
	rev    int64
	events []store.Event
}

// Watch implements store.KV.
func (c *Client) Watch(ctx context.Context, prefix string, from int64) <-chan store.WatchEvents {
	out := make(chan store.WatchEvents, 1)
	started := c.s.start(func() {
		defer close(out)
		w := &watcher{prefix: prefix, from: from, wake: make(chan struct{}, 1), above: c.above}
		err := c.watch(ctx, w, out)
		if ctx.Err() != nil {
			return
		}
		select {
		case out <- store.WatchEvents{Err: err}:
		case <-ctx.Done():
		case <-c.s.closed:
		}
	})
	if !started {
		out <- store.WatchEvents{Err: errClosed}
		close(out)
	}
	return out
}

// watch delivers until something ends it, which it returns.
func (c *Client) watch(ctx context.Context, w *watcher, out chan<- store.WatchEvents) error {
	s := c.s
	if w.from <= 0 {
		return fmt.Errorf("watch of %s starts at revision %d, must be above 0", w.prefix, w.from)
	}
	if _, err := s.gate(ctx, c, false); err != nil {
		return err
	}
	if err := s.begin(w); err != nil {
		return err
	}
	defer s.end(w)
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return errClosed
		}
		if err := c.pause(ctx); err != nil {
			return err
		}
		waited, err := s.gate(ctx, c, true)
		if err != nil {
			return err
		}
		batch, err := c.take(w, waited)
		if err != nil {
			return err
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return errClosed
		}
		if c.chance(watchBreaks) {
			return errWatch
		}
	}
}

// begin registers a watch and gives it what happened since its first revision.
func (s *Store) begin(w *watcher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Watches++
	if w.from < s.compacted {
		return store.ErrCompacted
	}
	for rev := max(w.from, s.logBase); rev <= s.rev; rev++ {
		for _, ev := range s.log[rev-s.logBase] {
			if strings.HasPrefix(ev.Key, w.prefix) {
				w.add(rev, ev)
			}
		}
	}
	n := len(w.prefix)
	if i, found := slices.BinarySearch(s.lengths, n); !found {
		s.lengths = slices.Insert(s.lengths, i, n)
	}
	s.byPrefix[w.prefix] = append(s.byPrefix[w.prefix], w)
	return nil
}

func (s *Store) end(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byPrefix[w.prefix]
	if i := slices.Index(list, w); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if s.byPrefix[w.prefix] = list; len(list) == 0 {
		delete(s.byPrefix, w.prefix)
	}
}

// publish gives a revision to those who watch its keys.
func (s *Store) publish(events []store.Event) {
	for _, ev := range events {
		for _, n := range s.lengths {
			if n > len(ev.Key) {
				break
			}
			for _, w := range s.byPrefix[ev.Key[:n]] {
				if ev.ModRev >= w.from {
					w.add(ev.ModRev, ev)
				}
			}
		}
	}
}

// breakWatches ends the watches that are chosen, in a steady order.
func (s *Store) breakWatches(err error, chosen func(*watcher) bool) {
	prefixes := make([]string, 0, len(s.byPrefix))
	for p := range s.byPrefix {
		prefixes = append(prefixes, p)
	}
	slices.Sort(prefixes)
	for _, p := range prefixes {
		for _, w := range s.byPrefix[p] {
			if chosen(w) {
				w.err = err
				w.signal()
			}
		}
	}
}

func (w *watcher) add(rev int64, ev store.Event) {
	if n := len(w.pending); n > 0 && w.pending[n-1].rev == rev {
		w.pending[n-1].events = append(w.pending[n-1].events, ev)
	} else {
		w.pending = append(w.pending, pending{rev: rev, events: []store.Event{ev}})
	}
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take removes the next delivery: whole revisions, all of them if the store is kind.
// A watch that was cut off while its revisions were compacted has lost them.
func (c *Client) take(w *watcher, wasCut bool) (store.WatchEvents, error) {
	s := c.s
	all := c.kind() || !c.chance(watchDawdles)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.err != nil {
		return store.WatchEvents{}, w.err
	}
	if wasCut && len(w.pending) > 0 && w.pending[0].rev < s.compacted {
		return store.WatchEvents{}, store.ErrCompacted
	}
	n, out := len(w.pending), store.WatchEvents{Revision: s.rev}
	if !all && n > 1 {
		n = 1
		out.Revision = w.pending[0].rev
		w.signal()
	}
	for _, p := range w.pending[:n] {
		out.Events = append(out.Events, p.events...)
	}
	w.pending = slices.Delete(w.pending, 0, n)
	s.stats.Events += int64(len(out.Events))
	for _, ev := range out.Events {
		s.stats.EventBytes += int64(len(ev.Key) + len(ev.Value))
	}
	return out, nil
}
