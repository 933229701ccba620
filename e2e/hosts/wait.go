package hosts

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

const (
	pollEvery = 50 * time.Millisecond

	// errNoDevice is what reading a file of a removed control group gives.
	errNoDevice = syscall.ENODEV
)

// Wait calls check until it returns nil, and gives up after the deadline with
// the last reason check gave. What names the state that is waited for.
func Wait(ctx context.Context, deadline time.Duration, what string, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := check(limited)
		if err == nil {
			return nil
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
