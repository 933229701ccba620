package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader"
)

func (d *Daemon) newLeader(address string) *leader.Loop {
	me := cluster.LeaderInfo{Host: d.host, Address: address, Version: d.opt.Version}
	return leader.New(leader.Options{
		Store: throne{d.store, me, d.opt.Plan.Timing.LeaderTTL()}, Mirror: d.mirror, Plan: d.opt.Plan, Clock: time.Now,
		Log: d.log, Metrics: d.registry, Poster: newWebhook(d.opt.Version),
	})
}

// throne shows the leader loop the store.
type throne struct {
	*store.Store
	me  cluster.LeaderInfo
	ttl time.Duration // of the leader's key
}

// Campaign blocks until this candidate is elected.
func (t throne) Campaign(ctx context.Context) (leader.Leadership, error) {
	l, err := t.Store.Campaign(ctx, t.me, t.ttl)
	if err != nil {
		return leader.Leadership{}, err
	}
	return leader.Leadership{Term: l.Term, Ctx: l.Ctx(), Resign: l.Resign}, nil
}

// Apply writes orders.
func (t throne) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	rev, errs := t.Store.Apply(ctx, term, orders)
	for i, err := range errs {
		errs[i] = leaderError(err)
	}
	return rev, errs
}

// Barrier makes one write under the term.
func (t throne) Barrier(ctx context.Context, term cluster.Term) (int64, error) {
	rev, err := t.Store.Barrier(ctx, term)
	return rev, leaderError(err)
}

// Check refuses versions that must not write beside each other.
func (t throne) Check(schema string, versions map[cluster.HostID]string) error {
	return store.CheckVersion(t.me.Version, schema, versions)
}

// unnamedFor is how long a content must be named by nothing before it is deleted.
const unnamedFor = 24 * time.Hour

// Collect deletes contents that nothing has named for a day.
func (t throne) Collect(ctx context.Context, term cluster.Term) (int, error) {
	n, err := t.CollectBlobs(ctx, term, unnamedFor)
	return n, leaderError(err)
}

// leaderError turns the store's words into the leader's.
func leaderError(err error) error {
	switch {
	case errors.Is(err, store.ErrStale):
		return fmt.Errorf("%w: %w", leader.ErrStale, err)
	case errors.Is(err, store.ErrBadOrders):
		return fmt.Errorf("%w: %w", leader.ErrBad, err)
	case errors.Is(err, store.ErrDeposed), errors.Is(err, store.ErrForeignStore):
		return fmt.Errorf("%w: %w", leader.ErrOver, err)
	}
	return err
}
