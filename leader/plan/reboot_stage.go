package plan

import (
	"fmt"

	"flotilla/cluster"
)

// staged says which host of an earlier stage has to reboot before this one, and be well for a while.
func (c *coordinator) staged(w *want, line []*want) *hold {
	for _, t := range w.teams {
		mine := t.stageOf(w.h)
		if mine == 0 {
			continue
		}
		for _, x := range line {
			passed := x.wish == nil && x.h.Unlocked() // a wish in the line is newer than what was unlocked
			if x.h != w.h && t.has(x) && t.stageOf(x.h) < mine && x.rank() <= w.rank() && !passed {
				return queued(c.earlier(t, x.h, c.unstarted(x.h)))
			}
		}
		for _, h := range c.hosts {
			if h == w.h || h.Grant == nil || h.removed || t.stageOf(h) >= mine || !contains(c.charged(h), t) {
				continue
			}
			if x := c.soaks(w, t, h); x != nil {
				return x
			}
		}
	}
	return nil
}

// unstarted says of a host that waits for its reboot what others that wait for it should know.
func (c *coordinator) unstarted(h *host) string {
	if h.Alive == nil {
		return fmt.Sprintf("is absent since %s, and has not rebooted; bring it back, or go on without it: flotilla reboot cancel %s",
			clock(c.since(h)), h.Name())
	}
	return "has not rebooted"
}

func (t *team) has(w *want) bool { return contains(w.teams, t) }

func contains(teams []*team, t *team) bool {
	for _, x := range teams {
		if x == t {
			return true
		}
	}
	return false
}

// soaks says why a host of an earlier stage does not let the next stage begin.
func (c *coordinator) soaks(w *want, t *team, h *host) *hold {
	g := h.Grant
	same := w.wish == nil && g.Need || w.wish != nil && !g.Need && g.Wish == w.wish.ID // the same roll
	switch {
	case g.Phase.Holds():
		return queued(c.earlier(t, h, c.takes(h)))
	case !same || h.Unlocked():
		return nil
	case g.Phase == cluster.PhaseFailed && w.wish != nil, g.Phase == cluster.PhaseLoop && c.loops(h):
		return queued(c.earlier(t, h, fmt.Sprintf("is %s: %s; to go on, type: %s", g.Phase, g.Reason, unlockCommand(h))))
	case g.Phase != cluster.PhaseDone:
		return nil
	}
	soak := t.GroupHead.Stages[t.stageOf(h)].Soak
	until := h.GrantSeen.Add(soak)
	if soak > 0 && c.now.Before(until) {
		return &hold{
			phase: cluster.PhaseQueued, next: until,
			reason: c.earlier(t, h, "has to be well until "+clock(until)),
		}
	}
	if soak > 0 {
		if ill := c.ill(h); ill != "" {
			return queued(c.earlier(t, h, ill))
		}
	}
	return nil
}

func (c *coordinator) earlier(t *team, h *host, what string) string {
	return fmt.Sprintf("waits for stage %d of group %s: %s %s", t.stageOf(h)+1, t.Name, h.Name(), what)
}
