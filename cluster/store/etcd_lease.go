package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Grant implements Leases. etcd counts in seconds, and gives no less than one and a
// half of its election timeouts.
func (e *Etcd) Grant(ctx context.Context, ttl time.Duration) (LeaseID, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("grant: a lease needs a time to live, not %v", ttl)
	}
	seconds := int64((ttl + time.Second - 1) / time.Second)
	var id LeaseID
	err := e.do(ctx, "grant", once, func(ctx context.Context, p *pin) error {
		resp, err := p.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: seconds})
		id = LeaseID(resp.GetID())
		return err
	})
	return id, err
}

// Renew implements Leases. It may send more than one keep-alive, so a caller that
// counts the time to live counts it from before the call.
func (e *Etcd) Renew(ctx context.Context, id LeaseID) (time.Duration, error) {
	var ttl int64
	err := e.do(ctx, "renew", repeatable, func(ctx context.Context, p *pin) (err error) {
		ttl, err = p.renew(ctx, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	if ttl <= 0 {
		return 0, fmt.Errorf("renew: %w", ErrLeaseNotFound)
	}
	return time.Duration(ttl) * time.Second, nil
}

// Revoke implements Leases.
func (e *Etcd) Revoke(ctx context.Context, id LeaseID) error {
	tries := 0
	err := e.do(ctx, "revoke", repeatable, func(ctx context.Context, p *pin) error {
		tries++
		_, err := p.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: int64(id)})
		return err
	})
	if tries > 1 && errors.Is(err, ErrLeaseNotFound) {
		return nil // the work of an attempt whose reply was lost
	}
	return err
}

// Remaining implements Leases.
func (e *Etcd) Remaining(ctx context.Context, id LeaseID) (time.Duration, error) {
	var ttl int64
	err := e.do(ctx, "remaining", repeatable, func(ctx context.Context, p *pin) error {
		resp, err := p.lease.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: int64(id)})
		ttl = resp.GetTTL()
		return err
	})
	if err != nil {
		return 0, err
	}
	if ttl < 0 {
		return 0, fmt.Errorf("remaining: %w", ErrLeaseNotFound)
	}
	return time.Duration(ttl) * time.Second, nil
}

// keeper is the stream that all keep-alives of a connection share: with a password,
// each new stream would cost etcd an authentication, which it writes to its log.
type keeper struct {
	turn   chan struct{} // capacity 1; held by the one keep-alive under way
	stream pb.Lease_LeaseKeepAliveClient
	cancel context.CancelFunc
}

// renew sends one keep-alive and waits for its answer, in seconds; 0 = no such lease.
func (p *pin) renew(ctx context.Context, id LeaseID) (int64, error) {
	k := &p.keeper
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-k.turn }()
	if k.cancel == nil {
		sctx, cancel := context.WithCancel(clientv3.WithRequireLeader(p.ctx))
		k.cancel = cancel
		k.stream = nil
		return p.exchange(ctx, sctx, id)
	}
	return p.exchange(ctx, nil, id)
}

// exchange uses the stream, which it opens under sctx if there is none. A stream that
// failed, or whose answer nobody waited for, is thrown away.
func (p *pin) exchange(ctx, sctx context.Context, id LeaseID) (int64, error) {
	k := &p.keeper
	type answer struct {
		resp *pb.LeaseKeepAliveResponse
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		resp, err := func() (*pb.LeaseKeepAliveResponse, error) {
			if k.stream == nil {
				stream, err := p.lease.LeaseKeepAlive(sctx)
				if err != nil {
					return nil, err
				}
				k.stream = stream
			}
			// A failed Send says io.EOF; Recv has the reason.
			if err := k.stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return k.stream.Recv()
		}()
		got <- answer{resp, err}
	}()
	var a answer
	select {
	case a = <-got:
		if a.err == nil && a.resp.ID != int64(id) {
			a.err = fmt.Errorf("keep-alive of lease %x was answered for %x", id, a.resp.ID)
		}
	case <-ctx.Done():
		k.cancel()
		<-got
		a.err = ctx.Err()
	}
	if a.err != nil {
		k.cancel()
		k.cancel, k.stream = nil, nil
		return 0, a.err
	}
	return a.resp.TTL, nil
}
