//go:build e2e

// Package e2e proves the real binary on real hosts: systemd, Docker, Podman and etcd
// are the real ones. Three hosts are booted once; each scenario begins and ends with
// all three alive, connected and without units.
package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// bed is the cluster that the scenarios share, booted by the first that needs it.
var bed *testbed.Bed

func TestMain(m *testing.M) { os.Exit(runMain(m)) }

func runMain(m *testing.M) (code int) {
	defer func() {
		if bed == nil {
			return
		}
		if err := bed.Lab.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}()
	return m.Run()
}

// shared boots the shared cluster once. Tests that use it do not run in parallel.
func shared(t *testing.T) {
	t.Helper()
	if bed != nil {
		return
	}
	b, err := boot(cmp.Or(os.Getenv("FLOTILLA_E2E_LAB"), "e2e"), 3)
	bed = b // even half a lab is closed
	if err == nil {
		err = bed.Form(context.Background())
	}
	if err != nil {
		t.Fatalf("make the shared cluster: %v", err)
	}
}

// ownLab puts hosts of their own, without a cluster, in the place of the shared ones until
// the test ends.
func ownLab(t *testing.T, name string, n int) {
	t.Helper()
	was := bed
	t.Cleanup(func() {
		if bed != was && bed != nil {
			if t.Failed() {
				report(t)
			}
			if err := bed.Lab.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		bed = was
	})
	b, err := boot(name, n)
	if b != nil {
		bed = b
	}
	if err != nil {
		t.Fatal(err)
	}
}

// boot makes the hosts of a lab, without a cluster.
func boot(lab string, n int) (*testbed.Bed, error) {
	path := filepath.Join(os.TempDir(), "flotilla-"+lab+".log")
	log, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	b, err := testbed.Boot(context.Background(), testbed.Options{Lab: hosts.Options{Name: lab, Log: log}, Hosts: n})
	if err != nil {
		return b, fmt.Errorf("boot the hosts (log in %s): %w", path, err)
	}
	return b, nil
}

// scenario gives a test its deadline, and leaves the shared cluster clean at its end.
func scenario(t *testing.T) context.Context {
	t.Helper()
	shared(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(func() {
		if t.Failed() {
			report(t)
		}
		cancel()
		clean(t)
	})
	return ctx
}

// clean heals and boots every host, destroys every unit, and waits until all is quiet.
func clean(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for _, h := range bed.Hosts {
		if err := errors.Join(h.Thaw(ctx), h.Heal(ctx)); err != nil {
			t.Fatalf("clean up %s: %v", h.Name(), err)
		}
		if _, err := h.BootID(); err != nil {
			if err := h.Start(ctx); err != nil {
				t.Fatalf("clean up: %v", err)
			}
		}
	}
	for _, h := range bed.Hosts {
		if err := testbed.AwaitHost(ctx, bed.Hosts[0], h, "alive"); err != nil {
			t.Fatalf("clean up: %v", err)
		}
	}
	list, err := testbed.Units(ctx, bed.Hosts[0])
	if err != nil {
		t.Fatalf("clean up: %v", err)
	}
	var names []string
	for _, u := range list {
		if u.Revision > 0 {
			names = append(names, u.Name)
		}
	}
	if len(names) > 0 {
		if _, _, err := bed.CLI(ctx, bed.Hosts[0], append([]string{"destroy", "--timeout=2m"}, names...)...); err != nil {
			t.Fatalf("clean up: %v", err)
		}
	}
}

// report shows what a failed scenario left: the cluster's word, and each agent's log.
func report(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if out, _, err := bed.CLI(ctx, bed.Hosts[0], "status"); err == nil {
		t.Logf("status:\n%s", out)
	}
	for _, h := range bed.Hosts {
		out, err := h.Exec(ctx, nil, "journalctl", "-u", testbed.Agent, "-n", "40", "--no-pager", "-o", "short-precise")
		t.Logf("%s: %v\n%s", h.Name(), err, out)
	}
}

// flotilla runs the CLI against the first host and fails the test on an error.
func flotilla(t *testing.T, ctx context.Context, args ...string) string {
	t.Helper()
	return flotillaOn(t, ctx, bed.Hosts[0], args...)
}

func flotillaOn(t *testing.T, ctx context.Context, h *hosts.Host, args ...string) string {
	t.Helper()
	out, _, err := bed.CLI(ctx, h, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused runs the CLI, demands that it fails, and returns what it said on stderr.
func refused(t *testing.T, ctx context.Context, args ...string) string {
	t.Helper()
	_, said, err := bed.CLI(ctx, bed.Hosts[0], args...)
	if err == nil {
		t.Fatalf("flotilla %s: succeeded, want a refusal", strings.Join(args, " "))
	}
	return said
}

// submit writes unit files and submits them.
func submit(t *testing.T, ctx context.Context, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"submit"}
	for name, text := range files {
		path, err := testbed.Put(dir, name, text)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	flotilla(t, ctx, args...)
}

// running demands that the launched units run, and returns where.
func running(t *testing.T, ctx context.Context, seenBy *hosts.Host, globs ...string) map[string]api.Instance {
	t.Helper()
	var got map[string]api.Instance
	err := hosts.Wait(ctx, 2*time.Minute, "all units run", func(ctx context.Context) (err error) {
		got, err = testbed.Running(ctx, seenBy, globs...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// untouched demands that units which were on other hosts than gone run as they ran.
func untouched(t *testing.T, before, after map[string]api.Instance, gone ...*hosts.Host) {
	t.Helper()
	for name, was := range before {
		moved := false
		for _, h := range gone {
			moved = moved || was.Host == h.MachineID()
		}
		if now := after[name]; !moved && (now.Host != was.Host || now.Invocation != was.Invocation) {
			t.Errorf("%s was touched: on %s as %s, now on %s as %s", name, was.HostName, was.Invocation, now.HostName, now.Invocation)
		}
	}
}

// leader is the host that leads.
func leader(t *testing.T, ctx context.Context, seenBy *hosts.Host) *hosts.Host {
	t.Helper()
	c, err := testbed.Client(seenBy)
	if err != nil {
		t.Fatal(err)
	}
	var found *hosts.Host
	err = hosts.Wait(ctx, time.Minute, "somebody leads", func(ctx context.Context) error {
		v, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		for _, h := range bed.Hosts {
			if h.Name() == v.Leader {
				found = h
				return nil
			}
		}
		return fmt.Errorf("leader is %q", v.Leader)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// others are the hosts but one.
func others(h *hosts.Host) []*hosts.Host {
	var out []*hosts.Host
	for _, o := range bed.Hosts {
		if o != h {
			out = append(out, o)
		}
	}
	return out
}
