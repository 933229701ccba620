package systemd

import (
	"context"
	"slices"
	"sync"
)

// Changed is a set of unit names that waits to be told, with a wake-up of
// capacity one: a level, not a queue. It is safe for use by many goroutines.
type Changed struct {
	mu    sync.Mutex
	names map[string]struct{}
	all   bool
	wake  chan struct{}
}

// NewChanged returns a set that says "all" first: who begins to listen knows nothing yet.
func NewChanged() *Changed {
	c := &Changed{names: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	c.AddAll()
	return c
}

// Add notes that a unit changed.
func (c *Changed) Add(name string) {
	c.mu.Lock()
	if !c.all {
		c.names[name] = struct{}{}
	}
	c.mu.Unlock()
	c.rouse()
}

// AddAll notes that any unit may have changed.
func (c *Changed) AddAll() {
	c.mu.Lock()
	c.all = true
	clear(c.names)
	c.mu.Unlock()
	c.rouse()
}

func (c *Changed) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take empties the set. All is nil names with ok.
func (c *Changed) take() (names []string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all {
		c.all = false
		return nil, true
	}
	if len(c.names) == 0 {
		return nil, false
	}
	for name := range c.names {
		names = append(names, name)
	}
	clear(c.names)
	slices.Sort(names)
	return names, true
}

// Tell sends what changed to out until ctx ends: sorted names, or nil for "all".
// What changes while the receiver is busy is told in one piece afterwards.
func (c *Changed) Tell(ctx context.Context, out chan<- []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		names, ok := c.take()
		if !ok {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case out <- names:
		}
	}
}
