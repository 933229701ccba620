//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	command "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestIgnition lays what the Butane files make on the disks of hosts that have never
// booted. Each joins the cluster of a first host by itself, is a member like any other,
// and does not join again at its next boot.
func TestIgnition(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	b := mustBoot(t, testbed.Options{Lab: hosts.Options{Name: "ignition"}, Hosts: 1})
	first := b.Hosts[0]
	if err := b.Form(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file string }{{"flatcar", "flatcar.bu"}, {"coreos", "fedora-coreos.bu"}} {
		t.Run(c.file, func(t *testing.T) {
			token, err := b.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			h, err := b.Lab.BootHost(ctx, hosts.HostOptions{Name: c.name, Files: ignite(t, ctx, b.Binary, c.file, token.Address, token.Token)})
			if err != nil {
				t.Fatal(err)
			}
			if err := testbed.AwaitHost(ctx, first, h, "alive"); err != nil {
				out, _ := h.Exec(ctx, nil, "journalctl", "-u", "flotilla-*", "--no-pager")
				t.Fatalf("%v\n%s", err, out)
			}
			if _, err := h.Exec(ctx, nil, "systemctl", "is-active", testbed.Agent, testbed.Etcd); err != nil {
				t.Errorf("agent and etcd member: %v", err)
			}
			// The token is spent; nothing of it stays.
			if _, err := h.Exec(ctx, nil, "test", "!", "-e", "/etc/flotilla/join.env"); err != nil {
				t.Error("join.env is still there, want it gone after the join")
			}
			if err := h.Reboot(ctx); err != nil {
				t.Fatal(err)
			}
			if err := testbed.AwaitHost(ctx, first, h, "alive"); err != nil {
				t.Error(err)
			}
			if out, _ := h.Exec(ctx, nil, "systemctl", "show", "-p", "ConditionResult", "--value", "flotilla-join.service"); strings.TrimSpace(out) != "no" {
				t.Errorf("flotilla-join.service at the second boot: condition %q, want no", strings.TrimSpace(out))
			}
		})
	}
	if t.Failed() {
		return
	}
	file, err := testbed.Put(t.TempDir(), "everywhere.service", testbed.SleepUnit+"[X-Flotilla]\nGlobal=yes\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"submit", file}, {"start", "everywhere"}} {
		if _, _, err := b.CLI(ctx, first, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range b.Lab.Hosts() {
		// A host that has just rebooted is still alive by its old lease, and gets the unit a moment later.
		err := hosts.Wait(ctx, time.Minute, "the global unit on "+h.Name(), func(ctx context.Context) error {
			_, err := h.Exec(ctx, nil, "systemctl", "is-active", "everywhere.service")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// ignite makes the folder that Ignition would make of a Butane file of install.
func ignite(t *testing.T, ctx context.Context, binary, file, address, token string) string {
	t.Helper()
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	binary, err = filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	cmd := command.CommandContext(ctx, "go", "run", "-C", "../install/butane", ".", "-root", root, "-binary", binary, "../"+file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "FLOTILLA_URL=https://example.com/flotilla", "FLOTILLA_SHA256="+hex.EncodeToString(sum[:]),
		"FLOTILLA_JOIN="+address, "FLOTILLA_TOKEN="+token, "SSH_KEY=ssh-ed25519 AAAA nobody")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("butane %s: %v: %s", file, err, out)
	}
	return root
}

// mustBoot boots hosts in a lab of the test's own, which ends with the test.
func mustBoot(t *testing.T, o testbed.Options) *testbed.Bed {
	t.Helper()
	t.Cleanup(func() {
		if err := hosts.Remove(context.Background(), o.Lab); err != nil {
			t.Error(err)
		}
	})
	b, err := testbed.Boot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
