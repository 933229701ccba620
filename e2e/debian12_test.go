//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestDebian12 is the main job on the oldest systemd (252) and Podman (4.3) that are
// supported: units of every kind run, and the fence is armed and ends what it must.
func TestDebian12(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	b := mustBoot(t, testbed.Options{Lab: hosts.Options{Name: "debian12", Suite: "bookworm"}, Hosts: 1})
	h := b.Hosts[0]
	// crun 1.8 raises a limit that hosts in a container can not have raised; runc does without.
	if err := h.WriteFile(ctx, "/etc/containers/containers.conf", 0o644, []byte("[containers]\npids_limit=0\n[engine]\nruntime=\"runc\"\n")); err != nil {
		t.Fatal(err)
	}
	if err := b.Form(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, err := h.Exec(context.Background(), nil, "journalctl", "-u", testbed.Agent, "-n", "60", "--no-pager")
			t.Logf("%v\n%s", err, out)
		}
	})
	dir := t.TempDir()
	args := []string{"submit"}
	for name, text := range map[string]string{
		"plain.service": testbed.SleepUnit, "pod.service": testbed.PodmanUnit("", "-port 0"), "dock.service": testbed.DockerUnit("", "-port 0"),
		"guard.service": testbed.SleepUnit + "[X-Flotilla]\nFence=yes\n",
	} {
		file, err := testbed.Put(dir, name, text)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	mustCLI(t, ctx, b, args...)
	mustCLI(t, ctx, b, "start", "plain", "pod", "dock", "guard")
	before, err := testbed.Running(ctx, h)
	if err != nil || len(before) != 4 {
		t.Fatalf("%d units run: %v, want 4", len(before), err)
	}
	if out := mustCLI(t, ctx, b, "status"); !strings.Contains(out, "units 4/4 running") {
		t.Errorf("status says %q, want four units running", out)
	}
	for _, unit := range []string{"pod", "dock"} {
		err := hosts.Wait(ctx, time.Minute, "the log of "+unit, func(ctx context.Context) error {
			if out := mustCLI(t, ctx, b, "logs", unit); !strings.Contains(out, "app "+unit+".service ") {
				return fmt.Errorf("logs %s says %q", unit, out)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	armed, err := h.Exec(ctx, nil, "systemctl", "list-units", "--plain", "--no-legend", "--state=active", "flotilla-fence-*.timer", "flotilla-fence.target")
	if err != nil || !strings.Contains(armed, ".timer") || !strings.Contains(armed, "flotilla-fence.target") {
		t.Errorf("the fence is not armed: %q, %v", armed, err)
	}

	// The agent hangs: the switch ends what is fenced and nothing else.
	if err := h.FreezeProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, h, "guard.service", "inactive")
	await(t, ctx, h, "plain.service", "active")
	if err := h.ThawProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, h, "guard.service", "active")
	after, err := testbed.Running(ctx, h, "plain.service", "pod.service", "dock.service")
	if err != nil {
		t.Error(err)
	}
	for name, now := range after {
		if now.Invocation != before[name].Invocation {
			t.Errorf("%s was restarted, want it untouched", name)
		}
	}
}

// await waits for a unit's state on a host, as its systemd tells it.
func await(t *testing.T, ctx context.Context, h *hosts.Host, unit, want string) {
	t.Helper()
	err := hosts.Wait(ctx, time.Minute, unit+" is "+want, func(ctx context.Context) error {
		out, err := h.Exec(ctx, nil, "systemctl", "show", "--property=ActiveState", "--value", unit)
		if got := strings.TrimSpace(out); err == nil && got != want {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// mustCLI runs the CLI against the first host of a bed.
func mustCLI(t *testing.T, ctx context.Context, b *testbed.Bed, args ...string) string {
	t.Helper()
	out, _, err := b.CLI(ctx, b.Hosts[0], args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
