package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/agent"
	"flotilla/cluster"
	"flotilla/cluster/store"
)

// views shows the agent its orders.
type views struct{ *store.Store }

// View reads the orders. A store without an identity is a store, and not the absence of
// one: the agent must see that it is not the one it knows.
func (v views) View(ctx context.Context, host cluster.HostID) (cluster.View, error) {
	view, err := v.Store.View(ctx, host)
	if errors.Is(err, store.ErrNoStore) {
		return cluster.View{Host: host}, nil
	}
	return view, err
}

// presence shows the agent its life in the store.
type presence struct {
	store   *store.Store
	host    cluster.HostID
	version string
}

// Announce makes the host alive, if this version may write beside the others.
func (p presence) Announce(ctx context.Context, a cluster.Alive, old agent.Lease) (agent.Lease, error) {
	err := p.store.CheckVersion(ctx, p.version, p.host)
	if errors.Is(err, store.ErrSchema) {
		return agent.Lease{}, fmt.Errorf("%w: %w", agent.ErrRefused, err)
	}
	if err != nil {
		return agent.Lease{}, err
	}
	l, err := p.store.Announce(ctx, p.host, a, p.out(old))
	return in(l), leaseError(err, taken, store.ErrLapsed, store.ErrLeaseNotFound)
}

// Renew sends one keep-alive.
func (p presence) Renew(ctx context.Context, l agent.Lease) (time.Duration, error) {
	ttl, err := p.store.Renew(ctx, p.out(l))
	return ttl, leaseError(err, taken, store.ErrLapsed, store.ErrLeaseNotFound)
}

// Remaining is what is left of a life, this host's or the one that holds its id.
func (p presence) Remaining(ctx context.Context, l agent.Lease) (time.Duration, error) {
	ttl, err := p.store.Remaining(ctx, p.out(l))
	return ttl, leaseError(err, taken, store.ErrLapsed, store.ErrLeaseNotFound)
}

// Report writes what this host says of itself.
func (p presence) Report(ctx context.Context, l agent.Lease, info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit) error {
	return leaseError(p.store.Report(ctx, p.out(l), info, put, del), taken, store.ErrLapsed, store.ErrLeaseNotFound)
}

// Reported is what this host said last.
func (p presence) Reported(ctx context.Context) (*cluster.HostInfo, map[cluster.Unit]cluster.Status, error) {
	return p.store.Reported(ctx, p.host)
}

func (p presence) out(l agent.Lease) store.Lease {
	if l.ID == 0 {
		return store.Lease{}
	}
	return store.Lease{Host: p.host, ID: store.LeaseID(l.ID), AliveRev: l.AliveRev, Nonce: l.Nonce}
}

func in(l store.Lease) agent.Lease {
	return agent.Lease{ID: int64(l.ID), AliveRev: l.AliveRev, Nonce: l.Nonce}
}

// taken turns the store's word that somebody else lives into the agent's.
func taken(err error) error {
	var t *store.TakenError
	if errors.As(err, &t) {
		return &agent.TakenError{Lease: in(t.Lease), Alive: t.Alive}
	}
	return err
}
