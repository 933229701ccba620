package main

import (
	"context"
	"fmt"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
	"flotilla/units"
)

const (
	rolledServers = 6 // web servers that a roll moves about
	rolledSettle  = time.Second
	bareRounds    = 3
)

// rolling measures what a rolling reboot adds to the reboots themselves, on hosts that run web servers under load.
func rolling(ctx context.Context, b *bench, bed *testbed.Bed) error {
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		return err
	}
	bare, err := bareReboots(ctx, bed)
	if err != nil {
		return err
	}
	names, err := serveWeb(ctx, c)
	if err != nil {
		return err
	}
	if _, _, err := bed.CLI(ctx, bed.Hosts[0], "group", "set", "default", "--settle="+rolledSettle.String()); err != nil {
		return err
	}
	r, err := bed.Roll(ctx, "web", rolledServers)
	if err == nil {
		err = r.Failed()
	}
	if err != nil {
		return err
	}
	var rolled []time.Duration
	for _, h := range r.Records {
		rolled = append(rolled, h.Ended.Sub(h.Began))
	}
	each := spreadOf(rolled)
	over := each.median - bare.median
	b.add(row{what: fmt.Sprintf("a bare reboot of a real host, typed → systemd running (%d times)", bareRounds*len(bed.Hosts)), figure: bare.String()})
	b.add(row{
		what: fmt.Sprintf("a host in a rolling reboot of %d, its units leave → well for %s, under load (%d requests, %d failed)",
			len(bed.Hosts), rolledSettle, r.Load.Sent, r.Load.Failures()),
		figure: each.String(),
	})
	b.add(row{what: "a host in a rolling reboot, over a bare reboot", figure: brief(over), aim: "< 10 s", met: over < 10*time.Second})
	return destroy(ctx, c, names...)
}

// bareReboots measures reboots without a drain: past logind, which would let the agent hold them up.
func bareReboots(ctx context.Context, bed *testbed.Bed) (spread, error) {
	var all []time.Duration
	for range bareRounds {
		for _, h := range bed.Hosts {
			was, err := h.BootID()
			if err != nil {
				return spread{}, err
			}
			began := time.Now()
			_, _ = h.Exec(ctx, nil, "systemctl", "start", "--no-block", "--job-mode=replace-irreversibly", "reboot.target") // may be killed by it
			if err := h.AwaitBoot(ctx, was); err != nil {
				return spread{}, err
			}
			all = append(all, time.Since(began))
			if err := well(ctx, bed, h); err != nil {
				return spread{}, err
			}
		}
	}
	return spreadOf(all), nil
}

// well waits until a host is back in the cluster, and etcd is whole.
func well(ctx context.Context, bed *testbed.Bed, h *hosts.Host) error {
	boot, err := h.BootID()
	if err != nil {
		return err
	}
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		return err
	}
	return hosts.Wait(ctx, 2*time.Minute, h.Name()+" is back", func(ctx context.Context) error {
		v, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		for _, m := range v.Etcd {
			if !m.Healthy {
				return fmt.Errorf("etcd on %s: %s", m.Name, m.Reason)
			}
		}
		now, err := c.Host(ctx, h.MachineID())
		if err == nil && (now.State != api.HostAlive || now.Boot != boot) {
			err = fmt.Errorf("it is %s in boot %s, want %s", now.State, now.Boot, boot)
		}
		return err
	})
}

// serveWeb starts web servers and returns what is to be destroyed again.
func serveWeb(ctx context.Context, c *api.Client) ([]string, error) {
	text, target := testbed.WebUnit(""), units.Launched
	all := []api.Change{{Name: "web@.service", Content: &text}}
	names := []string{"web@.service"}
	for n := range rolledServers {
		name := fmt.Sprintf("web@%d.service", n+1)
		all, names = append(all, api.Change{Name: name, Target: &target}), append(names, name)
	}
	return names, change(ctx, c, all...)
}
