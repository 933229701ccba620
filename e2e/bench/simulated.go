package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"flotilla/cluster"
	"flotilla/sim"
)

// simCase is one of sim's cases.
type simCase func(context.Context, sim.BenchOptions) (sim.BenchResult, error)

// play runs a case in a folder of its own, in memory where there is such a file system.
func play(ctx context.Context, run simCase, opt sim.BenchOptions, onEtcd bool) (r sim.BenchResult, err error) {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	if opt.Dir, err = os.MkdirTemp(parent, "flotilla-bench-"); err != nil {
		return r, err
	}
	defer os.RemoveAll(opt.Dir)
	if !onEtcd {
		return run(ctx, opt)
	}
	e, err := startEtcd(ctx)
	if err != nil {
		return r, fmt.Errorf("start etcd: %w", err)
	}
	opt.Backend = e.client
	r, err = run(ctx, opt)
	return r, errors.Join(err, e.close())
}

// places are the two stores that cases run on.
var places = map[bool]string{false: "store in memory", true: "real etcd, one member, mutual TLS, on disk"}

// startRuns is how often a start of many units is measured.
const startRuns = 3

// starts measures from the submission of many units until the store knows all as running.
func starts(ctx context.Context, b *bench) error {
	for _, c := range []struct {
		units  int
		aim    time.Duration
		fleet  float64
		anchor string
	}{{500, time.Second, 9.6, "fleet 9.6 s"}, {5000, 5 * time.Second, 0, "fleet never"}} {
		for _, onEtcd := range []bool{true, false} {
			var known []time.Duration
			for range startRuns {
				r, err := play(ctx, sim.BenchStarts, sim.BenchOptions{Hosts: 10, Units: c.units}, onEtcd)
				if err != nil {
					return err
				}
				known = append(known, r.Known)
			}
			s := spreadOf(known)
			ratio := ""
			if c.fleet > 0 {
				ratio = times(c.fleet, s.median.Seconds())
			}
			b.add(row{
				what:   fmt.Sprintf("%d starts on 10 agents, submitted → all known active (%s)", c.units, places[onEtcd]),
				figure: s.String(), aim: "< " + brief(c.aim), met: s.median < c.aim, anchor: c.anchor, ratio: ratio,
			})
		}
	}
	return nil
}

// idle counts what is written while nothing happens.
func idle(ctx context.Context, b *bench) error {
	for _, c := range []struct {
		units int
		fleet float64
	}{{500, 76}, {2000, 301}} {
		for _, onEtcd := range []bool{true, false} {
			r, err := play(ctx, sim.BenchIdle, sim.BenchOptions{Hosts: 10, Units: c.units, Window: 8 * time.Second}, onEtcd)
			if err != nil {
				return err
			}
			b.add(row{
				what:   fmt.Sprintf("idle writes, %d units on 10 agents, %s (%s)", c.units, r.Window, places[onEtcd]),
				figure: fmt.Sprintf("%.1f/s, and 5 keep-alives/s", r.PerSecond()), aim: "keep-alives only", met: r.Puts == 0,
				anchor: fmt.Sprintf("fleet %.0f/s", c.fleet), ratio: "all of it",
			})
		}
	}
	return nil
}

// kills takes the power of many simulated hosts at once.
func kills(ctx context.Context, b *bench) error {
	ttl := cluster.DefaultTiming().TTL
	r, err := play(ctx, sim.BenchKill, sim.BenchOptions{Hosts: 100, Units: 1000, Kill: 30}, false)
	if err != nil {
		return err
	}
	b.add(row{
		what:   fmt.Sprintf("30 of 100 simulated hosts killed → all %d of their units known active elsewhere (TTL %s; %d others touched)", r.Moved, ttl, r.Other),
		figure: brief(r.Known), aim: "< " + brief(ttl+time.Second), met: r.Known < ttl+time.Second && r.Other == 0,
		anchor: "Nomad 29.2 s (50 of 100)", ratio: times(29.2, r.Known.Seconds()),
	})
	r, err = play(ctx, sim.BenchStorm, sim.BenchOptions{Hosts: 100, Units: 1000, Kill: 50}, false)
	if err != nil {
		return err
	}
	b.add(row{
		what:   fmt.Sprintf("50 of 100 killed: the storm brake holds; flotilla failover resume → all %d known active", r.Moved),
		figure: brief(r.Known), aim: "holds, then moves", met: r.Other == 0,
	})
	return nil
}
