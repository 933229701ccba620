package store

import (
	"context"

	"flotilla/cluster"
)

// Holds asks the quorum whether this life still goes on: nil, ErrLapsed when the
// key is gone, a *TakenError when another has it.
func (s *Store) Holds(ctx context.Context, l Lease) error {
	kv, ok, _, err := s.one(ctx, s.keys.alive(l.Host))
	if err != nil {
		return err
	}
	return s.holds(l, kv, ok)
}

// PutHostSpec replaces what operators say of a host.
func (s *Store) PutHostSpec(ctx context.Context, id cluster.HostID, ifMatch int64, spec cluster.HostSpec) (int64, error) {
	_, rev, err := s.EditHostSpec(ctx, id, ifMatch, func(h *cluster.HostSpec) error {
		*h = spec
		return nil
	})
	return rev, err
}
