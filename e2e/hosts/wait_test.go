package hosts

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaitSaysWhy: a wait that ends without success tells the last reason that was looked at, not that the last
// look was cut off.
func TestWaitSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("it is starting")
		looks := 0
		err := Wait(t.Context(), time.Second, "the host", func(ctx context.Context) error {
			if looks++; looks == 1 {
				return reason
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, reason) || errors.Is(err, context.DeadlineExceeded) || looks < 2 {
			t.Errorf("Wait() = %v after %d looks, want %q after two at least", err, looks, reason)
		}
	})
}
