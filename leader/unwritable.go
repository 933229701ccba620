package leader

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// badRest is how long a unit waits whose orders cannot be written: what they rest on beside
// the unit's head may have become less.
const badRest = time.Minute

// unwritable are the units of which an order can never be written as it is, and the hosts of whose reboot that
// holds. One such must not keep the leader from all the others. The zero value is empty.
type unwritable map[subject]verdict

// subject is what a decision is about: a unit, or the reboot of a host.
type subject struct {
	unit cluster.Unit
	host cluster.HostID
}

func subjectOf(d plan.Decision) subject {
	if d.Kind == plan.Grant {
		return subject{host: d.Host}
	}
	return subject{unit: d.Unit}
}

// verdict is what the store said of a unit's order.
type verdict struct {
	head  int64 // mod revision of the head that the order rested on, 0 without one
	until time.Time
	why   string
}

// add notes what the store said of a decision.
func (b *unwritable) add(d plan.Decision, err error, now time.Time) {
	if *b == nil {
		*b = unwritable{}
	}
	v := verdict{until: now.Add(badRest), why: err.Error()}
	for _, c := range d.Orders.If {
		if c.Kind == cluster.UnitAt && c.Unit == d.Unit {
			v.head = c.Revision
		}
	}
	(*b)[subjectOf(d)] = v
}

// setAside takes the decisions about these units and hosts out of a plan, until the unit's head
// changes or its rest is over, and says of each unit why it waits.
func (b unwritable) setAside(s *cluster.Snapshot, r *plan.Result, now time.Time) {
	for of, v := range b {
		head := int64(0)
		if h := s.Units[of.unit]; h != nil {
			head = h.Rev
		}
		if head != v.head || !now.Before(v.until) {
			delete(b, of)
		}
	}
	if len(b) == 0 {
		return
	}
	said := map[subject]bool{}
	r.Decisions = slices.DeleteFunc(r.Decisions, func(d plan.Decision) bool {
		of := subjectOf(d)
		v, bad := b[of]
		if !bad {
			return false
		}
		if !said[of] && of.unit != "" {
			said[of] = true
			r.Waiting = append(r.Waiting, plan.Refusal{Unit: d.Unit, Reason: fmt.Sprintf("its order to %s cannot be written: %s", d.Kind, v.why)})
		}
		if r.Next.IsZero() || v.until.Before(r.Next) {
			r.Next = v.until
		}
		return true
	})
	slices.SortStableFunc(r.Waiting, func(a, b plan.Refusal) int { return strings.Compare(string(a.Unit), string(b.Unit)) })
}
