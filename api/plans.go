package api

import (
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// plans remembers what the planner said of the newest snapshot: any daemon with a mirror
// can say why a unit waits, because the planner is a function of the snapshot and the time.
type plans struct {
	planning sync.Mutex // held while the planner runs

	mu   sync.Mutex // of what follows
	rev  int64
	when time.Time
	cost time.Duration
	was  planned
}

// planned is one plan, for look-ups.
type planned struct {
	rev     int64 // of the snapshot that was planned
	waiting map[cluster.Unit]plan.Refusal
	pending map[cluster.Unit]bool // the leader will decide on them next
	storm   *plan.Storm
	turns   map[cluster.HostID]plan.HostReboot
	begins  []string  // groups of which the leader is about to give slots to hosts, if it sees what this plan sees
	next    time.Time // when it can change by itself
	reboots rebootsView
	drains  map[cluster.HostID]*Draining // hosts that are drained
}

// Reasons depend on the time too (suspects, warm-up), so a plan is good for planFor. One
// that took d is good for at least 4 d, so that a huge cluster is not planned for each
// request.
const (
	planFor  = time.Second
	planRest = 4
)

// at plans for the snapshot c, whose read lock the caller holds. While another request plans, the last
// plan has to do: whoever waited here would hold up the mirror's writes for as long.
func (p *plans) at(c *cluster.Snapshot, opt Options) planned {
	began := opt.Now()
	was, good := p.last(c.Revision, began)
	switch {
	case good:
		return was
	case p.planning.TryLock():
	case was.waiting != nil:
		return was
	default: // the first plan is being made; it serves all that wait for it
		p.planning.Lock()
		defer p.planning.Unlock()
		was, _ = p.last(c.Revision, began)
		return was
	}
	defer p.planning.Unlock()
	was = planFrom(c, opt.Plan, began)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.was, p.rev, p.when = was, c.Revision, opt.Now()
	p.cost = p.when.Sub(began)
	return was
}

func planFrom(c *cluster.Snapshot, opt plan.Options, now time.Time) planned {
	r := plan.Survey(c, opt, now)
	out := planned{
		rev: c.Revision, storm: r.Storm, next: r.Next, reboots: viewReboots(c, r, now), drains: drainsOf(r),
		waiting: make(map[cluster.Unit]plan.Refusal, len(r.Waiting)), pending: make(map[cluster.Unit]bool, len(r.Decisions)),
		turns: make(map[cluster.HostID]plan.HostReboot, len(r.Reboots)),
	}
	for _, h := range r.Reboots {
		out.turns[h.Host] = h
		if begins(h) {
			out.begins = append(out.begins, h.Groups...)
		}
	}
	for _, d := range r.Decisions {
		out.pending[d.Unit] = true
	}
	for _, w := range r.Waiting {
		out.waiting[w.Unit] = w
	}
	return out
}

// last is the newest plan, and whether it is good for revision rev.
func (p *plans) last(rev int64, now time.Time) (planned, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.was, p.good(rev, now)
}

func (p *plans) good(rev int64, now time.Time) bool {
	age := now.Sub(p.when)
	if p.was.waiting == nil || age < 0 {
		return false
	}
	return age < planRest*p.cost || rev == p.rev && age < planFor
}

// verdict is what the planner thinks of one unit.
type verdict struct {
	why     string // it waits for this; "" = it does not wait
	stuck   bool   // until a person does something
	pending bool   // the leader will decide on it next, or the plan is older than the unit's head
}

func (p planned) verdict(head *cluster.UnitHead, u cluster.Unit) verdict {
	return verdict{why: p.why(u), stuck: p.waiting[u].Stuck, pending: p.pending[u] || head != nil && p.rev < head.Rev}
}

// why is the planner's reason for a unit to wait, "" without one.
func (p planned) why(u cluster.Unit) string { return p.waiting[u].Reason }
