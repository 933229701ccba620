package memory

import (
	"maps"
	"slices"
	"time"

	"flotilla/cluster/store"
)

// leases holds the leases that have not ended.
type leases struct {
	byID map[store.LeaseID]*lease
}

type lease struct {
	id    store.LeaseID
	ttl   time.Duration
	ends  time.Time
	timer *time.Timer
	keys  map[string]bool
}

// grant makes a lease. The caller holds mu, as for everything below.
func (s *Store) grant(ttl time.Duration) store.LeaseID {
	id := store.LeaseID(0)
	for id == 0 || s.byID[id] != nil {
		id = store.LeaseID(s.rng.Int64())
	}
	l := &lease{id: id, ttl: ttl, keys: map[string]bool{}}
	s.byID[l.id] = l
	l.timer = time.AfterFunc(time.Hour, func() { s.expire(l) })
	s.extend(l)
	return l.id
}

// extend gives a lease its full time to live; its keys go then, or a little later.
func (s *Store) extend(l *lease) {
	l.ends = time.Now().Add(l.ttl)
	wait := l.ttl
	if !s.kind {
		wait += time.Duration(s.rng.Int64N(int64(s.opt.Late)))
	}
	l.timer.Reset(wait)
}

func (s *Store) lengthenLeases() {
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		s.extend(s.byID[id])
	}
}

func (s *Store) stopLeases() {
	for _, l := range s.byID {
		l.timer.Stop()
	}
}

// live returns a lease that has time left.
func (s *Store) live(id store.LeaseID) (*lease, error) {
	l := s.byID[id]
	if l == nil || !time.Now().Before(l.ends) {
		return nil, store.ErrLeaseNotFound
	}
	return l, nil
}

// expire runs when a lease's timer fires. The timer may have been reset meanwhile,
// and nothing ends while the store is down.
func (s *Store) expire(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return
	default:
	}
	if s.byID[l.id] != l || s.down || time.Now().Before(l.ends) {
		return
	}
	s.revoke(l)
}

// revoke ends a lease: its keys go in one revision.
func (s *Store) revoke(l *lease) {
	l.timer.Stop()
	ops := make([]store.Op, 0, len(l.keys))
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		ops = append(ops, store.Op{Key: key, Delete: true})
	}
	events, err := s.changes(ops)
	if err != nil {
		panic("memory: revoke a lease: " + err.Error())
	}
	s.commit(events)
	delete(s.byID, l.id)
}

// attach moves a key from the lease it had to the one it has now.
func (s *Store) attach(before *store.KeyValue, ev store.Event) {
	if before != nil && before.Lease != 0 {
		if l := s.byID[before.Lease]; l != nil {
			delete(l.keys, ev.Key)
		}
	}
	if !ev.Deleted && ev.Lease != 0 {
		s.byID[ev.Lease].keys[ev.Key] = true
	}
}
