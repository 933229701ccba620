//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestEtcdAway: etcd is down longer than every TTL. No workload notices, before or after,
// but fenced ones, which stop and come back.
func TestEtcdAway(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{
		"plain@.service": testbed.SleepUnit,
		"pod@.service":   testbed.PodmanUnit("", "-port 0"),
		"dock@.service":  testbed.DockerUnit("", "-port 0"),
		"only.service":   testbed.SleepUnit + "[X-Flotilla]\nFence=yes\n",
	})
	flotilla(t, ctx, "start", "plain@{1..6}", "pod@{1..2}", "dock@{1..3}", "only")
	before := running(t, ctx, bed.Hosts[0])
	fenced := before["only.service"]
	delete(before, "only.service")

	for _, h := range bed.Hosts {
		exec(t, ctx, h, "systemctl", "stop", testbed.Etcd)
	}
	home := hostByID(t, fenced.Host)
	err := hosts.Wait(ctx, time.Minute, "the fenced unit stops", func(ctx context.Context) error {
		if isActive(ctx, home, "only.service") {
			return errors.New("only.service is active")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// Every agent has lost its lease for good once its own word says so for two TTLs.
	for _, h := range bed.Hosts {
		awaitLocal(t, ctx, h, "store out for 25 s", func(out time.Time, _ string) bool {
			return !out.IsZero() && time.Since(out) > 25*time.Second
		})
	}
	if _, said, err := bed.CLI(ctx, bed.Hosts[0], "start", "--timeout=5s", "plain@1"); err == nil || !strings.Contains(said, "flotilla: error:") {
		t.Errorf("start while etcd is away: err %v, said %q; want one clear error", err, said)
	}
	for _, h := range bed.Hosts {
		exec(t, ctx, h, "systemctl", "start", "--no-block", testbed.Etcd)
	}
	after := running(t, ctx, bed.Hosts[0])
	if after["only.service"].Host == "" {
		t.Error("the fenced unit did not come back")
	}
	delete(after, "only.service")
	untouched(t, before, after)
	demandOnce(t, ctx, after)
}

// TestDuplicateHost: a second host with the machine id of a living one is refused, and
// told why; nothing is touched.
func TestDuplicateHost(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"plain@.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "plain@{1..3}")
	before := running(t, ctx, bed.Hosts[0])
	name := fmt.Sprintf("twin%d", len(bed.Lab.Hosts())) // another one each time the scenario runs
	twin, err := bed.Lab.BootHost(ctx, hosts.HostOptions{Name: name, MachineID: bed.Hosts[1].MachineID()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := twin.Kill(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := bed.Equip(ctx, twin); err != nil {
		t.Fatal(err)
	}
	err = bed.Join(ctx, twin, "--timeout=20s")
	if err == nil || !strings.Contains(err.Error(), "machine id") {
		t.Errorf("join of a twin: %v, want a refusal that names the machine id", err)
	}
	// A disk that was cloned after it joined brings the certificates along.
	exec(t, ctx, twin, "mkdir", "-p", "/etc/flotilla/pki")
	for _, f := range []string{"flotilla.json", "pki/ca.crt", "pki/host.crt", "pki/host.key"} {
		data, err := bed.Hosts[1].ReadFile(ctx, "/etc/flotilla/"+f)
		if err != nil {
			t.Fatal(err)
		}
		if f == "flotilla.json" {
			data = []byte(strings.ReplaceAll(string(data), bed.Hosts[1].IP(), twin.IP()))
			data = []byte(strings.ReplaceAll(string(data), `"member": true`, `"member": false`))
		}
		if err := twin.WriteFile(ctx, "/etc/flotilla/"+f, 0o600, data); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, ctx, twin, "systemd-run", "--unit=twin-agent", "-p", "RuntimeDirectory=flotilla", testbed.Installed, "agent")
	awaitLocal(t, ctx, twin, "the twin says that it is one", func(_ time.Time, message string) bool {
		return strings.Contains(message, "another host")
	})
	after := running(t, ctx, bed.Hosts[0])
	untouched(t, before, after)
	demandOnce(t, ctx, after)
}

// exec runs a command on a host and fails the test on an error.
func exec(t *testing.T, ctx context.Context, h *hosts.Host, args ...string) string {
	t.Helper()
	out, err := h.Exec(ctx, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// awaitLocal waits for what a host's daemon says of itself.
func awaitLocal(t *testing.T, ctx context.Context, h *hosts.Host, what string, ok func(out time.Time, message string) bool) {
	t.Helper()
	c, err := testbed.Client(h)
	if err != nil {
		t.Fatal(err)
	}
	err = hosts.Wait(ctx, 2*time.Minute, h.Name()+": "+what, func(ctx context.Context) error {
		l, err := c.Local(ctx)
		if err == nil && !ok(l.StoreOut, l.Message+l.Frozen) {
			err = fmt.Errorf("it says %+v", l)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
