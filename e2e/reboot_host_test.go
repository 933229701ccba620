//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/e2e/hosts"
)

// TestRebootHost: what one host does about its reboots, on a real systemd and logind: a lock that forbids them, the host's own
// hooks and a sentinel that goes with the boot.
func TestRebootHost(t *testing.T) {
	ctx := scenario(t)
	t.Cleanup(func() { quiet(t) })
	since := revision(t, ctx)
	victim := others(leader(t, ctx, bed.Hosts[0]))[0]
	before := boots(t)
	on := func(args ...string) string {
		t.Helper()
		out, err := victim.Exec(ctx, nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}

	on("systemd-run", "--unit=busy.service", "systemd-inhibit", "--what=shutdown", "--mode=block", "--who=packager", "--why=packages are installed", "sleep", "infinity")
	awaitThat(t, ctx, "the lock", func(ctx context.Context) error {
		out, err := victim.Exec(ctx, nil, "systemd-inhibit", "--list", "--no-pager")
		if err == nil && !strings.Contains(out, "packager") {
			err = fmt.Errorf("locks are %q", out)
		}
		return err
	})
	if out := on("systemd-inhibit", "--list", "--no-pager"); !strings.Contains(out, "flotilla") {
		t.Errorf("locks are %q, want the agent's own", out)
	}
	flotilla(t, ctx, "reboot", "--no-wait", "--reason=locked", victim.Name())
	failed := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseFailed })
	if !strings.Contains(failed.Reason, "packager") || !strings.Contains(failed.Reason, "packages are installed") {
		t.Errorf("it failed because %q, want the lock named", failed.Reason)
	}
	rebooted(t, before)
	on("systemctl", "stop", "busy.service")

	for _, side := range []string{"before", "after"} {
		hook(t, ctx, victim, side)
	}
	on("touch", "/run/reboot-required")
	awaitNeed(t, ctx, victim, cluster.NeedYes)
	flotilla(t, ctx, "reboot", "--no-wait", "--reason=hooks", victim.Name())
	done := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	rebooted(t, before, victim)
	for _, side := range []string{"before", "after"} {
		if got, want := on("cat", "/var/tmp/"+side), fmt.Sprintf("%s %d", side, done.Generation); got != want {
			t.Errorf("the hook %s left %q, want %q, once", side, got, want)
		}
	}
	awaitNeed(t, ctx, victim, cluster.NeedNo)
}

// hook gives a host a hook of its own that leaves a line at each run.
func hook(t *testing.T, ctx context.Context, h *hosts.Host, side string) {
	t.Helper()
	file := "/etc/systemd/system/flotilla-" + side + "-reboot@.service"
	text := "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo " + side + " %i >>/var/tmp/" + side + "'\n"
	if err := h.WriteFile(ctx, file, 0o644, []byte(text)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := h.Exec(over, nil, "rm", file, "/var/tmp/"+side); err != nil {
			t.Error(err)
		}
	})
}

// awaitNeed waits until a host says whether it needs a reboot.
func awaitNeed(t *testing.T, ctx context.Context, h *hosts.Host, want cluster.NeedState) {
	t.Helper()
	// A host looks once a minute.
	err := hosts.Wait(ctx, 2*time.Minute, fmt.Sprintf("the need of %s is %s", h.Name(), want), func(ctx context.Context) error {
		return anyDaemon(func(c *api.Client) error {
			var all []api.HostReboot
			err := c.Reboots(ctx, func(l api.RebootLine) error {
				if l.Host != nil {
					all = append(all, *l.Host)
				}
				return nil
			})
			for _, found := range all {
				if found.Name == h.Name() && found.Need == want {
					return nil
				}
			}
			if err == nil {
				err = fmt.Errorf("hosts say %+v", all)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}
