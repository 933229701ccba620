package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// DrainStep is what a drain does with one unit of a host.
type DrainStep struct {
	Unit     cluster.Unit   `json:"unit"`
	Kind     DrainKind      `json:"kind"`
	From     cluster.HostID `json:"from"` // the host that is drained
	FromName string         `json:"from_name"`
	To       cluster.HostID `json:"to,omitempty"` // where it goes
	ToName   string         `json:"to_name,omitempty"`
	Turn     int            `json:"turn,omitempty"` // when it goes, from 1; those with the same number go at once
	Reason   string         `json:"reason"`         // why it goes so, stays, or has no place
	Downtime string         `json:"downtime"`       // for how long it is expected not to run, in words
}

// DrainKind is how a drain deals with a unit.
type DrainKind string

// The kinds, in the order in which plans list them.
const (
	DrainStartFirst DrainKind = "start-first" // it runs on the next host before it stops here
	DrainStopFirst  DrainKind = "stop-first"  // it stops here, then it starts on the next host
	DrainIdle       DrainKind = "idle"        // it goes to the next host and does not run
	DrainWaits      DrainKind = "waits"       // it has a place, and others must come up before it may go
	DrainStops      DrainKind = "stops"       // it has no place, and is stopped when the drain's time is over
	DrainBlocked    DrainKind = "blocked"     // it could go, and has no place
	DrainStays      DrainKind = "stays"       // it does not move: whatever takes the host down stops it
)

// DrainPlan says what draining these hosts, all at once, comes to: which unit goes where, in what order, what stays
// and what has no place. Hosts that live do at once as ordered, and what is started comes up. The snapshot is not
// changed; an incomplete one gives none.
func DrainPlan(snap *cluster.Snapshot, opt Options, now time.Time, hosts []cluster.HostID) []DrainStep {
	if !snap.Complete {
		return nil
	}
	t := newTrial(snap, opt, now)
	t.obeyAll()
	t.settle(false)
	r := &rehearsal{trial: t, hosts: hosts, at: map[cluster.Unit]int{}}
	for _, id := range hosts {
		t.edit(id, func(s *cluster.HostSpec) {
			s.Drain = &cluster.DrainWish{OnBlocked: cluster.AbortDrain, Timeout: longDrain}
		})
	}
	r.play()
	return r.steps
}

// longDrain is longer than any rehearsal takes.
const longDrain = 365 * 24 * time.Hour

// rehearsal is a drain that is played through on a copy of the cluster.
type rehearsal struct {
	*trial
	hosts []cluster.HostID
	steps []DrainStep
	at    map[cluster.Unit]int // index in steps
	turn  int
}

// play drains until nothing changes any more.
func (r *rehearsal) play() {
	over := r.now.Add(longDrain)
	for range mostRounds {
		res := r.plan()
		before := len(r.steps)
		for _, d := range res.Decisions {
			r.note(d)
			r.carryOut(d)
		}
		for i := before; i < len(r.steps); i++ {
			r.steps[i].Turn = r.turn + 1
		}
		if len(r.steps) > before {
			r.turn++
		}
		switch {
		case len(res.Decisions) > 0:
		case res.Next.After(r.now) && res.Next.Before(over):
			r.now = res.Next
		default:
			r.rest(res)
			return
		}
	}
	r.rest(r.plan())
}

// note takes a decision down that moves a unit off a host that is drained.
func (r *rehearsal) note(d Decision) {
	if i, known := r.at[d.Unit]; known {
		if d.Kind == Place || d.Kind == Adopt {
			r.steps[i].To, r.steps[i].ToName = d.Host, r.name(d.Host)
		}
		return
	}
	switch {
	case d.Kind == Place && slices.Contains(r.hosts, d.From):
		r.add(DrainStep{Unit: d.Unit, Kind: DrainStartFirst, From: d.From, To: d.Host, Reason: "Handover=start-first", Downtime: "none"})
	case d.Kind == Stop && slices.Contains(r.hosts, d.Host):
		r.add(DrainStep{Unit: d.Unit, Kind: DrainStopFirst, From: d.Host, To: d.Orders.Put[0].Shift.To, Reason: "Handover=stop-first", Downtime: "while it stops and starts"})
	}
}

func (r *rehearsal) add(s DrainStep) {
	s.FromName, s.ToName = r.name(s.From), ""
	if s.To != "" {
		s.ToName = r.name(s.To)
	}
	switch {
	case s.Kind != DrainStopFirst:
	case !r.ran(s.Unit, s.From):
		s.Kind, s.Reason, s.Downtime = DrainIdle, "it does not run", "none"
	case r.snap.Units[s.Unit].Req.Fence:
		s.Reason = "Fence=yes"
	}
	r.at[s.Unit] = len(r.steps)
	r.steps = append(r.steps, s)
}

// ran says that the unit was last heard to run on the host.
func (r *rehearsal) ran(u cluster.Unit, on cluster.HostID) bool {
	st, ok := r.snap.Hosts[on].StatusOf(u)
	return ok && st.State.Running()
}

// rest lists what is on the hosts still when nothing changes any more.
func (r *rehearsal) rest(res Result) {
	var more []DrainStep
	for _, d := range res.Drains {
		if !slices.Contains(r.hosts, d.Host) {
			continue
		}
		for _, l := range d.Left {
			s := DrainStep{Unit: l.Unit, Kind: DrainWaits, From: d.Host, Reason: l.Reason, Downtime: "none, while it stays"}
			switch {
			case l.Blocked && r.snap.Units[l.Unit].Req.Drain == units.DrainStop:
				s.Kind, s.Downtime = DrainStops, "until a host takes it"
			case l.Blocked:
				s.Kind = DrainBlocked
			}
			more = append(more, s)
		}
		for _, l := range d.Stays {
			more = append(more, DrainStep{Unit: l.Unit, Kind: DrainStays, From: d.Host, Reason: l.Reason, Downtime: r.away(l.Unit, d.Host)})
		}
	}
	order := []DrainKind{DrainWaits, DrainStops, DrainBlocked, DrainStays}
	slices.SortStableFunc(more, func(a, b DrainStep) int { return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)) })
	for _, s := range more {
		s.FromName = r.name(s.From)
		r.steps = append(r.steps, s)
	}
}

// away says for how long a unit that stays is expected to be down: as long as the host is.
func (r *rehearsal) away(u cluster.Unit, on cluster.HostID) string {
	if !r.ran(u, on) {
		return "none"
	}
	var last *cluster.Record
	for k, rec := range r.snap.History {
		if k.Host == on && rec.Away > 0 && (last == nil || k.Generation > last.Generation) {
			last = rec
		}
	}
	if last == nil {
		return "while the host is down"
	}
	return fmt.Sprintf("while the host is down (%s at its last reboot)", time.Duration(last.Away*float64(time.Second)).Round(time.Second))
}
