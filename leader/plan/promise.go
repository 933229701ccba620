package plan

import "flotilla/cluster"

// follow keeps a place for a unit where one has gone that it must be with.
func (p *planner) follow(head *cluster.UnitHead) {
	for _, peer := range head.Req.MachineOf {
		p.promise(head.Name, p.heirs[peer])
	}
}

// promise keeps a place on a host for a unit that is to come there, so that no other takes it meanwhile.
func (p *planner) promise(u cluster.Unit, to *host) {
	if to != nil && p.order(u, to) == 0 {
		p.occupy(u, to, cluster.Gone)
		p.promises[u] = to
	}
}

// promised is the host that a unit was stopped for, if it still fits, and the one where it was stopped.
func (p *planner) promised(c *candidate) (to, from *host) {
	newest := p.lastFreed(c.head.Name)
	if newest == nil || newest.Shift.From != "" {
		return nil, nil
	}
	if to = p.byID[newest.Shift.To]; to != nil && p.check(c, to) == fits {
		return to, p.byID[newest.Host]
	}
	return nil, nil
}

// lastFreed is the newest tombstone of a unit that was carried out, nil without one.
func (p *planner) lastFreed(u cluster.Unit) *cluster.Placed {
	var newest *cluster.Placed
	for _, pl := range p.freed[u] {
		if newest == nil || pl.Generation > newest.Generation {
			newest = pl
		}
	}
	return newest
}

// keepPlaces keeps the places of the units that are being stopped for another host.
func (p *planner) keepPlaces(u cluster.Unit) {
	head := p.snap.Units[u]
	if head == nil || !wanted(head) || len(p.liveHosts(u)) > 0 {
		return
	}
	for _, pl := range p.tombstones(u) {
		if to := p.byID[pl.Shift.To]; pl.Shift.From == "" && to != nil && p.order(u, p.byID[pl.Host]) == cluster.Gone {
			p.promise(u, to)
		}
	}
}
