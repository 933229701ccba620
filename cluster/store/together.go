package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"flotilla/cluster"
)

// Small edits that come while one is on its way are read and written together: etcd takes one
// read and one fsync for all of them. mostSmall is how many names a small one has at most, and
// mostTogether how many go at a time.
const (
	mostSmall    = 16
	mostTogether = 256
)

// editor asks for a new head; see EditUnits.
type editor func(i int, old *cluster.UnitSpec, rev int64) (Edit, error)

// editCall is one caller's small edit.
type editCall struct {
	ctx   context.Context
	names []cluster.Unit
	edit  editor
	first int // of its names among those of its batch
	out   []UnitResult
	done  chan struct{} // closes when out is there
	turn  chan struct{} // closes when it is this caller's to make the edits that wait
	ours  bool          // turn is closed
}

// together has the small edits that wait for the one on its way.
type together struct {
	mu    sync.Mutex
	busy  bool
	queue []*editCall
}

// enter returns nil when the caller may go ahead, alone; else its edit waits in the queue.
func (t *together) enter(ctx context.Context, names []cluster.Unit, edit editor) *editCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.busy {
		t.busy = true
		return nil
	}
	c := &editCall{ctx: ctx, names: names, edit: edit, done: make(chan struct{}), turn: make(chan struct{})}
	t.queue = append(t.queue, c)
	return c
}

// pass gives the turn to the first that waits; without any, nothing is on its way any more.
func (t *together) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passLocked()
}

func (t *together) passLocked() {
	t.busy = len(t.queue) > 0
	if t.busy {
		t.queue[0].ours = true
		close(t.queue[0].turn)
	}
}

// take takes what goes together now; the first of it is the caller's.
func (t *together) take() []*editCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, count := 0, 0
	for n < len(t.queue) && (n == 0 || count+len(t.queue[n].names) <= mostTogether) {
		count += len(t.queue[n].names)
		n++
	}
	batch := slices.Clone(t.queue[:n])
	t.queue = slices.Delete(t.queue, 0, n)
	return batch
}

// withdraw takes an edit out of the queue, and passes its turn on; false = it is on its way.
func (t *together) withdraw(c *editCall) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.queue, c)
	if at < 0 {
		return false
	}
	t.queue = slices.Delete(t.queue, at, at+1)
	if c.ours {
		t.passLocked()
	}
	return true
}

// editSmall makes a small edit: at once, or with the others that wait by then, which the first of
// them makes for all. A caller whose edit is on its way waits for the outcome.
func (s *Store) editSmall(ctx context.Context, names []cluster.Unit, edit editor) []UnitResult {
	c := s.together.enter(ctx, names, edit)
	if c == nil {
		defer s.together.pass()
		return s.editUnits(ctx, names, edit)
	}
	select {
	case <-c.done:
	case <-c.turn:
		s.editTogether()
	case <-ctx.Done():
		if s.together.withdraw(c) {
			return failedResults(names, ctx.Err())
		}
		<-c.done
	}
	return c.out
}

// editTogether makes the edits that wait, and passes the turn on.
func (s *Store) editTogether() {
	defer s.together.pass()
	s.editBatch(s.together.take())
}

// editBatch makes several callers' edits as one. It lasts as long as any of them waits.
func (s *Store) editBatch(batch []*editCall) {
	ctx, cancel := whileAny(batch)
	defer cancel()
	var names []cluster.Unit
	var of []*editCall // by place in names
	for _, c := range batch {
		c.first = len(names)
		names = append(names, c.names...)
		of = append(of, slices.Repeat([]*editCall{c}, len(c.names))...)
	}
	out := s.editUnits(ctx, names, func(i int, old *cluster.UnitSpec, rev int64) (Edit, error) {
		c := of[i]
		if err := c.ctx.Err(); err != nil {
			return Edit{}, err
		}
		return c.edit(i-c.first, old, rev)
	})
	for _, c := range batch {
		c.out = out[c.first : c.first+len(c.names)]
		close(c.done)
	}
}

// whileAny is a context that ends with the last deadline of the callers, or when the last of them
// has gone.
func whileAny(batch []*editCall) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(batch[0].ctx))
	ends := []func(){cancel}
	if last, all := lastDeadline(batch); all {
		var end context.CancelFunc
		ctx, end = context.WithDeadline(ctx, last)
		ends = append(ends, end)
	}
	var left atomic.Int64
	left.Store(int64(len(batch)))
	for _, c := range batch {
		stop := context.AfterFunc(c.ctx, func() {
			if left.Add(-1) == 0 && errors.Is(c.ctx.Err(), context.Canceled) {
				cancel()
			}
		})
		ends = append(ends, func() { stop() })
	}
	return ctx, func() {
		for _, end := range ends {
			end()
		}
	}
}

// lastDeadline is the latest of the callers' deadlines; all says that each has one.
func lastDeadline(batch []*editCall) (last time.Time, all bool) {
	for _, c := range batch {
		at, ok := c.ctx.Deadline()
		if !ok {
			return time.Time{}, false
		}
		if at.After(last) {
			last = at
		}
	}
	return last, true
}

// failedResults says of all units that nothing was tried.
func failedResults(names []cluster.Unit, err error) []UnitResult {
	out := make([]UnitResult, len(names))
	for i, n := range names {
		out[i] = UnitResult{Name: n, Err: err}
	}
	return out
}
