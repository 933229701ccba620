package api

import (
	"cmp"
	"net/http"
	"time"

	"flotilla/cluster"
)

// checkReboots refuses what a patch asks of a host's reboots and cannot be. rev is the mirror's revision.
func checkReboots(h *cluster.Host, p HostPatch, rev int64, now time.Time) error {
	for _, check := range []func() error{
		func() error { return checkAsk(h, p.Reboot, rev) },
		func() error { return checkUnlock(h, p.Unlock) },
		func() error { return checkFreeze(h.Name(), p.Freeze, h.Spec.Freeze, now) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func checkAsk(h *cluster.Host, ask Maybe[RebootAsk], rev int64) error {
	name := h.Name()
	switch {
	case !ask.Given:
		return nil
	case ask.Value != nil && h.Spec.Removed != nil:
		return Refuse(http.StatusConflict, "flotilla host restore "+name+" takes it back", "%s was removed from the cluster", name)
	case ask.Value != nil && h.Alive == nil:
		return Refuse(http.StatusConflict, "flotilla explain "+name, "%s is absent: nobody is there to reboot it", name)
	case ask.Value != nil && (ask.Value.ID < 0 || ask.Value.ID > rev):
		return Refuse(http.StatusBadRequest, "leave id out, or give the one that another host of the request got", "reboot: id %d is of no request", ask.Value.ID)
	case ask.Value != nil:
		return nil
	case !h.WishStands() && !h.WishUnderWay():
		return Refuse(http.StatusConflict, "flotilla reboot status shows who waits", "nobody asked %s to reboot", name)
	case !h.WishStands() && (h.Grant.Phase >= cluster.PhaseRebooting || h.Used()):
		return Refuse(http.StatusConflict, "flotilla reboot unlock "+name+" takes its slot away", "%s cannot be kept from its reboot any more: it is %s", name, h.Grant.Phase)
	}
	return nil
}

func checkUnlock(h *cluster.Host, ask Maybe[UnlockAsk]) error {
	name := h.Name()
	switch u := ask.Value; {
	case !ask.Given:
		return nil
	case u == nil || u.Reason == "":
		return Refuse(http.StatusBadRequest, "say why, as in "+`"unlock": {"reason": "disk died"}`, "unlock: no reason")
	case h.GrantBad == "" && (h.Grant == nil || !h.Grant.Phase.Holds() && h.Grant.Phase != cluster.PhaseLoop):
		return Refuse(http.StatusConflict, "flotilla reboot status shows who holds one", "%s holds no slot", name)
	case u.Generation != 0 && (h.Grant == nil || u.Generation != h.Grant.Generation):
		return Refuse(http.StatusConflict, "flotilla reboot status "+name+" shows what is there now", "%s is at another reboot than %d by now", name, u.Generation)
	}
	return nil
}

// checkFreeze refuses a freeze that is over when it begins, and a thaw of what is not frozen.
func checkFreeze(thing string, ask Maybe[FreezeAsk], was *cluster.Freeze, now time.Time) error {
	switch {
	case ask.Given && ask.Value == nil && was == nil:
		return Refuse(http.StatusConflict, "flotilla reboot status shows what is", "%s not frozen", isThing(thing))
	case ask.Given && ask.Value != nil && !ask.Value.Until.IsZero() && !ask.Value.Until.After(now):
		return Refuse(http.StatusBadRequest, "write a time to come, or none: until it is thawed", "freeze of %s until %s: that is over", thing, clock(ask.Value.Until))
	}
	return nil
}

func isThing(thing string) string {
	if thing == allHosts {
		return thing + " are"
	}
	return thing + " is"
}

// allHosts are what the policy is about.
const allHosts = "all hosts"

// freezeOf is what a patch makes of a freeze.
func freezeOf(ask Maybe[FreezeAsk], was *cluster.Freeze, by cluster.Note) *cluster.Freeze {
	switch {
	case !ask.Given:
		return was
	case ask.Value == nil:
		return nil
	}
	by.Why = cmp.Or(ask.Value.Reason, by.Why)
	return &cluster.Freeze{By: by, Until: ask.Value.Until.UTC()}
}

// applyReboots changes what the operator says of a host's reboots.
func applyReboots(spec *cluster.HostSpec, p HostPatch, seen grantSeen, by cluster.Note) {
	if p.Reboot.Given {
		spec.Reboot = wishOf(p.Reboot.Value, spec.Reboot, seen, by)
	}
	if u := p.Unlock.Value; u != nil {
		note := by
		note.Why = u.Reason
		spec.Unlock = &cluster.Unlock{By: note, Generation: seen.generation()}
	}
	spec.Freeze = freezeOf(p.Freeze, spec.Freeze, by)
}

// grantSeen is a host's grant in a mirror, and the revision of that.
type grantSeen struct {
	*cluster.Grant
	rev      int64 // of the mirror
	grantRev int64
}

// generation names the grant for an Unlock; one that cannot be read is named by its revision.
func (g grantSeen) generation() int64 {
	if g.Grant == nil {
		return g.grantRev
	}
	return g.Generation
}

// wishOf is the wish that a request makes of the one before. A request that waits keeps its place in the
// queue when it is made again; one that is being prepared for is taken up by the leader, and a host that is going
// down, or is back, is not to do so twice.
func wishOf(ask *RebootAsk, was *cluster.RebootWish, g grantSeen, by cluster.Note) *cluster.RebootWish {
	if ask == nil {
		return nil
	}
	served := int64(0)
	if g.Grant != nil {
		served = g.Wish
	}
	waits := was != nil && was.ID > served
	if !waits && g.Grant != nil && g.Phase.Holds() && g.Phase >= cluster.PhaseRebooting {
		return was
	}
	by.Why = cmp.Or(ask.Reason, by.Why)
	wish := &cluster.RebootWish{ID: cmp.Or(ask.ID, g.rev), By: by, Now: ask.Now, Soft: ask.Soft}
	if waits {
		wish.ID, wish.Now = was.ID, was.Now || ask.Now
		return wish
	}
	if was != nil {
		wish.ID = max(wish.ID, was.ID+1)
	}
	wish.ID = max(wish.ID, served+1)
	return wish
}
