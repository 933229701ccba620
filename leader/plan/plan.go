package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Options are the settings of the planner. The zero value is the default of each.
type Options struct {
	Timing        cluster.Timing
	Suspect       time.Duration // how long an absent host is only suspect; default Timing.Renewal()
	StormFraction float64       // failover pauses when more than this part of the hosts is absent; default 1/3
	StormMin      int           // and at least so many; default 2
	StormOff      bool          // no storm brake at all

	Leader cluster.HostID `json:"-"` // the host that leads: of equals it reboots last; "" = not known
}

func (o Options) withDefaults() Options {
	if o.Timing == (cluster.Timing{}) {
		o.Timing = cluster.DefaultTiming()
	}
	if o.Suspect == 0 {
		o.Suspect = o.Timing.Renewal()
	}
	if o.StormFraction == 0 {
		o.StormFraction = 1.0 / 3
	}
	if o.StormMin == 0 {
		o.StormMin = 2
	}
	return o
}

// Kind is what a decision does.
type Kind int

// The kinds of decisions.
const (
	Place  Kind = iota + 1 // a unit gets a host
	Adopt                  // a host that runs the unit as an orphan gets it as an order
	Move                   // failover: tombstone on the absent host, placement on another
	Update                 // new content, target or counters, in place
	Stop                   // a tombstone
	Forget                 // a tombstone that was carried out, or whose host was removed, is deleted
	Grant                  // a host's reboot goes on by a phase, or its outcome is recorded
)

// String is the kind's word in logs and simulations.
func (k Kind) String() string {
	switch k {
	case Place:
		return "place"
	case Adopt:
		return "adopt"
	case Move:
		return "move"
	case Update:
		return "update"
	case Stop:
		return "stop"
	case Forget:
		return "forget"
	case Grant:
		return "grant"
	default:
		return fmt.Sprintf("kind(%d)", int(k))
	}
}

// Decision is one thing to do, all of it or nothing.
type Decision struct {
	Kind   Kind
	Unit   cluster.Unit
	Host   cluster.HostID
	From   cluster.HostID // of a Move, and of a Place that the unit starts with before it leaves that host
	Reason string
	Orders cluster.Orders
}

// Refusal says in one sentence why a unit is not as its user wants it, although
// nothing can be done about it now.
type Refusal struct {
	Unit   cluster.Unit   `json:"unit"`
	Host   cluster.HostID `json:"host,omitempty"` // where the unit is placed meanwhile
	Reason string         `json:"reason"`
	Stuck  bool           `json:"stuck,omitempty"` // it takes a person to end that: time and hosts that return do not
}

// Result is what a plan comes to.
type Result struct {
	Decisions []Decision
	Waiting   []Refusal     // by unit name
	Drains    []Drain       // by host id
	Reboots   []HostReboot  // by host name
	Groups    []RebootGroup // by name; of Survey alone
	Storm     *Storm        // set while the storm brake holds
	Absent    int           // hosts that are known, absent and not removed
	Next      time.Time     // when the plan can change by itself; zero = only with the snapshot
}

// Plan decides what to do about the cluster as it is at now. It does not change the snapshot.
func Plan(snap *cluster.Snapshot, opt Options, now time.Time) Result {
	if !snap.Complete {
		return Result{}
	}
	p := newPlanner(snap, opt, now)
	p.run()
	return p.result()
}

// planUnits is Plan without a word about reboots, for trials in which no host reboots.
func planUnits(snap *cluster.Snapshot, opt Options, now time.Time) Result {
	p := newPlanner(snap, opt, now)
	p.still = true
	p.run()
	return p.result()
}

// planner is one run of Plan.
type planner struct {
	snap *cluster.Snapshot
	opt  Options
	now  time.Time
	ledger
	storm  *Storm
	absent int
	next   time.Time
	still  bool // no host reboots: a trial
	survey bool // say how the groups stand, too

	followers map[cluster.Unit][]cluster.Unit // placed units by each unit they name in MachineOf
	visit     map[cluster.Unit]bool           // of the running pass: false = begun, true = done
	moving    map[cluster.Unit]bool           // stopped in this plan because a constraint broke
	placed    map[cluster.Unit]bool           // given a host in this plan
	queues    map[string]*queue               // by kind of unit
	entries   int                             // of all queues
	refusals  map[string]refusal              // by what units have in common; see alike
	several   map[string]bool                 // by MachineID: it names more than one host

	leaving  map[cluster.Unit]departure      // units that are to leave a living host if another takes them
	lingers  map[cluster.Unit]string         // why units of a drained host are there still
	promises map[cluster.Unit]*host          // hosts that keep a place for units that are to come
	heirs    map[cluster.Unit]*host          // that take over from a living host
	stranded map[cluster.Unit]bool           // units on a drained host that no other takes
	avoid    *host                           // the one that is left, while its unit looks for another
	spare    *candidate                      // for the next unit that looks for a host
	home     cluster.Unit                    // may return to the host that its user wanted it to leave
	rolls    []roll                          // changes that must not take too many down at once
	roster   map[cluster.Unit][]cluster.Unit // instances that are to run, by template; filled at the first question

	puts       slab[cluster.Placed]
	conditions slab[cluster.Condition]
	decisions  []Decision
	waiting    []Refusal
	reboots    []HostReboot
	groups     []RebootGroup
}

func newPlanner(snap *cluster.Snapshot, opt Options, now time.Time) *planner {
	p := &planner{
		snap: snap, opt: opt.withDefaults(), now: now,
		ledger:    newLedger(snap),
		followers: map[cluster.Unit][]cluster.Unit{},
		moving:    map[cluster.Unit]bool{},
		placed:    map[cluster.Unit]bool{},
		queues:    map[string]*queue{},
		refusals:  map[string]refusal{},
		several:   map[string]bool{},
		leaving:   map[cluster.Unit]departure{},
		stranded:  map[cluster.Unit]bool{},
		heirs:     map[cluster.Unit]*host{},
		promises:  map[cluster.Unit]*host{},
		lingers:   map[cluster.Unit]string{},
	}
	p.judge()
	return p
}

func (p *planner) run() {
	work := p.scan()
	slices.Sort(work)
	work = slices.Compact(work)
	p.expect(len(work))
	var failing, leaving, drained []cluster.Unit
	homeless := make([]cluster.Unit, 0, len(p.snap.Unplaced))
	p.pass(work, func(u cluster.Unit) {
		switch p.tidy(u) {
		case needHost:
			if p.leaving[u].drained {
				drained = append(drained, u)
			} else {
				leaving = append(leaving, u)
			}
		case needFailover:
			failing = append(failing, u)
		case needPlace:
			homeless = append(homeless, u)
			p.keepPlaces(u)
		}
	})
	slices.Sort(failing)
	slices.Sort(homeless)
	p.stopOrphans()
	p.forgetDestroyed()
	p.pass(failing, p.failover)
	p.pass(homeless, p.place)
	slices.Sort(leaving)
	slices.Sort(drained)
	p.pass(leaving, p.depart)
	p.evacuate(drained)
	if !p.still {
		p.coordinate()
	}
	p.rollOut()
	p.evenOut()
}

// expect makes room for as many decisions.
func (p *planner) expect(n int) {
	p.added = make(map[cluster.Unit][]*host, n)
	p.decisions = make([]Decision, 0, n)
}

// scan finds the units that may need a decision; all others are as they should be.
func (p *planner) scan() []cluster.Unit {
	work := make([]cluster.Unit, 0, len(p.snap.Unplaced))
	for _, h := range p.hosts {
		for u, pl := range h.Placed {
			if len(p.snap.Several) > 0 && p.snap.Several[u] {
				continue
			}
			head := p.snap.Units[u]
			if head == nil {
				work = append(work, u)
				continue
			}
			p.note(head)
			p.stands(head, h, +1)
			if !p.clean(head, h, pl) {
				work = append(work, u)
			}
		}
	}
	for u := range p.snap.Several {
		work = append(work, u)
		if head := p.snap.Units[u]; head != nil {
			p.note(head)
			if !takesNothing(&head.Req) {
				for id := range p.snap.Placed[u] {
					p.stands(head, p.byID[id], +1)
				}
			}
		}
	}
	work = append(work, p.replaced()...)
	for u, head := range p.snap.Unplaced {
		if head.Spec.Target != units.Inactive {
			p.note(head)
			work = append(work, u)
		}
	}
	return work
}

// note takes up what other units must know of this one.
func (p *planner) note(head *cluster.UnitHead) {
	for _, peer := range head.Req.MachineOf {
		p.followers[peer] = append(p.followers[peer], head.Name)
	}
	if len(head.Req.Conflicts) > 0 {
		p.conflicts.declare(head.Req.Conflicts)
	}
	if len(head.Req.Replaces) > 0 {
		p.replacers.declare(head)
	}
}

// clean is the fast path for a unit with one placement: it is on a living host, as the
// head wants it, and no constraint holds it that the fate of other units could break.
func (p *planner) clean(head *cluster.UnitHead, h *host, pl *cluster.Placed) bool {
	req := &head.Req
	switch {
	case head.Spec.Target == units.Inactive, head.File == nil, head.Bad != "",
		req.Global, len(req.MachineOf) > 0, len(req.Conflicts) > 0,
		h.Alive == nil, h.removed, h.leaves, pl.State == cluster.Gone, p.differs(pl, head), p.restless(head, h, pl):
		return false
	}
	return req.MachineID == "" && len(req.Metadata) == 0 || !h.ready || p.pinned(req, h) == fits
}

// pass visits the units in order, each after the units of the same pass that it names in MachineOf.
func (p *planner) pass(list []cluster.Unit, do func(cluster.Unit)) {
	if len(p.followers) == 0 { // nobody names anybody
		for _, u := range list {
			do(u)
		}
		return
	}
	member := make(map[cluster.Unit]bool, len(list))
	for _, u := range list {
		member[u] = true
	}
	p.visit = make(map[cluster.Unit]bool, len(list))
	var visit func(u cluster.Unit)
	visit = func(u cluster.Unit) {
		if _, begun := p.visit[u]; begun || !member[u] {
			return
		}
		p.visit[u] = false
		if head := p.snap.Units[u]; head != nil {
			for _, peer := range head.Req.MachineOf {
				visit(peer)
			}
		}
		do(u)
		p.visit[u] = true
	}
	for _, u := range list {
		visit(u)
	}
}

// peersFirst is the list with each unit after those of it that it names in MachineOf.
func (p *planner) peersFirst(list []cluster.Unit) []cluster.Unit {
	was := p.visit
	out := make([]cluster.Unit, 0, len(list))
	p.pass(list, func(u cluster.Unit) { out = append(out, u) })
	p.visit = was
	return out
}

func (p *planner) decide(k Kind, u cluster.Unit, host, from cluster.HostID, reason string, o cluster.Orders) {
	p.decisions = append(p.decisions, Decision{Kind: k, Unit: u, Host: host, From: from, Reason: reason, Orders: o})
}

func (p *planner) refuse(u cluster.Unit, host cluster.HostID, format string, args ...any) {
	p.waiting = append(p.waiting, Refusal{Unit: u, Host: host, Reason: fmt.Sprintf(format, args...)})
}

func (p *planner) result() Result {
	slices.SortStableFunc(p.waiting, func(a, b Refusal) int { return strings.Compare(string(a.Unit), string(b.Unit)) })
	return Result{
		Decisions: p.decisions, Waiting: p.waiting, Drains: p.drained(), Reboots: p.reboots, Groups: p.groups,
		Storm: p.storm, Absent: p.absent, Next: p.next,
	}
}
