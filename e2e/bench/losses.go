package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
	"flotilla/units"
)

// spreadUnits is how many units run when a host is killed.
const spreadUnits = 24

// losses kills real hosts, one after another: a client, an etcd member, the leader.
func losses(ctx context.Context, b *bench, bed *testbed.Bed) error {
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		return err
	}
	text, target := testbed.SleepUnit, units.Launched
	var all []api.Change
	for n := range spreadUnits {
		all = append(all, api.Change{Name: fmt.Sprintf("spread-%d.service", n+1), Content: &text, Target: &target})
	}
	if err := change(ctx, c, all...); err != nil {
		return err
	}
	limit := cluster.DefaultTiming().TTL + 2*time.Second
	for _, kind := range []string{"a client host", "an etcd member that does not lead", "the leader"} {
		l, err := lose(ctx, bed, kind)
		if err != nil {
			return fmt.Errorf("kill %s: %w", kind, err)
		}
		b.add(row{
			what:   fmt.Sprintf("%s killed → noticed → all %d of its units known active elsewhere, real hosts (%d others touched)", kind, l.moved, l.touched),
			figure: fmt.Sprintf("%s → %s", brief(l.noticed), brief(l.whole)), aim: "< " + brief(limit), met: l.whole < limit && l.touched == 0,
			anchor: "fleet 22.3–24.3 s (TTL 30 s)", ratio: times(22.3, l.whole.Seconds()),
		})
	}
	return nil
}

// loss is what became of one killed host.
type loss struct {
	noticed, whole time.Duration
	moved, touched int
}

// lose kills one host and boots it again at the end.
func lose(ctx context.Context, bed *testbed.Bed, kind string) (loss, error) {
	victim, seenBy, err := choose(ctx, bed, kind)
	if err != nil {
		return loss{}, err
	}
	before, err := settled(ctx, seenBy, nil)
	if err != nil {
		return loss{}, err
	}
	began := time.Now()
	if err := victim.Kill(ctx); err != nil {
		return loss{}, err
	}
	var l loss
	if err := testbed.AwaitHost(ctx, seenBy, victim, "absent"); err != nil {
		return l, err
	}
	l.noticed = time.Since(began)
	after, err := settled(ctx, seenBy, victim)
	if err != nil {
		return l, err
	}
	l.whole = time.Since(began)
	for name, was := range before {
		switch now := after[name]; {
		case was.Host == victim.MachineID():
			l.moved++
		case now.Host != was.Host || now.Invocation != was.Invocation:
			l.touched++
		}
	}
	return l, errors.Join(victim.Start(ctx), back(ctx, bed, seenBy, victim))
}

// choose finds the host to kill, and another one to ask.
func choose(ctx context.Context, bed *testbed.Bed, kind string) (victim, seenBy *hosts.Host, err error) {
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		return nil, nil, err
	}
	leader, err := leaderOf(ctx, c, bed)
	if err != nil {
		return nil, nil, err
	}
	other := bed.Hosts[1] // a member that does not lead
	if other == leader {
		other = bed.Hosts[2]
	}
	switch kind {
	case "a client host":
		return bed.Hosts[3], bed.Hosts[0], nil
	case "the leader":
		return leader, other, nil
	}
	if other == bed.Hosts[1] {
		return other, bed.Hosts[2], nil
	}
	return other, bed.Hosts[1], nil
}

// settled waits until all units run, none of them on a host that is gone.
func settled(ctx context.Context, seenBy, gone *hosts.Host) (found map[string]api.Instance, err error) {
	err = hosts.Wait(ctx, 2*time.Minute, "all units run", func(ctx context.Context) (err error) {
		if found, err = testbed.Running(ctx, seenBy, "spread-*.service"); err != nil {
			return err
		}
		for name, i := range found {
			if gone != nil && i.Host == gone.MachineID() {
				return fmt.Errorf("%s is still on %s", name, gone.Name())
			}
		}
		return nil
	})
	return found, err
}

// back waits until a host that was booted again is alive, and submits all units anew: what
// moved away would stay away, and the next loss shall find units on every host.
func back(ctx context.Context, bed *testbed.Bed, seenBy, h *hosts.Host) error {
	if err := testbed.AwaitHost(ctx, seenBy, h, "alive"); err != nil {
		return err
	}
	c, err := testbed.Client(seenBy)
	if err != nil {
		return err
	}
	var names []string
	var all []api.Change
	text, target := testbed.SleepUnit, units.Launched
	for n := range spreadUnits {
		name := fmt.Sprintf("spread-%d.service", n+1)
		names = append(names, name)
		all = append(all, api.Change{Name: name, Content: &text, Target: &target})
	}
	if err := destroy(ctx, c, names...); err != nil {
		return err
	}
	return change(ctx, c, all...)
}
