package plan

import (
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Calm tells, unit by unit and without a plan, of which units Plan has nothing to say: those that stand on one
// living host as their head wants them, and that no other unit could make move. Of the others Plan may have
// something to say. The answer holds for the snapshot as it is now.
func Calm(snap *cluster.Snapshot, opt Options, now time.Time) func(cluster.Unit) bool {
	if !snap.Complete {
		return func(cluster.Unit) bool { return false }
	}
	p := newPlanner(snap, opt, now)
	var replacing []*cluster.UnitHead
	for _, head := range snap.Units {
		if len(head.Req.Replaces) > 0 {
			replacing = append(replacing, head)
		}
	}
	return func(u cluster.Unit) bool {
		head := snap.Units[u]
		if head == nil || len(snap.Placed[u]) != 1 || len(snap.Orphans[u]) > 0 || mayReplace(replacing, u) {
			return false
		}
		for id, pl := range snap.Placed[u] {
			return p.clean(head, p.byID[id], pl)
		}
		return false
	}
}

// mayReplace says that one of the units, by Replaces=, could make u leave its host.
func mayReplace(heads []*cluster.UnitHead, u cluster.Unit) bool {
	for _, head := range heads {
		for _, glob := range head.Req.Replaces {
			if ok, err := units.Match(glob, string(u)); ok || err != nil {
				return true
			}
		}
	}
	return false
}
