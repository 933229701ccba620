package cluster

import "maps"

// Clone is a snapshot of its own: what is set or deleted in one of the two is not seen in the other.
// They share the values, which nobody changes.
func (s *Snapshot) Clone() *Snapshot {
	out := *s
	out.Hosts = make(map[HostID]*Host, len(s.Hosts))
	for id, h := range s.Hosts {
		c := *h
		c.Placed, c.Status = maps.Clone(h.Placed), maps.Clone(h.Status)
		out.Hosts[id] = &c
	}
	out.Units = maps.Clone(s.Units)
	out.Placed = make(map[Unit]map[HostID]*Placed, len(s.Placed))
	for u, at := range s.Placed {
		out.Placed[u] = maps.Clone(at)
	}
	out.Unplaced = maps.Clone(s.Unplaced)
	out.Several = maps.Clone(s.Several)
	out.Orphans = make(map[Unit]map[HostID]*Status, len(s.Orphans))
	for u, at := range s.Orphans {
		out.Orphans[u] = maps.Clone(at)
	}
	out.Destroyed = maps.Clone(s.Destroyed)
	out.OrphanStops = maps.Clone(s.OrphanStops)
	out.Groups, out.Windows, out.History = maps.Clone(s.Groups), maps.Clone(s.Windows), maps.Clone(s.History)
	out.Notified.Windows = maps.Clone(s.Notified.Windows)
	return &out
}
