package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// hold is what keeps a host from its reboot.
type hold struct {
	phase  cluster.Phase // PhaseWanted, PhaseQueued or PhaseFrozen; of one that was tried before, its outcome
	reason string        // one sentence
	next   time.Time     // when it can end by itself
	who    *cluster.Note
	kind   Hold // what it is, in a word; HoldNone stands for HoldHealth
	slot   bool // it waits for others of its group, which those behind it in the queue must not delay
}

func queued(reason string) *hold { return &hold{phase: cluster.PhaseQueued, reason: reason} }

// mayGo says what keeps an empty host from its reboot; nil = nothing does. All of it is asked again although
// the host has its slot: much may have changed while it was emptied.
func (c *coordinator) mayGo(h *host) *hold {
	if h.Alive == nil {
		return queued("it is absent since " + clock(c.since(h)))
	}
	if left := c.left(h); len(left) > 0 {
		return queued(stillThere(left)).as(HoldUnits)
	}
	if x := c.mayStill(h); x != nil {
		return x
	}
	if until, closes := c.closes(h); closes && until.Sub(c.now) <= lastCall {
		return queued("its window is about to close").as(HoldWindow)
	}
	return nil
}

// mayStill is the part of mayGo that is asked until a host begins to reboot. The host itself does not count.
func (c *coordinator) mayStill(h *host) *hold {
	if _, yes := h.needs(); h.Grant.Need && !yes {
		return queued("nobody asked for the reboot, and it is not known whether the host needs it still")
	}
	if why := h.verdict(); why != "" {
		return queued(why)
	}
	if x := c.unsafe(h, true); x != nil {
		return x
	}
	if why := c.overBudget(h); why != "" {
		return queued(why).as(HoldBudget)
	}
	for _, t := range c.charged(h) {
		var gone []*host // those that are away, or may be any moment
		for _, x := range t.takers {
			if x != h && !c.stillUp(x) {
				gone = append(gone, x)
			}
		}
		if why := c.lacksSlot(t, h, gone); why != "" {
			return queued(why).as(HoldSlots)
		}
	}
	return nil
}

// verdict says what the hooks and checks before a reboot are not done with, or found.
func (h *host) verdict() string {
	r := h.report()
	switch {
	case r == nil:
		return "its agent has not reported"
	case r.Before == nil || r.Before.Generation != h.Grant.Generation:
		return "its agent has not begun with the hooks and checks before the reboot"
	case r.Before.Well:
		return ""
	case r.Before.Busy:
		return because("hooks and checks before the reboot are running", r.Before.Reason)
	}
	return because("hooks or checks before the reboot failed", r.Before.Reason)
}

// unsafe says why a host must not go down now, whatever its place in the queue: nothing excepts from that.
func (c *coordinator) unsafe(h *host, emptied bool) *hold {
	r := h.report()
	switch {
	case c.unreadable != "":
		return queued(c.unreadable)
	case c.outdated != "":
		return queued(c.outdated)
	case r == nil:
		return queued("it has not reported since it booted")
	case r.Down != nil:
		return queued("somebody else is shutting it down")
	case r.Skew != 0:
		return queued(fmt.Sprintf("its clock is %s off from the leader's: set it right", r.Skew.Round(time.Second)))
	}
	for _, t := range c.charged(h) {
		if why := c.haltedFor(t, h); why != "" {
			return queued(why)
		}
	}
	return c.quorum(h, emptied)
}

// quorum says why the member of etcd on a host must not go down: members go one at a time, while all are healthy.
// emptied says that the host has its slot and waits for leave to reboot: then others that have not got it do not count.
func (c *coordinator) quorum(h *host, emptied bool) *hold {
	if h.Info.Etcd == "" {
		return nil
	}
	for _, x := range c.hosts {
		if !c.etcdMember(x) {
			continue
		}
		switch busy := c.busy(x); {
		case x != h && busy != "" && !(emptied && c.stillUp(x)):
			return queued(fmt.Sprintf("waits for the etcd member on %s, which %s", x.Name(), busy)).as(HoldSlots)
		case x != h && x.Alive == nil: // also one that a person let the others go on without: its member is down all the same
			return queued(fmt.Sprintf("the etcd member on %s is not known to be healthy: the host is absent; bring it back, or type: flotilla host remove %s",
				x.Name(), x.Name()))
		case x != h && !x.ready:
			return queued(fmt.Sprintf("the etcd member on %s is not known to be healthy: the host has not reported since it booted", x.Name()))
		case x.Info.Etcd != cluster.EtcdHealthy:
			return queued(fmt.Sprintf("the etcd member on %s is not healthy: %s", x.Name(), x.Info.Etcd))
		}
	}
	return nil
}

// stillUp says that a host has a slot, and has not got leave to reboot.
func (c *coordinator) stillUp(h *host) bool {
	g := h.Grant
	return g != nil && h.ready && !goesDown(h.Host) && !c.committed[h] &&
		(g.Phase == cluster.PhaseDraining || g.Phase == cluster.PhaseDrained)
}

// etcdMember says that a host has a member of etcd, as far as was heard: of one that reboots and is not heard any more,
// when it began.
func (c *coordinator) etcdMember(h *host) bool {
	switch {
	case h.removed:
		return false
	case h.Info != nil:
		return h.Info.Etcd != ""
	}
	return h.Grant != nil && h.Grant.Phase.Holds() && h.Grant.Etcd
}

// etcdAlive is what a grant for the host of an etcd member rests on: that all others still live.
func (c *coordinator) etcdAlive(h *host) []cluster.Condition {
	var out []cluster.Condition
	if h.Info.Etcd == "" {
		return nil
	}
	for _, x := range c.hosts {
		if x != h && c.etcdMember(x) {
			out = append(out, aliveAt(x))
		}
	}
	return out
}

// overBudget says which unit that stays on the host is one too many to go down now: the instances of a
// template have their MaxUnavailable wherever they are. Of a global unit the slots say how many may be down.
func (c *coordinator) overBudget(h *host) string {
	var stays []cluster.Unit
	for u, pl := range h.Placed {
		head := c.snap.Units[u]
		if head != nil && head.Bad == "" && !head.Req.Global && crewOf(head) != "" && runs(head, pl) && c.stays(u, h) != "" {
			stays = append(stays, u)
		}
	}
	slices.Sort(stays)
	for _, u := range stays {
		head := c.snap.Units[u]
		crew := c.planner.muster(head)
		cost := c.cost(u, h)
		if h.Grant != nil && h.Grant.Phase.Away() && c.runsAt(u, h) { // then all its units are among those that are down
			crew, cost = crew.without(h), 1
		}
		if (cost > 0 || c.runsAt(u, h)) && !crew.spare(head, cost) { // one that came up just now is among those that are down
			return fmt.Sprintf("%s stays on it and may not go down now: waits for %s", u, c.awaited(crew.blocker(h.Placed[u]), head))
		}
	}
	return ""
}

// red says what is not well on a host that is back, "" = all is.
func (c *coordinator) red(h *host) string {
	if h.Alive == nil {
		return "it went away again at " + clock(c.since(h))
	}
	r := h.report()
	switch {
	case r == nil:
		return "it has not reported since it booted"
	case r.After == nil || r.After.Generation != h.Grant.Generation:
		return "its agent has not begun with the hooks and checks after the reboot"
	case r.After.Busy:
		return because("hooks and checks after the reboot are running", r.After.Reason)
	case !r.After.Well:
		return because("hooks or checks after the reboot failed", r.After.Reason)
	case h.Grant.Etcd && h.Info.Etcd != cluster.EtcdHealthy:
		return because("its etcd member is not healthy", h.Info.Etcd)
	}
	return c.ill(h)
}

// ill names the units that are not well on a host, "" = all are.
func (c *coordinator) ill(h *host) string {
	var ill []string
	for u, pl := range h.Placed {
		if pl.State != cluster.Launched || pl.Bad != "" {
			continue
		}
		if x := c.healthAt(u, h); x != well {
			ill = append(ill, fmt.Sprintf("%s (%s)", u, x.word()))
		}
	}
	if len(ill) == 0 {
		return ""
	}
	slices.Sort(ill)
	more := ""
	if n := len(ill) - maxNamed; n > 0 {
		ill, more = ill[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return "not yet well on it: " + strings.Join(ill, ", ") + more
}

// fails says why a host counts against its groups, "" if it does not.
func (c *coordinator) fails(h *host) string {
	g := h.Grant
	switch {
	case g == nil || h.GrantBad != "" || h.Unlocked():
	case g.Phase == cluster.PhaseOverdue:
		return "is overdue since " + clock(g.Since)
	case g.Phase == cluster.PhaseReturning && !c.now.Before(h.GrantBack.Add(c.terms(g.Groups).gate)):
		return "is back since " + clock(h.GrantBack) + " and not well"
	case g.Phase == cluster.PhaseLoop && c.loops(h):
		return "needs the reboot still that it had " + often(g.Times)
	}
	return ""
}

// loops says that a host still needs what its reboots did not mend, and nobody has asked for another one.
func (c *coordinator) loops(h *host) bool {
	cause, yes := h.needs()
	return yes && cause == h.Grant.Cause && !h.WishStands() && !h.removed
}

// halt says why a group begins no other reboot: more of its hosts fail than it goes on with.
func (c *coordinator) halt(t *team) string {
	if len(t.failing) <= t.Failures {
		return ""
	}
	h := t.failing[0]
	return fmt.Sprintf("group %s is halted: %s %s; mend it, or type: %s", t.Name, h.Name(), c.fails(h), unlockCommand(h))
}

// because adds why to what, where it is known.
func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// often is a number of times in words.
func often(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
