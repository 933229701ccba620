package plan

import "flotilla/cluster"

// Hold says in a word, for programs, what keeps a host from its reboot; the reason says it to people.
type Hold string

// The holds.
const (
	HoldNone   Hold = ""       // nothing does: it begins, or goes on
	HoldUnits  Hold = "units"  // that have still to leave it
	HoldSlots  Hold = "slots"  // others of its groups are away, or go before it
	HoldWindow Hold = "window" // none is open
	HoldFreeze Hold = "freeze"
	HoldBudget Hold = "budget" // a unit that stays on it may not go down now
	HoldHealth Hold = "health" // the host, one of its groups, or etcd is not well, or hooks and checks are not
)

// word is the hold for programs.
func (x *hold) word() Hold {
	switch {
	case x.phase == cluster.PhaseFrozen:
		return HoldFreeze
	case x.kind == HoldNone:
		return HoldHealth
	}
	return x.kind
}

// note keeps what holds a host with a grant up; nil is nothing.
func (c *coordinator) note(h *host, x *hold) {
	if x == nil {
		return
	}
	w := c.said[h]
	w.hold = x.word()
	c.said[h] = w
}

// as gives a hold its word; nil stays nil.
func (x *hold) as(kind Hold) *hold {
	if x != nil {
		x.kind = kind
	}
	return x
}
