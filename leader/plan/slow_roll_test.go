package plan_test

import (
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// slowRoll is a change that the slow twin leaves for the end of its plan.
type slowRoll struct {
	head *cluster.UnitHead
	host *cluster.Host
}

// update changes in place, or later where others like the unit must run meanwhile.
func (s *slow) update(head *cluster.UnitHead, h *cluster.Host) {
	pl := h.Placed[head.Name]
	family := head.Req.Global || head.Name.IsInstance()
	content := pl.Blob != head.Spec.Blob || pl.DropIns != head.Spec.DropIns || pl.Restart != head.Spec.Restart
	if family && content && pl.State == cluster.Launched && head.Spec.Target == units.Launched {
		s.rolls = append(s.rolls, slowRoll{head, h})
		return
	}
	s.say("update", head.Name, h, "")
}

// runs: its host was last heard to run it.
func (s *slow) runs(u cluster.Unit, h *cluster.Host) bool {
	st, ok := h.StatusOf(u)
	return ok && st.State.Active == "active"
}

// up: the order stands as it was, was carried out, and the unit has run for two seconds.
func (s *slow) up(u cluster.Unit, h *cluster.Host) bool {
	pl := h.Placed[u]
	if pl == nil || !s.isLive(u, h) || slices.Contains(s.acted[u], h) || !s.runs(u, h) {
		return false
	}
	st := h.Status[u]
	return st.Generation >= pl.Generation && st.Order == pl.State && s.now.Sub(st.Seen) >= 2*time.Second
}

// crew is who must run while a unit is down: on which hosts, one entry for each that is to run.
func (s *slow) crew(head *cluster.UnitHead) (whole, down int) {
	if head.Req.Global {
		for _, h := range s.live(head.Name) {
			if h.Spec.Removed == nil {
				whole++
				if !s.up(head.Name, h) {
					down++
				}
			}
		}
		return whole, down
	}
	for u, other := range s.snap.Units {
		if u.Template() != head.Name.Template() || other.Spec.Target != units.Launched || other.Req.Global {
			continue
		}
		whole++
		if !slices.ContainsFunc(s.live(u), func(h *cluster.Host) bool { return s.up(u, h) }) {
			down++
		}
	}
	return whole, down
}

func (s *slow) rollOut() {
	var crews []cluster.Unit
	of := map[cluster.Unit][]slowRoll{}
	for _, r := range s.rolls {
		name := r.head.Name.Template()
		if r.head.Req.Global {
			name = r.head.Name
		}
		of[name] = append(of[name], r)
		crews = append(crews, name)
	}
	slices.Sort(crews)
	for _, name := range slices.Compact(crews) {
		s.rollCrew(of[name])
	}
}

func (s *slow) rollCrew(rolls []slowRoll) {
	whole, down := s.crew(rolls[0].head)
	var costs [3][]slowRoll // nothing, nothing more, one
	for _, r := range rolls {
		switch u := r.head.Name; {
		case !s.runs(u, r.host):
			costs[0] = append(costs[0], r)
		case !s.up(u, r.host):
			costs[1] = append(costs[1], r)
		default:
			costs[2] = append(costs[2], r)
		}
	}
	blocked := 0
	for cost, list := range costs {
		for _, r := range list {
			budget := max(1, r.head.Req.MaxUnavailable.N)
			if r.head.Req.MaxUnavailable.Percent {
				budget = max(1, whole*r.head.Req.MaxUnavailable.N/100)
			}
			after := down
			if cost == 2 {
				after++
			}
			if cost > 0 && after > budget {
				blocked++
				if !r.head.Req.Global || blocked == 1 {
					s.waits(r.head.Name)
				}
				continue
			}
			down = after
			s.say("update", r.head.Name, r.host, "")
		}
	}
}
