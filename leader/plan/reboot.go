package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// HostReboot says where one host stands on its way through a reboot.
type HostReboot struct {
	Host       cluster.HostID `json:"host"`
	Name       string         `json:"name"`
	Phase      cluster.Phase  `json:"phase"`
	Groups     []string       `json:"groups"`               // whose slots it takes or waits for, sorted
	Cause      string         `json:"cause,omitempty"`      // why it is to reboot, or was
	Reason     string         `json:"reason"`               // why it is in this phase, or what it waits for: one sentence
	Hold       Hold           `json:"hold,omitempty"`       // what it waits for, in a word
	Who        *cluster.Note  `json:"who,omitempty"`        // the person who asked for it, or holds it up
	Began      time.Time      `json:"began,omitzero"`       // of the reboot, by the clock of the leader that wrote it
	Since      time.Time      `json:"since,omitzero"`       // of the phase, the same
	Place      int            `json:"place,omitempty"`      // in the queue, from 1
	Next       time.Time      `json:"next,omitzero"`        // when it can go on by itself: a window opens, a deadline passes
	Left       int            `json:"left,omitempty"`       // units that have still to leave it
	Generation int64          `json:"generation,omitempty"` // of the grant; what flotilla reboot unlock names
	Halts      bool           `json:"halts,omitempty"`      // it counts against its groups, which may begin no other reboot because of it
}

// Reboots lists each host that reboots, has rebooted, or is to: by name. It is what a leader that planned now
// would say, and writes nothing.
func Reboots(snap *cluster.Snapshot, opt Options, now time.Time) []HostReboot {
	if !snap.Complete {
		return nil
	}
	p := newPlanner(snap, opt, now)
	p.run()
	return p.reboots
}

// coordinator decides on reboots within one plan. What it decides frees no slot in the same plan: each
// decision is written by itself, and may be refused.
type coordinator struct {
	*planner
	teams      []*team // by name
	fallback   *team   // of the hosts that no other team has
	unreadable string  // why nobody begins: a group that cannot be read may hold any host
	outdated   string  // why nobody begins: a flotilla that knows no grants, which the first one would shut out
	membership *cluster.Membership
	memberOf   [][]*team
	openings   map[cluster.GroupName]opened
	histories  map[cluster.HostID][]*cluster.Record // by when they ended; filled at the first question

	said      map[*host]word // of hosts with a grant, beside what stands in it
	begun     map[*host]bool // took a slot in this plan
	committed map[*host]bool // got leave to reboot in this plan
	decided   map[*host]bool // has its decision of this plan
}

// word is what a plan says of a host beside its grant.
type word struct {
	reason string
	next   time.Time
	left   int
	hold   Hold
}

// coordinate is the pass over the reboots: first those that are under way, then those that wait.
func (p *planner) coordinate() {
	c := &coordinator{
		planner: p, memberOf: make([][]*team, len(p.hosts)), openings: map[cluster.GroupName]opened{},
		said: map[*host]word{}, begun: map[*host]bool{}, committed: map[*host]bool{}, decided: map[*host]bool{},
	}
	var busy, wanting, other []*host
	for _, h := range p.hosts {
		switch {
		case h.HoldsSlot():
			busy = append(busy, h)
		case c.wants(h):
			wanting = append(wanting, h)
		case h.Grant != nil:
			other = append(other, h)
		}
	}
	if len(busy)+len(wanting) > 0 || p.survey {
		c.muster()
	}
	for _, h := range busy {
		c.advance(h)
	}
	waiting := c.queue(wanting)
	c.recordUnasked()
	if p.survey {
		p.groups = c.surveyed()
	}
	for _, h := range append(busy, other...) {
		p.reboots = append(p.reboots, c.standing(h))
	}
	p.reboots = append(p.reboots, waiting...)
	slices.SortFunc(p.reboots, func(a, b HostReboot) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	})
}

// standing is a host with a grant, as the store has it, with what this plan says of it.
func (c *coordinator) standing(h *host) HostReboot {
	r := HostReboot{Host: h.ID, Name: h.Name(), Groups: []string{}}
	g := h.Grant
	if h.GrantBad != "" || g == nil {
		r.Phase, r.Generation = cluster.PhaseBlocked, h.GrantRev
		r.Reason = c.said[h].reason
		return r
	}
	r.Phase, r.Groups, r.Cause, r.Reason = g.Phase, g.Groups, g.Cause, g.Reason
	r.Began, r.Since, r.Generation = g.Began, g.Since, g.Generation
	if wish := h.Spec.Reboot; wish != nil && wish.ID == g.Wish && !g.Need {
		r.Who = &wish.By
	}
	if u := h.Spec.Unlock; u != nil && u.Generation == g.Generation {
		r.Who = &u.By
	}
	if w, ok := c.said[h]; ok {
		r.Reason, r.Next, r.Left, r.Hold = cmp.Or(w.reason, r.Reason), w.next, w.left, w.hold
	}
	if cause, yes := h.needs(); yes && h.letBe(cause) {
		r.Reason += fmt.Sprintf("; it needs the reboot still, and has it once somebody types: flotilla reboot %s", h.Name())
	}
	c.warn(h, &r)
	r.Halts = c.fails(h) != ""
	return r
}

// say notes why a host with a grant is where it is, and when that can change by itself.
func (c *coordinator) say(h *host, next time.Time, reason string) {
	w := c.said[h]
	w.reason, w.next = reason, next
	c.said[h] = w
	if !next.IsZero() {
		c.wake(next)
	}
}

// report is what a host says of reboots, nil while that cannot be believed.
func (h *host) report() *cluster.RebootReport {
	if !h.ready {
		return nil
	}
	return h.Info.Reboot
}

// needs says that a host needs a reboot by its own word, and why.
func (h *host) needs() (cause string, yes bool) {
	r := h.report()
	if r == nil || r.Need.State != cluster.NeedYes {
		return "", false
	}
	return cmp.Or(strings.Join(r.Need.Reasons, "; "), "it needs a reboot"), true
}

// rebooted says that the host is back with another run of itself than the one that its grant is to end.
func (h *host) rebooted() bool {
	now, up := h.Boot()
	return up && !h.removed && (now.ID != h.Grant.Boot.ID || now.Soft > h.Grant.Boot.Soft)
}
