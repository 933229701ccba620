package plan

import (
	"fmt"
	"strconv"

	"flotilla/units"
)

// room is memory in bytes and processor time in thousandths of a core.
type room struct{ memory, cpu int64 }

// mostRoom keeps the sum of all that could ever stand on one host in range.
const mostRoom = 1 << 46

// demand is what a unit reserves. It holds for as long as the unit occupies a host.
func demand(req *units.Requirements) room {
	return room{min(req.Memory, mostRoom), min(req.CPU, mostRoom)}
}

// capacity is what units may reserve on the host; known is false where the host never said it.
type capacity struct {
	room
	known bool
}

func capacityOf(h *host) (c capacity) {
	c.memory, c.cpu, c.known = h.Capacity()
	return c
}

// reserve takes room on the host for the unit, or gives it back. Nothing stops what is placed from
// taking more than there is: content may change in place, and a capacity may shrink.
func (h *host) reserve(d room, by int64) {
	if d == (room{}) {
		return
	}
	h.taken.memory += by * d.memory
	h.taken.cpu += by * d.cpu
	h.share = h.shareWith(room{})
}

// shareWith is the part of the host's scarcer resource that is taken once it takes so much more.
func (h *host) shareWith(d room) float64 {
	return max(share(h.taken.memory+d.memory, h.capacity.memory), share(h.taken.cpu+d.cpu, h.capacity.cpu))
}

// share is the part that is taken; more than the whole where nothing is known to be there.
func share(taken, all int64) float64 {
	if taken <= 0 {
		return 0
	}
	return float64(taken) / float64(max(all, 1))
}

// lacks says which room the host has not for the unit, if any. What reserves nothing always has room.
func (p *planner) lacks(c *candidate, h *host) filter {
	d := c.demand
	if d == (room{}) {
		return fits
	}
	free := p.free(c, h)
	switch {
	case !h.capacity.known:
		return hidesRoom
	case d.memory > 0 && d.memory > free.memory:
		return lacksMemory
	case d.cpu > 0 && d.cpu > free.cpu:
		return lacksCPU
	}
	return fits
}

// free is what the host has for the unit: what the unit itself takes there is its own.
func (p *planner) free(c *candidate, h *host) room {
	out := room{h.capacity.memory - h.taken.memory, h.capacity.cpu - h.taken.cpu}
	if c.here(p, h) {
		out.memory += c.demand.memory
		out.cpu += c.demand.cpu
	}
	return room{max(0, out.memory), max(0, out.cpu)}
}

// size writes bytes as unit files do: 512M, 1.5G.
func size(bytes int64) string {
	const letters = "KMGT"
	unit, letter := int64(1), ""
	for i := 0; i < len(letters) && bytes >= unit*1024; i++ {
		unit, letter = unit*1024, letters[i:i+1]
	}
	if bytes%unit == 0 {
		return strconv.FormatInt(bytes/unit, 10) + letter
	}
	return fmt.Sprintf("%.1f%s", float64(bytes)/float64(unit), letter)
}

// cores writes thousandths of a core as unit files do: 0.5, 2.
func cores(cpu int64) string { return strconv.FormatFloat(float64(cpu)/1000, 'f', -1, 64) }
