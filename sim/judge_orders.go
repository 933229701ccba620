package sim

import (
	"strings"
	"time"

	"flotilla/cluster"
)

// vandal signs what the simulation itself does to orders, against all rules.
const vandal = "vandal"

// judge holds a revision against the rules of leaders.
func (c *commit) judge() {
	c.people()
	if len(c.moves)+len(c.turns) == 0 || c.by == vandal {
		return
	}
	j := c.j
	if c.by != string(j.leader.host) || c.term != j.leader.rev {
		j.breach("%.8s wrote orders in its term %d at revision %d, while %s leads in term %d", c.by, c.term, c.rev, j.leader.host.Short(), j.leader.rev)
	}
	for _, t := range c.turns {
		c.turned(t)
	}
	took := map[cluster.Unit]bool{}
	for _, m := range c.moves {
		switch {
		case m.is.wanted() && !m.was.wanted():
			c.given(m)
		case m.is.wanted():
			c.newer(m)
			c.rolled(m, took)
		case m.is.State == cluster.Gone:
			c.ended(m)
			c.emptied(m, took)
		default:
			c.forgotten(m)
		}
		if h := j.heads[m.Unit]; len(j.live[m.Unit]) > 1 && h != nil && !h.req.Global && !j.handing(m.Unit) {
			j.breach("%s is ordered to be on %d hosts at once", m.Unit, len(j.live[m.Unit]))
		}
	}
}

// newer checks that an order's generation grows.
func (c *commit) newer(m move) {
	if m.is.Generation <= m.was.Generation || m.is.Generation > c.rev {
		c.j.breach("%s on %s: generation %d follows %d at revision %d", m.Unit, m.Host.Short(), m.is.Generation, m.was.Generation, c.rev)
	}
	c.j.granted[m.Unit] = max(c.j.granted[m.Unit], m.is.Generation)
}

// given checks a unit that is ordered to a host.
func (c *commit) given(m move) {
	j := c.j
	f := j.fact(m.Host)
	switch {
	case f.alive == 0:
		j.breach("%s was placed on %s, which is absent", m.Unit, m.Host.Short())
	case j.adopted(m): // an orphan becomes an order where it is
	case f.spec.Cordon != nil:
		j.breach("%s was placed on %s, which is cordoned", m.Unit, m.Host.Short())
	case f.spec.Drain != nil:
		j.breach("%s was placed on %s, which is drained", m.Unit, m.Host.Short())
	case f.spec.Removed != nil:
		j.breach("%s was placed on %s, which is removed", m.Unit, m.Host.Short())
	case f.closed(j) != "":
		j.breach("%s was placed on %s, which %s", m.Unit, m.Host.Short(), f.closed(j))
	}
	h := j.heads[m.Unit]
	if h == nil {
		j.breach("%s was placed on %s and has no head", m.Unit, m.Host.Short())
		return
	}
	if m.is.Generation <= j.granted[m.Unit] && !h.req.Global || m.is.Generation > c.rev {
		j.breach("%s on %s: generation %d is not above %d (revision %d)", m.Unit, m.Host.Short(), m.is.Generation, j.granted[m.Unit], c.rev)
	}
	j.granted[m.Unit] = max(j.granted[m.Unit], m.is.Generation)
	c.crowded(m, h)
	if !h.req.Global {
		c.doubled(m)
		c.moved(m)
	}
}

// adopted says whether an order only confirms what runs on a host without one, or did
// when its host last said so: a leader sees that a moment later than the judge.
func (j *Judge) adopted(m move) bool {
	if j.fact(m.Host).spec.Removed != nil || len(j.places[m.Where].list) < 2 {
		return false
	}
	if j.acks[m.Where].Orphan { // by its host's last word, which may have gone down since
		return true
	}
	for _, t := range j.machines {
		if t.id == m.Host && t.up[m.Unit] != nil {
			return true
		}
	}
	return strings.Contains(m.is.Reason, "orphan")
}

// crowded checks that conflicting units do not meet.
func (c *commit) crowded(m move, h *head) {
	for other, at := range c.j.live {
		o := c.j.heads[other]
		if other == m.Unit || !at[m.Host] || o == nil {
			continue
		}
		if h.req.ConflictsWith(m.Unit, other) || o.req.ConflictsWith(other, m.Unit) {
			c.j.breach("%s was placed on %s, where %s is, with which it conflicts", m.Unit, m.Host.Short(), other)
		}
	}
}

// doubled checks that a unit is not placed while it runs on another living host.
func (c *commit) doubled(m move) {
	for _, t := range c.j.machines {
		if t.id == m.Host || t.up[m.Unit] == nil || c.j.fact(t.id).alive == 0 {
			continue
		}
		last := c.j.places[cluster.Where{Host: t.id, Unit: m.Unit}].last()
		if last.State == 0 {
			continue // an orphan: nobody may stop it but its operator
		}
		if m.is.takesOver(t.id, last) {
			continue // it starts first
		}
		c.j.breach("%s was placed on %s while it runs on %s, which is alive", m.Unit, m.Host.Short(), t.name)
	}
}

// moved checks a failover: only from an absent host, and not in a storm.
func (c *commit) moved(m move) {
	j := c.j
	for _, from := range c.moves {
		if from.Unit != m.Unit || from.Host == m.Host || !from.was.wanted() {
			continue
		}
		f := j.fact(from.Host)
		if f.alive != 0 {
			j.breach("%s was moved off %s, which is alive", m.Unit, from.Host.Short())
		}
		if g := f.grant; f.alive == 0 && g != nil && f.away() && f.spec.Removed == nil {
			j.breach("%s was moved off %s, which is %s", m.Unit, from.Host.Short(), g.Phase)
		}
		if f.spec.Removed == nil && f.absent.After(j.resumed) && j.storm() {
			j.breach("%s was moved off %s although so many hosts are absent", m.Unit, from.Host.Short())
		}
	}
}

// storm says whether more than a third of the hosts, and two at least, were absent for so
// long that every leader must have seen it.
func (j *Judge) storm() bool {
	known, absent := 0, 0
	for _, f := range j.hosts {
		if f.spec.Removed != nil || f.excused() {
			continue
		}
		gone := f.alive == 0 && time.Since(f.absent) > 10*time.Second
		if gone && !f.absent.After(j.resumed) {
			continue
		}
		known++
		if gone {
			absent++
		}
	}
	return j.rules.brake && absent >= 2 && 3*absent > known
}

// ended checks a tombstone.
func (c *commit) ended(m move) {
	j := c.j
	if m.was.Generation > m.is.Generation || m.is.Generation > c.rev {
		j.breach("%s on %s: tombstone of generation %d follows %d", m.Unit, m.Host.Short(), m.is.Generation, m.was.Generation)
	}
	h, f := j.heads[m.Unit], j.fact(m.Host)
	c.relieved(m)
	if h != nil && h.asked(m, j.acks[m.Where]) {
		return
	}
	if f.leaves(j) || c.evens(m) {
		return
	}
	if h == nil || h.spec.Target == 0 || !h.plain() || f.alive == 0 || f.spec.Removed != nil || len(j.live[m.Unit]) > 0 || !m.was.wanted() {
		return
	}
	j.breach("%s was ordered off %s, which is alive, and nothing asked for it: %s", m.Unit, m.Host.Short(), m.is.Reason)
}

// forgotten checks the deletion of an order.
func (c *commit) forgotten(m move) {
	j := c.j
	f := j.fact(m.Host)
	if f.spec.Removed != nil && f.alive == 0 {
		return
	}
	if m.was.State != cluster.Gone {
		j.breach("the order for %s on %s was deleted without a tombstone", m.Unit, m.Host.Short())
		return
	}
	if st := j.acks[m.Where]; !st.Acknowledged(m.was.Placement) {
		j.breach("the tombstone of %s on %s was deleted before it was acknowledged", m.Unit, m.Host.Short())
	}
	for _, t := range j.machines {
		if t.id == m.Host && t.up[m.Unit] != nil {
			j.breach("the tombstone of %s on %s was deleted while the unit runs there", m.Unit, t.name)
		}
	}
}
