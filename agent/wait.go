package agent

import (
	"context"
	"time"
)

// bell wakes one goroutine: a level, not a queue. It has capacity one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// ring wakes whoever listens, or who listens next.
func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// turn is a lock that is held over calls to the store: a channel, because a wait for a
// mutex would stand still in virtual time, and would not end with its caller.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// lock waits for the turn; an error is ctx's, and then it is not held.
func (t turn) lock(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) unlock() { <-t }

// sleep waits, and says whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
