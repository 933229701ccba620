package hosts

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	pollEvery = 50 * time.Millisecond

	// errNoDevice is what reading a file of a removed control group gives.
	errNoDevice = syscall.ENODEV
)

// final marks a reason that no waiting mends.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Final marks an error so that [Wait] gives up at once when check returns it.
func Final(err error) error { return final{err} }

// Wait calls check until it returns nil, and gives up after the deadline with
// the last reason check gave. What names the state that is waited for.
func Wait(ctx context.Context, deadline time.Duration, what string, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var last error
	for {
		err := check(limited)
		if err == nil {
			return nil
		}
		if limited.Err() != nil && last != nil {
			err = last // that its time was over says nothing of what it looked at
		}
		last = err
		if errors.As(err, &final{}) {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w (last seen: %w)", what, ctx.Err(), err)
			}
			return fmt.Errorf("%s: not within %s: %w", what, deadline, err)
		case <-ticker.C:
		}
	}
}
