package plan

import (
	"fmt"
	"strings"

	"flotilla/units"
)

// queue holds the hosts that one static signature allows, as a heap: fewest units
// first, ties by host id. Counts are refreshed when an entry comes to the top,
// which is enough because they only grow while units are placed.
type queue struct {
	heap []entry
	size int
}

type entry struct {
	h     *host
	units int
}

func (e entry) before(o entry) bool {
	return e.units < o.units || e.units == o.units && e.h.index < o.h.index
}

// signature is what a unit asks of a host that no placement changes.
func signature(req *units.Requirements) string {
	if req.MachineID == "" && len(req.Metadata) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q", req.MachineID)
	for _, r := range req.Metadata {
		fmt.Fprintf(&b, " %q%d%q", r.Key, r.Op, r.Values)
	}
	return b.String()
}

// queueOf finds or makes the queue of the unit's signature.
func (p *planner) queueOf(req *units.Requirements) *queue {
	sig := signature(req)
	if q := p.queues[sig]; q != nil {
		return q
	}
	q := &queue{}
	for _, h := range p.hosts {
		if h.ready && !h.removed && h.Spec.Cordon == nil && p.static(req, h) == fits {
			q.push(entry{h, h.units})
		}
	}
	q.size = len(q.heap)
	p.queues[sig] = q
	return q
}

// best is the first host that ok accepts, nil without one.
func (q *queue) best(ok func(*host) bool) *host {
	var aside []entry
	var found *host
	for len(q.heap) > 0 && found == nil {
		top := &q.heap[0]
		if top.units != top.h.units {
			top.units = top.h.units
			q.down(0)
			continue
		}
		if ok(top.h) {
			found = top.h
			break
		}
		aside = append(aside, *top)
		last := len(q.heap) - 1
		q.heap[0] = q.heap[last]
		q.heap = q.heap[:last]
		q.down(0)
	}
	for _, e := range aside {
		q.push(e)
	}
	return found
}

func (q *queue) push(e entry) {
	q.heap = append(q.heap, e)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.heap[i].before(q.heap[parent]) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.heap); child++ {
			if q.heap[child].before(q.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}
