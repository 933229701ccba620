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
	Who        *cluster.Note  `json:"who,omitempty"`        // the person who asked for it, or holds it up
	Began      time.Time      `json:"began,omitzero"`       // of the reboot, by the clock of the leader that wrote it
	Since      time.Time      `json:"since,omitzero"`       // of the phase, the same
	Place      int            `json:"place,omitempty"`      // in the queue, from 1
	Next       time.Time      `json:"next,omitzero"`        // when it can go on by itself: a window opens, a deadline passes
	Left       int            `json:"left,omitempty"`       // units that have still to leave it
	Generation int64          `json:"generation,omitempty"` // of the grant
	Halts      bool           `json:"halts,omitempty"`      // its groups begin no other reboot because of it
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

// coordinate is the pass over the reboots.
func (p *planner) coordinate() {
	for _, h := range p.hosts {
		if r, ok := p.standing(h); ok {
			p.reboots = append(p.reboots, r)
		}
	}
	slices.SortFunc(p.reboots, func(a, b HostReboot) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	})
}

// standing is what the store says of a host's reboot.
func (p *planner) standing(h *host) (r HostReboot, ok bool) {
	r = HostReboot{Host: h.ID, Name: h.Name()}
	if h.GrantBad != "" {
		r.Phase, r.Reason = cluster.PhaseBlocked, "its grant cannot be read, so it holds its slot: "+h.GrantBad
		return r, true
	}
	if g := h.Grant; g != nil {
		r.Phase, r.Groups, r.Cause, r.Reason = g.Phase, g.Groups, g.Cause, g.Reason
		r.Began, r.Since, r.Generation = g.Began, g.Since, g.Generation
	}
	switch wish := h.Spec.Reboot; {
	case h.Grant != nil && h.Grant.Phase.Holds(), h.removed:
	case wish != nil && (h.Grant == nil || wish.ID > h.Grant.Wish):
		r.Phase, r.Who, r.Cause = cluster.PhaseQueued, &wish.By, "asked for by "+wish.By.Who
		r.Reason = fmt.Sprintf("waits for its turn since %s", clock(wish.By.When))
	case h.Info != nil && h.Info.Reboot != nil && h.Info.Reboot.Need.State == cluster.NeedYes:
		r.Phase, r.Cause = cluster.PhaseWanted, strings.Join(h.Info.Reboot.Need.Reasons, "; ")
		r.Reason = "needs a reboot, and no window is set: flotilla reboot " + h.Name()
	}
	return r, r.Phase != cluster.PhaseNone
}
