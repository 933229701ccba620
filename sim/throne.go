package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader"
)

// throne shows a leader loop the store. While stalled, its writes wait, and go out
// afterwards whatever became of the term meanwhile.
type throne struct {
	*store.Store
	me    cluster.LeaderInfo
	ttl   time.Duration // of the leader's key
	stall *gate
}

// Campaign blocks until this candidate is elected.
func (t throne) Campaign(ctx context.Context) (leader.Leadership, error) {
	l, err := t.Store.Campaign(ctx, t.me, t.ttl)
	if err != nil {
		return leader.Leadership{}, err
	}
	return leader.Leadership{Term: l.Term, Ctx: l.Ctx(), Resign: l.Resign}, nil
}

// late is the context of a write that may have been held up: as on a network, it arrives
// although its sender has given up.
func (t throne) late(ctx context.Context) (context.Context, error) {
	began := time.Now()
	if err := t.stall.pass(); err != nil {
		return ctx, err
	}
	if time.Since(began) > 0 {
		return context.WithoutCancel(ctx), nil
	}
	return ctx, nil
}

// Apply writes orders.
func (t throne) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	ctx, err := t.late(ctx)
	if err != nil {
		errs := make([]error, len(orders))
		for i := range errs {
			errs[i] = err
		}
		return 0, errs
	}
	rev, errs := t.Store.Apply(ctx, term, orders)
	for i, err := range errs {
		errs[i] = leaderError(err)
	}
	return rev, errs
}

// Barrier makes one write under the term.
func (t throne) Barrier(ctx context.Context, term cluster.Term) (int64, error) {
	ctx, err := t.late(ctx)
	if err != nil {
		return 0, err
	}
	rev, err := t.Store.Barrier(ctx, term)
	return rev, leaderError(err)
}

// Collect deletes contents that nothing has named for a day.
func (t throne) Collect(ctx context.Context, term cluster.Term) (int, error) {
	ctx, err := t.late(ctx)
	if err != nil {
		return 0, err
	}
	n, err := t.CollectBlobs(ctx, term, 24*time.Hour)
	return n, leaderError(err)
}

// Check refuses versions that must not write beside each other.
func (t throne) Check(schema string, versions map[cluster.HostID]string) error {
	return store.CheckVersion(t.me.Version, schema, versions)
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
