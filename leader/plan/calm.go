package plan

import (
	"time"

	"flotilla/cluster"
)

// Calm tells, unit by unit and without a plan, of which units Plan has nothing to say: those that stand on one
// living host as their head wants them, and that no other unit could make move. Of the others Plan may have
// something to say. The answer holds for the snapshot as it is now.
func Calm(snap *cluster.Snapshot, opt Options, now time.Time) func(cluster.Unit) bool {
	if !snap.Complete {
		return func(cluster.Unit) bool { return false }
	}
	p := newPlanner(snap, opt, now)
	return func(u cluster.Unit) bool {
		head := snap.Units[u]
		if head == nil || len(snap.Placed[u]) != 1 || len(snap.Orphans[u]) > 0 {
			return false
		}
		for id, pl := range snap.Placed[u] {
			return p.clean(head, p.byID[id], pl)
		}
		return false
	}
}
