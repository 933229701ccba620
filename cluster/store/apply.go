package store

import (
	"context"
	"fmt"

	"flotilla/cluster"
)

// Apply writes a leader's orders, in their order and in as few transactions as the
// limits allow; one Orders is never split. Each transaction compares the store's
// identity, the term, the barrier and the conditions of its orders. It returns the revision of
// the last commit (0 without one): the leader plans again when its mirror has
// reached it. The errors stand at the orders' places:
//
//	nil             written
//	ErrStale        one of this very Orders' conditions does not hold; nothing of it was written
//	ErrDeposed      the term is over; nothing was written from here on
//	ErrForeignStore this is another store; nothing was written from here on
//	ErrAmbiguous    it may have been written: Barrier, then plan on a mirror that has seen it
//
// Writing a tombstone also ends the operator's wish to stop that orphan: the tombstone
// carries it out from now on.
func (s *Store) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	bad := make([]error, len(orders))
	var good []item
	var at []int
	for i, o := range orders {
		it, err := s.orderItem(o)
		if err != nil {
			bad[i] = err
			continue
		}
		good, at = append(good, it), append(at, i)
	}
	if len(good) == 0 {
		return 0, bad
	}
	fixed, err := s.leaderCompares(ctx, term)
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
		if errs[j] != nil {
			bad[i] = fmt.Errorf("write orders: %w", errs[j])
		}
	}
	return last, bad
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
	var it item
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
	if len(it.Then) == 0 {
		return item{}, fmt.Errorf("orders without a write")
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
	default:
		return Compare{}, fmt.Errorf("unknown condition %d", int(c.Kind))
	}
}

// Barrier makes one small write under the term and returns its revision. A mirror
// that has reached it has seen all that this leader had written before; after an
// ambiguous error the leader waits for it before it decides again.
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
