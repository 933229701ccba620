package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"flotilla/cluster"
)

// View reads all that one agent obeys, at one revision. ErrNoStore when the store has
// no identity: it may have been wiped.
func (s *Store) View(ctx context.Context, host cluster.HostID) (cluster.View, error) {
	v := cluster.View{Host: host, Place: map[cluster.Unit]cluster.Placement{}, Bad: map[cluster.Unit]string{}}
	rev, err := s.scan(ctx, s.keys.hostRange(host), func(kv KeyValue) error {
		s.placeIn(&v, kv)
		return nil
	})
	if err != nil {
		return cluster.View{}, fmt.Errorf("view of host %s: %w", host, err)
	}
	v.Revision = rev
	kv, ok, _, err := s.oneAt(ctx, s.keys.store(), rev)
	if err == nil && !ok {
		err = ErrNoStore
	}
	if err == nil {
		v.Store, err = decode[cluster.Identity](kv)
	}
	if err != nil {
		return cluster.View{}, fmt.Errorf("view of host %s: %w", host, err)
	}
	kv, ok, _, err = s.oneAt(ctx, s.keys.accepted(), rev)
	if err == nil && ok {
		var a cluster.Acceptance
		a, err = decode[cluster.Acceptance](kv)
		v.Accepted = &a
	}
	if err != nil {
		return cluster.View{}, fmt.Errorf("view of host %s: %w", host, err)
	}
	return v, nil
}

// placeIn adds one key under to/<host>/. Keys of a later flotilla are let through, and a
// placement that cannot be read is bad by itself: the other units' orders stand.
func (s *Store) placeIn(v *cluster.View, kv KeyValue) {
	k := s.keys.parse(kv.Key)
	if k.kind == kindGrant {
		v.Grant = nil
		if g, err := decode[cluster.Grant](kv); err == nil { // one that cannot be read allows nothing
			v.Grant = &cluster.Granting{Grant: g, Rev: kv.ModRev}
		}
		return
	}
	if k.kind != kindPlace {
		return
	}
	p, err := decode[cluster.Placement](kv)
	if err != nil {
		delete(v.Place, k.unit)
		v.Bad[k.unit] = err.Error()
		return
	}
	delete(v.Bad, k.unit)
	v.Place[k.unit] = p
}

// FollowView delivers the view and then, until ctx ends, the newest complete view after
// each change; changes that come while deliver runs are delivered as one. It returns an
// error when reading or watching fails, or when the identity cannot be decoded; the
// caller follows anew. Every viewPulse TTLs the view is repeated with Seen set. deliver owns
// the view it is given.
func (s *Store) FollowView(ctx context.Context, host cluster.HostID, deliver func(cluster.View)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		v, err := s.View(ctx, host)
		if err != nil {
			return err
		}
		deliver(copyView(v))
		if err := s.followFrom(ctx, v, deliver); err != nil {
			return fmt.Errorf("follow view of host %s: %w", host, err)
		}
	}
}

// viewPulse is how many TTLs lie between two looks at the store's identity. An agent whose
// lease lapsed should follow anew at once; this is for those who do not notice.
const viewPulse = 3

// followFrom keeps v up to date; nil when the identity changed and the view must be read
// anew as a whole, because it spans keys of three watches.
func (s *Store) followFrom(ctx context.Context, v cluster.View, deliver func(cluster.View)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	places := s.b.Watch(ctx, s.keys.to(v.Host), v.Revision+1)
	identity := s.b.Watch(ctx, s.keys.store(), v.Revision+1)
	accepted := s.b.Watch(ctx, s.keys.accepted(), v.Revision+1)
	pulse := time.NewTicker(viewPulse * s.ttl)
	defer pulse.Stop()
	seen := v.Revision
	for {
		var batch WatchEvents
		var ok bool
		var single string
		select {
		case <-pulse.C:
			ask, stop := context.WithTimeout(ctx, s.ttl)
			at, err := s.stillSame(ask, v.Store, max(seen, v.Revision))
			stop()
			if err != nil {
				return err
			}
			seen = at
			again := copyView(v)
			again.Seen = seen
			deliver(again)
			continue
		case batch, ok = <-places:
		case batch, ok = <-identity:
			single = s.keys.store()
		case batch, ok = <-accepted:
			single = s.keys.accepted()
		}
		if err := watchFault(ctx, batch, ok); err != nil {
			return err
		}
		if single != "" {
			if touches(batch, single) {
				return nil
			}
			continue
		}
		changed, err := s.drain(ctx, &v, batch, places)
		if err != nil {
			return err
		}
		if changed {
			deliver(copyView(v))
		}
	}
}

// drain applies a batch and all that wait behind it.
func (s *Store) drain(ctx context.Context, v *cluster.View, batch WatchEvents, more <-chan WatchEvents) (changed bool, err error) {
	for {
		changed = s.advance(v, batch) || changed
		select {
		case next, ok := <-more:
			if err := watchFault(ctx, next, ok); err != nil {
				return false, err
			}
			batch = next
		default:
			return changed, nil
		}
	}
}

// advance applies one batch to the view.
func (s *Store) advance(v *cluster.View, batch WatchEvents) (changed bool) {
	for _, e := range batch.Events {
		k := s.keys.parse(e.Key)
		if k.kind != kindPlace && k.kind != kindGrant {
			continue
		}
		changed = true
		if e.Deleted && k.kind == kindGrant {
			v.Grant = nil
			continue
		}
		if e.Deleted {
			delete(v.Place, k.unit)
			delete(v.Bad, k.unit)
			continue
		}
		s.placeIn(v, e.KeyValue)
	}
	v.Revision = max(v.Revision, batch.Revision)
	return changed
}

// watchFault is why a watch cannot go on, or nil.
func watchFault(ctx context.Context, batch WatchEvents, ok bool) error {
	switch {
	case ok && batch.Err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return errors.New("watch ended without a reason")
	default:
		return fmt.Errorf("watch: %w", batch.Err)
	}
}

// touches says whether a batch of a watch on a prefix holds the very key.
func touches(batch WatchEvents, key string) bool {
	for _, e := range batch.Events {
		if e.Key == key {
			return true
		}
	}
	return false
}

func copyView(v cluster.View) cluster.View {
	v.Place, v.Bad = maps.Clone(v.Place), maps.Clone(v.Bad)
	return v
}
