package sim

import (
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// takesOver says that an order is to take over from the one that stands on a host.
func (v version) takesOver(from cluster.HostID, old version) bool {
	return v.Shift.From == from && old.wanted() && old.Generation == v.Shift.Generation
}

// handing says whether a unit stands on two hosts because it starts first.
func (j *Judge) handing(u cluster.Unit) bool {
	if len(j.live[u]) != 2 || j.heads[u].req.Fence {
		return false
	}
	for id := range j.live[u] {
		next := j.places[cluster.Where{Host: id, Unit: u}].last()
		if next.takesOver(next.Shift.From, j.places[cluster.Where{Host: next.Shift.From, Unit: u}].last()) {
			return true
		}
	}
	return false
}

// asked says that a user wanted a placement to leave its host, or asked for another host after a failure.
func (h *head) asked(m move, st cluster.Status) bool {
	s := h.spec.Shift
	return s.From == m.Host && s.Generation == m.was.Generation || h.req.Reschedule && st.State.Failed()
}

// relieved checks that the old copy of a unit that starts first is not ended before its host says that the
// new one runs.
func (c *commit) relieved(m move) {
	j := c.j
	if h := j.heads[m.Unit]; h == nil || h.spec.Target != units.Launched || h.req.Handover != units.StartFirst || j.fact(m.Host).alive == 0 {
		return
	}
	for id := range j.live[m.Unit] {
		w := cluster.Where{Host: id, Unit: m.Unit}
		if j.places[w].last().takesOver(m.Host, m.was) && !j.runsAt(w) {
			j.breach("%s was ended on %s before it runs on %s", m.Unit, m.Host.Short(), id.Short())
		}
	}
}

// rolled checks that an order which restarts a running instance leaves enough others of its family, by what
// the store says at this revision: a leader cannot know more. took are the units that this commit restarts.
func (c *commit) rolled(m move, took map[cluster.Unit]bool) {
	j, h := c.j, c.j.heads[m.Unit]
	if h == nil || !m.Unit.IsInstance() || !m.was.runs() || !m.is.runs() || m.was.Blob == m.is.Blob && m.was.Restart == m.is.Restart {
		return
	}
	if !j.running(m.Where) {
		return
	}
	c.restarts = append(c.restarts, m.Where)
	for id := range j.live[m.Unit] {
		other := cluster.Where{Host: id, Unit: m.Unit}
		if id != m.Host && j.running(other) && !slices.Contains(c.restarts, other) {
			return // its other copy serves meanwhile
		}
	}
	took[m.Unit] = true
	_, late := j.stalls.touches(time.Now().Add(-reaction)) // a leader's orders may be of a while ago
	whole, down := 0, 0
	for u, other := range j.heads {
		if u.Template() != m.Unit.Template() || other.spec.Target != units.Launched {
			continue
		}
		whole++
		if took[u] || !j.available(u) && (!late || j.missing(u)) {
			down++
		}
	}
	if most := h.req.MaxUnavailable.Of(whole); down > most {
		j.breach("%s was restarted on %s while %d of %d of its family are down, at most %d may be", m.Unit, m.Host.Short(), down, whole, most)
	}
}

// available says whether a unit runs as it is ordered to, on any host.
func (j *Judge) available(u cluster.Unit) bool {
	for id := range j.live[u] {
		if j.runsAt(cluster.Where{Host: id, Unit: u}) {
			return true
		}
	}
	return false
}

// runsAt says whether a host that is alive has carried out the order for a unit and says that it runs.
func (j *Judge) runsAt(w cluster.Where) bool {
	return j.running(w) && j.acks[w].Generation >= j.places[w].last().Generation
}

// running says whether a host that is alive says that a unit runs there, since it booted.
func (j *Judge) running(w cluster.Where) bool {
	f, st := j.fact(w.Host), j.acks[w]
	return f.alive != 0 && st.Boot == f.boot && st.State.Running()
}
