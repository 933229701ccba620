package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"flotilla/cluster"
)

// Report writes what an agent says of its host: info unless nil, statuses, and
// deletions of statuses. Each transaction compares the store's identity and the
// agent's own life, so that neither a wiped store nor the host of a duplicate is
// written: ErrForeignStore, ErrLapsed, or a *TakenError. After an error a part may have
// been written, or may be still: the caller reports info alone, after which nothing
// that was sent before arrives any more, then reads what is Reported, and goes on.
func (s *Store) Report(ctx context.Context, l Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error {
	items, err := s.reportItems(l.Host, info, put, del)
	if err != nil {
		return err
	}
	fixed := s.reportCompares(l, info != nil && len(items) == 1)
	b := newPacker(fixed...)
	flush := func() error {
		if len(b.index) == 0 {
			return nil
		}
		err := s.reportOne(ctx, l, b)
		fixed = s.reportCompares(l, false)
		b = newPacker(fixed...)
		return err
	}
	for i, it := range items {
		if b.add(i, it) {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if !b.add(i, it) {
			return fmt.Errorf("report %s: %w", it.Then[0].Key, ErrTooLarge)
		}
	}
	return flush()
}

// reported is the mod revision of hostinfo/<host> as this process wrote it last, in one
// life of the host: the barrier of its reports.
type reported struct {
	alive int64
	rev   int64
}

// reportCompares are what each transaction of a report compares. A report of info alone
// makes a new barrier and so compares none.
func (s *Store) reportCompares(l Lease, barrier bool) []Compare {
	out := []Compare{{Key: s.keys.alive(l.Host), Target: CreateRev, Rev: l.AliveRev}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reports[l.Host]; !barrier && r.alive == l.AliveRev && r.rev != 0 {
		out = append(out, Compare{Key: s.keys.info(l.Host), Target: ModRev, Rev: r.rev})
	}
	return out
}

// noteReport remembers the barrier that a transaction wrote.
func (s *Store) noteReport(l Lease, b *packer, rev int64) {
	if _, wrote := b.wrote[s.keys.info(l.Host)]; !wrote {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[l.Host] = reported{l.AliveRev, rev}
}

func (s *Store) reportItems(host cluster.HostID, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) ([]item, error) {
	items := make([]item, 0, 1+len(put)+len(del))
	if info != nil {
		value, err := encode(info)
		if err != nil {
			return nil, err
		}
		items = append(items, item{Then: []Op{{Key: s.keys.info(host), Value: value}}})
	}
	for _, u := range slices.Sorted(maps.Keys(put)) {
		value, err := encode(put[u])
		if err != nil {
			return nil, err
		}
		items = append(items, item{Then: []Op{{Key: s.keys.status(cluster.Where{Host: host, Unit: u}), Value: value}}})
	}
	for _, u := range del {
		if _, both := put[u]; both {
			return nil, fmt.Errorf("report %s: both written and deleted", u)
		}
		items = append(items, item{Then: []Op{{Key: s.keys.status(cluster.Where{Host: host, Unit: u}), Delete: true}}})
	}
	return items, nil
}

func (s *Store) reportOne(ctx context.Context, l Lease, b *packer) error {
	res, err := s.commit(ctx, b.txn(true))
	if err != nil {
		return fmt.Errorf("report of host %s: %w", l.Host, err)
	}
	if res.Succeeded {
		s.noteReport(l, b, res.Revision)
		return nil
	}
	kv, ok := first(res.Else[0])
	if err := s.holds(l, kv, ok); err != nil {
		return fmt.Errorf("report of host %s: %w", l.Host, err)
	}
	if len(res.Else) > 1 {
		return fmt.Errorf("report of host %s: an earlier report arrived late", l.Host)
	}
	// The key has our create revision but another lease, or the compare failed without
	// a visible reason: not ours to write.
	return fmt.Errorf("report of host %s: %w", l.Host, ErrLapsed)
}

// Reported reads what a host's agent last said, at one revision: the restarted agent
// knows from it which of its statuses the store already has.
func (s *Store) Reported(ctx context.Context, host cluster.HostID) (*cluster.HostInfo, map[cluster.Unit]cluster.Status, error) {
	out := map[cluster.Unit]cluster.Status{}
	rev, err := s.scan(ctx, s.keys.statusRange(host), func(kv KeyValue) error {
		st, err := decode[cluster.Status](kv)
		out[s.keys.parse(kv.Key).unit] = st
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	kv, ok, _, err := s.oneAt(ctx, s.keys.info(host), rev)
	if err != nil || !ok {
		return nil, out, err
	}
	info, err := decode[cluster.HostInfo](kv)
	if err != nil {
		return nil, nil, err
	}
	return &info, out, nil
}
