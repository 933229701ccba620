package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// roll is a change that may take a running unit down for a moment, while others like it must run.
type roll struct {
	head *cluster.UnitHead
	pl   *cluster.Placed
}

// change brings a placement up to its head: at once, or in the last pass, when all that this plan
// takes down is known.
func (p *planner) change(head *cluster.UnitHead, pl *cluster.Placed) {
	if disturbs(head, pl) {
		p.rolls = append(p.rolls, roll{head, pl})
		return
	}
	p.update(head, pl)
}

// disturbs says whether a change is one of those that a family goes through one at a time: new
// content or a restart of what runs. A target, a first start and a start of what runs are not.
func disturbs(head *cluster.UnitHead, pl *cluster.Placed) bool {
	if crewOf(head) == "" || !runs(head, pl) {
		return false
	}
	return pl.Blob != head.Spec.Blob || pl.DropIns != head.Spec.DropIns || pl.Restart != head.Spec.Restart
}

// crewOf names those that stand in for the unit while it is down: the instances of its template, or
// the copies of a global unit. "" = nobody does.
func crewOf(head *cluster.UnitHead) cluster.Unit {
	if head.Req.Global {
		return head.Name
	}
	return head.Name.Template()
}

// crew is a template family, or the copies of a global unit, as this plan leaves it so far.
type crew struct {
	global bool
	whole  int // those that are to run
	down   []mate
}

// mate is a member of a crew that is not available.
type mate struct {
	unit cluster.Unit
	host *host // nil = it has none
	health
}

// muster looks at all members of a crew.
func (p *planner) muster(head *cluster.UnitHead) *crew {
	c := &crew{global: head.Req.Global}
	if c.global {
		for _, h := range p.hosts {
			if !h.removed && p.live(head.Name, h) {
				c.count(mate{head.Name, h, p.healthAt(head.Name, h)})
			}
		}
		return c
	}
	for _, u := range p.instances(head.Name.Template()) {
		c.count(p.mateOf(u))
	}
	return c
}

func (c *crew) count(m mate) {
	c.whole++
	if m.health != well {
		c.down = append(c.down, m)
	}
}

// mateOf is a member with one place, at its best.
func (p *planner) mateOf(u cluster.Unit) mate {
	best := mate{unit: u, health: homeless}
	for _, h := range p.liveHosts(u) {
		if x := p.healthAt(u, h); best.host == nil || x < best.health {
			best = mate{u, h, x}
		}
	}
	return best
}

// instances lists the instances of a template that are to run, by name.
func (p *planner) instances(template cluster.Unit) []cluster.Unit {
	if p.roster == nil {
		p.roster = map[cluster.Unit][]cluster.Unit{}
		for u, head := range p.snap.Units {
			if head.Spec.Target == units.Launched && !head.Req.Global && u.IsInstance() {
				p.roster[u.Template()] = append(p.roster[u.Template()], u)
			}
		}
		for _, f := range p.roster {
			slices.Sort(f)
		}
	}
	return p.roster[template]
}

// rollOut makes the changes of crews: at once where nothing runs that could go down, then as many
// as may be unavailable.
func (p *planner) rollOut() {
	byCrew := map[cluster.Unit][]roll{}
	for _, r := range p.rolls {
		byCrew[crewOf(r.head)] = append(byCrew[crewOf(r.head)], r)
	}
	for _, name := range slices.Sorted(maps.Keys(byCrew)) {
		p.rollCrew(byCrew[name])
	}
}

// rollCrew makes the changes of one crew. What does not run costs nothing, and goes first: a repaired
// content may need it. What runs and is not to be relied on yet costs no more than it does already.
func (p *planner) rollCrew(rolls []roll) {
	c := p.muster(rolls[0].head)
	var uncertain, sound, waiting []roll
	for _, r := range rolls {
		switch h := p.byID[r.pl.Host]; {
		case !p.runsAt(r.pl.Unit, h):
			p.update(r.head, r.pl)
		case p.cost(r.pl.Unit, h) == 0:
			uncertain = append(uncertain, r)
		default:
			sound = append(sound, r)
		}
	}
	for _, r := range append(uncertain, sound...) {
		cost := p.cost(r.pl.Unit, p.byID[r.pl.Host])
		if !c.spare(r.head, cost) {
			waiting = append(waiting, r)
			continue
		}
		p.update(r.head, r.pl)
		if cost > 0 {
			c.down = append(c.down, mate{r.pl.Unit, p.byID[r.pl.Host], changing})
		}
	}
	p.sayRolls(c, waiting)
}

// cost is how many more are down when this one goes: 0 when it counts as down already.
func (p *planner) cost(u cluster.Unit, h *host) int {
	if p.healthAt(u, h) == well {
		return 1
	}
	return 0
}

// runsAt says that a host was last heard to run the unit.
func (p *planner) runsAt(u cluster.Unit, h *host) bool {
	st, ok := h.StatusOf(u)
	return ok && st.State.Running()
}

// sayRolls says what the changes wait for: each instance, and all copies of a global unit in one sentence.
func (p *planner) sayRolls(c *crew, waiting []roll) {
	for i, r := range waiting {
		b := c.blocker(r.pl)
		switch {
		case !c.global:
			p.waits(r.pl.Unit, r.pl.Host, b.stuck(), "waits for %s", p.awaited(b, r.head))
		case i == len(waiting)-1:
			p.waits(r.pl.Unit, "", b.stuck(), "%d of %d copies %s for %s", len(waiting), c.whole, verb(len(waiting), "wait"), p.awaited(b, r.head))
		}
	}
}

func verb(n int, plural string) string {
	if n == 1 {
		return plural + "s"
	}
	return plural
}

// spare says whether a member may go down that costs so much.
func (c *crew) spare(head *cluster.UnitHead, cost int) bool {
	return len(c.down)+cost <= head.Req.MaxUnavailable.Of(c.whole)
}

// without is the crew with nobody down on this host.
func (c *crew) without(h *host) *crew {
	out := *c
	out.down = nil
	for _, m := range c.down {
		if m.host != h {
			out.down = append(out.down, m)
		}
	}
	return &out
}

// blocker is the member that is worst off, the first of several, beside the placement that asks.
func (c *crew) blocker(of *cluster.Placed) mate {
	worst := mate{unit: of.Unit, health: homeless}
	for _, m := range c.down {
		self := m.unit == of.Unit && m.host != nil && m.host.ID == of.Host
		if !self && (worst.host == nil || m.health > worst.health) {
			worst = m
		}
	}
	return worst
}

// awaited says what a member with new content to come, or about to leave its host, waits for.
func (p *planner) awaited(m mate, head *cluster.UnitHead) string {
	if m.host == nil {
		return fmt.Sprintf("%s, which has no host", m.unit)
	}
	who := fmt.Sprintf("%s on %s", m.unit, m.host.Name())
	if head.Req.Global {
		who = "the one on " + m.host.Name()
	}
	content := "did not come up"
	if pl := m.host.Placed[m.unit]; pl != nil && pl.Blob == head.Spec.Blob && pl.DropIns == head.Spec.DropIns {
		content += " with its new content"
	}
	st := m.host.Status[m.unit]
	switch m.health {
	case failed:
		return fmt.Sprintf("%s, which %s (failed%s): mend and apply again", who, content, result(st))
	case refused:
		return fmt.Sprintf("%s, which %s (refused: %s): mend and apply again", who, content, how(st))
	case falling:
		return fmt.Sprintf("%s, which %s (%s): systemd restarts it; else mend and apply again", who, content, how(st))
	case absent:
		if head.Req.Global && !m.host.removed {
			return fmt.Sprintf("%s: %s; bring it back, or type: flotilla host remove %s", who, absence(p, m.host), m.host.Name())
		}
		return fmt.Sprintf("%s: %s", who, absence(p, m.host))
	case idle:
		return fmt.Sprintf("%s, which does not run: start it again", who)
	case starting:
		return who + ", which is starting"
	case fresh:
		return who + ", which came up just now"
	default:
		return who + ", which has to come up first"
	}
}

// result is systemd's word for a failure, where it adds one.
func result(st *cluster.Status) string {
	if st == nil || st.State.Result == "" || st.State.Result == "success" {
		return ""
	}
	return ", " + strings.ReplaceAll(st.State.Result, "\n", " ")
}

// waits says why a unit waits, and whether it takes a person to end that.
func (p *planner) waits(u cluster.Unit, on cluster.HostID, stuck bool, format string, args ...any) {
	p.refuse(u, on, format, args...)
	p.waiting[len(p.waiting)-1].Stuck = stuck
}
