package plan

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"flotilla/cluster"
)

// opened are the openings of one window: the present or the next one, and the one after it.
type opened struct {
	list []cluster.Opening
	bad  string // why it never opens
}

// hours is what all windows of a group say at this moment.
type hours struct {
	open  bool
	until time.Time // when that ends
	name  string    // of the window that opens first
	opens time.Time // when; zero = never
	bad   string    // what is wrong with a window
}

// hoursOf asks the windows of a group: it is open while any of them is. Without a host they are as they stand, without jitter.
func (c *coordinator) hoursOf(t *team, h *host) hours {
	var out hours
	for _, name := range t.Windows {
		w := c.opened(name)
		if w.bad != "" {
			out.bad = cmp.Or(out.bad, w.bad)
			continue
		}
		late := c.jitter(name, h)
		for _, o := range w.list {
			from := o.From.Add(late(o))
			switch {
			case !from.After(c.now) && o.Until.After(out.until):
				out.open, out.until, out.name = true, o.Until, name
			case from.After(c.now) && from.Before(o.Until) && (out.opens.IsZero() || from.Before(out.opens)):
				out.opens = from
				if !out.open {
					out.name = name
				}
			}
		}
	}
	return out
}

// opened asks a window once.
func (c *coordinator) opened(name cluster.GroupName) opened {
	if o, known := c.openings[name]; known {
		return o
	}
	var o opened
	switch w := c.snap.Windows[name]; {
	case w == nil:
		o.bad = fmt.Sprintf("window %s does not exist", name)
	case w.Bad != "":
		o.bad = fmt.Sprintf("window %s cannot be read; a newer flotilla may have written it: %s", name, w.Bad)
	default:
		list, err := w.Openings(c.now, 2)
		if o.list = list; err != nil {
			o.bad = fmt.Sprintf("window %s never opens: %s", name, err)
		}
	}
	c.openings[name] = o
	return o
}

// jitter is how much later a window opens for a host: another time at each opening, the same for all who ask. nil is
// no host.
func (c *coordinator) jitter(name cluster.GroupName, h *host) func(cluster.Opening) time.Duration {
	w := c.snap.Windows[name]
	return func(o cluster.Opening) time.Duration {
		if h == nil || w.Jitter <= 0 {
			return 0
		}
		sum := fnv.New64a()
		fmt.Fprintf(sum, "%s %s %d", h.ID, name, o.From.Unix())
		return time.Duration(sum.Sum64() % uint64(w.Jitter)).Truncate(time.Second)
	}
}

// shutOut says why a host's windows do not let its reboot go on; nil = they do. need says that nobody asked
// for it: then each group must have a window.
func (c *coordinator) shutOut(h *host, teams []*team, need bool) *hold {
	var out *hold
	for _, t := range teams {
		if len(t.Windows) == 0 && !need {
			continue
		}
		if len(t.Windows) == 0 {
			return &hold{kind: HoldWindow, phase: cluster.PhaseWanted, reason: fmt.Sprintf(
				"it needs a reboot, and group %s has no window: flotilla reboot %s", t.Name, h.Name())}
		}
		at := c.hoursOf(t, h)
		switch {
		case at.open:
			c.wake(at.until)
			continue
		case at.opens.IsZero():
			out = &hold{kind: HoldWindow, phase: cluster.PhaseQueued, reason: cmp.Or(at.bad, "no window of group "+t.Name+" opens any more")}
			continue
		}
		c.wake(at.opens)
		if out == nil || !out.next.IsZero() && at.opens.After(out.next) {
			out = &hold{
				kind: HoldWindow, phase: cluster.PhaseQueued, next: at.opens,
				reason: fmt.Sprintf("window %s opens %s", at.name, c.calendar(at.opens)),
			}
		}
	}
	return out
}

// lastCall is how long before its window closes a host must have begun to reboot: what it is told takes a moment to
// arrive and to be done.
const lastCall = 5 * time.Second

// closes says when the first of an empty host's windows closes; ok is false where none does, or none matters.
func (c *coordinator) closes(h *host) (until time.Time, ok bool) {
	if h.Grant.Now || c.terms(h.Grant.Groups).finish {
		return time.Time{}, false
	}
	for _, t := range c.charged(h) {
		if at := c.hoursOf(t, h); at.open && (!ok || at.until.Before(until)) {
			until, ok = at.until, true
		}
	}
	return until, ok
}

// calendar is an instant as sentences show it that may be days away.
func (c *coordinator) calendar(t time.Time) string {
	if t.Sub(c.now) < 6*24*time.Hour {
		return t.UTC().Format("Mon 15:04 UTC")
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// frozen says who holds a host's reboots up, nil = nobody.
func (c *coordinator) frozen(h *host, teams []*team) *hold {
	check := func(f *cluster.Freeze, what string) *hold {
		if !f.Holds(c.now) {
			return nil
		}
		until := "until it is thawed"
		if !f.Until.IsZero() {
			until = "until " + c.calendar(f.Until)
			c.wake(f.Until)
		}
		reason := strings.TrimPrefix(what+" frozen by "+cmp.Or(f.By.Who, "somebody")+" "+until, " ")
		if f.By.Why != "" {
			reason += ": " + f.By.Why
		}
		return &hold{phase: cluster.PhaseFrozen, reason: reason, next: f.Until, who: &f.By}
	}
	if f := check(h.Spec.Freeze, ""); f != nil {
		return f
	}
	for _, t := range teams {
		if f := check(t.Freeze, "group "+t.Name+" is"); f != nil {
			return f
		}
	}
	return check(c.snap.Reboots.Freeze, "all reboots are")
}
