package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// want is a host that is to reboot and has no slot.
type want struct {
	h      *host
	wish   *cluster.RebootWish // nil = the host's own need
	cause  string
	teams  []*team
	stage  int
	member bool // of etcd
	units  int  // that would have to leave it
}

// rank is the request's turn: wishes in the order in which they were made, then needs.
func (w *want) rank() int64 {
	if w.wish == nil {
		return math.MaxInt64
	}
	return w.wish.ID
}

func (w *want) now() bool { return w.wish != nil && w.wish.Now }

// wants says that a host without a slot is to reboot.
func (c *coordinator) wants(h *host) bool {
	if h.removed || !h.known {
		return false
	}
	if h.WishStands() {
		return true
	}
	cause, yes := h.needs()
	return yes && !(h.Grant != nil && h.Grant.Phase == cluster.PhaseLoop && h.Grant.Cause == cause) && !h.letBe(cause)
}

// letBe says that a person took the slot of this very reboot away, and the host has not booted since: it is not begun
// again before somebody asks for it.
func (h *host) letBe(cause string) bool {
	return h.takenAway() && h.Grant.Need && h.Grant.Cause == cause
}

// takenAway says that a person ended the host's last reboot, and the host has not booted since.
func (h *host) takenAway() bool {
	return h.Grant != nil && h.Grant.Phase == cluster.PhaseReleased && h.Unlocked() && !h.rebooted()
}

func (c *coordinator) wantOf(h *host) *want {
	w := &want{h: h, teams: c.teamsOf(h), member: c.etcdMember(h)}
	if h.WishStands() {
		w.wish, w.cause = h.Spec.Reboot, asked(h.Spec.Reboot)
	} else {
		w.cause, _ = h.needs()
	}
	for _, t := range w.teams {
		w.stage = max(w.stage, t.stageOf(h))
	}
	for u, pl := range h.Placed {
		if head := c.snap.Units[u]; head != nil && head.Spec.Target == units.Launched && pl.State != cluster.Gone && c.stays(u, h) == "" {
			w.units++
		}
	}
	return w
}

// queue lets those begin whose turn it is, and says what the others wait for.
func (c *coordinator) queue(hosts []*host) []HostReboot {
	line := make([]*want, len(hosts))
	for i, h := range hosts {
		line[i] = c.wantOf(h)
	}
	slices.SortFunc(line, func(a, b *want) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.stage, b.stage), first(b.member, a.member),
			cmp.Compare(a.units, b.units), first(b.h.ID == c.opt.Leader, a.h.ID == c.opt.Leader),
			strings.Compare(a.h.Name(), b.h.Name()), cmp.Compare(a.h.ID, b.h.ID),
		)
	})
	var out []HostReboot
	place := 0
	for _, w := range line {
		if c.loopsNow(w) {
			continue
		}
		r := c.waiting(w)
		x := c.holds(w, line)
		if x == nil {
			c.begin(w)
			x = queued("it begins just now")
		} else {
			r.Hold = x.word()
		}
		r.Phase, r.Reason, r.Next = x.phase, x.reason, x.next
		if x.who != nil {
			r.Who = x.who
		}
		if !x.next.IsZero() {
			c.wake(x.next)
		}
		if x.phase == cluster.PhaseQueued {
			place++
			r.Place = place
		}
		if x.slot {
			for _, t := range w.teams {
				if t.behind == nil {
					t.behind = w
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// first orders those for which a holds before those for which only b does.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// waiting is a host in the queue as others are told of it.
func (c *coordinator) waiting(w *want) HostReboot {
	r := HostReboot{Host: w.h.ID, Name: w.h.Name(), Groups: names(w.teams), Cause: w.cause, Left: w.units}
	if w.wish != nil {
		r.Who, r.Began, r.Since = &w.wish.By, w.wish.By.When, w.wish.By.When
	}
	if g := w.h.Grant; g != nil {
		r.Generation = g.Generation
	}
	return r
}

// holds says what a host in the queue waits for, nil = it is its turn.
func (c *coordinator) holds(w *want, line []*want) *hold {
	h := w.h
	if h.Alive == nil {
		return queued("it is absent since " + clock(c.since(h)))
	}
	if x := c.rests(w); x != nil {
		return x
	}
	if !w.now() {
		if x := c.frozen(h, w.teams); x != nil {
			return x
		}
		if x := c.shutOut(h, w.teams, w.wish == nil); x != nil {
			return x
		}
	}
	if x := c.unsafe(h, false); x != nil {
		return x
	}
	if x := c.staged(w, line); x != nil {
		return x.as(HoldSlots)
	}
	for _, t := range w.teams {
		if why := c.lacksSlot(t, h, t.takers); why != "" {
			x := queued(why).as(HoldSlots)
			x.slot = true
			return x
		}
	}
	for _, t := range w.teams {
		if before := t.behind; before != nil && before.rank() != w.rank() && len(t.takers)+1 >= c.max(t) {
			x := queued(fmt.Sprintf("waits for its turn in group %s: %s is before it", t.Name, before.h.Name())).as(HoldSlots)
			x.slot = true
			return x
		}
	}
	if why := c.overBudget(h); why != "" {
		return queued(why).as(HoldBudget)
	}
	for _, st := range h.changed {
		if st != cluster.Gone && st != 0 {
			return queued("a unit was given to it just now").as(HoldUnits)
		}
	}
	return nil
}

// rests says that a host is not tried again yet that could not reboot. A new wish ends that.
func (c *coordinator) rests(w *want) *hold {
	g := w.h.Grant
	if g == nil || w.wish != nil && w.wish.ID > g.Wish {
		return nil
	}
	pause := g.Pause
	if w.h.takenAway() { // and something else needs a reboot: the others go first
		pause = c.terms(g.Groups).retry
	}
	at := w.h.GrantSeen.Add(pause)
	if pause == 0 || !c.now.Before(at) {
		return nil
	}
	return &hold{phase: g.Phase, next: at, reason: fmt.Sprintf("%s; it is tried again at %s", g.Reason, clock(at))}
}

// begin gives a host its slot and has it emptied.
func (c *coordinator) begin(w *want) {
	h := w.h
	boot, _ := h.Boot()
	groups := names(w.teams)
	t := c.terms(groups)
	g := cluster.Grant{
		Generation: c.snap.Revision, Phase: cluster.PhaseDraining, Groups: groups, Boot: boot, Cause: w.cause,
		Checks: t.checks, Hooks: t.hooks, Wall: t.wall, Grace: t.grace, Began: c.stamp(), Times: 1, Etcd: w.member,
	}
	switch wish, was := w.wish, h.Grant; {
	case wish != nil:
		g.Wish, g.Now, g.Soft, g.External = wish.ID, wish.Now, wish.Soft, wish.External
	case was == nil:
		g.Need = true
	default:
		g.Need, g.Wish, g.Times = true, was.Wish, c.inVain(h, w.cause)+1
	}
	c.begun[h] = true
	for _, t := range w.teams {
		t.takers = append(t.takers, h)
	}
	c.write(h, g, "its units go elsewhere")
}

// inVain is how many reboots in a row a host had for a cause that is there still. What ended otherwise, or
// nobody granted, in between neither counts nor ends the row; a reboot for another cause ends it.
func (c *coordinator) inVain(h *host, cause string) int {
	n := 0
	for _, r := range slices.Backward(c.history(h.ID)) {
		if r.Unasked || r.Outcome != cluster.PhaseDone && r.Outcome != cluster.PhaseLoop {
			continue
		}
		if r.Cause != cause {
			break
		}
		n++
	}
	g := h.Grant
	if !g.Need || g.Cause != cause {
		return n
	}
	if g.Phase == cluster.PhaseDone {
		return max(n, g.Times)
	}
	return max(n, g.Times-1) // the history is shorter than long rows of attempts
}

// loopsNow stops a host that needs the reboot still that it had again and again.
func (c *coordinator) loopsNow(w *want) bool {
	g := w.h.Grant
	if w.wish != nil || g == nil || g.Phase != cluster.PhaseDone || !g.Need || g.Cause != w.cause || g.Times < c.terms(g.Groups).loops {
		return false
	}
	c.end(w.h, cluster.PhaseLoop, fmt.Sprintf(
		"it needs the reboot still that it had %s; mend what asks for it, or type: flotilla reboot %s", often(g.Times), w.h.Name()), 0)
	c.planner.reboots = append(c.planner.reboots, c.standing(w.h))
	return true
}
