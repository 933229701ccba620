//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	command "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flotilla/e2e/testbed"
)

// TestApply: a folder with a plain unit, a family in Podman, a unit on every host and drop-ins is brought to
// the cluster, changed, broken, mended and thinned out. Witnesses see that no two of a kind are down at once.
func TestApply(t *testing.T) {
	ctx := scenario(t)
	if err := bed.PrepareWitness(); err != nil {
		t.Fatal(err)
	}
	a := applied{dir: t.TempDir()}
	a.put(t, "plain.service", testbed.SleepUnit)
	a.put(t, "plain.service.d/10-memory.conf", "[Service]\nMemoryMax=64M\n")
	a.put(t, "beat@.service", testbed.BeatPod("-version 1", 2, ""))
	a.put(t, "all.service", testbed.BeatUnit("-version 1", "[X-Flotilla]\nGlobal=yes\n"))

	if out, _ := exits(t, ctx, 2, "apply", "--dry-run", a.dir); !strings.Contains(out, "plain.service: new, starts") {
		t.Errorf("apply --dry-run = %q, want what is new", out)
	}
	if out := flotilla(t, ctx, "list-unit-files", "--no-legend"); out != "" {
		t.Fatalf("after apply --dry-run there are units: %q", out)
	}
	flotilla(t, ctx, "apply", a.dir)
	flotilla(t, ctx, "start", "beat@{1..3}")
	for _, dry := range []string{"--dry-run", "--prune"} {
		if out, _ := exits(t, ctx, 0, "apply", dry, a.dir); out != "nothing to change\n" {
			t.Errorf("apply %s of what is there = %q, want nothing to change", dry, out)
		}
	}
	a.roll(t, ctx)
	a.stopAtFirst(t, ctx)
	a.dropIn(t, ctx)
	neverTwoDown(t, familyRuns(t))

	if err := os.Remove(filepath.Join(a.dir, "all.service")); err != nil {
		t.Fatal(err)
	}
	flotilla(t, ctx, "apply", "--prune", a.dir)
	for _, h := range bed.Hosts {
		if isActive(ctx, h, "all.service") {
			t.Errorf("all.service runs on %s after apply --prune without its file", h.Name())
		}
	}
	if got := flotilla(t, ctx, "list-unit-files", "--no-legend", "--fields=unit"); strings.Contains(got, "all.service") || strings.Count(got, "\n") != 5 {
		t.Errorf("after apply --prune there are %q, want all but all.service", got)
	}
}

// applied is a folder of units.
type applied struct{ dir string }

func (a applied) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(a.dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Put(a.dir, name, text); err != nil {
		t.Fatal(err)
	}
}

// roll: a template and a unit on every host change, one of each after the other; the plain unit is left alone.
func (a applied) roll(t *testing.T, ctx context.Context) {
	t.Helper()
	before := runsNow(t, ctx)
	a.put(t, "beat@.service", testbed.BeatPod("-version 2", 2, ""))
	a.put(t, "all.service", testbed.BeatUnit("-version 2", "[X-Flotilla]\nGlobal=yes\n"))
	out := flotilla(t, ctx, "apply", a.dir)
	for _, unit := range []string{"beat@1.service", "beat@3.service", "all.service"} {
		if !strings.Contains(out, unit+": [Service] ExecStart: ") {
			t.Errorf("apply = %q, want what changes of %s", out, unit)
		}
	}
	for unit, now := range runsNow(t, ctx) {
		if kept := strings.HasPrefix(unit, "plain.service"); (now == before[unit]) != kept {
			t.Errorf("%s ran as %s, now as %s; want it restarted: %v", unit, before[unit], now, !kept)
		}
	}
	neverTwoDown(t, familyRuns(t))
	copies, err := bed.Runs("all.service")
	if err != nil {
		t.Fatal(err)
	}
	neverTwoDown(t, byHost(copies))
}

// stopAtFirst: a change that does not come up reaches one instance alone, and its remedy all of them.
func (a applied) stopAtFirst(t *testing.T, ctx context.Context) {
	t.Helper()
	before := runsNow(t, ctx)
	a.put(t, "beat@.service", testbed.BeatPod("-nonsense", 2, ""))
	_, said := exits(t, ctx, 1, "apply", a.dir)
	var changed []string
	for unit, now := range runsNow(t, ctx) {
		if now != before[unit] {
			changed = append(changed, strings.Fields(unit)[0])
		}
	}
	if len(changed) != 1 || !strings.HasPrefix(changed[0], "beat@") {
		t.Fatalf("a broken template reached %v, want one of its instances", changed)
	}
	failed, waits := changed[0]+": failed on ", "waits for "+changed[0]+" on "
	if !strings.Contains(said, failed) && !(strings.Contains(said, waits) && strings.Contains(said, "did not come up")) {
		t.Errorf("apply of a broken template said %q, want that %s did not come up", said, changed[0])
	}
	a.put(t, "beat@.service", testbed.BeatPod("-version 3", 2, ""))
	flotilla(t, ctx, "apply", a.dir)
	for name, i := range running(t, ctx, bed.Hosts[0], "beat@*") {
		out := exec(t, ctx, hostByID(t, i.Host), "systemctl", "show", "-P", "ExecStart", name)
		if !strings.Contains(out, "-version 3") || i.Invocation == before[name+" on "+i.HostName] {
			t.Errorf("%s on %s runs %s as %s, want the mended template", name, i.HostName, out, i.Invocation)
		}
	}
}

// dropIn: a changed drop-in restarts its unit, and systemd goes by it.
func (a applied) dropIn(t *testing.T, ctx context.Context) {
	t.Helper()
	before := running(t, ctx, bed.Hosts[0])
	home := hostByID(t, before["plain.service"].Host)
	memory := func() string {
		return strings.TrimSpace(exec(t, ctx, home, "systemctl", "show", "-P", "MemoryMax", "plain.service"))
	}
	if got := memory(); got != fmt.Sprint(64<<20) {
		t.Errorf("MemoryMax = %s, want that of the drop-in", got)
	}
	a.put(t, "plain.service.d/10-memory.conf", "[Service]\nMemoryMax=128M\n")
	const want = "plain.service: drop-in 10-memory.conf: [Service] MemoryMax: 64M → 128M, restarts\n"
	if out := flotilla(t, ctx, "apply", a.dir); !strings.HasPrefix(out, want) {
		t.Errorf("apply = %q, want %q", out, want)
	}
	after := running(t, ctx, bed.Hosts[0])
	if got := memory(); got != fmt.Sprint(128<<20) || after["plain.service"].Invocation == before["plain.service"].Invocation {
		t.Errorf("MemoryMax = %s in run %s, want that of the changed drop-in in a new run", got, after["plain.service"].Invocation)
	}
	delete(before, "plain.service")
	delete(before, "all.service")
	untouched(t, before, after)
}

// runsNow is the run of each unit on each host, as the hosts' systemds tell: "unit on host" to the invocation.
func runsNow(t *testing.T, ctx context.Context) map[string]string {
	t.Helper()
	out := map[string]string{}
	list, err := testbed.Units(ctx, bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		for _, i := range u.Instances {
			out[u.Name+" on "+i.HostName] = invocation(t, ctx, hostByID(t, i.Host), u.Name)
		}
	}
	return out
}

// familyRuns are what the witnesses saw of each instance of beat@.
func familyRuns(t *testing.T) map[string][]testbed.Run {
	t.Helper()
	out := map[string][]testbed.Run{}
	for i := range 3 {
		name := fmt.Sprintf("beat@%d.service", i+1)
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = runs
	}
	return out
}

// byHost tells runs apart by their hosts.
func byHost(runs []testbed.Run) map[string][]testbed.Run {
	out := map[string][]testbed.Run{}
	for _, r := range runs {
		out[r.Host] = append(out[r.Host], r)
	}
	return out
}

// neverTwoDown demands that each was down for a while, and no two at the same time.
func neverTwoDown(t *testing.T, of map[string][]testbed.Run) {
	t.Helper()
	var down []testbed.Run
	for who, runs := range of {
		gaps := testbed.Gaps(runs)
		if len(gaps) == 0 {
			t.Errorf("%s was never down in %d runs, so nothing is proved", who, len(runs))
		}
		down = append(down, gaps...)
	}
	if n := testbed.Most(down); n > 1 || len(of) != 3 {
		t.Errorf("of %d %d were down at once: %v", len(of), n, down)
	}
}

// exits runs the CLI, demands its exit code, and returns what it printed and said.
func exits(t *testing.T, ctx context.Context, want int, args ...string) (out, said string) {
	t.Helper()
	out, said, err := bed.CLI(ctx, bed.Hosts[0], args...)
	code := 0
	if exit := (*command.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Fatalf("flotilla %s: exit code %d, want %d; it printed %q and said %q", strings.Join(args, " "), code, want, out, said)
	}
	return out, said
}
