package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// holdMargin is how much of logind's limit is left when the lock is given up although units are still here.
const holdMargin = 500 * time.Millisecond

// usedLimit is how long the store may take to say whether a client uses the grant: logind waits no longer than its limit.
const usedLimit = 2 * time.Second

// How often the lock is looked at.
const (
	holdRetry = 10 * time.Second       // it could not be taken
	fallLook  = 500 * time.Millisecond // the host goes down, and units are still here
)

// fall is a shutdown that is under way.
type fall struct {
	under   bool
	granted bool
	until   time.Duration // when the lock is given up at last, on CLOCK_BOOTTIME
}

// holder keeps the lock that delays shutdowns.
type holder struct {
	door Logind

	mu      sync.Mutex
	release func()
}

// take takes the lock unless it is held.
func (h *holder) take(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.release != nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	release, err := h.door.Hold(limited)
	if err == nil {
		h.release = release
	}
	return err
}

// letGo gives the lock back and says whether it was held.
func (h *holder) letGo() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.release == nil {
		return false
	}
	h.release()
	h.release = nil
	return true
}

// attend answers shutdowns until ctx ends. One that nobody granted is told at once, and held up until the units
// that can move have gone, or logind's limit is near.
func (r *reboots) attend(ctx context.Context) error {
	defer func() { r.hold.letGo() }()
	told, err := r.logind.Shutdowns(ctx)
	if err != nil {
		return fmt.Errorf("listen to logind: %w", err)
	}
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case kind, ok := <-told:
			if !ok {
				return nil
			}
			r.down(ctx, kind)
		case <-again.C:
		case <-r.moved:
		}
		again.Reset(r.giveWay(ctx))
	}
}

// down takes in that the host goes down, or does not any more.
func (r *reboots) down(ctx context.Context, kind string) {
	under := kind != ""
	if g := r.orders().view.Grant; under && r.external(ctx, g) {
		r.ends(func(l *life) { l.Granted = g.Generation })
	}
	granted := r.life.granted() != 0
	r.mu.Lock()
	was := r.falling
	r.falling = fall{under: under, granted: granted, until: was.until}
	generation := r.used
	r.mu.Unlock()
	switch {
	case under && was.under:
		return
	case under && granted:
		r.log.Info("the host goes down as granted", "kind", kind)
	case under:
		r.refuseToFall(ctx, kind)
	case was.under && was.granted:
		if generation == 0 { // another client's, who has to say so itself
			r.ends(func(l *life) { l.Granted = 0 })
			return
		}
		r.mark(generation, "the reboot was taken back while the host went down: look at journalctl -u systemd-logind")
		r.kick.ring()
	case was.under:
		r.log.Info("the host does not go down after all")
		r.change(func(report *cluster.RebootReport) { report.Down = nil })
		r.ends(func(l *life) { l.Typed = false })
	}
}

// ends notes how this boot ends.
func (r *reboots) ends(edit func(*life)) {
	if err := r.life.set(edit); err != nil {
		r.log.Warn("the next boot will say wrongly how it came about", "err", err)
	}
}

// fallsAsGranted says whether the host goes down, and was granted that.
func (r *reboots) fallsAsGranted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.falling.under && r.falling.granted
}

// external says that a client other than this agent carries the grant out: the store has its word that it does. That is asked
// for, as the leader may say so later than the client acts; a store that does not answer is no reason to doubt the client.
func (r *reboots) external(ctx context.Context, g *cluster.Granting) bool {
	if g == nil || !g.External || g.Boot != r.boot || g.Phase < cluster.PhaseGranted || g.Phase > cluster.PhaseOverdue {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, usedLimit)
	defer cancel()
	committed, _, err := r.committed(limited, *g)
	if err != nil {
		r.log.Warn("the store does not tell whether a client uses the grant, so it counts as used", "generation", g.Generation, "err", err)
		return true
	}
	return committed
}

// refuseToFall tells a shutdown that nobody granted, and notes how long it may be held up.
func (r *reboots) refuseToFall(ctx context.Context, kind string) {
	r.change(func(report *cluster.RebootReport) {
		report.Down = &cluster.GoingDown{Kind: strings.TrimPrefix(kind, AnyShutdown), Since: time.Now().UTC()}
	})
	delay := r.delay(ctx)
	r.mu.Lock()
	r.falling.until = r.clock.Boottime() + delay - holdMargin
	r.mu.Unlock()
	r.log.Warn("somebody else takes this host down; it is held up while its units go elsewhere", "kind", kind, "most", delay)
	r.ends(func(l *life) { l.Typed = true })
}

// delay is logind's limit for those who hold a shutdown up.
func (r *reboots) delay(ctx context.Context) time.Duration {
	const shipped = 5 * time.Second // InhibitDelayMaxSec= where nobody set it
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	now, err := r.logind.Logins(limited)
	if err != nil || now.Delay <= 0 {
		return shipped
	}
	return now.Delay
}

// giveWay brings the lock to what the moment asks for, and says when to look again: it is held while the host
// stays up, and while it goes down without a grant and units have yet to leave.
func (r *reboots) giveWay(ctx context.Context) time.Duration {
	r.mu.Lock()
	f := r.falling
	r.mu.Unlock()
	switch {
	case !f.under && r.life.granted() != 0:
		return restLength // logind was asked, or is about to be
	case !f.under:
		if err := r.hold.take(ctx); err != nil {
			if ctx.Err() == nil {
				r.log.Warn("cannot delay shutdowns, trying again: a typed reboot would not wait for units to move", "err", err)
			}
			return holdRetry
		}
		return restLength
	case f.granted:
		r.hold.letGo()
		return restLength
	}
	left, waits := f.until-r.clock.Boottime(), r.leaving()
	if left > 0 && (waits > 0 || !r.told()) {
		return min(left, fallLook)
	}
	if r.hold.letGo() {
		r.log.Info("the shutdown is no longer held up", "units left", waits)
	}
	return restLength
}

// leaving counts the units of this host that the leader can take elsewhere and has not yet.
func (r *reboots) leaving() int {
	n := 0
	for name, p := range r.orders().view.Place {
		if p.State == cluster.Gone || p.State == cluster.Launched && r.canMove(name, p) {
			n++
		}
	}
	return n
}

// canMove says whether a unit may run on another host. Content that is not at hand or cannot be read binds it to none.
func (r *reboots) canMove(name cluster.Unit, p cluster.Placement) bool {
	raw, err := r.content(p.Blob)
	if err != nil {
		return true
	}
	f, err := units.Parse(name, raw)
	var d units.DropIns
	if err == nil {
		d, err = r.dropIns(p.DropIns)
	}
	if err != nil {
		return true
	}
	need, err := f.RequirementsWith(d)
	return err != nil || !need.Global && need.MachineID == "" && need.Drain != units.DrainStay
}
