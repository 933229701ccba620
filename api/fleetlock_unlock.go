package api

import (
	"cmp"
	"context"
	"net/http"

	"flotilla/cluster"
)

// unlockStand is where a host stands for a client that says it is back, or has just started.
type unlockStand int

const (
	unlockNone  unlockStand = iota // it holds nothing that the client could give back, or all is well
	unlockWish                     // the client gives up what it asked for, and was not told to reboot
	unlockBoot                     // it was told to reboot; the store shows the boot that was to end
	unlockCheck                    // it is back, or on its way, and not yet well
)

// unlockOf says where a host stands. Pure.
func unlockOf(h *cluster.Host) unlockStand {
	g := h.Grant
	boot, alive := h.Boot()
	switch holds := g != nil && g.Phase.Holds(); {
	case h.GrantBad != "":
		return unlockCheck
	case holds && g.Phase == cluster.PhaseSettling:
		return unlockNone
	case holds && (g.Phase == cluster.PhaseReturning || alive && boot != g.Boot):
		return unlockCheck
	case holds && (h.Used() || g.Phase > cluster.PhaseGranted):
		if !alive {
			return unlockCheck
		}
		return unlockBoot
	case stands(h):
		return unlockWish
	}
	return unlockNone
}

// stands says that what a client asked for may still bring the host to reboot.
func stands(h *cluster.Host) bool {
	w := h.Spec.Reboot
	return w != nil && w.External && (h.WishStands() || h.WishUnderWay() && h.Grant.External)
}

// steadyState answers POST /v1/steady-state. A host that rebooted is released by the leader, not by this: the
// client is held until its checks are green, for until then it had better not look for the
// next update. In the boot that was to end the client gives the lock back. Who holds nothing is told so, and nothing is written.
func (s *Server) steadyState(ctx context.Context, ask lockAsk) *LockRefusal {
	return s.untilAnswered(ctx, func(late bool) (bool, *LockRefusal) { return s.unlock(ctx, ask, late) })
}

func (s *Server) unlock(ctx context.Context, ask lockAsk, late bool) (done bool, _ *LockRefusal) {
	h, _, refusal := s.lockView(ask)
	if refusal != nil {
		return true, refusal
	}
	if final, refusal := s.outOfTouch(ctx); refusal != nil {
		return final || late, refusal
	}
	switch unlockOf(&h) {
	case unlockNone:
		return true, nil
	case unlockWish:
		return s.giveBack(ctx, &h)
	case unlockBoot: // the store hears of a boot some seconds after the client does
		boot, ok := s.bootOf(ctx, &h)
		if ok && boot == h.Grant.Boot {
			return s.giveBack(ctx, &h)
		}
	}
	if !late {
		return false, nil
	}
	r, _ := s.turnOf(&h)
	why := cmp.Or(r.Reason, h.GrantBad, "no sign of life of its flotilla-agent since")
	return true, lockRefusal(http.StatusServiceUnavailable, kindUnhealthy, lockAgain, "%s has rebooted and is not well: %s", h.Name(), why)
}

// giveBack ends what the client asked for. What flotilla or a person wants of the host stays. The wish goes first, and
// then the host is looked at again: a grant that was not used by then is not used any more.
func (s *Server) giveBack(ctx context.Context, h *cluster.Host) (done bool, _ *LockRefusal) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	external := h.Grant != nil && h.Grant.Phase.Holds() && h.Grant.External
	switch wish := h.Spec.Reboot; {
	case stands(h):
		rev, err := s.opt.Store.EditHost(ctx, h.ID, 0, func(spec *cluster.HostSpec) error {
			if w := spec.Reboot; w != nil && w.External && w.ID <= wish.ID {
				spec.Reboot = nil
			}
			return nil
		})
		if err == nil {
			err = s.await(ctx, rev)
		}
		if err != nil {
			return s.lockFault(err)
		}
		return false, nil
	case external && h.Used():
		why := "its FleetLock client, started anew in the same boot, gave the lock back"
		if err := s.opt.Store.RefuseGrant(ctx, h.ID, h.AliveRev, cluster.Granting{Grant: *h.Grant, Rev: h.GrantRev}, why); err != nil {
			return s.lockFault(err)
		}
	}
	return true, nil
}
