package plan

import (
	"encoding/binary"
)

// queue holds the hosts that units of one kind may have. Each bucket is a heap; counts are
// refreshed when an entry comes to the top, which is enough because they only grow while units
// are placed. A queue from before something was given back is made anew.
type queue struct {
	buckets  []*bucket
	shared   bool     // by all units with this signature: it ranks hosts as if nobody had a family
	size     int      // hosts in all
	domains  [][]*int // for each label of Spread=: the family's counts by its values on these hosts
	values   [][]string
	loosened int
	saying   saying
}

// bucket are the hosts with the same preferences fulfilled and the same values of all labels of Spread=.
type bucket struct {
	heap   []entry
	prefs  int
	values []string
	counts []*int // of the family by value; nil without the label
}

// saying is the reason that a queue gave last: the same one serves many units.
type saying struct {
	units int
	text  string
}

// fewHosts is on how many hosts a family may stand while its instances share the queue of all
// units with their signature: the hosts that hold some of it are looked at one by one.
const fewHosts = 3

// shares says whether the unit is placed from the queue that knows no families.
func (c *candidate) shares() bool {
	return c.family == nil || len(c.family.at) <= fewHosts && len(c.spreads()) == 0
}

// kind is the key of the queue that the unit is placed from.
func (c *candidate) kind() string {
	if c.shares() {
		return c.signature
	}
	spreads := c.spreads()
	b := appendText(nil, c.signature)
	b = appendText(b, string(c.family.name))
	for _, s := range spreads {
		b = appendText(b, s.Label)
	}
	return string(b)
}

// mostEntries bounds the memory of all queues together; they are made anew when it is reached.
const mostEntries = 1 << 21

// queueOf finds or makes the queue of the unit's kind.
func (p *planner) queueOf(c *candidate) *queue {
	kind := c.kind()
	if q := p.queues[kind]; q != nil && q.loosened == p.loosened {
		return q
	}
	if p.entries > mostEntries {
		clear(p.queues)
		p.entries = 0
	}
	q := p.newQueue(c)
	p.queues[kind] = q
	p.entries += q.size
	return q
}

func (p *planner) newQueue(c *candidate) *queue {
	q := &queue{loosened: p.loosened, shared: c.shares()}
	spreads := c.spreads()
	buckets := map[string]*bucket{}
	var key []byte
	var only *bucket // of a unit that knows only one
	for _, h := range p.hosts {
		if !h.ready || h.removed || h.shut != open || p.static(c.req, h) != fits {
			continue
		}
		q.size++
		b := only
		if len(spreads) > 0 || len(c.req.Prefer) > 0 || b == nil {
			key = binary.AppendUvarint(key[:0], uint64(prefsOn(c.req, h)))
			for _, s := range spreads {
				v, ok := h.label()[s.Label]
				key = appendText(append(key, '?'), v)
				if ok {
					key = append(key, '=')
				}
			}
			if b = buckets[string(key)]; b == nil {
				b = p.newBucket(c, h)
				buckets[string(key)] = b
				q.buckets = append(q.buckets, b)
			}
			only = b
		}
		b.heap = append(b.heap, q.entry(c, h))
	}
	for _, b := range q.buckets {
		for i := len(b.heap)/2 - 1; i >= 0; i-- {
			b.down(c, i)
		}
	}
	q.addDomains(len(spreads))
	return q
}

func (p *planner) newBucket(c *candidate, h *host) *bucket {
	b := &bucket{prefs: prefsOn(c.req, h)}
	for _, s := range c.spreads() {
		v, ok := h.label()[s.Label]
		var n *int
		if ok {
			n = counter(p.values(c.family, s.Label), v)
		}
		b.values, b.counts = append(b.values, v), append(b.counts, n)
	}
	return b
}

// addDomains lists the distinct counts of each label.
func (q *queue) addDomains(labels int) {
	for i := range labels {
		seen := map[*int]bool{nil: true}
		var counts []*int
		var values []string
		for _, b := range q.buckets {
			if n := b.counts[i]; !seen[n] {
				seen[n] = true
				counts, values = append(counts, n), append(values, b.values[i])
			}
		}
		q.domains, q.values = append(q.domains, counts), append(q.values, values)
	}
}

// aside is a host that does not take the unit, until the next one asks.
type aside struct {
	b *bucket
	e entry
}

// best is the first host that takes the unit, nil without one. A host that has too little
// room leaves the queue for good: room only shrinks while units are placed.
func (p *planner) best(c *candidate, q *queue) *host {
	var later []aside
	var found, second *host // second holds some of the family, in a queue that does not know it
	var held, prefs int
	for found == nil {
		b := p.first(c, q)
		if b == nil || second != nil && b.prefs != prefs {
			break
		}
		top := b.heap[0]
		f := p.check(c, top.h)
		if f == fits {
			n := 0
			if q.shared {
				n = c.family.on(top.h)
			}
			if n == 0 {
				found = top.h
				break
			}
			if second == nil || n < held {
				second, held, prefs = top.h, n, b.prefs
			}
		}
		b.pop(c)
		if f != lacksMemory && f != lacksCPU || c.here(p, top.h) {
			later = append(later, aside{b, top})
		}
	}
	for _, x := range later {
		x.b.push(c, x.e)
	}
	if found == nil {
		return second
	}
	return found
}

// first is the bucket with the best host, nil when all are empty.
func (p *planner) first(c *candidate, q *queue) *bucket {
	var b *bucket
	for _, x := range q.buckets {
		if q.refresh(c, x); len(x.heap) == 0 {
			continue
		}
		if b == nil {
			b = x
		} else if o := p.compare(c, x, b); o < 0 || o == 0 && c.before(&x.heap[0], &b.heap[0]) {
			b = x
		}
	}
	return b
}

func (q *queue) entry(c *candidate, h *host) entry {
	if q.shared {
		return entry{h: h, units: h.units, share: h.share}
	}
	return entryOf(c, h)
}

// refresh makes the top of the heap the true one.
func (q *queue) refresh(c *candidate, b *bucket) {
	for len(b.heap) > 0 {
		top := &b.heap[0]
		now := q.entry(c, top.h)
		if *top == now {
			return
		}
		*top = now
		b.down(c, 0)
	}
}

func (b *bucket) pop(c *candidate) {
	last := len(b.heap) - 1
	b.heap[0] = b.heap[last]
	b.heap = b.heap[:last]
	b.down(c, 0)
}

func (b *bucket) push(c *candidate, e entry) {
	b.heap = append(b.heap, e)
	for i := len(b.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !c.before(&b.heap[i], &b.heap[parent]) {
			return
		}
		b.heap[i], b.heap[parent] = b.heap[parent], b.heap[i]
		i = parent
	}
}

func (b *bucket) down(c *candidate, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(b.heap); child++ {
			if c.before(&b.heap[child], &b.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		b.heap[i], b.heap[least] = b.heap[least], b.heap[i]
		i = least
	}
}
