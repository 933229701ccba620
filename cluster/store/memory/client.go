package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"flotilla/cluster/store"
)

// How often an unkind store does what, one in so many.
const (
	requestRefused  = 100  // refused before anything was done
	replyLost       = 100  // carried out, then an error
	commitLate      = 300  // an error first, carried out afterwards
	watchBreaks     = 150  // a watch ends after a delivery
	watchDawdles    = 3    // a delivery carries one revision though more are there
	compactsAt      = 150  // a commit is followed by a compaction close behind it
	leaderChangesAt = 1500 // a commit is followed by a leader change
)

// Client is one client's way to the store; a store.Backend.
type Client struct {
	s     *Store
	name  string
	above bool // no fault strikes it
	cut   Cut  // guarded by s.mu

	mu  sync.Mutex
	rng *rand.Rand
}

func (c *Client) kind() bool {
	if c.above {
		return true
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.kind
}

// chance is true one time in n, never in a kind store.
func (c *Client) chance(n int) bool {
	if c.kind() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n) == 0
}

// wait draws a duration below limit; 0 in a kind store.
func (c *Client) wait(limit time.Duration) time.Duration {
	if c.kind() {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rng.Int64N(int64(limit)))
}

// pause is the network's delay.
func (c *Client) pause(ctx context.Context) error {
	return c.s.sleep(ctx, c.wait(c.s.opt.Delay))
}

func (s *Store) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
}

// request carries f out as the client's request, with all that may go wrong on the
// way. f runs under the store's lock; for a write perhaps after request returned.
func (c *Client) request(ctx context.Context, write bool, f func() error) error {
	if err := c.pause(ctx); err != nil {
		return err
	}
	if _, err := c.s.gate(ctx, c, false); err != nil {
		return err
	}
	if c.chance(requestRefused) {
		return errNothing{errRefused}
	}
	if write && c.chance(commitLate) {
		c.later(f)
		return errors.New("request timed out")
	}
	c.s.mu.Lock()
	err := f()
	c.s.mu.Unlock()
	if err != nil {
		return errNothing{err}
	}
	if c.chance(replyLost) {
		return errors.New("reply lost")
	}
	if err := c.pause(ctx); err != nil {
		return err
	}
	_, err = c.s.gate(ctx, c, true)
	return err
}

// later carries f out when its caller was already told of an error.
func (c *Client) later(f func() error) {
	d := c.wait(c.s.opt.Late)
	c.s.start(func() {
		if c.s.sleep(context.Background(), d) != nil {
			return
		}
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		_ = f() // there is nobody left to tell
	})
}

// errNothing marks errors of requests that certainly changed nothing.
type errNothing struct{ error }

func (e errNothing) Unwrap() error { return e.error }

// outcome turns a request's error into what the caller sees.
func outcome(what string, err error, write bool) error {
	if err == nil {
		return nil
	}
	var nothing errNothing
	if errors.As(err, &nothing) {
		return fmt.Errorf("%s: %w", what, nothing.error)
	}
	if write {
		return fmt.Errorf("%s: %w: %w", what, store.ErrAmbiguous, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Range implements store.KV.
func (c *Client) Range(ctx context.Context, r store.Range) (store.RangeResult, error) {
	var res store.RangeResult
	err := c.request(ctx, false, func() (err error) {
		res, err = c.s.read(r)
		c.s.stats.Ranges++
		c.s.stats.RangeKeys += int64(len(res.KVs))
		return err
	})
	if err != nil {
		return store.RangeResult{}, outcome("range "+r.Key, err, false)
	}
	return res, nil
}

// Txn implements store.KV.
func (c *Client) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if err := t.Check(); err != nil {
		return store.TxnResult{}, fmt.Errorf("txn: %w", err)
	}
	// The caller may reuse its slice once it has an answer; a late commit comes after.
	t.If, t.Then = slices.Clone(t.If), slices.Clone(t.Then)
	var done store.TxnResult
	var mu sync.Mutex // a late commit writes done beside the caller
	err := c.request(ctx, len(t.Then) > 0, func() error {
		res, err := c.s.txn(t)
		mu.Lock()
		defer mu.Unlock()
		done = res
		return err
	})
	if err != nil {
		return store.TxnResult{}, outcome("txn", err, len(t.Then) > 0)
	}
	mu.Lock()
	defer mu.Unlock()
	return done, nil
}

// txn is a transaction under the lock.
func (s *Store) txn(t store.Txn) (store.TxnResult, error) {
	if s.readOnly && slices.ContainsFunc(t.Then, func(op store.Op) bool { return !op.Delete && !op.DeletePrefix }) {
		return store.TxnResult{}, store.ErrReadOnly
	}
	s.stats.Txns++
	ok, err := s.holds(t.If)
	if err != nil {
		return store.TxnResult{}, err
	}
	if !ok {
		return s.otherwise(t.Else)
	}
	for _, op := range t.Then {
		if op.Lease != 0 && s.byID[op.Lease] == nil {
			return store.TxnResult{}, store.ErrLeaseNotFound
		}
	}
	events, err := s.changes(t.Then)
	if err != nil {
		return store.TxnResult{}, err
	}
	s.commit(events)
	res := store.TxnResult{Succeeded: true, Revision: s.rev}
	s.beUnkind(len(events) > 0)
	return res, nil
}

func (s *Store) otherwise(ranges []store.Range) (store.TxnResult, error) {
	res := store.TxnResult{Revision: s.rev}
	for _, r := range ranges {
		got, err := s.read(r)
		if err != nil {
			return store.TxnResult{}, err
		}
		res.Else = append(res.Else, got)
	}
	return res, nil
}

// commit stores events as one revision and tells everybody. Without events nothing
// happens: a transaction that changes nothing has no revision.
func (s *Store) commit(events []store.Event) {
	if len(events) == 0 {
		return
	}
	for _, ev := range events {
		s.attach(s.newest(ev.Key), ev)
		if ev.Deleted {
			s.stats.Deletes++
		} else {
			s.stats.Puts++
		}
	}
	s.record(events)
	s.stats.Commits++
	s.publish(events)
	if s.onCommit != nil {
		s.onCommit(s.rev, events)
	}
	if s.rev-s.compacted > 2*s.opt.Keep {
		_ = s.compact(s.rev - s.opt.Keep) // never ahead of rev, never behind compacted
	}
}

// beUnkind is what etcd may do between two transactions.
func (s *Store) beUnkind(committed bool) {
	if s.kind || !committed {
		return
	}
	if s.rng.IntN(compactsAt) == 0 {
		if rev := s.rev - s.rng.Int64N(20); rev > s.compacted {
			_ = s.compact(rev) // in range by the line above
		}
	}
	if s.rng.IntN(leaderChangesAt) == 0 {
		s.leaderChange()
	}
}

// Compact forgets the history before rev.
func (c *Client) Compact(ctx context.Context, rev int64) error {
	return outcome("compact", c.request(ctx, true, func() error { return c.s.compact(rev) }), true)
}

// Grant implements store.Leases.
func (c *Client) Grant(ctx context.Context, ttl time.Duration) (store.LeaseID, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("grant: a lease needs a time to live, not %v", ttl)
	}
	granted := make(chan store.LeaseID, 1)
	err := c.request(ctx, true, func() error {
		if c.s.readOnly {
			return store.ErrReadOnly
		}
		c.s.stats.Grants++
		granted <- c.s.grant(ttl)
		return nil
	})
	if err != nil {
		return 0, outcome("grant", err, true)
	}
	return <-granted, nil
}

// Renew implements store.Leases.
func (c *Client) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	left := make(chan time.Duration, 1)
	err := c.request(ctx, true, func() error {
		c.s.stats.Renews++
		l, err := c.s.live(id)
		if err != nil {
			return err
		}
		c.s.extend(l)
		left <- l.ttl
		return nil
	})
	if err != nil {
		return 0, outcome("renew", err, true)
	}
	return <-left, nil
}

// Revoke implements store.Leases.
func (c *Client) Revoke(ctx context.Context, id store.LeaseID) error {
	return outcome("revoke", c.request(ctx, true, func() error {
		l := c.s.byID[id]
		if l == nil {
			return store.ErrLeaseNotFound
		}
		c.s.revoke(l)
		return nil
	}), true)
}

// Remaining implements store.Leases. As etcd does, it answers in whole seconds.
func (c *Client) Remaining(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	left := make(chan time.Duration, 1)
	err := c.request(ctx, false, func() error {
		l, err := c.s.live(id)
		if err != nil {
			return err
		}
		left <- time.Until(l.ends).Truncate(time.Second)
		return nil
	})
	if err != nil {
		return 0, outcome("remaining", err, false)
	}
	return <-left, nil
}
