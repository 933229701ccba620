package plan

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"

	"flotilla/units"
)

// The best host for a unit is the first in this order: most of its preferences hold, fewest of its
// family by each label of Spread=, fewest of its family on the host, then what is reserved there and
// the number of units, then the host's id. A unit that reserves something asks first for the host of
// which the smallest share is taken; one that reserves nothing asks first for the fewest units: it
// takes no share, so that all of its kind would pile up on one host.

// entry is a host with what it was ranked by.
type entry struct {
	h      *host
	family int
	units  int
	share  float64
}

func entryOf(c *candidate, h *host) entry {
	return entry{h: h, family: c.family.on(h), units: h.units, share: h.share}
}

func (c *candidate) before(a, b *entry) bool {
	if a.family != b.family {
		return a.family < b.family
	}
	if c.reserves() && a.share != b.share {
		return a.share < b.share
	}
	if a.units != b.units {
		return a.units < b.units
	}
	if a.share != b.share {
		return a.share < b.share
	}
	return a.h.index < b.h.index
}

func (c *candidate) reserves() bool { return c.demand != (room{}) }

// spreads are the labels that the unit's family is spread over. A unit without a family, or one
// that is everywhere, is spread over nothing.
func (c *candidate) spreads() []units.Spread {
	if c.family == nil || c.req.Global {
		return nil
	}
	return c.req.Spread
}

// signature is what a unit asks of a host that no placement changes, and what it reserves.
func signature(req *units.Requirements) string {
	if req.MachineID == "" && len(req.Metadata) == 0 && len(req.Prefer) == 0 && req.Runtime == "" && req.Memory == 0 && req.CPU == 0 {
		return ""
	}
	b := appendText(nil, req.MachineID)
	b = appendText(b, req.Runtime)
	b = binary.AppendVarint(b, req.Memory)
	b = binary.AppendVarint(b, req.CPU)
	for _, list := range [][]units.Requirement{req.Metadata, req.Prefer} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, r := range list {
			b = appendText(b, r.Key)
			b = binary.AppendUvarint(b, uint64(r.Op))
			b = binary.AppendUvarint(b, uint64(len(r.Values)))
			for _, v := range r.Values {
				b = appendText(b, v)
			}
		}
	}
	return string(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// prefsOn is how many of its preferences the host fulfils.
func prefsOn(req *units.Requirements, h *host) int {
	n := 0
	for _, r := range req.Prefer {
		if r.Match(h.label()) {
			n++
		}
	}
	return n
}

// compare orders buckets by what their hosts have in common; 0 where that is alike.
func (p *planner) compare(c *candidate, a, b *bucket) int {
	if a.prefs != b.prefs {
		return b.prefs - a.prefs
	}
	for i := range a.counts {
		if x := cmp.Compare(p.others(c, i, a.counts[i], a.values[i]), p.others(c, i, b.counts[i], b.values[i])); x != 0 {
			return x
		}
	}
	return 0
}

// others is how many others of the family stand where the i-th label of Spread= has this value.
func (p *planner) others(c *candidate, i int, n *int, value string) int {
	if n == nil {
		return noLabel
	}
	out := *n
	if len(c.own) == 0 {
		return out
	}
	for _, h := range c.own {
		if v, ok := h.label()[c.req.Spread[i].Label]; ok && v == value {
			out--
		}
	}
	return out
}

// ahead says whether the unit is better off on a than on b.
func (p *planner) ahead(c *candidate, a, b *host) bool {
	x, y := p.newBucket(c, a), p.newBucket(c, b)
	if o := p.compare(c, x, y); o != 0 {
		return o < 0
	}
	ea, eb := entryOf(c, a), entryOf(c, b)
	return c.before(&ea, &eb)
}

// reason says why the host is the best of the queue.
func (p *planner) reason(c *candidate, q *queue, h *host) string {
	plain := len(c.req.Prefer) == 0 && c.family.on(h) == 0 && len(c.spreads()) == 0 && !c.reserves()
	if plain && (c.family == nil || c.family.total == 0) {
		if q.saying.text == "" || q.saying.units != h.units {
			q.saying = saying{h.units, fmt.Sprintf("fewest units (%d) of %s", h.units, plural(q.size, "host"))}
		}
		return q.saying.text
	}
	b := make([]byte, 0, 128)
	if n := len(c.req.Prefer); n > 0 {
		b = strconv.AppendInt(b, int64(prefsOn(c.req, h)), 10)
		b = append(append(b, " of "...), plural(n, "preference")...)
		b = append(b, then...)
	}
	for i, s := range c.spreads() {
		if v, ok := h.label()[s.Label]; ok {
			n := p.others(c, i, counter(p.values(c.family, s.Label), v), v)
			b = appendCount(b, "fewest of ", string(c.family.name), n)
			b = append(append(append(append(b, " in "...), s.Label...), '='), v...)
			b = append(b, then...)
		}
	}
	if c.family != nil && c.family.total > 0 {
		b = append(appendCount(b, "fewest of ", string(c.family.name), c.family.on(h)), then...)
	}
	if c.reserves() {
		b = fmt.Appendf(b, "least reserved (%.0f%%)", 100*h.share)
	} else {
		b = appendCount(b, "fewest ", "units", h.units)
	}
	return string(append(append(b, " of "...), plural(q.size, "host")...))
}

// then joins what was asked first to what was asked next.
const then = ", then "

// appendCount appends a count of something in brackets; reasons are written by the hundred thousand.
func appendCount(b []byte, how, what string, n int) []byte {
	b = append(append(append(b, how...), what...), " ("...)
	return append(strconv.AppendInt(b, int64(n), 10), ')')
}
