package api

import (
	"sync"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// plans remembers what the planner said of the newest snapshot: any daemon with a mirror
// can say why a unit waits, because the planner is a function of the snapshot.
type plans struct {
	mu  sync.Mutex
	rev int64
	was planned
}

// planned is one plan, for look-ups.
type planned struct {
	result  plan.Result
	waiting map[cluster.Unit]string
}

// at plans for the snapshot c, whose read lock the caller holds.
func (p *plans) at(c *cluster.Snapshot, opt Options) planned {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rev == c.Revision && p.was.waiting != nil {
		return p.was
	}
	r := plan.Plan(c, opt.Plan, opt.Now())
	p.rev, p.was = c.Revision, planned{result: r, waiting: map[cluster.Unit]string{}}
	for _, w := range r.Waiting {
		p.was.waiting[w.Unit] = w.Reason
	}
	return p.was
}
