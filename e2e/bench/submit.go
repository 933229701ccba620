package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
	"flotilla/units"
)

// Rounds of a submit and of a plain start in turn, so that both meet the same machine.
const (
	submitRounds  = 5
	submitInRound = 5
)

// submits measures, through the API of each host in turn, from the request to the daemon's
// word that the new unit runs; and beside it what systemctl alone takes on the first host.
func submits(ctx context.Context, bed *testbed.Bed) (known, start, reload spread, err error) {
	var all, starts, reloads []time.Duration
	for n := range submitRounds * submitInRound {
		if n%submitInRound == 0 {
			r, s, err := plainStarts(ctx, bed)
			if err != nil {
				return known, start, reload, err
			}
			reloads, starts = append(reloads, r...), append(starts, s...)
		}
		c, err := testbed.Client(bed.Hosts[n%len(bed.Hosts)])
		if err != nil {
			return known, start, reload, err
		}
		name := fmt.Sprintf("submit-%d.service", n)
		took, err := submitOne(ctx, c, name)
		if err == nil {
			err = destroy(ctx, c, name)
		}
		if err != nil {
			return known, start, reload, fmt.Errorf("submit %s: %w", name, err)
		}
		all = append(all, took)
	}
	return spreadOf(all), spreadOf(starts), spreadOf(reloads), nil
}

// submitOne submits and starts a unit and returns when it is known to run.
func submitOne(ctx context.Context, c *api.Client, name string) (time.Duration, error) {
	text, target := testbed.SleepUnit, units.Launched
	began := time.Now()
	err := change(ctx, c, api.Change{Name: name, Content: &text, Target: &target})
	return time.Since(began), err
}

func destroy(ctx context.Context, c *api.Client, names ...string) error {
	var all []api.Change
	for _, n := range names {
		all = append(all, api.Change{Name: n, Delete: true})
	}
	return change(ctx, c, all...)
}

// errSettled ends a watch that has seen what it waited for.
var errSettled = errors.New("settled")

// change asks for changes and waits until their units are as wanted.
func change(ctx context.Context, c *api.Client, all ...api.Change) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	results, err := c.Change(ctx, all)
	if err != nil {
		return err
	}
	open := map[string]bool{}
	var names []string
	var from int64
	for _, r := range results {
		if r.Error != nil {
			return r.Error
		}
		open[r.Name] = true
		names, from = append(names, r.Name), max(from, r.Revision)
	}
	why := ""
	err = c.WatchUnits(ctx, names, from, func(u api.Unit) error {
		if why = u.Reason; u.Failed {
			return hosts.Final(fmt.Errorf("%s: %s", u.Name, u.Reason))
		}
		if u.Settled {
			delete(open, u.Name)
		}
		if len(open) == 0 {
			return errSettled
		}
		return nil
	})
	if errors.Is(err, errSettled) {
		return nil
	}
	return fmt.Errorf("wait for %d of %d units: %s: %w", len(open), len(names), why, err)
}

// plainScript writes, starts and stops the same unit with systemctl alone, and prints the
// nanoseconds of the daemon-reload and of the start.
const plainScript = `set -e
cd /run/systemd/system
for n in $(seq "$1"); do
  printf '%s' "$2" >plain-$n.service
  a=$(date +%s%N); systemctl daemon-reload; b=$(date +%s%N); systemctl start plain-$n.service; c=$(date +%s%N)
  echo $((b-a)) $((c-b))
  systemctl stop plain-$n.service; rm plain-$n.service
done
systemctl daemon-reload`

// plainStarts measures the same unit under systemctl, on the first host.
func plainStarts(ctx context.Context, bed *testbed.Bed) (reloads, starts []time.Duration, err error) {
	out, err := bed.Hosts[0].Exec(ctx, nil, "bash", "-c", plainScript, "plain", strconv.Itoa(submitInRound), testbed.SleepUnit)
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(out) {
		var a, b int64
		if _, err := fmt.Sscan(line, &a, &b); err != nil {
			return nil, nil, fmt.Errorf("read the times of systemctl: %q: %w", line, err)
		}
		reloads, starts = append(reloads, time.Duration(a)), append(starts, time.Duration(b))
	}
	return reloads, starts, nil
}
