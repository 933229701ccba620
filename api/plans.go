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
	mu   sync.Mutex
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
	next    time.Time // when it can change by itself
}

// Reasons depend on the time too (suspects, warm-up), so a plan is good for planFor. One
// that took d is good for at least 4 d, so that a huge cluster is not planned for each
// request.
const (
	planFor  = time.Second
	planRest = 4
)

// at plans for the snapshot c, whose read lock the caller holds.
func (p *plans) at(c *cluster.Snapshot, opt Options) planned {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := opt.Now()
	if p.good(c.Revision, began) {
		return p.was
	}
	r := plan.Plan(c, opt.Plan, began)
	p.was = planned{
		rev: c.Revision, storm: r.Storm, next: r.Next,
		waiting: make(map[cluster.Unit]plan.Refusal, len(r.Waiting)), pending: make(map[cluster.Unit]bool, len(r.Decisions)),
	}
	for _, d := range r.Decisions {
		p.was.pending[d.Unit] = true
	}
	for _, w := range r.Waiting {
		p.was.waiting[w.Unit] = w
	}
	p.rev, p.when = c.Revision, opt.Now()
	p.cost = p.when.Sub(began)
	return p.was
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
	pending bool   // the leader will decide on it next, or the plan is older than the unit's head
}

func (p planned) verdict(head *cluster.UnitHead, u cluster.Unit) verdict {
	return verdict{why: p.why(u), pending: p.pending[u] || head != nil && p.rev < head.Rev}
}

// why is the planner's reason for a unit to wait, "" without one.
func (p planned) why(u cluster.Unit) string { return p.waiting[u].Reason }
