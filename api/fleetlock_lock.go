package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// lockStand is where a host stands for a client that wants to reboot it.
type lockStand int

const (
	lockNone    lockStand = iota // nobody asked for a reboot of it, or what was asked for is over
	lockQueued                   // what a client asked for waits for its turn
	lockMoving                   // its units go elsewhere, or what runs before a reboot runs
	lockReady                    // it may reboot, or was told so in this boot
	lockBack                     // it has rebooted, and holds its slot still
	lockOther                    // flotilla itself reboots it, or is about to
	lockBlocked                  // its units have no place, or its checks are red; it is tried again later
	lockLoop                     // it reboots for the same cause again and again
	lockEnding                   // a person cancelled it, and the slot is about to be free
	lockAway                     // no sign of life of its agent
)

// standOf says where a host stands. Pure.
func standOf(h *cluster.Host) lockStand {
	g, w := h.Grant, h.Spec.Reboot
	switch fresh := h.WishIsNew(); {
	case h.GrantBad != "":
		return lockOther
	case g != nil && g.Phase.Holds():
		return heldStand(h)
	case fresh && !w.External:
		return lockOther
	case h.Alive == nil:
		return lockAway
	case fresh, againByItself(h):
		return lockQueued
	case g != nil && g.Phase == cluster.PhaseLoop:
		return lockLoop
	case g != nil && g.Phase == cluster.PhaseBlocked && w != nil && w.External:
		return lockBlocked
	}
	return lockNone
}

// heldStand is standOf for a host that holds its slot.
func heldStand(h *cluster.Host) lockStand {
	g, w := h.Grant, h.Spec.Reboot
	switch boot, alive := h.Boot(); {
	case g.Phase == cluster.PhaseReturning, g.Phase == cluster.PhaseSettling, alive && boot != g.Boot:
		return lockBack
	case !g.External:
		return lockOther
	case !alive:
		return lockAway
	case h.Used():
		return lockReady
	case w == nil, w.ID < g.Wish, g.Phase > cluster.PhaseGranted:
		return lockEnding
	case !w.External:
		return lockOther
	case g.Phase == cluster.PhaseGranted && w.ID == g.Wish:
		return lockReady
	}
	return lockMoving
}

// againByItself says that what a client asked for was ended by a window or a freeze, and goes on after that.
func againByItself(h *cluster.Host) bool {
	g, w := h.Grant, h.Spec.Reboot
	return h.WishStands() && w.External && g != nil && g.Phase == cluster.PhaseAbandoned && g.Pause == 0
}

// locking is one request for a lock.
type locking struct {
	*Server
	ask    lockAsk
	wished bool // by this request, or found to be wished
}

// preReboot answers POST /v1/pre-reboot. The wish is durable from the first request on; a client that hangs up
// or asks again changes nothing of it. The answer is a success only once the host has
// committed itself to its grant, by a transaction that the store confirmed.
func (s *Server) preReboot(ctx context.Context, ask lockAsk) *LockRefusal {
	l := &locking{Server: s, ask: ask}
	return s.untilAnswered(ctx, func(late bool) (bool, *LockRefusal) { return l.look(ctx, late) })
}

func (l *locking) look(ctx context.Context, late bool) (done bool, _ *LockRefusal) {
	h, rev, refusal := l.lockView(l.ask)
	if refusal != nil {
		return true, refusal
	}
	stand := standOf(&h)
	switch {
	case stand == lockReady:
		return l.confirm(ctx, &h, late)
	case stand == lockNone && !l.wished:
		return l.wish(ctx, &h, rev)
	case (stand == lockMoving || stand == lockEnding) && !late:
		l.wished = stand == lockMoving
		return false, nil
	}
	if final, refusal := l.outOfTouch(ctx); refusal != nil {
		return final || late, refusal
	}
	r, fresh := l.turnOf(&h)
	switch {
	case stand == lockQueued && (!fresh || r.Phase.Holds()):
		return late, l.lockUnavailable("the leader has not decided about " + h.Name() + " yet")
	}
	return true, l.refuse(&h, stand, r)
}

// wish makes the client's wish durable, once: a wish that stands is the same.
func (l *locking) wish(ctx context.Context, h *cluster.Host, rev int64) (done bool, _ *LockRefusal) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	served := h.WishServed()
	rev, err := l.opt.Store.EditHost(ctx, h.ID, 0, func(spec *cluster.HostSpec) error {
		id := max(rev, served+1)
		if w := spec.Reboot; w != nil {
			if w.ID > served {
				return nil
			}
			id = max(id, w.ID+1)
		}
		spec.Reboot = &cluster.RebootWish{ID: id, By: l.lockNote(l.ask), External: true}
		return nil
	})
	if err == nil {
		err = l.await(ctx, rev)
	}
	if err != nil {
		return l.lockFault(err)
	}
	l.wished = true
	return false, nil
}

// confirm lets a host that has leave to reboot use it, if nothing has come between since: neither a person, nor the end of a window,
// nor another host. The planner says so of what the store has at this moment, also to one that was told yes before.
func (l *locking) confirm(ctx context.Context, h *cluster.Host, late bool) (done bool, _ *LockRefusal) {
	if final, refusal := l.outOfTouch(ctx); refusal != nil {
		return final || late, refusal
	}
	var r plan.HostReboot
	fresh := false
	l.opt.Mirror.Read(func(c *cluster.Snapshot) {
		p := l.plans.at(c, l.opt)
		r = p.turns[h.ID]
		fresh = p.rev == c.Revision && r.Generation == h.Grant.Generation
	})
	switch {
	case !fresh:
		return late, l.lockUnavailable("nothing newer than the last change of the cluster is known about " + h.Name())
	case r.Hold != plan.HoldNone:
		return true, l.refuse(h, lockReady, r)
	}
	return l.use(ctx, h)
}

// use commits the host to its grant, or confirms that it still is. The store says so, no memory of ours; and the host
// itself says that it is in the boot that is to end, of which the store may hear a while later.
func (l *locking) use(ctx context.Context, h *cluster.Host) (done bool, _ *LockRefusal) {
	switch boot, ok := l.bootOf(ctx, h); {
	case !ok:
		return true, l.lockUnavailable(h.Name() + " does not say in which boot it is (see systemctl status flotilla-agent there)")
	case boot != h.Grant.Boot:
		return true, l.lockUnavailable(h.Name() + " has rebooted, and has not reported yet")
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if err := l.opt.Store.UseGrant(ctx, h.ID, h.AliveRev, cluster.Granting{Grant: *h.Grant, Rev: h.GrantRev}); err != nil {
		return l.lockFault(err)
	}
	return true, nil
}

// refuse says why a host may not reboot now, r being the planner's word on it.
func (l *locking) refuse(h *cluster.Host, stand lockStand, r plan.HostReboot) *LockRefusal {
	name := h.Name()
	why := cmp.Or(r.Reason, "the leader has not decided yet")
	switch stand {
	case lockMoving:
		return l.refuseMoving(h, r)
	case lockEnding:
		return lockRefusal(http.StatusServiceUnavailable, kindDraining, lockAgain, "%s: what was asked for before was cancelled and is about to end", name)
	case lockBack:
		return lockRefusal(http.StatusLocked, kindHealth, lockAgain, "%s has rebooted and is not settled: %s", name, cmp.Or(r.Reason, h.Grant.Reason))
	case lockOther:
		return lockRefusal(http.StatusLocked, kindOther, l.worth(r), "flotilla itself is to reboot %s: %s", name, why)
	case lockBlocked:
		if h.Grant.Empty {
			return lockRefusal(http.StatusLocked, kindHealth, l.worth(r), "%s: %s", name, why)
		}
		return lockRefusal(http.StatusConflict, kindBlocked, l.worth(r), "%s: %s", name, why)
	case lockLoop:
		return lockRefusal(http.StatusLocked, kindLoop, 0, "%s: %s", name, why)
	case lockAway:
		return lockRefusal(http.StatusServiceUnavailable, kindUnhealthy, lockAgain, "%s: no sign of life of its flotilla-agent (see systemctl status flotilla-agent there)", name)
	default: // it waits, or its wish ended meanwhile
		return lockRefusal(http.StatusLocked, lockKind(r), l.worth(r), "%s: %s", name, why)
	}
}

// refuseMoving is refuse for a host that is being emptied, or is empty and not yet let go.
func (l *locking) refuseMoving(h *cluster.Host, r plan.HostReboot) *LockRefusal {
	name, phase := h.Name(), h.Grant.Phase
	v := before(h)
	runs := phase == cluster.PhaseDrained && r.Hold == plan.HoldHealth && (v == nil || v.Busy) // hooks and checks, which take their time
	if r.Hold == plan.HoldNone || r.Hold == plan.HoldUnits || runs {
		return lockRefusal(http.StatusServiceUnavailable, kindDraining, lockAgain, "%s %s, %d units left: %s", phase, name, r.Left, cmp.Or(r.Reason, h.Grant.Reason))
	}
	return lockRefusal(http.StatusLocked, lockKind(r), l.worth(r), "%s: %s", name, r.Reason)
}

// begins says that the leader is about to begin this reboot.
func begins(r plan.HostReboot) bool {
	return r.Phase == cluster.PhaseQueued && (r.Hold == plan.HoldNone || r.Hold == plan.HoldUnits)
}

// lockKind is the word for what holds a reboot up.
func lockKind(r plan.HostReboot) string {
	switch r.Hold {
	case plan.HoldUnits:
		return kindDraining
	case plan.HoldWindow:
		return kindWindow
	case plan.HoldFreeze:
		return kindFrozen
	case plan.HoldBudget:
		return kindBudget
	case plan.HoldHealth:
		return kindHealth
	}
	return kindFull
}

// before is what the host says of its hooks and checks before the reboot of its grant; nil = nothing.
func before(h *cluster.Host) *cluster.Verdict {
	if h.Grant == nil || h.Info == nil || h.Info.Reboot == nil {
		return nil
	}
	v := h.Info.Reboot.Before
	if v == nil || v.Generation != h.Grant.Generation {
		return nil
	}
	return v
}

// worth is how long a client may wait until it is worth asking again.
func (l *locking) worth(r plan.HostReboot) time.Duration {
	if r.Next.IsZero() {
		return time.Minute
	}
	return min(max(r.Next.Sub(l.opt.Now()), lockAgain), time.Hour)
}

// lockView is the host that a client means, as the mirror shows it, and the revision of that.
func (s *Server) lockView(ask lockAsk) (h cluster.Host, rev int64, refusal *LockRefusal) {
	whole := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if whole = c.Complete; !whole {
			return
		}
		rev = c.Revision
		if c.Groups[ask.group] == nil && ask.group != cluster.DefaultGroup {
			refusal = lockRefusal(http.StatusBadRequest, kindInvalidGroup, 0, "there is no group %.64s (flotilla group list shows them)", ask.group)
			return
		}
		var found *cluster.Host
		found, refusal = s.lockHost(c, ask.id)
		switch {
		case refusal != nil:
		case ask.only != "" && ask.only != found.ID:
			refusal = notYours(found, ask.only)
		default:
			h = *found // its parts are replaced as wholes when they change
		}
	})
	if !whole {
		refusal = s.lockUnavailable("the store is being loaded")
	}
	return h, rev, refusal
}

// lockNote says who wishes for a client.
func (s *Server) lockNote(ask lockAsk) cluster.Note {
	return cluster.Note{Who: "its FleetLock client", When: s.opt.Now().UTC(), Why: fmt.Sprintf("group %.64s, from %s", ask.group, ask.by)}
}

// outOfTouch refuses while what the mirror shows may be old, and while nobody decides; the latter is not final, for
// elections take seconds.
func (s *Server) outOfTouch(ctx context.Context) (final bool, _ *LockRefusal) {
	l := s.opt.Local()
	if l.Frozen != "" || !l.StoreOut.IsZero() {
		return true, s.lockUnavailable("")
	}
	if err := s.opt.Mirror.Err(); err != nil {
		return true, s.lockUnavailable("what this daemon knows may be old: " + err.Error())
	}
	if _, leader := s.opt.Peers.Leader(ctx); leader == "" {
		return false, s.lockUnavailable("there is no leader")
	}
	return false, nil
}

// lockFault is what becomes of a request whose write went wrong: it goes on if somebody else was faster, for
// then the mirror shows something else in a moment.
func (s *Server) lockFault(err error) (done bool, _ *LockRefusal) {
	e := s.asError(err)
	if e.Status == http.StatusConflict {
		return false, nil
	}
	return true, s.lockUnavailable(e.Message)
}

// turnOf is the planner's word on a host's reboot. It is not fresh if it is older than what the mirror shows of the
// host, and then the grant's own word takes its place; and while slots of the host's groups are about to be given
// away, for which of the hosts gets one is the leader's word alone.
func (s *Server) turnOf(h *cluster.Host) (r plan.HostReboot, fresh bool) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		p := s.plans.at(c, s.opt)
		r = p.turns[h.ID]
		undecided := slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(p.begins, g) })
		fresh = p.rev >= max(h.SpecRev, h.GrantRev) && !undecided
	})
	if g := h.Grant; !fresh && g != nil {
		r = plan.HostReboot{Host: h.ID, Name: h.Name(), Phase: g.Phase, Reason: g.Reason}
	}
	return r, fresh
}
