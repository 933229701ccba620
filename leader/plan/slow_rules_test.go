package plan_test

import (
	"math/big"
	"path"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// What the slow twin asks of a host, and how it compares hosts.

// fitsAlone: the host would do if it were empty and had room.
func (s *slow) fitsAlone(head *cluster.UnitHead, h *cluster.Host, keeps bool) bool {
	if !s.inService(h) || h.Spec.Cordon != nil && !keeps || !s.matches(head, h) || !runs(head, h) {
		return false
	}
	for _, peer := range head.Req.MachineOf {
		if !s.isLive(peer, h) {
			return false
		}
	}
	return true
}

func (s *slow) inService(h *cluster.Host) bool { return h.Spec.Removed == nil && ready(h) }

func runs(head *cluster.UnitHead, h *cluster.Host) bool {
	return head.Req.Runtime == "" || h.Info.Runtimes[head.Req.Runtime] != ""
}

// replaces: a names b, they are in no circle, and a does not follow b.
func (s *slow) replaces(a, b *cluster.UnitHead) bool {
	return s.names(a, b) && !s.leads(b, a, map[cluster.Unit]bool{}) && !s.follows(a, b, map[cluster.Unit]bool{})
}

func (s *slow) names(a, b *cluster.UnitHead) bool {
	return a.Name != b.Name && slices.ContainsFunc(a.Req.Replaces, func(g string) bool {
		ok, err := path.Match(g, string(b.Name))
		return ok && err == nil
	})
}

// counts: the unit is one that the planner looks at.
func (s *slow) counts(head *cluster.UnitHead) bool {
	return len(s.snap.Placed[head.Name]) > 0 || head.Spec.Target != units.Inactive
}

// leads: a replaces b, or one that replaces b, and so on.
func (s *slow) leads(a, b *cluster.UnitHead, seen map[cluster.Unit]bool) bool {
	seen[a.Name] = true
	if s.names(a, b) {
		return true
	}
	for _, x := range s.snap.Units {
		if s.counts(x) && s.names(a, x) && !seen[x.Name] && s.leads(x, b, seen) {
			return true
		}
	}
	return false
}

func (s *slow) follows(a, b *cluster.UnitHead, seen map[cluster.Unit]bool) bool {
	seen[a.Name] = true
	for _, peer := range a.Req.MachineOf {
		x := s.snap.Units[peer]
		if peer == b.Name || x != nil && !seen[peer] && s.follows(x, b, seen) {
			return true
		}
	}
	return false
}

// taken is what all units but one reserve on the host.
func (s *slow) taken(h *cluster.Host, but cluster.Unit) (memory, cpu int64) {
	for v, at := range s.state {
		if other := s.snap.Units[v]; v != but && at[h.ID] != 0 && other != nil {
			memory += other.Req.Memory
			cpu += other.Req.CPU
		}
	}
	return memory, cpu
}

// hasRoom asks for memory, processor and MaxPerHost.
func (s *slow) hasRoom(head *cluster.UnitHead, h *cluster.Host) bool {
	r := head.Req
	if r.MaxPerHost > 0 && s.family(head.Name, h, head.Name) >= r.MaxPerHost {
		return false
	}
	if r.Memory == 0 && r.CPU == 0 {
		return true
	}
	memory, cpu, known := h.Capacity()
	m, c := s.taken(h, head.Name)
	return known && (r.Memory == 0 || m+r.Memory <= memory) && (r.CPU == 0 || c+r.CPU <= cpu)
}

// family is how many of the unit's family the host holds, but for one.
func (s *slow) family(u cluster.Unit, h *cluster.Host, but cluster.Unit) int {
	n := 0
	for v, at := range s.state {
		if v != but && at[h.ID] != 0 && u.Template() != "" && v.Template() == u.Template() {
			n++
		}
	}
	return n
}

// spreads are the labels that count for the unit.
func spreads(head *cluster.UnitHead) []units.Spread {
	if head.Req.Global || head.Name.Template() == "" {
		return nil
	}
	return head.Req.Spread
}

// where is how many others of the family are on hosts with this value of the label.
func (s *slow) where(head *cluster.UnitHead, label, value string) int {
	n := 0
	for _, h := range s.hosts {
		if v, ok := h.Labels()[label]; ok && v == value {
			n += s.family(head.Name, h, head.Name)
		}
	}
	return n
}

// isEven asks the hard labels of Spread=.
func (s *slow) isEven(head *cluster.UnitHead, h *cluster.Host) bool {
	for _, sp := range spreads(head) {
		if !sp.Hard {
			continue
		}
		mine, ok := h.Labels()[sp.Label]
		if !ok {
			return false
		}
		for _, x := range s.hosts {
			if v, ok := x.Labels()[sp.Label]; ok && s.inService(x) && x.Spec.Cordon == nil && s.matches(head, x) && runs(head, x) &&
				s.where(head, sp.Label, v) < s.where(head, sp.Label, mine) {
				return false
			}
		}
	}
	return true
}

// rank orders hosts: the least is the best.
func (s *slow) rank(head *cluster.UnitHead, h *cluster.Host) []int {
	var out []int
	prefs := 0
	for _, r := range head.Req.Prefer {
		if r.Match(h.Labels()) {
			prefs++
		}
	}
	out = append(out, -prefs)
	for _, sp := range spreads(head) {
		if v, ok := h.Labels()[sp.Label]; ok {
			out = append(out, s.where(head, sp.Label, v))
		} else {
			out = append(out, 1<<30)
		}
	}
	out = append(out, s.family(head.Name, h, ""))
	if head.Req.Memory > 0 || head.Req.CPU > 0 {
		return append(out, s.freer(h), s.count(h))
	}
	return append(out, s.count(h), s.freer(h))
}

// freer is how many hosts have a smaller share taken.
func (s *slow) freer(h *cluster.Host) int {
	n := 0
	for _, x := range s.hosts {
		if s.share(x).Cmp(s.share(h)) < 0 {
			n++
		}
	}
	return n
}

// share is the part of the scarcer of memory and processor that is taken.
func (s *slow) share(h *cluster.Host) *big.Rat {
	memory, cpu, _ := h.Capacity()
	m, c := s.taken(h, "")
	a, b := big.NewRat(m, max(1, memory)), big.NewRat(c, max(1, cpu))
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}
