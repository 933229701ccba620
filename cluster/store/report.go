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
// written: ErrForeignStore, ErrLapsed, or a *TakenError. After an error a part may
// have been written; the same report may be sent again.
func (s *Store) Report(ctx context.Context, l Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error {
	items, err := s.reportItems(l.Host, info, put, del)
	if err != nil {
		return err
	}
	alive := Compare{Key: s.keys.alive(l.Host), Target: CreateRev, Rev: l.AliveRev}
	b := newPacker(alive)
	flush := func() error {
		if len(b.index) == 0 {
			return nil
		}
		err := s.reportOne(ctx, l, b)
		b = newPacker(alive)
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
		return nil
	}
	kv, ok := first(res.Else[0])
	if err := s.holds(l, kv, ok); err != nil {
		return fmt.Errorf("report of host %s: %w", l.Host, err)
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
