package leader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// lead works through one term. It returns when the term is over, when this version may
// not write, or when it is not known what became of a write: the next term's writes
// compare another leader key, so that whatever is still on its way can do no harm.
// worked says that the term was of any use.
func (l *Loop) lead(lead Leadership, changed <-chan struct{}) (worked bool) {
	ctx, cancel := context.WithCancel(lead.Ctx)
	term := lead.Term
	l.metrics.terms.Inc()
	l.metrics.leading.Set(1)
	l.begin(term)
	l.bad, l.reboots = unwritable{}, watched{}
	l.log.Info("leading", "term", term.Revision)
	var beside sync.WaitGroup
	beside.Go(func() { l.sweep(ctx, term) })
	beside.Go(func() { l.notify(ctx, term) })
	err := l.mirror.WaitRevision(ctx, term.Revision)
	for err == nil {
		if err = l.round(ctx, term, changed); err == nil {
			worked = true
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(lead.Ctx)
	} else {
		l.trouble(err)
	}
	cancel()
	beside.Wait()
	l.metrics.leading.Set(0)
	l.end()
	l.log.Info("no longer leading", "term", term.Revision, "reason", err)
	return worked
}

// sweep collects contents that nothing names any more, now and then, until the term ends.
func (l *Loop) sweep(ctx context.Context, term cluster.Term) {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch n, err := l.store.Collect(ctx, term); {
		case err != nil && ctx.Err() == nil:
			l.log.Warn("collect contents that nothing names", "err", err)
		case n > 0:
			l.log.Info("collected contents that nothing named", "count", n)
		}
	}
}

// errUnfit says that this version may not write any more.
var errUnfit = errors.New("this version may not lead")

// round plans once. With decisions it writes them and returns when the mirror has
// reached its own last commit; without, it returns when something may have changed.
func (l *Loop) round(ctx context.Context, term cluster.Term, changed <-chan struct{}) error {
	res, took, err := l.plan(term)
	if err != nil {
		return err
	}
	if res == nil || len(res.Decisions) == 0 {
		return l.idle(ctx, changed, res, took)
	}
	if ctx.Err() != nil { // planning took longer than the term
		return ctx.Err()
	}
	return l.apply(ctx, term, res.Decisions)
}

// plan is nil while the mirror is not complete.
func (l *Loop) plan(term cluster.Term) (res *plan.Result, took time.Duration, err error) {
	l.mirror.Read(func(s *cluster.Snapshot) {
		if !s.Complete {
			return
		}
		if err = l.checkVersions(s); err != nil {
			err = fmt.Errorf("%w: %w", errUnfit, err)
			return
		}
		options := l.options
		options.Leader = term.Leader
		begun := time.Now()
		r := plan.Plan(s, options, l.clock())
		took = time.Since(begun)
		l.bad.setAside(s, &r, l.clock())
		res = &r
	})
	if res != nil {
		l.metrics.planSeconds.Observe(took.Seconds())
		l.publish(term, res)
	}
	return res, took, err
}

// lookAgain is how long a plan that something is due for is believed: the clock by which it is due may be set meanwhile.
const lookAgain = time.Minute

// idle waits for a change of the mirror, or until the plan changes by itself. A plan
// that took long is not repeated at every single change.
func (l *Loop) idle(ctx context.Context, changed <-chan struct{}, res *plan.Result, took time.Duration) error {
	var due <-chan time.Time
	if res != nil && !res.Next.IsZero() {
		t := time.NewTimer(min(max(res.Next.Sub(l.clock()), 0), lookAgain))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-due:
		return nil
	case <-changed:
		return sleep(ctx, min(took*restTimes, restMost))
	}
}

// apply writes the decisions, then waits until the mirror shows what became of them. When
// any was stale, a barrier first finds out how far the store is.
func (l *Loop) apply(ctx context.Context, term cluster.Term, decisions []plan.Decision) error {
	orders := make([]cluster.Orders, len(decisions))
	for i, d := range decisions {
		orders[i] = d.Orders
	}
	begun := time.Now()
	rev, errs := l.store.Apply(ctx, term, orders)
	l.metrics.applySeconds.Observe(time.Since(begun).Seconds())
	stale, failed := l.account(decisions, errs)
	if failed != nil {
		return failed
	}
	if stale > 0 {
		at, err := l.store.Barrier(ctx, term)
		if err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
		rev = max(rev, at)
	}
	return l.mirror.WaitRevision(ctx, rev)
}

// account counts and logs what became of the decisions, and returns the first error
// that concerns more than its own order.
func (l *Loop) account(decisions []plan.Decision, errs []error) (stale int, failed error) {
	made := map[plan.Kind]int{}
	debug := l.log.Enabled(context.Background(), slog.LevelDebug) // decisions come by the hundred thousand
	for i, d := range decisions {
		err := errs[i]
		switch {
		case err == nil:
			made[d.Kind]++
			l.logReboot(d)
			if debug {
				l.log.Debug("ordered", "what", d.Kind.String(), "unit", d.Unit, "host", d.Host, "from", d.From, "reason", d.Reason)
			}
		case errors.Is(err, ErrStale):
			stale++
		case errors.Is(err, ErrBad):
			l.bad.add(d, err, l.clock())
			l.log.Error("order cannot be written", "what", d.Kind.String(), "unit", d.Unit, "host", d.Host, "err", err)
		case failed == nil:
			failed = fmt.Errorf("order %s of %s: %w", d.Kind, d.Unit, err)
		}
	}
	l.metrics.stale.Add(float64(stale))
	var facts []any
	for k := plan.Place; k <= plan.Grant; k++ {
		if made[k] > 0 {
			l.metrics.decisions.WithLabelValues(k.String()).Add(float64(made[k]))
			facts = append(facts, k.String(), made[k])
		}
	}
	if stale > 0 {
		facts = append(facts, "stale", stale)
	}
	if len(facts) > 0 {
		l.log.Info("orders", facts...)
	}
	return stale, failed
}
