package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader/plan"
	"flotilla/units"
)

// BenchOptions say how large a case of the bench is. Real time passes.
type BenchOptions struct {
	Dir    string // for the agents' files, best in memory; the caller removes it
	Hosts  int
	Units  int // in all
	Kill   int // hosts that lose their power
	Timing cluster.Timing
	Window time.Duration // of BenchIdle

	Backend func() store.Backend // see Options; nil = the store in memory
}

// BenchResult is what a case came to.
type BenchResult struct {
	Took   time.Duration // from the cause until all units run
	Known  time.Duration // … and until the store knows it
	Moved  int           // units that were started again
	Other  int           // starts and stops that nothing asked for
	Puts   int64         // keys written, by BenchIdle
	Window time.Duration
}

// PerSecond is how many keys were written in a second.
func (r BenchResult) PerSecond() float64 { return float64(r.Puts) / r.Window.Seconds() }

// bench is a world in real time, on an exact store, without a judge.
type bench struct {
	*World
	opt   BenchOptions
	names []cluster.Unit
}

func newBench(ctx context.Context, opt BenchOptions, p plan.Options) (*bench, error) {
	w, err := NewWorld(Options{Hosts: opt.Hosts, Kind: true, Unwatched: true, Dir: opt.Dir, Timing: opt.Timing, Plan: p, Backend: opt.Backend})
	if err != nil {
		return nil, err
	}
	b := &bench{World: w, opt: opt}
	for i := range opt.Units {
		b.names = append(b.names, cluster.Unit(fmt.Sprintf("%s-%d.service", plain, i+1)))
	}
	if err := w.Start(); err != nil {
		return nil, errors.Join(err, b.end())
	}
	err = b.until(ctx, time.Minute, "all hosts are alive and somebody leads", func() bool {
		live, err := w.Above().Alive(ctx)
		return err == nil && len(live) == opt.Hosts && w.Leader() != nil
	})
	if err != nil {
		return nil, errors.Join(err, b.end())
	}
	return b, nil
}

func (b *bench) end() error {
	b.Close()
	return nil
}

// until waits for a condition.
func (b *bench) until(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: waited until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// submit starts all units, in batches as a client sends them.
func (b *bench) submit(ctx context.Context) error {
	const batch = 500
	for at := 0; at < len(b.names); at += batch {
		var changes []Change
		for _, u := range b.names[at:min(at+batch, len(b.names))] {
			changes = append(changes, Change{Unit: u, Raw: content(u, 1), Target: target(units.Launched)})
		}
		if err := b.Change(ctx, changes...); err != nil {
			return fmt.Errorf("bench: submit: %w", err)
		}
	}
	return nil
}

// active is how many units run.
func (b *bench) active() int {
	n := 0
	for _, h := range b.Hosts {
		for _, u := range h.machine.Running() {
			if ours(u) {
				n++
			}
		}
	}
	return n
}

// known is how many units the store knows to be active on living hosts.
func (b *bench) known(ctx context.Context) int {
	n := 0
	snap, err := b.Above().Load(ctx)
	if err != nil {
		return 0
	}
	for _, h := range snap.Hosts {
		for u := range h.Status {
			if st, ok := h.StatusOf(u); ok && st.State.Active == "active" && !st.Orphan {
				n++
			}
		}
	}
	return n
}

// jobs is how often agents asked systemd to start, stop or restart something.
func (b *bench) jobs() int {
	n := 0
	for _, h := range b.Hosts {
		for _, e := range h.machine.Events() {
			if (e.Op == "start" || e.Op == "stop") && e.By == "call" && ours(e.Unit) {
				n++
			}
		}
	}
	return n
}

// whole waits until all units run and the store knows it.
func (b *bench) whole(ctx context.Context, began time.Time) (BenchResult, error) {
	var r BenchResult
	err := b.until(ctx, 5*time.Minute, "all units run", func() bool { return b.active() >= len(b.names) })
	r.Took = time.Since(began)
	if err != nil {
		return r, err
	}
	err = b.until(ctx, 5*time.Minute, "the store knows it", func() bool { return b.known(ctx) >= len(b.names) })
	r.Known = time.Since(began)
	return r, err
}

// BenchStarts measures from the submission of all units until they run.
func BenchStarts(ctx context.Context, opt BenchOptions) (BenchResult, error) {
	b, err := newBench(ctx, opt, plan.Options{})
	if err != nil {
		return BenchResult{}, err
	}
	defer b.Close()
	began := time.Now()
	if err := b.submit(ctx); err != nil {
		return BenchResult{}, err
	}
	return b.whole(ctx, began)
}

// ready starts all units and waits until they run.
func (b *bench) ready(ctx context.Context) error {
	if err := b.submit(ctx); err != nil {
		return err
	}
	_, err := b.whole(ctx, time.Now())
	return err
}

// BenchKill takes the power of some hosts, of fewer than the storm brake minds, and
// measures until all their units run elsewhere.
func BenchKill(ctx context.Context, opt BenchOptions) (BenchResult, error) {
	b, err := newBench(ctx, opt, plan.Options{})
	if err != nil {
		return BenchResult{}, err
	}
	defer b.Close()
	if err := b.ready(ctx); err != nil {
		return BenchResult{}, err
	}
	return b.kill(ctx)
}

// kill takes the power of the last hosts and waits until all is whole again.
func (b *bench) kill(ctx context.Context) (BenchResult, error) {
	jobs := b.jobs()
	lost := b.cutPower()
	r, err := b.whole(ctx, time.Now())
	r.Moved, r.Other = lost, b.jobs()-jobs-lost
	return r, err
}

// cutPower ends the last hosts and says how many units they ran.
func (b *bench) cutPower() int {
	lost := len(b.names)
	for _, h := range b.Hosts[len(b.Hosts)-b.opt.Kill:] {
		h.PowerOff()
	}
	return lost - b.active()
}

// BenchStorm takes the power of more hosts than the storm brake allows, checks for a while
// that nothing moves, resumes, and measures until all units run.
func BenchStorm(ctx context.Context, opt BenchOptions) (BenchResult, error) {
	b, err := newBench(ctx, opt, plan.Options{})
	if err != nil {
		return BenchResult{}, err
	}
	defer b.Close()
	if err := b.ready(ctx); err != nil {
		return BenchResult{}, err
	}
	jobs := b.jobs()
	lost := b.cutPower()
	pauseFor(b.World.opt.Timing.TTL + 2*b.World.opt.Timing.Renewal() + time.Second)
	if n := b.jobs() - jobs; n != 0 {
		return BenchResult{}, fmt.Errorf("bench: %d jobs while the storm brake should hold", n)
	}
	if h := b.Leader(); h == nil || h.process().loop.Latest().Storm == nil {
		return BenchResult{}, errors.New("bench: the leader says nothing of a storm")
	}
	began := time.Now()
	if _, err := b.User().ResumeFailover(ctx, me()); err != nil {
		return BenchResult{}, fmt.Errorf("bench: resume: %w", err)
	}
	r, err := b.whole(ctx, began)
	r.Moved, r.Other = lost, b.jobs()-jobs-lost
	return r, err
}

// BenchIdle counts what is written while nothing happens. Keep-alives write nothing.
func BenchIdle(ctx context.Context, opt BenchOptions) (BenchResult, error) {
	b, err := newBench(ctx, opt, plan.Options{})
	if err != nil {
		return BenchResult{}, err
	}
	defer b.Close()
	if err := b.ready(ctx); err != nil {
		return BenchResult{}, err
	}
	if err := b.quiet(ctx); err != nil {
		return BenchResult{}, err
	}
	before := b.writes(ctx)
	pauseFor(opt.Window)
	return BenchResult{Puts: b.writes(ctx) - before, Window: opt.Window}, nil
}

// writes counts keys that were written, or in a store outside its revisions.
func (b *bench) writes(ctx context.Context) int64 {
	if b.opt.Backend == nil {
		return b.Store.Stats().Puts
	}
	snap, err := b.Above().Load(ctx)
	if err != nil {
		return -1
	}
	return snap.Revision
}

// quiet waits until a second has passed without a write.
func (b *bench) quiet(ctx context.Context) error {
	last, since := int64(-1), time.Now()
	return b.until(ctx, time.Minute, "nothing is written any more", func() bool {
		if n := b.writes(ctx); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

// BenchOne measures one unit in a cluster that is up: from its submission until it runs
// and the store knows it.
func BenchOne(ctx context.Context, opt BenchOptions) (BenchResult, error) {
	b, err := newBench(ctx, opt, plan.Options{})
	if err != nil {
		return BenchResult{}, err
	}
	defer b.Close()
	if err := b.ready(ctx); err != nil {
		return BenchResult{}, err
	}
	if err := b.quiet(ctx); err != nil {
		return BenchResult{}, err
	}
	u := cluster.Unit(strings.Replace(string(b.names[0]), plain+"-1", plain+"-last", 1))
	b.names = append(b.names, u)
	began := time.Now()
	if err := b.Change(ctx, Change{Unit: u, Raw: content(u, 1), Target: target(units.Launched)}); err != nil {
		return BenchResult{}, fmt.Errorf("bench: submit: %w", err)
	}
	return b.whole(ctx, began)
}
