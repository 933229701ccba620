//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/e2e/hosts"
	"flotilla/e2e/load"
	"flotilla/e2e/testbed"
)

// webs is how many web servers a roll has to move about.
const webs = 6

// rebootScenario is a scenario whose hosts need be well for a moment only, and about which no wish, group, window or
// cordon is left at its end. What the history has of it is younger than the revision since.
func rebootScenario(t *testing.T) (ctx context.Context, since int64) {
	t.Helper()
	ctx = scenario(t)
	t.Cleanup(func() { quiet(t) })
	quick(t, ctx)
	return ctx, revision(t, ctx)
}

// quick shortens the times that the hosts' group waits.
func quick(t *testing.T, ctx context.Context) {
	t.Helper()
	flotilla(t, ctx, "group", "set", "default", "--settle=2s", "--return=20s")
}

// quiet ends whatever a scenario has asked for.
func quiet(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range [][]string{{"reboot", "cancel", "--all"}, {"group", "remove", "default"}, {"window", "remove", "now"}} {
		_, _, _ = bed.CLI(ctx, bed.Hosts[0], args...) // it may not be there
	}
	awaitThat(t, ctx, "no reboot is asked for, nor under way", func(ctx context.Context) error {
		return anyDaemon(func(c *api.Client) (err error) {
			failed := c.Reboots(ctx, func(l api.RebootLine) error {
				switch {
				case l.Host != nil && !l.Host.Phase.Ended() && l.Host.Phase != cluster.PhaseNone:
					err = errors.Join(err, fmt.Errorf("%s is %s: %s", l.Host.Name, l.Host.Phase, l.Host.Reason))
				case l.Group != nil && l.Group.Name == "default" && len(l.Group.Windows) > 0:
					err = errors.Join(err, fmt.Errorf("group default has the windows %v", l.Group.Windows))
				}
				return nil
			})
			return errors.Join(err, failed)
		})
	})
}

// webServers starts them.
func webServers(t *testing.T, ctx context.Context) {
	t.Helper()
	submit(t, ctx, map[string]string{"web@.service": testbed.WebUnit("")})
	flotilla(t, ctx, "start", fmt.Sprintf("web@{1..%d}", webs))
}

// underLoad sends requests to the web servers.
func underLoad(t *testing.T, ctx context.Context) *load.Generator {
	t.Helper()
	g, err := bed.Load(ctx, "web", webs)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// answered demands that every host answered requests.
func answered(t *testing.T, r load.Report) {
	t.Helper()
	for _, h := range bed.Hosts {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(r.By)), func(at string) bool { return strings.HasPrefix(at, h.IP()+":") }) {
			t.Errorf("%s answered no request of %v", h.Name(), r)
		}
	}
}

// boots are the ids of the boots that the hosts are in, by their names; "" of one that is down.
func boots(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, h := range bed.Hosts {
		boot, err := h.BootID()
		if err != nil && !errors.Is(err, hosts.ErrDown) {
			t.Fatal(err)
		}
		out[h.Name()] = boot
	}
	return out
}

// rebooted demands that just these hosts are not in the boots any more that they were in.
func rebooted(t *testing.T, before map[string]string, want ...*hosts.Host) {
	t.Helper()
	now := boots(t)
	for _, h := range bed.Hosts {
		if is := now[h.Name()] != before[h.Name()]; is != slices.Contains(want, h) {
			t.Errorf("%s rebooted: %t, want %t", h.Name(), is, !is)
		}
	}
}

// revision is the store's.
func revision(t *testing.T, ctx context.Context) int64 {
	t.Helper()
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Cluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return v.Revision
}

// members demands that all three hosts are members of etcd, and well.
func members(t *testing.T, ctx context.Context) {
	t.Helper()
	awaitThat(t, ctx, "etcd on three hosts", func(ctx context.Context) error {
		return anyDaemon(func(c *api.Client) error {
			v, err := c.Cluster(ctx)
			if err != nil {
				return err
			}
			well := 0
			for _, m := range v.Etcd {
				if m.Healthy && !m.Learner {
					well++
				}
			}
			if well != 3 || len(v.Etcd) != 3 {
				return fmt.Errorf("%d members are well of %v", well, v.Etcd)
			}
			return nil
		})
	})
}

// anyDaemon asks one host after another until one answers well: any may be rebooting.
func anyDaemon(ask func(*api.Client) error) error {
	var failed error
	for _, h := range bed.Hosts {
		c, err := testbed.Client(h)
		if err == nil {
			err = ask(c)
		}
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", h.Name(), err))
	}
	return failed
}

// awaitPhase waits until a host's reboot is in a phase, and returns what is said of it.
func awaitPhase(t *testing.T, ctx context.Context, h *hosts.Host, want cluster.Phase) api.HostReboot {
	t.Helper()
	var found api.HostReboot
	err := hosts.Wait(ctx, 2*time.Minute, fmt.Sprintf("%s is %s", h.Name(), want), func(ctx context.Context) error {
		return anyDaemon(func(c *api.Client) error {
			err := c.Reboots(ctx, func(l api.RebootLine) error {
				if l.Host != nil && l.Host.Name == h.Name() {
					found = *l.Host
				}
				return nil
			})
			if err == nil && found.Phase != want {
				err = fmt.Errorf("it is %s: %s", found.Phase, found.Reason)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// awaitRecord waits until the history has what is looked for of a host, younger than since.
func awaitRecord(t *testing.T, ctx context.Context, h *hosts.Host, since int64, is func(cluster.Record) bool) (found cluster.Record) {
	t.Helper()
	err := hosts.Wait(ctx, 3*time.Minute, "the outcome of the reboot of "+h.Name(), func(ctx context.Context) error {
		return anyDaemon(func(c *api.Client) error {
			var all []string
			ok := false
			err := c.History(ctx, h.Name(), 0, func(r cluster.Record) error {
				if r.Generation <= since {
					return nil
				}
				if is(r) && !ok {
					found, ok = r, true
				}
				all = append(all, fmt.Sprintf("%s (%s)", r.Outcome, r.Reason))
				return nil
			})
			if err == nil && !ok {
				err = fmt.Errorf("the history has %q", all)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// even waits until no host has more than one web server above its share.
func even(t *testing.T, ctx context.Context) {
	t.Helper()
	awaitThat(t, ctx, "web servers are spread", func(ctx context.Context) error {
		now, err := testbed.Running(ctx, bed.Hosts[0], "web@*")
		if err != nil {
			return err
		}
		count := map[string]int{}
		for _, i := range now {
			count[i.HostName]++
		}
		if most := slices.MaxFunc(slices.Collect(maps.Values(count)), cmp.Compare); most > webs/len(bed.Hosts)+1 {
			return fmt.Errorf("web servers are on %v", count)
		}
		return nil
	})
}

// labelHome has units that prefer it go to a host.
func labelHome(t *testing.T, ctx context.Context, h *hosts.Host) {
	t.Helper()
	flotilla(t, ctx, "host", "label", h.Name(), "home=yes")
	t.Cleanup(func() { flotilla(t, context.Background(), "host", "label", h.Name(), "home-") })
}

// window opens a window of the hosts' group now, for a while.
func window(t *testing.T, ctx context.Context, open time.Duration) {
	t.Helper()
	at := time.Now().UTC().Add(2 * time.Second)
	flotilla(t, ctx, "window", "set", "now", "--calendar="+at.Format("2006-01-02 15:04:05"), "--duration="+open.String())
	flotilla(t, ctx, "group", "set", "default", "--window=now")
}
