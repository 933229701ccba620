package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

const endpoint = ".flotilla/endpoint" // read by the CLI in this folder

// demo is a run of it.
type demo struct {
	lab   string // its name; there is one demo on a machine
	bed   *testbed.Bed
	runs  map[string]api.Instance // after the kill, when all was whole again
	log   io.Writer
	steps *steps
}

// leave lets the hosts live on without this process.
func (d *demo) leave() {
	if d.bed != nil {
		d.bed.Lab.Detach()
	}
}

func (d *demo) image(ctx context.Context) error {
	if _, err := hosts.Image(ctx, "", d.log); err != nil {
		return err
	}
	d.steps.done("host image: there (kept for next time)")
	return nil
}

// boot boots the hosts in place of an earlier demo's, whose endpoint goes with them.
func (d *demo) boot(ctx context.Context) error {
	err := os.Remove(endpoint)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.bed, err = testbed.Boot(ctx, testbed.Options{Lab: hosts.Options{Name: d.lab, Log: d.log}, Hosts: 3})
	if err != nil {
		return err
	}
	d.steps.done("three hosts: booted, with systemd, Docker and Podman in each")
	return nil
}

// form makes one cluster of the hosts, with etcd on all three.
func (d *demo) form(ctx context.Context) error {
	if err := d.bed.Form(ctx); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(endpoint+".new", []byte(testbed.Endpoint(d.bed.Hosts[0])+"\n"), 0o644), os.Rename(endpoint+".new", endpoint)); err != nil {
		return err
	}
	d.steps.done("one cluster: etcd on all three, mutual TLS between them")
	return nil
}

// kill ends a host as a power cut would, and waits until its units run elsewhere.
func (d *demo) kill(ctx context.Context) error {
	before, err := d.instances(ctx)
	if err != nil {
		return err
	}
	victim := d.bed.Hosts[2]
	if err := victim.Kill(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := testbed.AwaitHost(ctx, d.bed.Hosts[0], victim, "absent"); err != nil {
		return err
	}
	noticed := time.Since(began)
	var after map[string]api.Instance
	err = hosts.Wait(ctx, time.Minute, "all units run again", func(ctx context.Context) (err error) {
		after, err = d.instances(ctx)
		return err
	})
	if err != nil {
		return err
	}
	moved, untouched, err := compare(before, after, victim.MachineID())
	if err != nil {
		return err
	}
	d.runs = after
	d.steps.done("%s killed: noticed after %.1fs, whole again after %.1fs, %d moved, %d of %d others untouched",
		victim.Name(), noticed.Seconds(), time.Since(began).Seconds(), moved, untouched, len(before)-moved)
	return nil
}

// compare counts the units that were on a host that is gone, and those of the others that run on as
// they did: the same run in the same place. It is an error when any other was touched, or when
// one is still where it was lost.
func compare(before, after map[string]api.Instance, gone string) (moved, untouched int, err error) {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		was, now := before[name], after[name]
		switch {
		case was.Host == gone && now.Host != gone && now.Host != "":
			moved++
		case was.Host != gone && now.Host == was.Host && now.Invocation == was.Invocation:
			untouched++
		default:
			err = errors.Join(err, fmt.Errorf("%s was touched: it ran on %s as %s, and runs on %q as %q", name, was.HostName, was.Invocation, now.HostName, now.Invocation))
		}
	}
	return moved, untouched, err
}

// back boots the killed host again; it returns empty, and nothing moves.
func (d *demo) back(ctx context.Context) error {
	victim := d.bed.Hosts[2]
	if err := victim.Start(ctx); err != nil {
		return err
	}
	if err := testbed.AwaitHost(ctx, d.bed.Hosts[0], victim, "alive"); err != nil {
		return err
	}
	// It first acknowledges that what moved away is no longer its own.
	var now map[string]api.Instance
	err := hosts.Wait(ctx, time.Minute, "all is settled", func(ctx context.Context) (err error) {
		if now, err = d.instances(ctx); err != nil {
			return err
		}
		return d.settled(ctx)
	})
	if err != nil {
		return err
	}
	if _, _, err := compare(d.runs, now, ""); err != nil {
		return err
	}
	d.steps.done("%s booted again: back in the cluster, nothing moved for it", victim.Name())
	return nil
}

// roll reboots every host, one after another, while requests are sent to the web servers; none may fail.
func (d *demo) roll(ctx context.Context) error {
	// The demo has no patience: in earnest a host has to stay well for longer before the next one goes.
	if err := d.flotilla(ctx, "group", "set", "default", "--settle=2s"); err != nil {
		return err
	}
	r, err := d.bed.Roll(ctx, "web", webServers)
	if err == nil {
		err = r.Failed()
	}
	if err != nil {
		return err
	}
	d.steps.done("reboot --all: one host after another, %d requests to web@* meanwhile, failed: %d; %s",
		r.Load.Sent, r.Load.Failures(), r.Seconds())
	return nil
}

func (d *demo) next() {
	fmt.Print(`
The cluster is up. Type:
  bin/flotilla status                 hosts, units, and the reason for every wait
  bin/flotilla list-units             what runs where
  bin/flotilla explain web@1          why it is where it is, and why not on the other hosts
  bin/flotilla simulate --lose h1     what would go where; touches nothing
  bin/flotilla apply examples/family  back to VERSION=1: what changes, and one at a time
  bin/flotilla drain --dry-run h1     where its units would go, and which stay
  bin/flotilla reboot history         which host rebooted, why, and what became of it
  bin/flotilla logs -f web@1          its journal, from whichever host runs it
  bin/flotilla stop 'web@*'           quoted globs look at the cluster
  make demo-down                      removes it all but the host image
`)
}

// settled says which unit is not as wanted, on any host.
func (d *demo) settled(ctx context.Context) error {
	list, err := testbed.Units(ctx, d.bed.Hosts[0])
	for _, u := range list {
		if !u.Settled {
			err = errors.Join(err, fmt.Errorf("%s: %s", u.Name, u.Reason))
		}
	}
	return err
}

// flotilla runs bin/flotilla, as a user would.
func (d *demo) flotilla(ctx context.Context, args ...string) error {
	out, said, err := d.bed.CLI(ctx, d.bed.Hosts[0], args...)
	fmt.Fprintf(d.log, "$ flotilla %s\n%s%s", strings.Join(args, " "), said, out)
	return err
}
