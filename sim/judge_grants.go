package sim

import (
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

func (c *commit) takeGrant(id cluster.HostID, e store.Event) {
	j, f := c.j, c.j.fact(id)
	t := turning{host: id, was: f.grant}
	if !e.Deleted {
		g := decode[cluster.Grant](e.Value)
		t.is = &g
	}
	f.grant = t.is
	if t.is == nil {
		j.note("grant: %s has none any more", id.Short())
	} else {
		j.note("grant: %s is %s of %d boot %.4s+%d wish %d now %v within %s: %s", id.Short(), t.is.Phase, t.is.Generation, t.is.Boot.ID, t.is.Boot.Soft, t.is.Wish, t.is.Now, t.is.Within, t.is.Reason)
	}
	c.turns = append(c.turns, t)
	if t.is == nil || t.was != nil && t.was.Phase == t.is.Phase && t.was.Generation == t.is.Generation {
		return
	}
	j.count[t.is.Phase.String()]++
	if waiting := j.traps[t.is.Phase]; len(waiting) > 0 {
		j.traps[t.is.Phase] = waiting[1:]
		waiting[0](id)
	}
}

// turned holds a change of a host's reboot against the rules.
func (c *commit) turned(t turning) {
	j, f := c.j, c.j.fact(t.host)
	was, is := cluster.Grant{}, cluster.Grant{}
	if t.was != nil {
		was = *t.was
	}
	if t.is != nil {
		is = *t.is
	}
	if t.is != nil && is.Reason == "" {
		j.breach("%s is %s without a reason", t.host.Short(), is.Phase)
	}
	switch {
	case was.Phase.Holds() && (is.Generation != was.Generation || !is.Phase.Holds()):
		c.freed(t.host, was, is)
	case is.Phase == was.Phase && is.Generation == was.Generation:
	case is.Phase.Holds() && !was.Phase.Holds():
		c.begun(t.host, was, is)
	case is.Phase == cluster.PhaseDrained && was.Phase == cluster.PhaseGranted:
		c.follows(t.host, was, is, cluster.PhaseGranted)
		if f.used() {
			j.breach("the grant of %s was taken back after it used it", t.host.Short())
		}
	case is.Phase == cluster.PhaseDrained:
		c.follows(t.host, was, is, cluster.PhaseDraining)
		if f.drained {
			j.count["drained of units"]++
		}
	case is.Phase == cluster.PhaseGranted:
		c.follows(t.host, was, is, cluster.PhaseDrained)
		c.allowed(t.host, is)
	case is.Phase == cluster.PhaseRebooting:
		c.follows(t.host, was, is, cluster.PhaseGranted)
		if !f.used() {
			j.breach("%s is taken for rebooting and has not used its grant", t.host.Short())
		}
	case is.Phase == cluster.PhaseOverdue:
		c.follows(t.host, was, is, cluster.PhaseRebooting)
	case is.Phase == cluster.PhaseReturning && was.Phase != cluster.PhaseSettling:
		if j.machineOf(t.host).since(is.Boot) < 1 {
			j.breach("%s is taken for back in the boot that was to end", t.host.Short())
		}
	case is.Phase == cluster.PhaseSettling:
		c.follows(t.host, was, is, cluster.PhaseReturning)
	}
}

func (c *commit) follows(id cluster.HostID, was, is cluster.Grant, want cluster.Phase) {
	if was.Phase != want || was.Generation != is.Generation {
		c.j.breach("%s went from %s (%d) to %s (%d)", id.Short(), was.Phase, was.Generation, is.Phase, is.Generation)
	}
}

// begun checks that a host takes its slot rightly.
func (c *commit) begun(id cluster.HostID, was, is cluster.Grant) {
	j, f := c.j, c.j.fact(id)
	f.began, f.drained = time.Now(), false
	holders := 0
	for _, o := range j.hosts {
		if o.holds() {
			holders++
		}
	}
	j.peak = max(j.peak, holders)
	for u := range j.machineOf(id).up {
		f.drained = f.drained || j.movable(j.machineOf(id), u)
	}
	switch {
	case is.Phase != cluster.PhaseDraining:
		j.breach("%s begins its reboot as %s", id.Short(), is.Phase)
	case is.Generation <= was.Generation || is.Generation > c.rev:
		j.breach("%s: reboot %d follows %d at revision %d", id.Short(), is.Generation, was.Generation, c.rev)
	case f.alive == 0:
		j.breach("%s begins to reboot and is absent", id.Short())
	case j.machineOf(id).since(is.Boot) < 0:
		j.breach("%s is to reboot from boot %v, which it never had", id.Short(), is.Boot)
	case !is.Need && (f.spec.Reboot == nil || f.spec.Reboot.ID != is.Wish):
		j.breach("%s begins to reboot for wish %d, which nobody has", id.Short(), is.Wish)
	case is.Need && (f.info.Reboot == nil || f.info.Reboot.Need.State != cluster.NeedYes) && j.long(f.began, reaction):
		j.breach("%s begins to reboot and nothing asks for it", id.Short())
	}
	c.mayGo(id, is, func(o *facts) bool { return o.holds() })
}

// allowed checks that a host gets leave to reboot rightly: all is looked at again.
func (c *commit) allowed(id cluster.HostID, is cluster.Grant) {
	j, f := c.j, c.j.fact(id)
	f.granted, f.ahead = time.Now(), j.leaderClock()
	c.mayGo(id, is, func(o *facts) bool { return o.mayBeAway() })
	if f.info.Etcd != "" {
		for _, o := range j.hosts {
			if o.id != id && o.info.Etcd != "" && o.spec.Removed == nil && (o.mayBeAway() || o.alive == 0) {
				j.breach("%s may reboot with its etcd member while %s is %s", id.Short(), o.id.Short(), o.phase())
			}
		}
	}
	c.overBudget(id)
}

// overBudget checks that instances which stay on a host go down only while so many others are up that one may.
func (c *commit) overBudget(id cluster.HostID) {
	j, t := c.j, c.j.machineOf(id)
	for u := range t.up {
		h := j.heads[u]
		if h == nil || !u.IsInstance() || h.req.Drain != units.DrainStay || !j.available(u) {
			continue
		}
		whole, down := 0, 0
		for o, other := range j.heads {
			if o.Template() != u.Template() || other.spec.Target != units.Launched {
				continue
			}
			whole++
			if t.up[o] == nil && j.missing(o) {
				down++
			}
		}
		if most := h.req.MaxUnavailable.Of(whole); down >= most {
			j.breach("%s may reboot with %s: %d of %d of its family are down elsewhere, at most %d may be in all", id.Short(), u, down, whole, most)
		}
	}
}

// freed checks that a slot is given back rightly.
func (c *commit) freed(id cluster.HostID, was, is cluster.Grant) {
	j, f := c.j, c.j.fact(id)
	f.ended = time.Now()
	used := f.booking.Generation == was.Generation && f.booking.Refused == ""
	removed := f.spec.Removed != nil
	switch is.Phase {
	case cluster.PhaseDone:
		c.follows(id, was, is, cluster.PhaseSettling)
		c.well(id, was)
		j.count["used and done"]++
	case cluster.PhaseReleased:
		if u := f.spec.Unlock; !removed && (u == nil || u.Generation != was.Generation) {
			j.breach("the slot of %s was released, and nobody unlocked it", id.Short())
		}
	case cluster.PhaseBlocked, cluster.PhaseAbandoned, cluster.PhaseFailed:
		if used {
			j.breach("the slot of %s was taken back (%s) after it used its grant", id.Short(), is.Phase)
		}
		if is.Phase == cluster.PhaseFailed && (f.booking.Generation != was.Generation || f.booking.Refused == "") {
			j.breach("%s is taken for refused, and said nothing of that", id.Short())
		}
	default:
		if !removed {
			j.breach("the slot of %s (%s) is free: %s", id.Short(), was.Phase, is.Phase)
		}
	}
}

// well checks that a host which is taken for back and well is so.
func (c *commit) well(id cluster.HostID, g cluster.Grant) {
	j, t := c.j, c.j.machineOf(id)
	if t.since(g.Boot) < 1 {
		j.breach("the slot of %s is free, and it has not booted since", id.Short())
	}
	for where, since := range j.wrong {
		h := j.places[where]
		if where.Host == id && h.last().State == cluster.Launched && j.long(since, reaction) && j.long(h.last().from, reaction) {
			j.breach("the slot of %s is free, and %s does not run on it since %s", id.Short(), where.Unit, time.Since(since))
		}
	}
	if t.sick != nil && t.sick() > reaction {
		j.breach("the slot of %s is free, and its systemd is degraded", id.Short())
	}
}
