package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"flotilla/cluster"
)

// HostSpec reads what operators said of a host and its mod revision, 0 when nobody
// said anything.
func (s *Store) HostSpec(ctx context.Context, id cluster.HostID) (cluster.HostSpec, int64, error) {
	kv, ok, _, err := s.one(ctx, s.keys.host(id))
	if err != nil || !ok {
		return cluster.HostSpec{}, 0, err
	}
	spec, err := decode[cluster.HostSpec](kv)
	if err != nil {
		return cluster.HostSpec{}, 0, err
	}
	return spec, kv.ModRev, nil
}

// EditHostSpec changes what operators say of a host, on the newest word, and raises the
// hosts' epoch in the same transaction, so that no decision made on the old word is written
// any more. ifMatch is the mod revision that the word must have, 0 for any and MustNotExist for
// none: ErrConflict. edit may be called more than once; its error is returned. A change that
// changes nothing is not written. It returns the spec and its mod revision.
func (s *Store) EditHostSpec(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (cluster.HostSpec, int64, error) {
	if err := checkPart(string(id)); err != nil {
		return cluster.HostSpec{}, 0, fmt.Errorf("host id %q: %w", id, err)
	}
	for range maxTries {
		spec, rev, err := s.editHostOnce(ctx, id, ifMatch, edit)
		if err == nil || !errors.Is(err, ErrStale) {
			return spec, rev, err
		}
		if ifMatch != 0 {
			break
		}
	}
	return cluster.HostSpec{}, 0, fmt.Errorf("host %s: %w", id, ErrConflict)
}

func (s *Store) editHostOnce(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (cluster.HostSpec, int64, error) {
	none := cluster.HostSpec{}
	key := s.keys.host(id)
	kvs, err := s.ours(ctx, []string{key})
	if err != nil {
		return none, 0, err
	}
	rev := kvs[0].ModRev
	if err := matches(ifMatch, rev); err != nil {
		return none, 0, fmt.Errorf("host %s: %w", id, err)
	}
	var old, next cluster.HostSpec // two, because labels are a map
	if rev != 0 {
		if old, err = decode[cluster.HostSpec](kvs[0]); err != nil {
			return none, 0, err
		}
		if next, err = decode[cluster.HostSpec](kvs[0]); err != nil {
			return none, 0, err
		}
	}
	if err := edit(&next); err != nil {
		return none, 0, err
	}
	if rev != 0 && reflect.DeepEqual(old, next) {
		return next, rev, nil
	}
	value, err := encode(next)
	if err != nil {
		return none, 0, err
	}
	revs, errs := s.commitItems(ctx, nil, nil, []item{{
		If:   []Compare{{Key: key, Target: ModRev, Rev: rev}},
		Then: []Op{{Key: key, Value: value}, {Key: s.keys.hostsEpoch(), Value: []byte(id)}},
	}})
	if errs[0] != nil {
		return none, 0, fmt.Errorf("host %s: %w", id, errs[0])
	}
	return next, revs[0], nil
}

// ResumeFailover is the operator's word that the absences seen so far are real: the storm
// brake lets go for them. It returns the revision.
func (s *Store) ResumeFailover(ctx context.Context, by cluster.Note) (int64, error) {
	return s.write(ctx, s.keys.failover(), by)
}

// AcceptStore is the operator's word that hosts that remember another store may follow
// this one. Each acceptance gets an id of its own. It returns the revision.
func (s *Store) AcceptStore(ctx context.Context, a cluster.Acceptance) (int64, error) {
	id, err := s.randomID()
	if err != nil {
		return 0, fmt.Errorf("draw an id for the acceptance: %w", err)
	}
	a.ID = id
	return s.write(ctx, s.keys.accepted(), a)
}

// StopOrphan is the operator's word that a unit that runs on a host without any order be
// stopped. The leader's tombstone ends the wish. It returns the revision.
func (s *Store) StopOrphan(ctx context.Context, w cluster.Where, by cluster.Note) (int64, error) {
	if err := errors.Join(checkPart(string(w.Host)), checkPart(string(w.Unit))); err != nil {
		return 0, fmt.Errorf("orphan %q on %q: %w", w.Unit, w.Host, err)
	}
	return s.write(ctx, s.keys.orphan(w), by)
}

// write puts one key without a condition but the store's identity.
func (s *Store) write(ctx context.Context, key string, v any) (int64, error) {
	value, err := encode(v)
	if err != nil {
		return 0, err
	}
	revs, errs := s.commitItems(ctx, nil, nil, []item{{Then: []Op{{Key: key, Value: value}}}})
	if errs[0] != nil {
		return 0, fmt.Errorf("write %s: %w", key, errs[0])
	}
	return revs[0], nil
}
