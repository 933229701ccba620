//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	command "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestSystemd runs, on the oldest systemd that is supported and on a current one, what
// needs a systemd but no cluster: flotilla dev as root and as a user, and the suite of
// agent/systemd, which is a program of its own.
func TestSystemd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(cancel) // after the parallel parts
	b := mustBoot(t, testbed.Options{Lab: hosts.Options{Name: "contract"}})
	suite := filepath.Join(t.TempDir(), "systemd.test")
	build := command.CommandContext(ctx, "go", "test", "-c", "-tags", "e2e", "-o", suite, "flotilla/agent/systemd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the suite of agent/systemd: %v: %s", err, out)
	}
	for _, c := range []struct{ name, suite, version string }{{"debian13", "trixie", "systemd 257"}, {"debian12", "bookworm", "systemd 252"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, err := b.Lab.BootHost(ctx, hosts.HostOptions{Name: c.name, Suite: c.suite})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.CopyIn(ctx, b.Binary, testbed.Installed); err != nil {
				t.Fatal(err)
			}
			if err := h.CopyIn(ctx, suite, suiteOnHost); err != nil {
				t.Fatal(err)
			}
			if out, err := h.Exec(ctx, nil, "systemctl", "--version"); !strings.HasPrefix(out, c.version) {
				t.Errorf("systemctl --version = %q, %v, want %s", out, err, c.version)
			}
			user := mustUser(t, ctx, h)
			// dev leaves its fence's units behind, which a suite that lists units would find.
			t.Run("contract of a user", func(t *testing.T) {
				contract(t, ctx, h, append(user.command("FLOTILLA_TEST_USER=1"), suiteOnHost, "-test.skip=^(TestConnectsAgain|TestReexec)$"))
			})
			t.Run("dev of a user", func(t *testing.T) { devOnHost(t, ctx, h, user) })
			t.Run("contract", func(t *testing.T) { contract(t, ctx, h, []string{suiteOnHost}) })
			t.Run("dev", func(t *testing.T) { devOnHost(t, ctx, h, devAs{run: "/run", data: "/var/tmp/dev"}) })
		})
	}
}

// devAs is who runs flotilla dev, and where.
type devAs struct{ user, run, data string }

// command goes in front of what the user runs in the session that linger gave him.
func (d devAs) command(env ...string) []string {
	if d.user == "" {
		return append([]string{"env"}, env...)
	}
	return append([]string{"runuser", "-u", d.user, "--", "env", "XDG_RUNTIME_DIR=" + d.run}, env...)
}

// mustUser makes a user whose systemd runs without anybody logged in.
func mustUser(t *testing.T, ctx context.Context, h *hosts.Host) devAs {
	t.Helper()
	const name, id = "sailor", "1234"
	for _, args := range [][]string{
		{"useradd", "--create-home", "--uid", id, "--groups", "systemd-journal", name},
		{"loginctl", "enable-linger", name},
	} {
		if _, err := h.Exec(ctx, nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	user := devAs{user: name, run: "/run/user/" + id, data: "/home/" + name + "/dev"}
	err := hosts.Wait(ctx, time.Minute, "the user's systemd", func(ctx context.Context) error {
		_, err := h.Exec(ctx, nil, append(user.command(), "systemctl", "--user", "is-system-running")...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// devOnHost runs flotilla dev twice with an end by Ctrl-C between: the unit that it was
// given the first time runs on, and is found again.
func devOnHost(t *testing.T, ctx context.Context, h *hosts.Host, as devAs) {
	cli := func(args ...string) string {
		t.Helper()
		out, err := h.Exec(ctx, nil, append(append(as.command("FLOTILLA_ENDPOINT=unix://"+as.run+"/flotilla/flotilla.sock"), testbed.Installed), args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	show := func(property string) string {
		t.Helper()
		args := []string{"systemctl", "show", "--property=" + property, "--value", "devunit.service"}
		if as.user != "" {
			args = append(as.command(), "systemctl", "--user", "show", "--property="+property, "--value", "devunit.service")
		}
		out, err := h.Exec(ctx, nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	if err := h.WriteFile(ctx, "/var/tmp/devunit.service", 0o644, []byte(testbed.SleepUnit)); err != nil {
		t.Fatal(err)
	}
	startDev(t, ctx, h, as)
	cli("submit", "/var/tmp/devunit.service")
	cli("start", "devunit")
	run := show("InvocationID")
	if out := cli("status"); !strings.Contains(out, "units 1/1 running") {
		t.Errorf("status says %q, want one unit running", out)
	}
	stopDev(t, ctx, h)
	if got := show("ActiveState"); got != "active" {
		t.Errorf("after Ctrl-C the unit is %s, want active", got)
	}
	startDev(t, ctx, h, as)
	err := hosts.Wait(ctx, time.Minute, "dev knows its unit again", func(ctx context.Context) error {
		if out := cli("status"); !strings.Contains(out, "units 1/1 running") {
			return fmt.Errorf("status says %q", out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := show("InvocationID"); got != run {
		t.Errorf("the unit's run is %s after dev came back, was %s: want it untouched", got, run)
	}
	cli("destroy", "devunit")
	stopDev(t, ctx, h)
}

// devService is the unit in which dev runs here; its stop is Ctrl-C.
const devService = "dev-in-foreground.service"

func startDev(t *testing.T, ctx context.Context, h *hosts.Host, as devAs) {
	t.Helper()
	args := []string{"systemd-run", "--quiet", "--unit=" + devService, "--property=KillSignal=SIGINT", "--property=KillMode=process", "--property=TimeoutStopSec=30"}
	if as.user != "" {
		args = append(args, "--uid="+as.user, "--setenv=XDG_RUNTIME_DIR="+as.run, "--setenv=HOME=/home/"+as.user)
	}
	args = append(args, testbed.Installed, "dev", "--data", as.data)
	if as.user != "" {
		args = append(args, "--user")
	}
	if _, err := h.Exec(ctx, nil, args...); err != nil {
		t.Fatal(err)
	}
	err := hosts.Wait(ctx, time.Minute, "dev is ready", func(ctx context.Context) error {
		out, err := h.Exec(ctx, nil, "journalctl", "-o", "cat", "--no-pager", "_SYSTEMD_INVOCATION_ID="+invocationOf(ctx, h, devService))
		if err == nil && !strings.Contains(out, "a cluster of one host runs; its data is in "+as.data) {
			err = fmt.Errorf("it said %q", out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func invocationOf(ctx context.Context, h *hosts.Host, unit string) string {
	out, _ := h.Exec(ctx, nil, "systemctl", "show", "--property=InvocationID", "--value", unit)
	return strings.TrimSpace(out)
}

func stopDev(t *testing.T, ctx context.Context, h *hosts.Host) {
	t.Helper()
	id := invocationOf(ctx, h, devService)
	if _, err := h.Exec(ctx, nil, "systemctl", "stop", devService); err != nil {
		t.Fatal(err)
	}
	out, err := h.Exec(ctx, nil, "journalctl", "-o", "cat", "--no-pager", "INVOCATION_ID="+id)
	if err != nil || strings.Contains(out, "Failed with result") {
		t.Errorf("dev did not end well on Ctrl-C: %v: %s", err, out)
	}
}

// suiteOnHost is where the suite of agent/systemd lies on a host.
const suiteOnHost = "/opt/systemd.test"

var verdict = regexp.MustCompile(`(?m)^( *)--- (PASS|FAIL|SKIP): (\S+)`)

// contract runs the copied suite on a host and reports each of its tests as one here.
func contract(t *testing.T, ctx context.Context, h *hosts.Host, suite []string) {
	out, err := h.Exec(ctx, nil, append(suite, "-test.v", "-test.timeout=3m")...)
	found := verdict.FindAllStringSubmatch(out, -1)
	for _, v := range found {
		t.Run(v[3], func(t *testing.T) {
			switch v[2] {
			case "FAIL":
				t.Error("it failed on the host; what it said stands below")
			case "SKIP":
				t.Skip(whySkipped(out, v[3]))
			}
		})
	}
	if err != nil || len(found) < 10 {
		t.Errorf("the suite on %s ran %d tests: %v\n%s", h.Name(), len(found), err, out)
	}
}

// whySkipped is the line that follows the verdict of a skipped test.
func whySkipped(out, name string) string {
	_, after, _ := strings.Cut(out, "--- SKIP: "+name+" ")
	_, after, _ = strings.Cut(after, "\n")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
