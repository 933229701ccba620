package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/units"
)

// churnUnits different units are submitted and started; churnClients send them one by one.
const (
	churnUnits   = 1000
	churnClients = 16
	churnRuns    = 3
)

// churn measures how many different units the API makes durable in a second, while a leader places
// them on 10 hosts whose agents report them.
func churn(ctx context.Context, b *bench) (err error) {
	e, err := startEtcd(ctx)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer func() { err = errors.Join(err, e.close()) }()
	cl, err := apitest.Over(e.client(), 10)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.Lead(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fl")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	stop, err := cl.Hosts[0].Listen(socket)
	if err != nil {
		return err
	}
	defer stop()
	for _, c := range []struct {
		what   string
		submit func(context.Context, string, []api.Change) error
		aim    float64
		nomad  string
		best   float64 // of Nomad
	}{
		{fmt.Sprintf("one by one from %d clients", churnClients), oneByOne, 500, "Nomad 57–104/s", 104},
		{"in one batch", inOneBatch, 1500, "Nomad 708–778/s", 778},
	} {
		var took []time.Duration
		var cpu time.Duration
		for range churnRuns {
			d, used, err := churnOnce(ctx, "unix://"+socket, c.submit)
			if err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
			took, cpu = append(took, d), cpu+used
		}
		rate := churnUnits / spreadOf(took).median.Seconds()
		b.add(row{
			what:   fmt.Sprintf("%d different units through the API, %s, submitted and started → durable (%s; %d times)", churnUnits, c.what, places[true], churnRuns),
			figure: fmt.Sprintf("%.0f/s, %s each", rate, cost(cpu, churnRuns*churnUnits)), aim: fmt.Sprintf("≥ %.0f/s", c.aim), met: rate >= c.aim, anchor: c.nomad, ratio: times(rate, c.best),
		})
	}
	return nil
}

// churnOnce measures one run, and then destroys its units.
func churnOnce(ctx context.Context, endpoint string, submit func(context.Context, string, []api.Change) error) (took, cpu time.Duration, err error) {
	target := units.Launched
	var all []api.Change
	var names []string
	for i := range churnUnits {
		text := fmt.Sprintf("[Unit]\nDescription=number %d\n%s", i, sleepUnit)
		all = append(all, api.Change{Name: fmt.Sprintf("churn-%d.service", i), Content: &text, Target: &target})
		names = append(names, all[i].Name)
	}
	began, before := time.Now(), processorTime()
	if err := submit(ctx, endpoint, all); err != nil {
		return 0, 0, err
	}
	took, cpu = time.Since(began), processorTime()-before
	c, err := api.NewClient(endpoint, nil)
	if err != nil {
		return 0, 0, err
	}
	return took, cpu, destroy(ctx, c, names...)
}

// oneByOne sends each change as a request of its own.
func oneByOne(ctx context.Context, endpoint string, all []api.Change) error {
	work := make(chan api.Change)
	clients, ctx := errgroup.WithContext(ctx)
	for range churnClients {
		clients.Go(func() error {
			c, err := api.NewClient(endpoint, nil)
			if err != nil {
				return err
			}
			for ch := range work {
				if err := accepted(c.Change(ctx, []api.Change{ch})); err != nil {
					return err
				}
			}
			return nil
		})
	}
	clients.Go(func() error {
		defer close(work)
		for _, ch := range all {
			select {
			case work <- ch:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return clients.Wait()
}

func inOneBatch(ctx context.Context, endpoint string, all []api.Change) error {
	c, err := api.NewClient(endpoint, nil)
	if err != nil {
		return err
	}
	return accepted(c.Change(ctx, all))
}

// accepted is the first refusal of a batch.
func accepted(results []api.Result, err error) error {
	for _, r := range results {
		if err == nil && r.Error != nil {
			err = r.Error
		}
	}
	return err
}
