package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"flotilla/cluster"
)

// Leadership is one term. Its owner works under Ctx and calls Resign when it is done,
// also after Ctx has ended.
type Leadership struct {
	Term cluster.Term

	s      *Store
	lease  LeaseID
	ttl    time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	until time.Time // when Ctx ends unless a renewal is confirmed
	alarm *time.Timer
}

// Campaign blocks until this candidate is elected, ctx ends or the store fails; the
// caller campaigns again after an error. While another leads it waits for the
// end of that term by a watch. The context of the Leadership descends from ctx.
func (s *Store) Campaign(ctx context.Context, me cluster.LeaderInfo, ttl time.Duration) (*Leadership, error) {
	for {
		kv, ok, rev, err := s.one(ctx, s.keys.leader())
		if err != nil {
			return nil, err
		}
		if !ok {
			l, held, err := s.stand(ctx, me, ttl)
			if l != nil || err != nil {
				return l, err
			}
			kv, rev = held.KVs[0], held.Revision
		}
		if err := s.awaitEnd(ctx, kv.Key, rev); err != nil {
			return nil, err
		}
	}
}

// stand tries to become leader. Without an error it returns either the leadership, or the
// reading of the key that another holds.
func (s *Store) stand(ctx context.Context, me cluster.LeaderInfo, ttl time.Duration) (*Leadership, RangeResult, error) {
	none := RangeResult{}
	value, err := encode(me)
	if err != nil {
		return nil, none, err
	}
	sent := time.Now()
	id, err := s.b.Grant(ctx, ttl)
	if err != nil {
		return nil, none, fmt.Errorf("campaign: grant: %w", err)
	}
	key := s.keys.leader()
	res, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: 0}},
		Then: []Op{{Key: key, Value: value, Lease: id}},
		Else: []Range{{Key: key}},
	})
	if err == nil && res.Succeeded {
		return s.lead(ctx, cluster.Term{Revision: res.Revision, Leader: me.Host}, id, ttl, sent), none, nil
	}
	// Giving the lease back also takes the key away if an unclear write did put it.
	s.drop(ctx, id)
	if err != nil {
		return nil, none, fmt.Errorf("campaign: %w", err)
	}
	if _, ok := first(res.Else[0]); !ok {
		return nil, none, errors.New("campaign: the leader key is absent and yet not absent")
	}
	held := res.Else[0]
	held.Revision = res.Revision
	return nil, held, nil
}

// awaitEnd returns when the key is deleted at a revision after rev.
func (s *Store) awaitEnd(ctx context.Context, key string, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for batch := range s.b.Watch(ctx, key, rev+1) {
		for _, e := range batch.Events {
			if e.Key == key && e.Deleted {
				return nil
			}
		}
		if batch.Err != nil {
			return fmt.Errorf("watch %s: %w", key, batch.Err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("watch %s: ended without a reason", key)
}

// lead starts the term: an alarm that ends it, and the renewals that put the alarm off.
func (s *Store) lead(ctx context.Context, term cluster.Term, id LeaseID, ttl time.Duration, sent time.Time) *Leadership {
	l := &Leadership{Term: term, s: s, lease: id, ttl: ttl, until: sent.Add(ttl * 2 / 3)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.mu.Lock()
	l.alarm = time.AfterFunc(time.Until(l.until), l.ring)
	l.mu.Unlock()
	l.done.Go(l.renew)
	return l
}

// Ctx is alive while the leadership is sure: it ends before the lease can lapse, that
// is two thirds of the TTL after the last confirmed renewal was sent. It counts on a clock
// that stands still while the machine sleeps: after a suspend only the term in each write
// says whether this leadership goes on.
func (l *Leadership) Ctx() context.Context { return l.ctx }

// ring ends the term unless a renewal was confirmed meanwhile.
func (l *Leadership) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := time.Until(l.until); left > 0 {
		l.alarm.Reset(left)
		return
	}
	l.cancel(fmt.Errorf("%w: no renewal was confirmed in time", ErrDeposed))
}

// confirm puts the end off for a renewal that was sent at sent and is answered now.
func (l *Leadership) confirm(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) && l.ctx.Err() == nil {
		l.until = sent.Add(l.ttl * 2 / 3)
		l.alarm.Reset(time.Until(l.until))
	}
}

func (l *Leadership) renew() {
	tick := time.NewTicker(l.ttl / 5)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		sent := time.Now()
		ask, stop := context.WithTimeout(l.ctx, l.ttl/3)
		_, err := l.s.b.Renew(ask, l.lease)
		stop()
		switch {
		case errors.Is(err, ErrLeaseNotFound):
			l.cancel(fmt.Errorf("%w: %w", ErrDeposed, err))
			return
		case err != nil:
			l.s.log.Debug("renew leadership", "term", l.Term.Revision, "err", err)
		default:
			l.confirm(sent)
		}
	}
}

// Resign ends the term at once: first Ctx and the renewals, then the key, so that
// another may lead without waiting for the lease. If ctx or the store fails the
// lease lapses by itself.
func (l *Leadership) Resign(ctx context.Context) error {
	l.cancel(fmt.Errorf("%w: resigned", ErrDeposed))
	l.done.Wait()
	l.alarm.Stop()
	if err := l.s.b.Revoke(ctx, l.lease); err != nil && !errors.Is(err, ErrLeaseNotFound) {
		return fmt.Errorf("resign: %w", err)
	}
	return nil
}

// Leader reads who leads now; ErrNotFound when nobody does.
func (s *Store) Leader(ctx context.Context) (cluster.LeaderInfo, cluster.Term, error) {
	kv, ok, _, err := s.one(ctx, s.keys.leader())
	if err != nil {
		return cluster.LeaderInfo{}, cluster.Term{}, err
	}
	if !ok {
		return cluster.LeaderInfo{}, cluster.Term{}, fmt.Errorf("leader: %w", ErrNotFound)
	}
	info, err := decode[cluster.LeaderInfo](kv)
	if err != nil {
		return cluster.LeaderInfo{}, cluster.Term{}, err
	}
	return info, cluster.Term{Revision: kv.CreateRev, Leader: info.Host}, nil
}
