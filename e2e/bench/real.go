package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// realHosts measures on four real hosts: three etcd members and a client.
func realHosts(ctx context.Context, b *bench) error {
	return onHosts(ctx, b, 4, binary, submitting, footprint, losses)
}

// reboots measures on three real hosts, all of them etcd members.
func reboots(ctx context.Context, b *bench) error { return onHosts(ctx, b, 3, rolling) }

// onHosts makes a cluster of real hosts, takes the steps there, and removes it.
func onHosts(ctx context.Context, b *bench, n int, steps ...func(context.Context, *bench, *testbed.Bed) error) (err error) {
	bed, err := testbed.Boot(ctx, testbed.Options{Lab: hosts.Options{Name: "bench", Log: b.log}, Hosts: n})
	if bed == nil || bed.Lab == nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, bed.Lab.Close(ctx))
	}()
	if err == nil {
		err = bed.Form(ctx)
	}
	for _, step := range steps {
		if err != nil {
			return err
		}
		err = step(ctx, b, bed)
	}
	return err
}

func binary(_ context.Context, b *bench, bed *testbed.Bed) error {
	info, err := os.Stat(bed.Binary)
	if err != nil {
		return err
	}
	mb := float64(info.Size()) / 1e6
	b.add(row{
		what: "binary, with etcd in it", figure: fmt.Sprintf("%.1f MB", mb), aim: "< 45 MB", met: mb < 45,
	})
	return nil
}

// submitting measures one new unit at a time.
func submitting(ctx context.Context, b *bench, bed *testbed.Bed) error {
	known, start, reload, err := submits(ctx, bed)
	if err != nil {
		return err
	}
	typed, err := typedStarts(ctx, bed)
	if err != nil {
		return err
	}
	over := known.median - start.median
	b.add(row{
		what:   fmt.Sprintf("one unit, submitted → known running, through the API, real hosts (%d times)", submitRounds*submitInRound),
		figure: known.String(), aim: "< 150 ms", met: known.median < 150*time.Millisecond,
		anchor: "Nomad 1.05 s", ratio: times(1.05, known.median.Seconds()),
	})
	b.add(row{
		what:   "the same unit, plain systemctl start (and the daemon-reload before it)",
		figure: fmt.Sprintf("%s (reload %s)", start, reload),
	})
	b.add(row{what: "submitted → known running, over plain systemctl start", figure: brief(over), aim: "< 50 ms", met: over < 50*time.Millisecond})
	b.add(row{what: "flotilla start FILE, from the prompt to the prompt, real hosts (10 times)", figure: typed.String()})
	return nil
}

// typedStarts measures what a user at a prompt waits for.
func typedStarts(ctx context.Context, bed *testbed.Bed) (spread, error) {
	dir, err := os.MkdirTemp("", "flotilla-bench-")
	if err != nil {
		return spread{}, err
	}
	defer os.RemoveAll(dir)
	var all []time.Duration
	for n := range 10 {
		name := fmt.Sprintf("typed-%d.service", n)
		file, err := testbed.Put(dir, name, testbed.SleepUnit)
		if err != nil {
			return spread{}, err
		}
		began := time.Now()
		if _, _, err := bed.CLI(ctx, bed.Hosts[0], "start", file); err != nil {
			return spread{}, err
		}
		all = append(all, time.Since(began))
		if _, _, err := bed.CLI(ctx, bed.Hosts[0], "destroy", filepath.Base(file)); err != nil {
			return spread{}, err
		}
	}
	return spreadOf(all), nil
}

// leaderOf is the host that leads.
func leaderOf(ctx context.Context, c *api.Client, bed *testbed.Bed) (*hosts.Host, error) {
	v, err := c.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range bed.Hosts {
		if h.Name() == v.Leader {
			return h, nil
		}
	}
	return nil, fmt.Errorf("leader is %q, no host of this lab", v.Leader)
}
