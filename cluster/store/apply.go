package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"flotilla/cluster"
)

// Apply writes a leader's orders in as few transactions as the limits allow, several at a
// time; one Orders is never split. Orders of which one writes what another rests on or
// writes are written in their order; the order of all others is free. Each transaction compares
// the store's identity, the term, the barrier and the conditions of its orders. It returns
// the revision of the newest commit (0 without one): the leader plans again when its mirror has
// reached it. The errors stand at the orders' places:
//
//	nil             written
//	ErrStale        one of this very Orders' conditions does not hold; nothing of it was written
//	ErrTooLarge     no transaction can hold this Orders; nothing of it was written
//	ErrBadOrders    this Orders contradicts itself or says nothing; nothing of it was written
//	ErrDeposed      the term is over; it was not written, nor will it be
//	ErrForeignStore this is another store; the same
//	ErrAmbiguous    it may have been written, or may be still: only the end of the term ends it
//	others          it was not written
//
// Each is about its own Orders: of those after one with an error, some may have been written.
//
// Writing a tombstone also ends the operator's wish to stop that orphan: the tombstone
// carries it out from now on.
func (s *Store) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	bad := make([]error, len(orders))
	var good []item
	var at []int
	for _, i := range byHost(orders) {
		it, err := s.orderItem(orders[i])
		if err != nil {
			bad[i] = fmt.Errorf("%w: %w", ErrBadOrders, err)
			continue
		}
		good, at = append(good, it), append(at, i)
	}
	if len(good) == 0 {
		return 0, bad
	}
	var fixed []Compare
	err := s.demandFor(ctx, term, orders)
	if err == nil {
		fixed, err = s.leaderCompares(ctx, term)
	}
	if err != nil {
		for _, i := range at {
			bad[i] = fmt.Errorf("write orders: %w", err)
		}
		return 0, bad
	}
	revs, errs := s.commitItems(ctx, fixed, ErrDeposed, good)
	var last int64
	for j, i := range at {
		last = max(last, revs[j])
		switch {
		case errors.Is(errs[j], errItemTooLarge), errors.Is(errs[j], errContradicts):
			bad[i] = fmt.Errorf("%w: %w", ErrBadOrders, errs[j])
		case errs[j] != nil:
			bad[i] = fmt.Errorf("write orders: %w", errs[j])
		}
	}
	return last, bad
}

// demandFor raises the schema for orders that an older flotilla would misread.
func (s *Store) demandFor(ctx context.Context, term cluster.Term, orders []cluster.Orders) error {
	for _, o := range orders {
		if len(o.Grants) > 0 {
			return s.demandSchema(ctx, term, schemaOfGrants)
		}
	}
	return nil
}

// byHost is the sequence in which to write orders: host by host, because those for one
// host rest on the same sign of life, and a transaction holds only so many compares. An order
// that touches a placement which an earlier one for another host touches begins anew, so
// that the two keep their order.
func byHost(orders []cluster.Orders) []int {
	hosts := make([]cluster.HostID, len(orders))
	out := make([]int, len(orders))
	touched := map[cluster.Where]cluster.HostID{} // since begin
	begin := 0
	settle := func(end int) {
		slices.SortStableFunc(out[begin:end], func(a, b int) int { return cmp.Compare(hosts[a], hosts[b]) })
		begin = end
		clear(touched)
	}
	for i, o := range orders {
		out[i], hosts[i] = i, mainHost(o)
		touches := placements(o)
		if slices.ContainsFunc(touches, func(w cluster.Where) bool {
			h, known := touched[w]
			return known && h != hosts[i]
		}) {
			settle(i)
		}
		for _, w := range touches {
			touched[w] = hosts[i]
		}
	}
	settle(len(orders))
	return out
}

// mainHost is the host that orders are for; of a move, the one that gets the unit.
func mainHost(o cluster.Orders) cluster.HostID {
	switch {
	case len(o.Put) > 0:
		return o.Put[0].Host
	case len(o.Delete) > 0:
		return o.Delete[0].Host
	case len(o.Drop) > 0:
		return o.Drop[0].Host
	case len(o.Grants) > 0:
		return o.Grants[0].Host
	}
	return ""
}

// placements are those that orders write or rest on.
func placements(o cluster.Orders) []cluster.Where {
	out := make([]cluster.Where, 0, len(o.Put)+len(o.Delete)+1)
	for _, p := range o.Put {
		out = append(out, cluster.Where{Host: p.Host, Unit: p.Unit})
	}
	out = append(out, o.Delete...)
	for _, c := range o.If {
		if c.Kind == cluster.PlacedAt {
			out = append(out, cluster.Where{Host: c.Host, Unit: c.Unit})
		}
	}
	return out
}

// barrier is the newest barrier of a term.
type barrier struct{ term, rev int64 }

// leaderCompares are what every transaction of orders compares: the term, and the newest
// barrier. A transaction whose outcome was unknown may still arrive; once a barrier
// stands it is refused, so that what is decided after the barrier is decided for good.
func (s *Store) leaderCompares(ctx context.Context, t cluster.Term) ([]Compare, error) {
	s.mu.Lock()
	b := s.barrier
	s.mu.Unlock()
	if b.term != t.Revision {
		rev, err := s.Barrier(ctx, t)
		if err != nil {
			return nil, err
		}
		b.rev = rev
	}
	return append(s.termCompare(t), Compare{Key: s.keys.barrier(), Target: ModRev, Rev: b.rev}), nil
}

func (s *Store) termCompare(t cluster.Term) []Compare {
	return []Compare{{Key: s.keys.leader(), Target: CreateRev, Rev: t.Revision}}
}

// orderItem turns orders into compares and writes.
func (s *Store) orderItem(o cluster.Orders) (item, error) {
	it := item{If: make([]Compare, 0, len(o.If)), Then: make([]Op, 0, len(o.Put)+len(o.Delete)+len(o.Forget)+len(o.Drop))}
	for _, c := range o.If {
		cmp, err := s.condition(c)
		if err != nil {
			return item{}, err
		}
		it.If = append(it.If, cmp)
	}
	for _, p := range o.Put {
		value, err := encode(p.Placement)
		if err != nil {
			return item{}, err
		}
		w := cluster.Where{Host: p.Host, Unit: p.Unit}
		it.Then = append(it.Then, Op{Key: s.keys.place(w), Value: value})
		if p.State == cluster.Gone {
			it.Then = append(it.Then, Op{Key: s.keys.orphan(w), Delete: true})
		}
	}
	for _, w := range o.Delete {
		it.Then = append(it.Then, Op{Key: s.keys.place(w), Delete: true})
	}
	for _, u := range o.Forget {
		it.Then = append(it.Then, Op{Key: s.keys.destroyed(u), Delete: true})
	}
	for _, w := range o.Drop {
		it.Then = append(it.Then, Op{Key: s.keys.orphan(w), Delete: true})
	}
	if err := s.grantOps(&it, o); err != nil {
		return item{}, err
	}
	if len(it.Then) == 0 {
		return item{}, errors.New("they write nothing")
	}
	return it, nil
}

func (s *Store) condition(c cluster.Condition) (Compare, error) {
	switch c.Kind {
	case cluster.UnitAt:
		return Compare{Key: s.keys.unit(c.Unit), Target: ModRev, Rev: c.Revision}, nil
	case cluster.AliveAt:
		return Compare{Key: s.keys.alive(c.Host), Target: CreateRev, Rev: c.Revision}, nil
	case cluster.PlacedAt:
		return Compare{Key: s.keys.place(cluster.Where{Host: c.Host, Unit: c.Unit}), Target: ModRev, Rev: c.Revision}, nil
	case cluster.HostsAt:
		return Compare{Key: s.keys.hostsEpoch(), Target: ModRev, Rev: c.Revision}, nil
	case cluster.OrphanAt:
		return Compare{Key: s.keys.orphan(cluster.Where{Host: c.Host, Unit: c.Unit}), Target: ModRev, Rev: c.Revision}, nil
	case cluster.GrantAt:
		return Compare{Key: s.keys.grant(c.Host), Target: ModRev, Rev: c.Revision}, nil
	case cluster.BootingAt:
		return Compare{Key: s.keys.booting(c.Host), Target: ModRev, Rev: c.Revision}, nil
	default:
		return Compare{}, fmt.Errorf("unknown condition %d", int(c.Kind))
	}
}

// Barrier makes one small write under the term and returns its revision. A mirror
// that has reached it has seen all that this leader had written before, and orders whose
// outcome was unknown are refused from here on. ErrDeposed, ErrForeignStore and ErrAmbiguous
// as those of Apply.
func (s *Store) Barrier(ctx context.Context, term cluster.Term) (int64, error) {
	value, err := encode(term)
	if err != nil {
		return 0, err
	}
	it := item{Then: []Op{{Key: s.keys.barrier(), Value: value}}}
	revs, errs := s.commitItems(ctx, s.termCompare(term), ErrDeposed, []item{it})
	if errs[0] != nil {
		return 0, fmt.Errorf("write barrier: %w", errs[0])
	}
	s.mu.Lock()
	s.barrier = barrier{term.Revision, revs[0]}
	s.mu.Unlock()
	return revs[0], nil
}
