package cluster

import (
	"errors"
	"fmt"
	"time"
)

// Accuracy is how late systemd may fire the dead man's switch (AccuracySec of its timer).
const Accuracy = 100 * time.Millisecond

// Timing is the arithmetic of leases and of the fence. All instants are
// CLOCK_BOOTTIME of one host, as durations since its boot.
type Timing struct {
	TTL        time.Duration // of a host's lease
	Switch     time.Duration // D: the switch fires this long after the last confirmed send
	StopBudget time.Duration // how long a fenced unit may take to stop, SIGKILL included
}

// ErrTiming says that a cut-off host's fenced units might outlive its lease.
var ErrTiming = errors.New("timing: switch + 100ms + stop budget + 10% of TTL must not exceed TTL")

// DefaultTiming is 10 s, 5 s, 3 s: a dead host is noticed within ten seconds, and a
// cut-off host's fenced units are gone before its lease can end.
func DefaultTiming() Timing {
	return Timing{TTL: 10 * time.Second, Switch: 5 * time.Second, StopBudget: 3 * time.Second}
}

// Check says whether every fenced unit is surely stopped before the lease ends.
func (t Timing) Check() error {
	if t.TTL <= 0 || t.Switch <= 0 || t.StopBudget <= 0 {
		return fmt.Errorf("%w: all three must be positive", ErrTiming)
	}
	if need := t.Switch + Accuracy + t.StopBudget + t.TTL/10; need > t.TTL {
		return fmt.Errorf("%w: %s + %s + %s + %s = %s is more than %s",
			ErrTiming, t.Switch, Accuracy, t.StopBudget, t.TTL/10, need, t.TTL)
	}
	return nil
}

// Renewal is how often a lease is renewed.
func (t Timing) Renewal() time.Duration { return t.TTL / 5 }

// LeaderTTL is how long a dead leader's key stands: half of a host's lease, so that a leader that
// died with its host is replaced before the host is judged, and no less than etcd can count.
func (t Timing) LeaderTTL() time.Duration { return max(t.TTL/2, 2*time.Second) }

// Confirm says what a reply to a renewal sent at sent, arriving at now, is worth: the
// instant at which the switch must fire, or ok = false when the reply came too late
// to confirm anything. The instant counts from before the send, because the
// store counts the lease from some moment after it.
func (t Timing) Confirm(sent, now time.Duration) (fire time.Duration, ok bool) {
	fire = sent + t.Switch
	return fire, now < fire
}
