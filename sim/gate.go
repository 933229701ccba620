package sim

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDead is what a killed process meets at every door. Nothing that it does after
// that counts: its successor works on a copy of its folders made at its death.
var errDead = errors.New("process was killed")

// gate stands between a process and the outside. A frozen process waits at it, a killed
// one passes no more.
type gate struct {
	mu     sync.Mutex
	frozen bool
	dead   bool
	moved  chan struct{} // closed and replaced when the above change
	fuse   int           // the process dies at this many passes from now; 0 = never
	blow   func()
	lag    time.Duration // every answer of the store comes so much later
	lose   int           // so many orders of a leader get lost on their way,
	loseBy time.Duration // and arrive so much later
}

func newGate(blow func()) *gate { return &gate{moved: make(chan struct{}), blow: blow} }

// change changes what the gate does, under its lock.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.moved)
	g.moved = make(chan struct{})
}

func (g *gate) freeze(on bool) { g.change(func() { g.frozen = on }) }

func (g *gate) kill() { g.change(func() { g.dead = true }) }

func (g *gate) slow(d time.Duration) { g.change(func() { g.lag = d }) }

// mislay has the next n orders of a leader time out and arrive after d.
func (g *gate) mislay(n int, d time.Duration) { g.change(func() { g.lose, g.loseBy = n, d }) }

// mislaid says whether this order is one of those, and when it will arrive.
func (g *gate) mislaid() (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lose == 0 {
		return 0, false
	}
	g.lose--
	return g.loseBy, true
}

// light makes the process die at its n-th pass from now.
func (g *gate) light(n int) { g.change(func() { g.fuse = n }) }

// pass lets a living process through, at once or when it is thawed: a frozen process does
// not see that its context has ended.
func (g *gate) pass() error {
	if g.burn() {
		g.blow()
		return errDead
	}
	for {
		g.mu.Lock()
		frozen, dead, moved := g.frozen, g.dead, g.moved
		g.mu.Unlock()
		if dead {
			return errDead
		}
		if !frozen {
			return nil
		}
		<-moved
	}
}

// burn counts the fuse down and says whether it ended.
func (g *gate) burn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fuse == 0 {
		return false
	}
	g.fuse--
	return g.fuse == 0
}

// answered holds an answer back for the lag, and at the gate.
func (g *gate) answered(ctx context.Context) error {
	g.mu.Lock()
	lag := g.lag
	g.mu.Unlock()
	if lag > 0 {
		t := time.NewTimer(lag)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return g.pass()
}
