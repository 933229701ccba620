package plan

import (
	"cmp"
	"fmt"
	"time"

	"flotilla/cluster"
)

// advance takes a host that holds a slot a phase further, or says what it waits for.
func (c *coordinator) advance(h *host) {
	switch g := h.Grant; {
	case h.Unlocked():
		c.end(h, cluster.PhaseReleased, "its slot was taken away"+saidBy(&h.Spec.Unlock.By), 0)
	case h.removed:
		c.end(h, cluster.PhaseReleased, "the host was removed", 0)
	case h.GrantBad != "":
		c.say(h, time.Time{}, fmt.Sprintf("its grant cannot be read, so it keeps its slot; a newer flotilla may have written it, else type: %s: %s",
			unlockCommand(h), h.GrantBad))
	case h.refusal() != "":
		outcome := cluster.PhaseFailed
		if g.External { // it said that it will not reboot after all
			outcome = cluster.PhaseAbandoned
		}
		c.end(h, outcome, h.refusal(), c.terms(g.Groups).retry, h.bootingAt())
	case h.rebooted() && g.Phase < cluster.PhaseReturning:
		c.comeBack(h)
	default:
		c.goOn(h)
	}
}

// goOn is advance for a host whose reboot takes its course.
func (c *coordinator) goOn(h *host) {
	switch h.Grant.Phase {
	case cluster.PhaseDraining, cluster.PhaseDrained:
		if !c.revoke(h) && !c.renew(h) {
			c.prepare(h)
		}
	case cluster.PhaseGranted:
		c.awaitUse(h)
	case cluster.PhaseRebooting, cluster.PhaseOverdue:
		c.awaitReturn(h)
	case cluster.PhaseReturning, cluster.PhaseSettling:
		c.awaitHealth(h)
	}
}

// renew takes up that somebody asked again: the newest wish holds, and the reboot under way serves it.
func (c *coordinator) renew(h *host) bool {
	g, wish := h.Grant, h.Spec.Reboot
	if wish == nil || wish.ID <= g.Wish {
		return false
	}
	next := *g
	next.Wish, next.Need, next.Now, next.Soft, next.External = wish.ID, false, wish.Now, wish.Soft, wish.External
	next.Cause, next.Times = asked(wish), 1
	if next.Now {
		next.Until = time.Time{}
	}
	c.write(h, next, cmp.Or(next.Reason, next.Cause), h.bootingAt())
	return true
}

// revoke ends a reboot that is not to be any more, while the host has not used its grant.
func (c *coordinator) revoke(h *host) bool {
	g, wish := h.Grant, h.Spec.Reboot
	used := h.bootingAt() // compared, so that it is either used or taken back
	anew := wish != nil && wish.ID > g.Wish
	if !g.Need && (wish == nil || wish.ID < g.Wish) {
		c.end(h, cluster.PhaseAbandoned, "the wish to reboot it was taken back", 0, used)
		return true
	}
	if r := h.report(); g.Need && !anew && r != nil && r.Need.State == cluster.NeedNo {
		c.end(h, cluster.PhaseAbandoned, "nothing needs the reboot any more", 0, used)
		return true
	}
	if g.Now || anew && wish.Now {
		return false
	}
	teams := c.charged(h)
	if f := c.frozen(h, teams); f != nil {
		c.end(h, cluster.PhaseAbandoned, "it waits again: "+f.reason, 0, used)
		return true
	}
	if c.terms(g.Groups).finish {
		return false
	}
	if shut := c.shutOut(h, teams, g.Need && !anew); shut != nil {
		c.end(h, cluster.PhaseAbandoned, "its window closed before it could reboot; "+shut.reason, 0, used)
		return true
	}
	return false
}

// prepare sees to a host that is being emptied, or is empty and has its hooks and checks run.
func (c *coordinator) prepare(h *host) {
	g := h.Grant
	if g.Phase == cluster.PhaseDraining {
		c.empty(h)
		return
	}
	deadline := h.GrantReady.Add(c.terms(g.Groups).gate + g.Hooks + g.Grace)
	wait := c.mayGo(h)
	switch {
	case wait == nil:
		c.grant(h)
	case !c.now.Before(deadline):
		c.end(h, cluster.PhaseBlocked, wait.reason, c.terms(g.Groups).retry)
	default:
		c.say(h, deadline, wait.reason)
		c.note(h, wait)
	}
}

// empty waits until a host's units have left it.
func (c *coordinator) empty(h *host) {
	left := c.left(h)
	on, timeout := c.blockedBy(h.Grant)
	deadline := h.GrantSeen.Add(timeout)
	late := !c.now.Before(deadline)
	if late && on != cluster.AbortDrain { // what may be skipped or stopped has that long to be so
		timeout += c.terms(h.Grant.Groups).gate
		deadline = h.GrantSeen.Add(timeout)
	}
	switch {
	case h.Alive == nil && late:
		c.end(h, cluster.PhaseBlocked, "it is absent since "+clock(c.since(h)), c.terms(h.Grant.Groups).retry)
	case h.Alive == nil:
		c.say(h, deadline, "it is absent since "+clock(c.since(h)))
	case len(left) == 0:
		c.move(h, cluster.PhaseDrained, "nothing that can move is left")
	case !c.now.Before(deadline):
		c.end(h, cluster.PhaseBlocked, fmt.Sprintf("it is not empty after %s: %s", timeout, stillThere(left)), c.terms(h.Grant.Groups).retry)
	default:
		c.say(h, deadline, stillThere(left))
	}
	w := c.said[h]
	w.left = len(left)
	if len(left) > 0 {
		w.hold = HoldUnits
	}
	c.said[h] = w
}

// stillThere says which units have to leave a host, and why the first of them is there still: one without a place
// goes before those that are on their way.
func stillThere(left []Left) string {
	first := left[0]
	for _, l := range left {
		if l.Blocked {
			first = l
			break
		}
	}
	if len(left) == 1 {
		return because(fmt.Sprintf("%s has still to leave it", first.Unit), first.Reason)
	}
	return because(fmt.Sprintf("%s and %d more have still to leave it", first.Unit, len(left)-1), first.Reason)
}

// grant gives a host leave to reboot. No window may close before that ends.
func (c *coordinator) grant(h *host) {
	next := *h.Grant
	t := c.terms(next.Groups)
	next.Within = t.grant
	if next.External {
		next.Within = max(next.Within, externalWithin)
	}
	if until, closes := c.closes(h); closes {
		next.Within, next.Until = min(next.Within, until.Sub(c.now)-lastCall), until.Round(0).UTC()
	}
	next.Phase = cluster.PhaseGranted
	c.committed[h] = true
	c.write(h, next, "it may reboot", c.etcdAlive(h)...)
}

// awaitUse waits until a host uses its grant, and takes it back from one that does not. Either of the two
// happens: using it compares the grant, taking it back compares the use.
func (c *coordinator) awaitUse(h *host) {
	deadline := c.expires(h)
	switch {
	case h.Used():
		c.move(h, cluster.PhaseRebooting, "it is going down", h.bootingAt())
	case c.revoke(h), c.renew(h):
	case !c.now.Before(deadline):
		why := fmt.Sprintf("it did not use its grant within %s", h.Grant.Within)
		if h.Alive == nil {
			why += "; it is absent since " + clock(c.since(h))
		}
		c.end(h, cluster.PhaseAbandoned, why, c.terms(h.Grant.Groups).retry, h.bootingAt())
	case h.ready && c.takeBack(h): // what is absent, or has just booted, cannot use it
	default:
		c.say(h, deadline, "it may reboot, and has not begun to")
	}
}

// takeBack has a host wait again that may reboot and has not begun to, once something is against it. It keeps its slot,
// and has no more time for that than it had at first.
func (c *coordinator) takeBack(h *host) bool {
	x := c.mayStill(h)
	if x == nil {
		return false
	}
	next := *h.Grant
	next.Phase, next.Within, next.Until = cluster.PhaseDrained, 0, time.Time{}
	c.note(h, x)
	c.write(h, next, "it may not reboot any more: "+x.reason, h.bootingAt())
	return true
}

// awaitReturn waits for a host that goes down or is away.
func (c *coordinator) awaitReturn(h *host) {
	g := h.Grant
	comes := c.terms(g.Groups).comes
	deadline := h.GrantSeen.Add(comes)
	switch {
	case g.Phase == cluster.PhaseOverdue:
		reason := fmt.Sprintf("%s; bring it back, or let the others go on without it: %s", g.Reason, unlockCommand(h))
		late := c.late(h)
		if late != nil {
			reason += "; " + late.reason
		}
		c.say(h, time.Time{}, reason)
		c.note(h, late)
	case c.now.Before(deadline) && h.Alive == nil:
		c.say(h, deadline, "it is away since "+clock(c.since(h)))
	case c.now.Before(deadline):
		c.say(h, deadline, "it is going down")
	case h.Alive == nil:
		c.move(h, cluster.PhaseOverdue, fmt.Sprintf("it did not come back within %s", comes))
	default:
		c.move(h, cluster.PhaseOverdue, fmt.Sprintf("it did not go down within %s", comes))
	}
}

// late says why a host that was told to reboot by somebody else, and did not in time, had better not do so now: a
// client that asks again hears it.
func (c *coordinator) late(h *host) *hold {
	g := h.Grant
	if !g.External || g.Now || h.Alive == nil {
		return nil
	}
	teams := c.charged(h)
	if x := c.frozen(h, teams); x != nil || c.terms(g.Groups).finish {
		return x
	}
	return c.shutOut(h, teams, false)
}

// comeBack notes that a host is back with a new run of itself.
func (c *coordinator) comeBack(h *host) {
	next := *h.Grant
	reason := "it is back"
	switch {
	case next.Phase == cluster.PhaseRebooting:
		next.Away = c.now.Sub(h.GrantSeen)
	case next.Phase == cluster.PhaseOverdue:
		reason = "it is back, late"
	case !h.Used():
		reason = "it rebooted before it was told to"
	}
	next.Phase = cluster.PhaseReturning
	c.write(h, next, reason)
}

// awaitHealth keeps the slot of a host that is back until all is well, and has been for a while. Its gate is the time since it
// came back: one that is well now and then has no more.
func (c *coordinator) awaitHealth(h *host) {
	t := c.terms(h.Grant.Groups)
	red := c.red(h)
	switch settling := h.Grant.Phase == cluster.PhaseSettling; {
	case settling && red != "":
		c.move(h, cluster.PhaseReturning, red)
	case red != "":
		gate := h.GrantBack.Add(t.gate)
		if c.now.Before(gate) {
			c.say(h, gate, red)
			return
		}
		c.say(h, time.Time{}, fmt.Sprintf("%s; mend it, or let the others go on: %s", red, unlockCommand(h)))
	case !settling:
		c.move(h, cluster.PhaseSettling, "all is well")
	case c.now.Before(h.GrantSeen.Add(t.settle)):
		at := h.GrantSeen.Add(t.settle)
		c.say(h, at, "all is well, and has to stay so until "+clock(at))
	default:
		c.end(h, cluster.PhaseDone, "it rebooted and is well", 0)
	}
}

// refusal is why a host said that it cannot use its grant.
func (h *host) refusal() string {
	b, g := h.Booting, h.Grant
	if b == nil || g == nil || b.Generation != g.Generation || b.Refused == "" || h.Grant.Phase >= cluster.PhaseReturning {
		return ""
	}
	return b.Refused
}

// unlockCommand is what a person types to end a host's grant.
func unlockCommand(h *host) string {
	return fmt.Sprintf("flotilla reboot unlock %s --reason WHY", h.Name())
}

// asked is the cause of a reboot that a person asked for.
func asked(w *cluster.RebootWish) string {
	out := "asked for by " + cmp.Or(w.By.Who, "somebody")
	if w.By.Why != "" {
		out += ": " + w.By.Why
	}
	return out
}
