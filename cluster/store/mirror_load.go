package store

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"flotilla/cluster"
	"flotilla/units"
)

// load reads the whole cluster at one revision. Contents are read after it: they never
// change, and a head names no content that is not there.
func (m *Mirror) load(ctx context.Context) (*decoder, error) {
	now := m.clock()
	d := newDecoder(m.s.keys, m.clock, m.view.blobs.reset())
	kvs, rev, err := m.s.readAll(ctx)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(kvs))
	for i, kv := range kvs {
		events[i].KeyValue = kv
	}
	fetched, err := d.fetch(ctx, m.s, events)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		d.event(e, fetched)
	}
	d.snap.Loaded, d.snap.Watched = rev, now
	d.finish(rev)
	return d, nil
}

// readAll reads every key that a snapshot is made of, at one revision, which it returns.
func (s *Store) readAll(ctx context.Context) ([]KeyValue, int64, error) {
	k := s.keys
	ranges := []Range{
		{Key: k.store()},
		{Key: k.failover()},
		{Key: k.hostsEpoch()},
		{Key: k.reboots()},
		{Key: k.notified()},
		Prefix(k.hosts()), Prefix(k.infos()), Prefix(k.alives()),
		Prefix(k.units()), Prefix(k.orders()), Prefix(k.statuses()), Prefix(k.orphans()), Prefix(k.destroyedAll()),
		Prefix(k.groups()), Prefix(k.windows()), Prefix(k.bootings()), Prefix(k.histories()),
	}
	parts := make([][]KeyValue, len(ranges))
	read := func(ctx context.Context, i int, at int64) (int64, error) {
		r := ranges[i]
		r.Revision = at
		rev, err := s.scan(ctx, r, func(kv KeyValue) error {
			parts[i] = append(parts[i], kv)
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("load: %w", err)
		}
		return rev, nil
	}
	rev, err := read(ctx, 0, 0)
	if err != nil {
		return nil, 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxReads)
	for i := 1; i < len(ranges); i++ {
		g.Go(func() error {
			_, err := read(ctx, i, rev)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	return slices.Concat(parts...), rev, nil
}

// fetch reads the contents that heads among the events name and that are neither at hand
// nor among the events themselves.
func (d *decoder) fetch(ctx context.Context, s *Store, events []Event) (map[units.Hash][]byte, error) {
	got := map[units.Hash][]byte{}
	want := map[units.Hash]bool{}
	for _, e := range events {
		if e.Deleted {
			continue
		}
		switch k := d.keys.parse(e.Key); k.kind {
		case kindBlob:
			if units.HashOf(e.Value) == k.blob {
				got[k.blob] = e.Value
			}
		case kindUnit:
			spec, err := decode[cluster.UnitSpec](e.KeyValue)
			for _, h := range []units.Hash{spec.Blob, spec.DropIns} {
				if err == nil && !d.blobs.has(h) && checkPart(string(h)) == nil {
					want[h] = true
				}
			}
		}
	}
	var missing []units.Hash
	for h := range want {
		if got[h] == nil {
			missing = append(missing, h)
		}
	}
	fetched, _, err := s.blobs(ctx, missing)
	if err != nil {
		return nil, err
	}
	for h, raw := range fetched {
		got[h] = raw
	}
	return got, nil
}

// Load reads the whole cluster once, for who needs no mirror.
func (s *Store) Load(ctx context.Context) (*cluster.Snapshot, error) {
	m := NewMirror(s, nil)
	d, err := m.load(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.fault(); err != nil {
		return nil, err
	}
	return d.snap, nil
}
