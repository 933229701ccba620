//go:build e2e

package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fingerprint is what of the machine's own network and mounts a lab must not
// change.
func fingerprint(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	for _, args := range [][]string{
		{"ip", "-o", "link"},
		{"ip", "-o", "addr"},
		{"ip", "route"},
		{"ip", "netns"},
		{"nft", "list", "ruleset"},
		{"cat", "/proc/self/mountinfo"},
		{"cat", "/proc/sys/net/ipv4/ip_forward"},
	} {
		text, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		fmt.Fprintf(&out, "%v: %v\n%s", args, err, text)
	}
	return out.String()
}

func mustOpen(t *testing.T, o Options) *Lab {
	t.Helper()
	o.Log = os.Stderr
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustExec(t *testing.T, h *Host, args ...string) string {
	t.Helper()
	out, err := h.Exec(t.Context(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func get(t *testing.T, l *Lab, url string) (string, error) {
	t.Helper()
	client := http.Client{Transport: l.HTTPTransport(), Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestLab goes through everything that scenarios do to hosts, on one boot of three.
func TestLab(t *testing.T) {
	before := fingerprint(t)
	l := mustOpen(t, Options{Name: "hosts-test"})
	booted, err := l.Boot(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, fingerprint(t)); diff != "" {
		t.Errorf("the machine's own network or mounts changed (-before +after):\n%s", diff)
	}
	h1, h2, h3 := booted[0], booted[1], booted[2]

	t.Run("identity", func(t *testing.T) { testIdentity(t, booted) })
	t.Run("files", func(t *testing.T) { testFiles(t, l, h1) })
	t.Run("exec dies with its caller", func(t *testing.T) { testExecEnds(t, h1) })
	t.Run("reboot", func(t *testing.T) { testReboot(t, h1) })
	t.Run("kill and start", func(t *testing.T) { testKill(t, h2) })
	t.Run("power off and start", func(t *testing.T) { testPowerOff(t, h2) })
	t.Run("stay down", func(t *testing.T) { testStayDown(t, h2) })
	t.Run("containers", func(t *testing.T) { testContainers(t, l, h3, h1) })
	t.Run("cut and heal", func(t *testing.T) { testCut(t, l, h1, h2, h3) })
	t.Run("freeze and thaw", func(t *testing.T) { testFreeze(t, l, h3) })
	t.Run("freeze process", func(t *testing.T) { testFreezeProcess(t, h1) })
	t.Run("attach", func(t *testing.T) { testAttach(t, l) })

	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("second Close() = %v, want nil", err)
	}
	mustBeGone(t, l)
	if diff := cmp.Diff(before, fingerprint(t)); diff != "" {
		t.Errorf("closing the lab left something (-before +after):\n%s", diff)
	}
}

// mustBeGone checks that nothing of a lab is left: files, groups, processes.
func mustBeGone(t *testing.T, l *Lab) {
	t.Helper()
	for _, path := range []string{l.options.Dir, l.privateDir(), l.cgroup, l.privateDir() + ".lock"} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Stat(%s) = %v, want it gone", path, err)
		}
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if data, err := os.ReadFile(line); err == nil && bytes.Contains(data, []byte(l.options.Dir)) {
			t.Errorf("process %s is left: %s", line, bytes.ReplaceAll(data, []byte{0}, []byte{' '}))
		}
	}
}

func testIdentity(t *testing.T, booted []*Host) {
	seen := map[string]string{}
	for _, h := range booted {
		if got := mustExec(t, h, "systemctl", "is-system-running"); got != "running" {
			t.Errorf("host %s is %s, want running", h.Name(), got)
		}
		if got := mustExec(t, h, "cat", "/etc/machine-id"); got != h.MachineID() {
			t.Errorf("machine id of %s = %s, want %s", h.Name(), got, h.MachineID())
		}
		if got := mustExec(t, h, "hostname"); got != h.Name() {
			t.Errorf("host name = %s, want %s", got, h.Name())
		}
		boot, err := h.BootID()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{boot, h.MachineID(), h.IP()} {
			if seen[id] != "" {
				t.Errorf("%s and %s share %s", seen[id], h.Name(), id)
			}
			seen[id] = h.Name()
		}
		for _, other := range booted {
			if err := reach(t.Context(), h, other); err != nil {
				t.Error(err)
			}
		}
	}
}

// reach opens a TCP connection from one host to another. A refusal is an
// answer too; silence is none.
func reach(ctx context.Context, from, to *Host) error {
	_, err := from.Exec(ctx, nil, "timeout", "1", "bash", "-c", `: 2>/dev/null </dev/tcp/`+to.Name()+`/9 || [ $? = 1 ]`)
	return err
}

func testFiles(t *testing.T, l *Lab, h *Host) {
	want := []byte("a\x00b\n")
	if err := h.WriteFile(t.Context(), "/opt/some/file", 0o750, want); err != nil {
		t.Fatal(err)
	}
	got, err := h.ReadFile(t.Context(), "/opt/some/file")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadFile() = %q, %v, want %q", got, err, want)
	}
	if got := mustExec(t, h, "stat", "-c", "%a", "/opt/some/file"); got != "750" {
		t.Errorf("mode = %s, want 750", got)
	}
	mustExec(t, h, "sh", "-c", "echo one >/run/flotilla/fact; echo two >/srv/lab/fact")
	for path, want := range map[string]string{h.Socket("/run/flotilla/fact"): "one\n", filepath.Join(l.Shared(), "fact"): "two\n"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("ReadFile(%s) = %q, %v, want %q", path, got, err, want)
		}
	}
	_, err = h.Exec(t.Context(), nil, "sh", "-c", "echo why >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("Exec() = %v, want an error that says why", err)
	}
}

func testExecEnds(t *testing.T, h *Host) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := h.Command(ctx, "sleep", "12345")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	find := func(want bool) func(context.Context) error {
		return func(ctx context.Context) error {
			if _, err := h.Exec(ctx, nil, "pgrep", "-f", "^sleep 12345"); (err == nil) != want {
				return fmt.Errorf("sleep found: %v, want %v", !want, want)
			}
			return nil
		}
	}
	if err := Wait(t.Context(), 30*time.Second, "command", find(true)); err != nil {
		t.Error(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("Wait() = nil, want an error")
	}
	if err := Wait(t.Context(), 30*time.Second, "end of the command", find(false)); err != nil {
		t.Error(err)
	}
}

// newBoot runs act and checks that it left the host with the same disk and
// machine id and another boot id.
func newBoot(t *testing.T, h *Host, act func()) {
	t.Helper()
	mustExec(t, h, "sh", "-c", "echo kept >/var/lib/fact; touch /run/flotilla/stale")
	old, err := h.BootID()
	if err != nil {
		t.Fatal(err)
	}
	act()
	boot, err := h.BootID()
	if err != nil || boot == old {
		t.Errorf("BootID() = %s, %v, want another one", boot, err)
	}
	if got := mustExec(t, h, "cat", "/etc/machine-id"); got != h.MachineID() {
		t.Errorf("machine id = %s, want %s", got, h.MachineID())
	}
	if got := mustExec(t, h, "cat", "/var/lib/fact"); got != "kept" {
		t.Errorf("file on disk = %q, want kept", got)
	}
	if got := mustExec(t, h, "ls", "-A", "/run/flotilla"); got != "" {
		t.Errorf("/run/flotilla holds %q after a boot, want nothing", got)
	}
}

func testReboot(t *testing.T, h *Host) {
	newBoot(t, h, func() {
		if err := h.Reboot(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func testKill(t *testing.T, h *Host) {
	newBoot(t, h, func() {
		if err := h.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Exec(t.Context(), nil, "true"); !errors.Is(err, ErrDown) {
			t.Errorf("Exec() on a dead host = %v, want %v", err, ErrDown)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func testStayDown(t *testing.T, h *Host) {
	newBoot(t, h, func() {
		if err := h.StayDown(true); err != nil {
			t.Fatal(err)
		}
		_, _ = h.Exec(t.Context(), nil, "systemctl", "reboot") // may be killed by the shutdown that it asks for
		if err := h.AwaitDown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.BootID(); !errors.Is(err, ErrDown) {
			t.Errorf("BootID() of a host that stays down = %v, want %v", err, ErrDown)
		}
		if err := errors.Join(h.StayDown(false), h.StayDown(false), h.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
	})
}

func testPowerOff(t *testing.T, h *Host) {
	newBoot(t, h, func() {
		if err := h.PowerOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func testContainers(t *testing.T, l *Lab, h, other *Host) {
	app, err := BuildApp(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LoadImage(t.Context(), "app:1", app); err != nil {
		t.Fatal(err)
	}
	mustExec(t, h, "docker", "run", "-d", "--name", "docker-app", "-p", "8001:80", "-e", "PORT=80", "-e", "INSTANCE=by-docker", "app:1")
	mustExec(t, h, "systemd-run", "--unit=podman-app", "podman", "run", "--cgroups=split", "--rm", "--name", "podman-app",
		"-p", "8002:80", "-e", "PORT=80", "-e", "INSTANCE=by-podman", "-e", "BEAT=/lab/beat", "-v", "/srv/lab:/lab", "app:1")
	for port, want := range map[int]string{8001: "name=by-docker", 8002: "name=by-podman"} {
		url := fmt.Sprintf("http://%s:%d/", h.Name(), port)
		err := Wait(t.Context(), time.Minute, "answer of "+url, func(context.Context) error {
			body, err := get(t, l, url)
			if err != nil || strings.Contains(body, want) {
				return err
			}
			return fmt.Errorf("answer is %q, want %s in it", body, want)
		})
		if err != nil {
			t.Error(err)
		}
		mustExec(t, other, "bash", "-c", fmt.Sprintf(": </dev/tcp/%s/%d", h.Name(), port))
	}
	if beat, err := os.ReadFile(filepath.Join(l.Shared(), "beat")); err != nil || !bytes.Contains(beat, []byte("by-podman")) {
		t.Errorf("witness file holds %.80q, %v, want lines of by-podman", beat, err)
	}
}

func testCut(t *testing.T, l *Lab, h1, h2, h3 *Host) {
	check := func(step string, from, to *Host, want bool) {
		t.Helper()
		if err := reach(t.Context(), from, to); (err == nil) != want {
			t.Errorf("%s: %s reaches %s: %v, want %v (%v)", step, from.Name(), to.Name(), err == nil, want, err)
		}
	}
	steps := []struct {
		name             string
		act              func() error
		h1h2, h1h3, h2h3 bool
	}{
		{"cut", func() error { return h1.Cut(t.Context()) }, false, false, true},
		{"heal", func() error { return h1.Heal(t.Context()) }, true, true, true},
		{"cut from h2", func() error { return h1.CutFrom(t.Context(), h2) }, false, true, true},
		{"heal", func() error { return h1.Heal(t.Context()) }, true, true, true},
		{"cut port 9", func() error { return h1.CutPort(t.Context(), 9) }, false, false, true},
		{"heal", func() error { return h1.Heal(t.Context()) }, true, true, true},
		{"cut replies of port 9", func() error { return h2.CutReplies(t.Context(), 9) }, true, true, false},
		{"cut other port", func() error { return errors.Join(h2.Heal(t.Context()), h1.CutPort(t.Context(), 10)) }, true, true, true},
		{"heal", func() error { return h1.Heal(t.Context()) }, true, true, true},
	}
	for _, s := range steps {
		if err := s.act(); err != nil {
			t.Fatal(err)
		}
		check(s.name, h1, h2, s.h1h2)
		check(s.name, h1, h3, s.h1h3)
		check(s.name, h2, h3, s.h2h3)
	}
	if _, err := get(t, l, "http://h3:8001/"); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func testFreeze(t *testing.T, l *Lab, h *Host) {
	if err := h.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body, err := get(t, l, "http://h3:8002/"); err == nil {
		t.Errorf("a frozen host answered %q", body)
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(l.Shared(), "beat"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	still := size()
	if err := h.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := Wait(t.Context(), 30*time.Second, "beats after thawing", func(context.Context) error {
		if size() == still {
			return errors.New("none yet")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func testFreezeProcess(t *testing.T, h *Host) {
	mustExec(t, h, "systemd-run", "--unit=sleeper", "sleep", "1000")
	state := func() string { return mustExec(t, h, "ps", "-C", "sleep", "-o", "state=") }
	if err := h.FreezeProcess(t.Context(), "sleeper.service"); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "T" {
		t.Errorf("state of a frozen process = %s, want T", got)
	}
	if err := h.ThawProcess(t.Context(), "sleeper.service"); err != nil {
		t.Fatal(err)
	}
	if got := state(); got == "T" {
		t.Errorf("state of a thawed process = %s, want it to run", got)
	}
	if err := h.KillProcess(t.Context(), "sleeper.service"); err != nil {
		t.Error(err)
	}
	if err := h.FreezeProcess(t.Context(), "no-such.service"); err == nil {
		t.Error("FreezeProcess(no-such.service) = nil, want an error")
	}
}

func testAttach(t *testing.T, l *Lab) {
	if _, err := Open(t.Context(), l.options); err == nil {
		t.Error("Open() of a lab that is open = nil, want an error")
	}
	again, err := Attach(t.Context(), Options{Name: l.Name()})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, h := range again.Hosts() {
		got = append(got, h.Name()+" "+h.IP()+" "+mustExec(t, h, "cat", "/etc/machine-id"))
	}
	for _, h := range l.Hosts() {
		want = append(want, h.Name()+" "+h.IP()+" "+h.MachineID())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Attach() hosts (-want +got):\n%s", diff)
	}
}
