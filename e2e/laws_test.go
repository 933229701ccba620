//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

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
		"only.service":   testbed.SleepUnit + "[X-Flotilla]\nFence=yes\n",
	})
	flotilla(t, ctx, "start", "plain@{1..6}", "pod@{1..2}", "only")
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

// TestAgentKilled: the agent dies by SIGKILL at random moments while it writes, reloads and
// starts 200 units. In the end all run, and none that ran was touched. So it is with an upgrade.
func TestAgentKilled(t *testing.T) {
	ctx := scenario(t)
	const n = 200
	submit(t, ctx, map[string]string{"many@.service": testbed.SleepUnit})
	id := bed.Hosts[1].MachineID()
	submit(t, ctx, map[string]string{"first@.service": testbed.SleepUnit + "[X-Flotilla]\nMachineID=" + id + "\n"})
	flotilla(t, ctx, "start", "first@{1..5}")
	before := running(t, ctx, bed.Hosts[0])
	flotilla(t, ctx, "start", "--no-wait", fmt.Sprintf("many@{1..%d}", n))
	rng := rand.New(rand.NewPCG(1, 2))
	var group errgroup.Group
	for _, h := range bed.Hosts {
		moments := make([]string, 8)
		for i := range moments {
			moments[i] = fmt.Sprintf("0.%03d", rng.IntN(700))
		}
		group.Go(func() error {
			args := append([]string{"sh", "-ec", `unit=$1; shift
				for moment; do
					while pid=$(systemctl show -P MainPID "$unit"); [ "$pid" = 0 ]; do sleep 0.01; done
					sleep "$moment"
					kill -KILL "$pid"
					while [ "$(systemctl show -P MainPID "$unit")" = "$pid" ]; do sleep 0.01; done
				done`, "killer", testbed.Agent}, moments...)
			_, err := h.Exec(ctx, nil, args...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	after := running(t, ctx, bed.Hosts[0])
	if len(after) != n+5 {
		t.Errorf("%d units run, want %d", len(after), n+5)
	}
	untouched(t, before, after)
	for _, h := range bed.Hosts { // an upgrade is a new binary and a restart
		if err := h.CopyIn(ctx, bed.Binary, testbed.Installed); err != nil {
			t.Fatal(err)
		}
		exec(t, ctx, h, "systemctl", "restart", testbed.Agent)
	}
	untouched(t, after, running(t, ctx, bed.Hosts[0]))
	demandOnce(t, ctx, before)
}

// TestLeaderFrozen: the leader's process stands still past its lease; another leads. When
// it goes on, what it still wants to write changes nothing.
func TestLeaderFrozen(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"plain@.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "plain@{1..6}")
	old := leader(t, ctx, bed.Hosts[0])
	witness := others(old)[0]
	if err := old.FreezeProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	thawed := false
	defer func() {
		if !thawed {
			_ = old.ThawProcess(ctx, testbed.Agent) // the test has failed already
		}
	}()
	err := hosts.Wait(ctx, time.Minute, "another host leads", func(ctx context.Context) error {
		if now := leader(t, ctx, witness); now == old {
			return fmt.Errorf("%s leads", now.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, witness, old, "absent"); err != nil {
		t.Fatal(err)
	}
	moved := running(t, ctx, witness)
	flotillaOn(t, ctx, witness, "start", "plain@{7..9}")
	before := running(t, ctx, witness)
	untouched(t, moved, before)
	if err := old.ThawProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	thawed = true
	if err := testbed.AwaitHost(ctx, witness, old, "alive"); err != nil {
		t.Fatal(err)
	}
	demandOnce(t, ctx, before)
	untouched(t, before, running(t, ctx, witness))
	if now := leader(t, ctx, witness); now == old {
		t.Errorf("%s leads again although another led", old.Name())
	}
}

// TestDuplicateHost: a second host with the machine id of a living one is refused, and
// told why; nothing is touched.
func TestDuplicateHost(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"plain@.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "plain@{1..3}")
	before := running(t, ctx, bed.Hosts[0])
	twin, err := bed.Lab.BootHost(ctx, hosts.HostOptions{Name: "twin", MachineID: bed.Hosts[1].MachineID()})
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
