//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestStoreWiped: the only etcd loses its data and comes up empty under the same flags. Nothing
// stops; every host says what it waits for; after accept-store what ran are orphans, which are
// adopted where they run.
func TestStoreWiped(t *testing.T) {
	ownLab(t, "wipe", 3)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	first := bed.Hosts[0]
	if _, err := first.Exec(ctx, nil, testbed.Installed, "init", "-o", "json"); err != nil {
		t.Fatal(err)
	}
	for _, h := range bed.Hosts[1:] {
		if err := bed.Join(ctx, h, "--no-etcd"); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"plain@.service": testbed.SleepUnit, "pod@.service": testbed.PodmanUnit("", "-port 0")}
	names := []string{"plain@{1..5}", "pod@1", "pod@2"}
	submit(t, ctx, files)
	flotilla(t, ctx, append([]string{"start"}, names...)...)
	w := &wiped{t: t, ctx: ctx, runs: map[string]string{}, homes: map[string]*hosts.Host{}}
	for name, i := range running(t, ctx, first) {
		w.runs[name], w.homes[name] = i.Invocation, hostByID(t, i.Host)
	}

	exec(t, ctx, first, "systemctl", "stop", testbed.Etcd)
	exec(t, ctx, first, "rm", "-rf", "/var/lib/flotilla/etcd")
	exec(t, ctx, first, "systemctl", "start", testbed.Etcd)
	w.frozen()
	exec(t, ctx, bed.Hosts[2], "systemctl", "restart", testbed.Agent)
	w.frozen()
	if _, said, err := bed.CLI(ctx, first, "start", "--timeout=3s", mustPut(t, "new.service", testbed.SleepUnit)); err == nil || !strings.Contains(said, "accept-store") {
		t.Errorf("start in a wiped store: error %v, said %q; want a refusal that names accept-store", err, said)
	}
	w.same("while frozen")

	flotilla(t, ctx, "accept-store")
	for _, h := range bed.Hosts {
		awaitLocal(t, ctx, h, "not frozen", func(_ time.Time, message string) bool { return message == "" })
		if err := testbed.AwaitHost(ctx, first, h, "alive"); err != nil {
			t.Fatal(err)
		}
	}
	w.same("after accept-store")
	w.orphans(slices.Sorted(maps.Keys(w.runs))...)

	submit(t, ctx, files)
	flotilla(t, ctx, "start", "plain@{1..4}", "pod@1", "pod@2")
	for name, i := range running(t, ctx, first) {
		if i.Invocation != w.runs[name] || i.Host != w.homes[name].MachineID() {
			t.Errorf("%s is %s on %s after adoption, was %s on %s", name, i.Invocation, i.HostName, w.runs[name], w.homes[name].Name())
		}
	}
	w.same("after adoption")
	w.orphans("plain@5.service")
	home := w.homes["plain@5.service"]
	flotilla(t, ctx, "orphan", "stop", home.Name(), "plain@5")
	w.orphans()
	if isActive(ctx, home, "plain@5.service") {
		t.Errorf("plain@5.service runs on %s after orphan stop", home.Name())
	}
	delete(w.runs, "plain@5.service")
	w.same("after orphan stop")
}

// wiped is what ran where before the store was lost.
type wiped struct {
	t     *testing.T
	ctx   context.Context
	runs  map[string]string // unit to invocation
	homes map[string]*hosts.Host
}

// same demands that all that ran runs, untouched.
func (w *wiped) same(when string) {
	w.t.Helper()
	for name, was := range w.runs {
		if now := invocation(w.t, w.ctx, w.homes[name], name); now != was || !isActive(w.ctx, w.homes[name], name) {
			w.t.Errorf("%s: %s on %s is run %s, was %s", when, name, w.homes[name].Name(), now, was)
		}
	}
}

// frozen waits until each host says that it is, to whoever asks on it, and what to type.
func (w *wiped) frozen() {
	w.t.Helper()
	for _, h := range bed.Hosts {
		err := hosts.Wait(w.ctx, time.Minute, h.Name()+" says that it is frozen", func(ctx context.Context) error {
			for _, args := range [][]string{{"status"}, {"explain", h.Name()}} {
				out, said, _ := bed.CLI(ctx, h, args...) // status without a cluster may well fail
				if all := out + said; !strings.Contains(all, "frozen") || !strings.Contains(all, "accept-store") {
					return fmt.Errorf("%s says %q", args[0], all)
				}
			}
			return nil
		})
		if err != nil {
			w.t.Error(err)
		}
	}
	w.same("frozen")
}

// orphans waits until exactly these are told as orphans.
func (w *wiped) orphans(want ...string) {
	w.t.Helper()
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		w.t.Fatal(err)
	}
	err = hosts.Wait(w.ctx, time.Minute, fmt.Sprintf("%d orphans", len(want)), func(ctx context.Context) error {
		list, err := c.Hosts(ctx)
		if err != nil {
			return err
		}
		var got []string
		for _, h := range list {
			got = append(got, h.Orphans...)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("orphans are %v, want %v", got, want)
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
	out := flotilla(w.t, w.ctx, "status")
	if told := strings.Contains(out, "orphan"); told != (len(want) > 0) {
		w.t.Errorf("status with %d orphans = %q", len(want), out)
	}
}

// mustPut writes a unit file and returns its path.
func mustPut(t *testing.T, name, text string) string {
	t.Helper()
	path, err := testbed.Put(t.TempDir(), name, text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
