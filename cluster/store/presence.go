package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
)

// Lease is one life of a host, as Announce begins it.
type Lease = cluster.Lease

// TakenError says who else lives with a host's id.
type TakenError = cluster.TakenError

// Announce makes the host alive, with a lease that the caller renews from then on.
//
// Without old it creates the sign of life, or returns a *TakenError. With an old
// lease whose nonce is a.Nonce the same life goes on (a restarted agent); if it ended
// meanwhile a new one is created. With an old lease of another nonce, which the caller
// watched until it was sure that nobody renews it, that life is ended and a
// new one begins: its create revision differs, so whoever held the old one can
// neither renew nor report any more.
func (s *Store) Announce(ctx context.Context, host cluster.HostID, a cluster.Alive, old Lease) (Lease, error) {
	if old.ID != 0 && old.Nonce == a.Nonce {
		l, err := s.resume(ctx, host, a, old)
		if !errors.Is(err, ErrLapsed) {
			return l, err
		}
	}
	if old.ID != 0 && old.Nonce != a.Nonce {
		if err := s.end(ctx, host, old); err != nil {
			return Lease{}, err
		}
	}
	return s.create(ctx, host, a)
}

// End ends a life of a host before its lease would. It is no error when it is over.
func (s *Store) End(ctx context.Context, l Lease) error { return s.end(ctx, l.Host, l) }

// resume goes on with our own life; ErrLapsed when it is over.
func (s *Store) resume(ctx context.Context, host cluster.HostID, a cluster.Alive, old Lease) (Lease, error) {
	if _, err := s.b.Renew(ctx, old.ID); err != nil {
		if errors.Is(err, ErrLeaseNotFound) {
			return Lease{}, ErrLapsed
		}
		return Lease{}, fmt.Errorf("renew the lease of host %s: %w", host, err)
	}
	value, err := encode(a)
	if err != nil {
		return Lease{}, err
	}
	key := s.keys.alive(host)
	res, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: old.AliveRev}},
		Then: []Op{{Key: key, Value: value, Lease: old.ID}},
	})
	if err != nil {
		return Lease{}, fmt.Errorf("announce host %s: %w", host, err)
	}
	if !res.Succeeded {
		return Lease{}, ErrLapsed
	}
	return Lease{Host: host, ID: old.ID, AliveRev: old.AliveRev, Nonce: a.Nonce}, nil
}

// end ends a life of this host: the key if it is still that life's, then its lease.
func (s *Store) end(ctx context.Context, host cluster.HostID, old Lease) error {
	key := s.keys.alive(host)
	_, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: old.AliveRev}},
		Then: []Op{{Key: key, Delete: true}},
	})
	if err != nil {
		return fmt.Errorf("end the life of host %s: %w", host, err)
	}
	// Nothing hangs on the lease any more; its holder shall learn it at once. If this
	// fails it lapses by itself.
	if err := s.b.Revoke(ctx, old.ID); err != nil && !errors.Is(err, ErrLeaseNotFound) {
		s.log.Debug("revoke the lease of an ended life", "host", host, "err", err)
	}
	return nil
}

// create begins a new life, or tells who lives.
func (s *Store) create(ctx context.Context, host cluster.HostID, a cluster.Alive) (Lease, error) {
	value, err := encode(a)
	if err != nil {
		return Lease{}, err
	}
	id, err := s.b.Grant(ctx, s.ttl)
	if err != nil {
		return Lease{}, fmt.Errorf("grant a lease to host %s: %w", host, err)
	}
	key := s.keys.alive(host)
	res, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: 0}},
		Then: []Op{{Key: key, Value: value, Lease: id}},
		Else: []Range{{Key: key}},
	})
	if err != nil {
		// The key may be there all the same, and the next announcement goes on with it: a late
		// revocation would end that life. A lease that nothing uses lapses by itself.
		return Lease{}, fmt.Errorf("announce host %s: %w", host, err)
	}
	if res.Succeeded {
		return Lease{Host: host, ID: id, AliveRev: res.Revision, Nonce: a.Nonce}, nil
	}
	s.drop(ctx, id)
	kv, ok := first(res.Else[0])
	if !ok {
		return Lease{}, fmt.Errorf("announce host %s: the key is absent and yet not absent", host)
	}
	return s.taken(ctx, host, a, kv)
}

// taken judges who holds the key: ourselves, by an attempt whose answer was lost, or
// another.
func (s *Store) taken(ctx context.Context, host cluster.HostID, a cluster.Alive, kv KeyValue) (Lease, error) {
	other, err := decode[cluster.Alive](kv)
	if err != nil {
		return Lease{}, err
	}
	l := Lease{Host: host, ID: kv.Lease, AliveRev: kv.CreateRev, Nonce: other.Nonce}
	if other.Nonce == a.Nonce && other.Boot == a.Boot {
		return s.resume(ctx, host, a, l)
	}
	return Lease{}, &TakenError{Lease: l, Alive: other}
}

// dropWait bounds how long a lease that nothing uses may hold up its caller.
const dropWait = 2 * time.Second

// drop gives a lease back that nothing will use; if that fails it lapses by itself.
func (s *Store) drop(ctx context.Context, id LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropWait)
	defer cancel()
	if err := s.b.Revoke(ctx, id); err != nil && !errors.Is(err, ErrLeaseNotFound) {
		s.log.Debug("revoke an unused lease", "err", err)
	}
}

// Renew sends one keep-alive and returns the new time to live. ErrLapsed is final: the
// life is over. The caller notes its clock before the call: the lease lives
// that long counted from then.
func (s *Store) Renew(ctx context.Context, l Lease) (time.Duration, error) {
	ttl, err := s.b.Renew(ctx, l.ID)
	if errors.Is(err, ErrLeaseNotFound) {
		return 0, fmt.Errorf("host %s: %w", l.Host, err)
	}
	if err != nil {
		return 0, fmt.Errorf("renew the lease of host %s: %w", l.Host, err)
	}
	return ttl, nil
}

// Remaining is how long a life still has; if it rises from one call to the next
// somebody renews it. ErrLapsed when it is over.
func (s *Store) Remaining(ctx context.Context, l Lease) (time.Duration, error) {
	left, err := s.b.Remaining(ctx, l.ID)
	if errors.Is(err, ErrLeaseNotFound) {
		return 0, fmt.Errorf("host %s: %w", l.Host, err)
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the lease of host %s: %w", l.Host, err)
	}
	return left, nil
}

// holds judges a reading of a host's sign of life: nil when this life still goes on, ErrLapsed when
// the key is gone, a *TakenError when another has it.
func (s *Store) holds(l Lease, kv KeyValue, ok bool) error {
	if !ok {
		return fmt.Errorf("host %s: %w", l.Host, ErrLapsed)
	}
	if kv.CreateRev == l.AliveRev && kv.Lease == l.ID {
		return nil
	}
	other, err := decode[cluster.Alive](kv)
	if err != nil {
		return err
	}
	return &TakenError{
		Lease: Lease{Host: l.Host, ID: kv.Lease, AliveRev: kv.CreateRev, Nonce: other.Nonce},
		Alive: other,
	}
}

// Withdraw ends our own life on purpose, for a host that leaves the cluster.
func (s *Store) Withdraw(ctx context.Context, l Lease) error {
	if err := s.b.Revoke(ctx, l.ID); err != nil && !errors.Is(err, ErrLeaseNotFound) {
		return fmt.Errorf("revoke the lease of host %s: %w", l.Host, err)
	}
	return nil
}

// IsAlive says whether a host lives.
func (s *Store) IsAlive(ctx context.Context, host cluster.HostID) (bool, error) {
	_, ok, _, err := s.one(ctx, s.keys.alive(host))
	return ok, err
}

// IsRemoved says whether an operator gave a host up, or it left.
func (s *Store) IsRemoved(ctx context.Context, host cluster.HostID) (bool, error) {
	kv, ok, _, err := s.one(ctx, s.keys.host(host))
	if err != nil || !ok {
		return false, err
	}
	spec, err := decode[cluster.HostSpec](kv)
	return spec.Removed != nil, err
}

// Alive reads all signs of life at one revision.
func (s *Store) Alive(ctx context.Context) (map[cluster.HostID]cluster.Alive, error) {
	out := map[cluster.HostID]cluster.Alive{}
	_, err := s.scan(ctx, Prefix(s.keys.alives()), func(kv KeyValue) error {
		a, err := decode[cluster.Alive](kv)
		out[s.keys.aliveOf(kv.Key)] = a
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
