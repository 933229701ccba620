//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestOptions: what a unit asks of its host is kept on real hosts, and what cannot be had is said with figures.
// Two hosts are in rack a, one in rack b.
func TestOptions(t *testing.T) {
	for _, s := range []struct {
		name string
		run  func(*testing.T, context.Context)
	}{
		{"Spread and MaxPerHost", spreadOut},
		{"Memory and CPU", withinRoom},
		{"Runtime", withRuntime},
		{"Prefer and Reschedule", triedElsewhere},
		{"simulate and explain", foretold},
	} {
		t.Run(s.name, func(t *testing.T) {
			ctx := scenario(t)
			t.Cleanup(func() { labelAll(t, context.Background(), "rack-", "rack-", "rack-") })
			labelAll(t, ctx, "rack=a", "rack=a", "rack=b")
			s.run(t, ctx)
		})
	}
}

// options is a plain process with options.
func options(lines ...string) string {
	return testbed.SleepUnit + "[X-Flotilla]\n" + strings.Join(lines, "\n") + "\n"
}

// spreadOut: a family is spread over racks, softly and hard, and no host has more of it than it allows.
func spreadOut(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{
		"soft@.service": options("Spread=rack"),
		"hard@.service": options("Spread=rack:hard", "MaxPerHost=2"),
		"few@.service":  options("Spread=rack", "MaxPerHost=1"),
	})
	flotilla(t, ctx, "start", "soft@{1..4}", "hard@{1..5}", "few@{1..3}")
	racks := map[string]int{}
	for name, i := range running(t, ctx, bed.Hosts[0]) {
		family, _, _ := strings.Cut(name, "@")
		rack := "a"
		if i.Host == bed.Hosts[2].MachineID() {
			rack = "b"
		}
		racks[family+" in "+rack]++
	}
	want := map[string]int{"soft in a": 2, "soft in b": 2, "hard in a": 3, "hard in b": 2, "few in a": 2, "few in b": 1}
	if !maps.Equal(racks, want) {
		t.Errorf("instances per rack are %v, want %v", racks, want)
	}
	const full = "1 has more of hard@.service in its rack than the emptiest, with 2 (Spread=rack:hard), 2 hold as many of hard@.service"
	if said := refused(t, ctx, "start", "--timeout=2s", "hard@6"); !strings.Contains(said, full) {
		t.Errorf("start of hard@6 said %q, want the rack that has more, and the hosts that are full", said)
	}
	if said := refused(t, ctx, "start", "--timeout=2s", "few@4"); !strings.Contains(said, "3 hold as many of few@.service as MaxPerHost=1 allows") {
		t.Errorf("start of few@4 said %q, want that each host has as many as it may", said)
	}
}

// withinRoom: memory and cores are not promised twice; who finds no room is told how much there is.
func withinRoom(t *testing.T, ctx context.Context) {
	least := smallest(t, ctx)
	const left = 64 << 20
	submit(t, ctx, map[string]string{
		"big@.service":  options(fmt.Sprintf("Memory=%d", least.Memory-least.Reserved-left)),
		"busy@.service": options(fmt.Sprintf("CPU=%d.5", least.CPUs-1)),
		"much.service":  options("Memory=4T"),
		"rest@.service": testbed.SleepUnit + "MemoryMax=60M\n",
	})
	flotilla(t, ctx, "start", "big@{1..3}", "busy@{1..3}")
	apart(t, settled(t, ctx, "big@*", 3))
	apart(t, settled(t, ctx, "busy@*", 3))
	flotilla(t, ctx, "start", "rest@{1..3}")
	apart(t, settled(t, ctx, "rest@*", 3))
	for unit, want := range map[string]string{
		"much":   "3 lack memory (4T wanted, most free is 4M)",
		"rest@4": "3 lack memory (60M wanted, most free is 4M)",
		"busy@4": fmt.Sprintf("3 lack CPU (%d.5 wanted, most free is 0.5)", least.CPUs-1),
	} {
		if said := refused(t, ctx, "start", "--timeout=2s", unit); !strings.Contains(said, want) {
			t.Errorf("start of %s said %q, want %q", unit, said, want)
		}
	}
	if out := flotilla(t, ctx, "explain", "rest@4"); strings.Count(out, ": lacks memory (60M wanted, 4M free)\n") != 3 {
		t.Errorf("explain rest@4 = %q, want the figures of each host", out)
	}
	flotilla(t, ctx, "destroy", "big@1")
	settled(t, ctx, "rest@*", 4)
}

// smallest is the host with the least memory; the hosts of a lab are alike.
func smallest(t *testing.T, ctx context.Context) api.Host {
	t.Helper()
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Hosts(ctx)
	if err != nil || len(list) != len(bed.Hosts) {
		t.Fatalf("Hosts() = %v, %v, want %d", list, err, len(bed.Hosts))
	}
	return slices.MinFunc(list, func(a, b api.Host) int { return int(a.Memory - b.Memory) })
}

// withRuntime: a host whose container runtime is taken away is left out with that reason; what runs there
// stays, and once the runtime is back, so is the host.
func withRuntime(t *testing.T, ctx context.Context) {
	h := bed.Hosts[2]
	const program, hidden = "/usr/bin/podman", "/usr/bin/podman.hidden"
	move := func(ctx context.Context, from, to string) {
		t.Helper()
		exec(t, ctx, h, "sh", "-c", `test ! -e "$1" || mv "$1" "$2"; systemctl daemon-reload`, "move", from, to)
	}
	t.Cleanup(func() { move(context.Background(), hidden, program) })
	submit(t, ctx, map[string]string{
		"stays.service": options("Runtime=podman", "MachineMetadata=rack=b"),
		"pod.service":   testbed.PodmanUnit("", "-port 0") + "[X-Flotilla]\nRuntime=podman\nMachineMetadata=rack=b\n",
	})
	flotilla(t, ctx, "start", "stays")
	before := running(t, ctx, bed.Hosts[0])
	move(ctx, program, hidden)
	awaitThat(t, ctx, h.Name()+" has no Podman", func(ctx context.Context) error {
		out, _, err := bed.CLI(ctx, bed.Hosts[0], "list-machines", "--no-legend", "--fields=runtimes")
		if err == nil && strings.Count(out, "podman") != 2 {
			err = fmt.Errorf("runtimes are %q", out)
		}
		return err
	})
	if said := refused(t, ctx, "start", "--timeout=2s", "pod"); !strings.Contains(said, "1 has no podman") {
		t.Errorf("start of a container without Podman said %q, want that the host has none", said)
	}
	untouched(t, before, running(t, ctx, bed.Hosts[0], "stays.service"))
	move(ctx, hidden, program)
	if now := running(t, ctx, bed.Hosts[0]); now["pod.service"].Host != h.MachineID() {
		t.Errorf("pod.service is on %s, want %s", now["pod.service"].HostName, h.Name())
	}
}

// triedElsewhere: a unit goes where it would rather be, fails there, and is tried elsewhere if it asks for that.
func triedElsewhere(t *testing.T, ctx context.Context) {
	const needs = "/run/what-it-needs"
	text := "[Service]\nExecStartPre=/usr/bin/test -e " + needs + "\nExecStart=/bin/sleep infinity\n[X-Flotilla]\nPrefer=rack=b\n"
	for _, h := range bed.Hosts[:2] {
		exec(t, ctx, h, "touch", needs)
	}
	submit(t, ctx, map[string]string{
		"loyal.service":  text,
		"choosy.service": text + "Reschedule=on-failure\n",
		"glad.service":   options("Prefer=rack=b"),
	})
	preferred := bed.Hosts[2]
	if said := refused(t, ctx, "start", "loyal"); !strings.Contains(said, "failed on "+preferred.Name()) {
		t.Errorf("start of a unit that fails where it would be said %q, want that host", said)
	}
	flotilla(t, ctx, "start", "--no-wait", "choosy", "glad")
	now := settled(t, ctx, "*", 2)
	if now["choosy.service"].Host == preferred.MachineID() || now["glad.service"].Host != preferred.MachineID() {
		t.Errorf("choosy.service is on %s, glad.service on %s; want the one not, the other on %s",
			now["choosy.service"].HostName, now["glad.service"].HostName, preferred.Name())
	}
	if out := exec(t, ctx, preferred, "journalctl", "-u", "choosy.service", "--no-pager"); !strings.Contains(out, "Failed with result 'exit-code'") {
		t.Errorf("the journal of choosy.service on %s is %q, want that it failed there first", preferred.Name(), out)
	}
	if isActive(ctx, preferred, "loyal.service") || strings.Count(flotilla(t, ctx, "list-units", "--no-legend", "--fields=unit,active"), " failed") != 1 {
		t.Error("the unit that asked for nothing did not stay where it failed")
	}
}

// foretold: what simulate says comes true when the host is lost; until then nothing is touched.
func foretold(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{
		"web@.service": options("Spread=rack"),
		"one.service":  options("MachineMetadata=rack=b"),
	})
	flotilla(t, ctx, "start", "web@{1..4}", "one")
	before := running(t, ctx, bed.Hosts[0])
	victim, saved := bed.Hosts[1], filepath.Join(t.TempDir(), "cluster.json")
	out, _ := exits(t, ctx, 0, "simulate", "--lose", victim.Name(), "--save", saved)
	going := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if w := strings.Fields(line); len(w) > 3 && w[1] == victim.Name() {
			going[w[0]] = w[2]
		}
	}
	if len(going) != 1 || !strings.Contains(out, "all fits: 5 units would have a host, 1 would move or start") {
		t.Errorf("simulate --lose %s = %q, want its one unit elsewhere", victim.Name(), out)
	}
	if again, _ := exits(t, ctx, 0, "simulate", "--lose", victim.Name(), "--snapshot", saved); again != out {
		t.Errorf("simulate of the saved cluster = %q, of the live one %q", again, out)
	}
	out, _ = exits(t, ctx, 2, "simulate", "--drain", bed.Hosts[2].Name(), "--add", "web@{5..204}")
	if !strings.Contains(out, "one.service (from "+bed.Hosts[2].Name()+"): no host: ") || !strings.Contains(out, "1 unit would have no host, 204 would have one") {
		t.Errorf("simulate --drain %s = %q, want that one.service has nowhere to go", bed.Hosts[2].Name(), out)
	}
	untouched(t, before, running(t, ctx, bed.Hosts[0]))

	out = flotilla(t, ctx, "explain", "one")
	for i, want := range []string{"lacks label rack=b", "lacks label rack=b", "runs here"} {
		if line := "  " + bed.Hosts[i].Name() + ": " + want + "\n"; !strings.Contains(out, line) {
			t.Errorf("explain one = %q, want %q", out, line)
		}
	}
	if err := victim.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, bed.Hosts[0], victim, "absent"); err != nil {
		t.Fatal(err)
	}
	after := running(t, ctx, bed.Hosts[0])
	for name, host := range going {
		if after[name].HostName != host {
			t.Errorf("%s went to %s, simulate said %s", name, after[name].HostName, host)
		}
	}
	untouched(t, before, after, victim)
	rows := flotilla(t, ctx, "list-units", "--no-legend", "--fields=unit,active,sub")
	if strings.Count(rows, "active   running\n") != 5 || strings.Count(rows, "unknown  unknown\n") != len(going) {
		t.Errorf("list-units = %q, want five units that run, and of the lost host that nobody knows", rows)
	}
}

// awaitThat waits for a state of the cluster.
func awaitThat(t *testing.T, ctx context.Context, what string, check func(context.Context) error) {
	t.Helper()
	if err := hosts.Wait(ctx, time.Minute, what, check); err != nil {
		t.Fatal(err)
	}
}
