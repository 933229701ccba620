package store

import (
	"context"
	"errors"
	"fmt"

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
