package sim

import (
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// rebooting checks a reboot that an agent asked logind for, at the moment it begins. heard is when the store
// last answered this agent; asked is when it asked, after which its process may have stood still.
func (j *Judge) rebooting(t *truth, heard, asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := j.fact(t.id)
	g, b := f.grant, f.booking
	j.note("%s: reboots by grant %d", t.name, b.Generation)
	j.count["coordinated"]++
	t.used[b.Generation]++
	switch {
	case t.guest:
		j.breach("%s reboots although its id belongs to another host", t.name)
	case t.used[b.Generation] > 1:
		j.breach("%s reboots %d times by grant %d", t.name, t.used[b.Generation], b.Generation)
		return
	case f.lateAfterUnlock():
		if t.since(b.Boot) != 0 {
			j.breach("%s reboots by grant %d of another boot", t.name, b.Generation)
		}
		if heard.Before(f.booked) {
			j.breach("%s reboots, and the store never answered that it may", t.name)
		}
		j.count["after an unlock"]++
		return
	case g == nil || b.Generation != g.Generation || b.Refused != "":
		j.breach("%s reboots, and the store has it use grant %d (%s), not %d", t.name, b.Generation, b.Refused, generationOf(g))
		return
	case g.Phase != cluster.PhaseGranted && g.Phase != cluster.PhaseRebooting && g.Phase != cluster.PhaseOverdue && g.Phase != cluster.PhaseReleased:
		j.breach("%s reboots by grant %d, which is %s", t.name, g.Generation, g.Phase)
	case t.since(g.Boot) != 0:
		j.breach("%s reboots by grant %d of another boot", t.name, g.Generation)
	case heard.Before(f.booked):
		j.breach("%s reboots, and the store never answered that it may", t.name)
	}
	if !f.edited(j) {
		switch why := j.outside(f, *g, asked.Add(f.ahead)); {
		case why == "":
		case j.outside(f, *g, asked.Add(f.ahead-g.Within)) == "":
			j.count["late by less than a grant's time"]++ // it saw its grant late, and nobody led who could take it back
		default:
			j.breach("%s reboots, and %s", t.name, why)
		}
	}
	for u := range t.up {
		if j.places[cluster.Where{Host: t.id, Unit: u}].last().from.After(f.granted) {
			continue // an orphan that was adopted meanwhile
		}
		if j.movable(t, u) && !j.gaveUp(f) {
			j.breach("%s reboots with %s, which could move", t.name, u)
		}
	}
}

// lateAfterUnlock says that the host had committed itself to a grant that a person ended since, and that another stands by
// now: it may still go down by the old one, once, in that boot.
func (f *facts) lateAfterUnlock() bool {
	b, u := f.booking, f.spec.Unlock
	return b.Refused == "" && u != nil && u.Generation == b.Generation && (f.grant == nil || f.grant.Generation != b.Generation)
}

// edited says that people changed windows, groups or the wish since the host got leave to reboot.
func (f *facts) edited(j *Judge) bool {
	return j.reboots.edited.After(f.granted) || f.told.After(f.granted)
}

// gaveUp says that the drain of a host may leave units behind.
func (j *Judge) gaveUp(f *facts) bool {
	if d := f.spec.Drain; d != nil && d.OnBlocked == cluster.SkipUnit {
		return true
	}
	for _, name := range f.grant.Groups {
		if j.groups[name].OnBlocked == cluster.SkipUnit {
			return true
		}
	}
	return false
}

// evens says that an instance leaves a host which has two more of its family than another, after reboots.
func (c *commit) evens(m move) bool {
	j := c.j
	if !m.Unit.IsInstance() || j.count[cluster.PhaseDraining.String()] == 0 {
		return false
	}
	here, least := 1, -1 // this one has left by now
	for id, f := range j.hosts {
		if f.alive == 0 || f.spec.Removed != nil {
			continue
		}
		n := 0
		for u, at := range j.live {
			if u.Template() == m.Unit.Template() && at[id] && u != m.Unit {
				n++
			}
		}
		if id == m.Host {
			here += n
		} else if least < 0 || n < least {
			least = n
		}
	}
	return least >= 0 && here >= least+2
}

// mayStop says that people want units of a host stopped which have no other place, and that it is time for that.
func (j *Judge) mayStop(f *facts) bool {
	if d := f.spec.Drain; d != nil {
		return d.OnBlocked == cluster.StopUnit && time.Since(d.By.When) >= d.Timeout-time.Second
	}
	if f.grant == nil {
		return false
	}
	for _, name := range f.grant.Groups {
		if j.groups[name].OnBlocked == cluster.StopUnit {
			return time.Since(f.began) >= groupTimes().Drain-time.Second
		}
	}
	return false
}

// emptied checks that a running instance is ordered off a drained host only while enough others of its family
// are up, by what every leader knows.
func (c *commit) emptied(m move, took map[cluster.Unit]bool) {
	j, h, f := c.j, c.j.heads[m.Unit], c.j.fact(m.Host)
	if h == nil || !m.Unit.IsInstance() || !m.was.runs() || h.spec.Target != units.Launched || !j.running(m.Where) {
		return
	}
	if !f.down.IsZero() || f.spec.Removed != nil {
		return // the host goes whatever becomes of its units
	}
	if f.spec.Drain == nil && f.phase() != cluster.PhaseDraining && f.phase() != cluster.PhaseDrained && !c.evens(m) {
		return
	}
	j.count["instance drained"]++
	if len(j.live[m.Unit]) > 0 || h.req.Drain == units.DrainStop || j.mayStop(f) {
		return // it runs elsewhere, or a person said that it is to be stopped
	}
	took[m.Unit] = true
	whole, down := 0, 0
	for u, other := range j.heads {
		if u.Template() != m.Unit.Template() || other.spec.Target != units.Launched {
			continue
		}
		whole++
		if took[u] || j.missing(u) {
			down++
		}
	}
	if most := h.req.MaxUnavailable.Of(whole); down > most {
		j.breach("%s was drained off %s while %d of %d of its family are down, at most %d may be", m.Unit, m.Host.Short(), down, whole, most)
	}
}

// checkReasons checks that every host that wants a reboot or takes a slot is listed, with a reason.
func (w *World) checkReasons() {
	h := w.Leader()
	if h == nil || h.process() == nil {
		return
	}
	latest := h.process().loop.Latest()
	if !latest.Leading || latest.Planned.IsZero() || latest.Err != nil {
		return
	}
	listed := map[cluster.HostID]plan.HostReboot{}
	for _, r := range latest.Reboots {
		listed[r.Host] = r
	}
	j := w.Judge
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range latest.Reboots {
		if f := j.fact(r.Host); f.reason != r.Reason {
			f.reason = r.Reason
			j.note("plan: %s is %s: %s", r.Name, r.Phase, r.Reason)
		}
		if r.Reason == "" || r.Phase == cluster.PhaseNone {
			j.breach("%s is %q and has no reason", r.Name, r.Phase)
		}
		if r.Phase.Holds() && r.Since.IsZero() {
			j.breach("%s is %s and has no age", r.Name, r.Phase)
		}
	}
	if !j.long(j.began, reaction) || j.leader.host != h.id || !j.long(j.leads, reaction) {
		return
	}
	if _, bad := h.truth.trouble.touches(time.Now().Add(-reaction)); bad {
		return
	}
	for id, f := range j.hosts {
		if why := j.unserved(f); why != "" && j.long(f.told, reaction) && f.spec.Removed == nil && f.info.Name != "" {
			if _, ok := listed[id]; !ok {
				j.breach("%s %s, and the leader says nothing of it", id.Short(), why)
			}
		}
	}
}

// unserved says what of a host's reboot is not done, "" if all is.
func (j *Judge) unserved(f *facts) string {
	wish, g := f.spec.Reboot, f.grant
	again := g != nil && !g.Need && (g.Phase == cluster.PhaseBlocked || g.Phase == cluster.PhaseAbandoned)
	unlocked := g != nil && f.spec.Unlock != nil && f.spec.Unlock.Generation == g.Generation
	switch {
	case f.holds():
		return fmt.Sprintf("is %s: %s", g.Phase, g.Reason)
	case wish == nil:
		return ""
	case g == nil || wish.ID > g.Wish || again && wish.ID == g.Wish && !unlocked:
		return "is asked to reboot"
	}
	return ""
}
