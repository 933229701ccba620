package agent

import (
	"context"
	"slices"
	"time"

	"flotilla/cluster"
)

// Killer ends every process of units with SIGKILL, without asking systemd. A unit
// without a process is no error.
type Killer interface {
	KillUnits(names []cluster.Unit) error
}

// guardRetry is how long after a kill that went wrong the next one is tried.
const guardRetry = 100 * time.Millisecond

// guard is the second line behind the switch: when the newest confirmation is so old that
// every fenced unit must have ended, it kills what still runs. It needs this process and the
// kernel; the switch needs PID 1. Each covers for the other: a long daemon-reload keeps
// PID 1 from firing, and a frozen agent kills nobody.
func (f *fence) guard(ctx context.Context) error {
	if f.killer == nil {
		return nil
	}
	next := time.NewTimer(0)
	defer next.Stop()
	var done time.Duration // the confirmation whose end was seen to
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.guardKick:
		case <-next.C:
		}
		last, names := f.guarded()
		if last == 0 || last == done || len(names) == 0 {
			continue // a confirmation or a first unit wakes us
		}
		if left := last + cluster.Accuracy + f.budget - f.clock.Boottime(); left > 0 {
			next.Reset(left)
			continue
		}
		if err := f.killer.KillUnits(names); err != nil {
			f.log.Error("cannot kill fenced units although the lease was not confirmed in time, trying again", "err", err)
			next.Reset(guardRetry)
			continue
		}
		done = last
	}
}

// guarded is when the switch must have fired, by the newest confirmation, and the units that
// end with it.
func (f *fence) guarded() (time.Duration, []cluster.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.names
}

// guards names the fenced units of this host.
func (f *fence) guards(names []cluster.Unit) {
	slices.Sort(names)
	f.mu.Lock()
	same := slices.Equal(names, f.names)
	f.names = names
	f.mu.Unlock()
	if !same {
		f.guardKick.ring()
	}
}
