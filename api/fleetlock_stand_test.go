package api

import (
	"testing"

	"flotilla/cluster"
)

// lockCase is a host in some state, said in few words: its boot is b1, or b2 after a reboot.
type lockCase struct {
	name    string
	phase   cluster.Phase
	wish    int64 // of the grant
	own     bool  // the grant is flotilla's own
	used    bool
	refused bool
	boot    string // "" = no sign of life
	asked   int64  // the wish that stands; 0 = none
	person  bool   // a person's
	pause   bool   // of an outcome: it is not tried again by itself for a while
	bad     bool   // the grant cannot be read
	lock    lockStand
	unlock  unlockStand
}

func (c lockCase) host() *cluster.Host {
	h := &cluster.Host{ID: "h"}
	if c.boot != "" {
		h.Alive, h.Info = &cluster.Alive{Boot: c.boot}, &cluster.HostInfo{Boot: c.boot}
	}
	if c.phase != cluster.PhaseNone {
		h.Grant = &cluster.Grant{Generation: 7, Phase: c.phase, Wish: c.wish, External: !c.own, Boot: cluster.Boot{ID: "b1"}}
		if c.pause {
			h.Grant.Pause = 1
		}
	}
	if c.used {
		h.Booting = &cluster.Booting{Generation: 7}
		if c.refused {
			h.Booting.Refused = "no"
		}
	}
	if c.asked != 0 {
		h.Spec.Reboot = &cluster.RebootWish{ID: c.asked, External: !c.person}
	}
	if c.bad {
		h.GrantBad = "from the future"
	}
	return h
}

// TestLockStands: each state of a host, and what it is to a client that locks or unlocks.
func TestLockStands(t *testing.T) {
	for _, c := range []lockCase{
		{name: "nothing", boot: "b1", lock: lockNone, unlock: unlockNone},
		{name: "nothing, away", lock: lockAway, unlock: unlockNone},
		{name: "asked", boot: "b1", asked: 5, lock: lockQueued, unlock: unlockWish},
		{name: "asked, away", asked: 5, lock: lockAway, unlock: unlockWish},
		{name: "a person asked", boot: "b1", asked: 5, person: true, lock: lockOther, unlock: unlockNone},
		{name: "draining", phase: cluster.PhaseDraining, wish: 5, asked: 5, boot: "b1", lock: lockMoving, unlock: unlockWish},
		{name: "draining, asked anew", phase: cluster.PhaseDraining, wish: 5, asked: 6, boot: "b1", lock: lockMoving, unlock: unlockWish},
		{name: "draining, cancelled", phase: cluster.PhaseDraining, wish: 5, boot: "b1", lock: lockEnding, unlock: unlockNone},
		{name: "draining, a person asked since", phase: cluster.PhaseDraining, wish: 5, asked: 6, person: true, boot: "b1", lock: lockOther, unlock: unlockNone},
		{name: "draining by itself", phase: cluster.PhaseDraining, own: true, boot: "b1", lock: lockOther, unlock: unlockNone},
		{name: "draining, rebooted meanwhile", phase: cluster.PhaseDraining, wish: 5, asked: 5, boot: "b2", lock: lockBack, unlock: unlockCheck},
		{name: "draining, away", phase: cluster.PhaseDraining, wish: 5, asked: 5, lock: lockAway, unlock: unlockWish},
		{name: "drained", phase: cluster.PhaseDrained, wish: 5, asked: 5, boot: "b1", lock: lockMoving, unlock: unlockWish},
		{name: "granted", phase: cluster.PhaseGranted, wish: 5, asked: 5, boot: "b1", lock: lockReady, unlock: unlockWish},
		{name: "granted, cancelled", phase: cluster.PhaseGranted, wish: 5, boot: "b1", lock: lockEnding, unlock: unlockNone},
		{name: "granted by itself", phase: cluster.PhaseGranted, own: true, boot: "b1", lock: lockOther, unlock: unlockNone},
		{name: "granted and used", phase: cluster.PhaseGranted, wish: 5, asked: 5, used: true, boot: "b1", lock: lockReady, unlock: unlockBoot},
		{name: "granted, used, given back", phase: cluster.PhaseGranted, wish: 5, used: true, refused: true, boot: "b1", lock: lockEnding, unlock: unlockNone},
		{name: "rebooting", phase: cluster.PhaseRebooting, wish: 5, asked: 5, used: true, boot: "b1", lock: lockReady, unlock: unlockBoot},
		{name: "rebooting, away", phase: cluster.PhaseRebooting, wish: 5, asked: 5, used: true, lock: lockAway, unlock: unlockCheck},
		{name: "rebooting, back", phase: cluster.PhaseRebooting, wish: 5, asked: 5, used: true, boot: "b2", lock: lockBack, unlock: unlockCheck},
		{name: "rebooting, given back", phase: cluster.PhaseRebooting, wish: 5, used: true, refused: true, boot: "b1", lock: lockEnding, unlock: unlockBoot},
		{name: "rebooting by itself", phase: cluster.PhaseRebooting, own: true, used: true, boot: "b1", lock: lockOther, unlock: unlockBoot},
		{name: "overdue", phase: cluster.PhaseOverdue, wish: 5, asked: 5, used: true, boot: "b1", lock: lockReady, unlock: unlockBoot},
		{name: "returning", phase: cluster.PhaseReturning, wish: 5, asked: 5, used: true, boot: "b2", lock: lockBack, unlock: unlockCheck},
		{name: "returning by itself", phase: cluster.PhaseReturning, own: true, used: true, boot: "b2", lock: lockBack, unlock: unlockCheck},
		{name: "settling", phase: cluster.PhaseSettling, wish: 5, asked: 5, used: true, boot: "b2", lock: lockBack, unlock: unlockNone},
		{name: "done", phase: cluster.PhaseDone, wish: 5, asked: 5, used: true, boot: "b2", lock: lockNone, unlock: unlockNone},
		{name: "done, asked anew", phase: cluster.PhaseDone, wish: 5, asked: 6, used: true, boot: "b2", lock: lockQueued, unlock: unlockWish},
		{name: "blocked", phase: cluster.PhaseBlocked, wish: 5, asked: 5, boot: "b1", pause: true, lock: lockBlocked, unlock: unlockWish},
		{name: "blocked by itself", phase: cluster.PhaseBlocked, own: true, boot: "b1", pause: true, lock: lockNone, unlock: unlockNone},
		{name: "abandoned by a window", phase: cluster.PhaseAbandoned, wish: 5, asked: 5, boot: "b1", lock: lockQueued, unlock: unlockWish},
		{name: "abandoned, nobody used it", phase: cluster.PhaseAbandoned, wish: 5, asked: 5, boot: "b1", pause: true, lock: lockNone, unlock: unlockNone},
		{name: "abandoned, given back", phase: cluster.PhaseAbandoned, wish: 5, boot: "b1", lock: lockNone, unlock: unlockNone},
		{name: "failed", phase: cluster.PhaseFailed, wish: 5, asked: 5, boot: "b1", lock: lockNone, unlock: unlockNone},
		{name: "loop", phase: cluster.PhaseLoop, own: true, boot: "b1", lock: lockLoop, unlock: unlockNone},
		{name: "released", phase: cluster.PhaseReleased, wish: 5, asked: 5, boot: "b1", lock: lockNone, unlock: unlockNone},
		{name: "unreadable", bad: true, boot: "b1", lock: lockOther, unlock: unlockCheck},
	} {
		if got := standOf(c.host()); got != c.lock {
			t.Errorf("%s: standOf = %d, want %d", c.name, got, c.lock)
		}
		if got := unlockOf(c.host()); got != c.unlock {
			t.Errorf("%s: unlockOf = %d, want %d", c.name, got, c.unlock)
		}
	}
}
