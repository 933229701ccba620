//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestFleet goes through the situations of fleet's own functional tests that are about units and
// where they go, with plain processes. The name of each is that of fleet's test.
func TestFleet(t *testing.T) {
	for _, s := range []struct {
		name string
		run  func(*testing.T, context.Context)
	}{
		{"DynamicCluster and ScheduleMachineOf", fleetHostDies},
		{"ScheduleConflicts", fleetConflicts},
		{"ScheduleOneWayConflict", fleetOneWayConflict},
		{"ScheduleMultipleConflicts", fleetMultipleConflicts},
		{"ScheduleReplace", fleetReplace},
		{"ScheduleConditionMachineID", fleetPinned},
		{"ScheduleGlobalUnits and ScheduleGlobalConflicts", fleetGlobal},
		{"TemplatesWithSpecifiersInMetadata", fleetSpecifiers},
		{"InstallUnit", fleetInstall},
		{"UnitSubmit, UnitLoad, UnitStart", fleetBatches},
		{"UnitSubmitReplace, UnitLoadReplace, UnitStartReplace", fleetReplaced},
		{"UnitRestart, UnitCat, UnitStatus", fleetVerbs},
		{"ListUnitFilesOrder", fleetOrder},
		{"MachinesPatch", fleetLabels},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, scenario(t)) })
	}
}

// fleetUnit is a plain process with options for fleet.
func fleetUnit(options ...string) string {
	return testbed.SleepUnit + "[X-Fleet]\n" + strings.Join(options, "\n") + "\n"
}

// settled waits until exactly the wanted units run, and returns where.
func settled(t *testing.T, ctx context.Context, glob string, want int) map[string]api.Instance {
	t.Helper()
	out := map[string]api.Instance{}
	err := hosts.Wait(ctx, time.Minute, fmt.Sprintf("%d of %s run", want, glob), func(ctx context.Context) error {
		list, err := testbed.Units(ctx, bed.Hosts[0], glob)
		if err != nil {
			return err
		}
		clear(out)
		for _, u := range list {
			for _, i := range u.Instances {
				if i.Active == "active" && i.Order == "launched" {
					out[u.Name] = i
				}
			}
		}
		if len(out) != want {
			return fmt.Errorf("%d run: %v", len(out), slices.Sorted(maps.Keys(out)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apart demands that the units are on as many hosts.
func apart(t *testing.T, placed map[string]api.Instance) {
	t.Helper()
	on := map[string]string{}
	for name, i := range placed {
		if other := on[i.Host]; other != "" {
			t.Errorf("%s and %s are both on %s, want each on a host of its own", name, other, i.HostName)
		}
		on[i.Host] = name
	}
}

// fleetHostDies: two units that exclude each other and three pairs that belong together; the host of one
// of each dies. Its unit goes to the free host, its pairs move together, nothing else moves.
func fleetHostDies(t *testing.T, ctx context.Context) {
	files := map[string]string{}
	for i := range 2 {
		files[fmt.Sprintf("conflict.%d.service", i)] = fleetUnit("Conflicts=conflict.*.service")
	}
	for i := range 3 {
		files[fmt.Sprintf("ping.%d.service", i)] = testbed.SleepUnit
		files[fmt.Sprintf("pong.%d.service", i)] = fleetUnit(fmt.Sprintf("MachineOf=ping.%d.service", i))
	}
	submit(t, ctx, files)
	flotilla(t, ctx, append([]string{"start"}, slices.Sorted(maps.Keys(files))...)...)
	before := running(t, ctx, bed.Hosts[0])
	together := func(placed map[string]api.Instance) {
		t.Helper()
		for i := range 3 {
			ping, pong := placed[fmt.Sprintf("ping.%d.service", i)], placed[fmt.Sprintf("pong.%d.service", i)]
			if ping.Host == "" || ping.Host != pong.Host {
				t.Errorf("ping.%d is on %q, pong.%d on %q, want them together", i, ping.HostName, i, pong.HostName)
			}
		}
	}
	together(before)
	victim := hostByID(t, before["conflict.0.service"].Host)
	witness := others(victim)[0]
	if err := victim.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, witness, victim, "absent"); err != nil {
		t.Fatal(err)
	}
	after := running(t, ctx, witness)
	untouched(t, before, after, victim)
	together(after)
	apart(t, map[string]api.Instance{"conflict.0": after["conflict.0.service"], "conflict.1": after["conflict.1.service"]})
}

// fleetConflicts: of five units that exclude each other three run, and the others say why not.
func fleetConflicts(t *testing.T, ctx context.Context) {
	files := map[string]string{}
	for i := range 5 {
		files[fmt.Sprintf("conflict.%d.service", i)] = fleetUnit("Conflicts=conflict.*.service")
	}
	submit(t, ctx, files)
	flotilla(t, ctx, append([]string{"start", "--no-wait"}, slices.Sorted(maps.Keys(files))...)...)
	apart(t, settled(t, ctx, "conflict.*", 3))
	if out := flotilla(t, ctx, "status"); strings.Count(out, "hold units that conflict with it") != 2 {
		t.Errorf("status = %q, want the reason of the two units that wait", out)
	}
}

// fleetOneWayConflict: a conflict holds for the unit that declared none, too; once that is destroyed, the
// other starts.
func fleetOneWayConflict(t *testing.T, ctx context.Context) {
	pin := "MachineMetadata=seat=one"
	flotilla(t, ctx, "host", "label", bed.Hosts[1].Name(), "seat=one")
	t.Cleanup(func() { flotilla(t, context.Background(), "host", "label", bed.Hosts[1].Name(), "seat-") })
	submit(t, ctx, map[string]string{
		"conflicts-with-hello.service": fleetUnit(pin, "Conflicts=hello.service"),
		"hello.service":                fleetUnit(pin),
	})
	flotilla(t, ctx, "start", "conflicts-with-hello")
	if said := refused(t, ctx, "start", "--timeout=3s", "hello"); !strings.Contains(said, "conflicts with it") {
		t.Errorf("start of the unit that declared nothing said %q, want the conflict", said)
	}
	flotilla(t, ctx, "destroy", "conflicts-with-hello")
	settled(t, ctx, "hello.service", 1)
}

// fleetMultipleConflicts: several globs in one line or in many.
func fleetMultipleConflicts(t *testing.T, ctx context.Context) {
	names := "conflict.multiple.0.service conflict.multiple.1.service conflict.multiple.2.service"
	submit(t, ctx, map[string]string{
		"conflict.multiple.0.service": fleetUnit("Conflicts=" + names),
		"conflict.multiple.1.service": fleetUnit("Conflicts=" + names),
		"conflict.multiple.2.service": fleetUnit("Conflicts=" + strings.ReplaceAll(names, " ", "\nConflicts=")),
	})
	flotilla(t, ctx, append([]string{"start"}, strings.Fields(names)...)...)
	apart(t, settled(t, ctx, "conflict.multiple.*", 3))
}

// fleetReplace: a unit takes the host of another, which moves.
func fleetReplace(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{"replace.0.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "replace.0")
	home := settled(t, ctx, "replace.0.service", 1)["replace.0.service"]
	flotilla(t, ctx, "host", "label", home.HostName, "seat=one")
	t.Cleanup(func() { flotilla(t, context.Background(), "host", "label", home.HostName, "seat-") })
	submit(t, ctx, map[string]string{"replace-kick0.service": fleetUnit("Replaces=replace.0.service", "MachineMetadata=seat=one")})
	flotilla(t, ctx, "start", "replace-kick0")
	err := hosts.Wait(ctx, time.Minute, "replace.0.service made room", func(ctx context.Context) error {
		now, err := testbed.Running(ctx, bed.Hosts[0], "replace*")
		if err != nil {
			return err
		}
		if now["replace-kick0.service"].Host != home.Host || now["replace.0.service"].Host == home.Host {
			return fmt.Errorf("kick0 is on %s, replace.0 on %s, which had %s",
				now["replace-kick0.service"].HostName, now["replace.0.service"].HostName, home.HostName)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	demandOnce(t, ctx, running(t, ctx, bed.Hosts[0], "replace*"))
}

// fleetPinned: units that name their machine, in full and by its first eight digits, also with a conflict.
func fleetPinned(t *testing.T, ctx context.Context) {
	files, want := map[string]string{}, map[string]string{}
	for i, h := range bed.Hosts {
		name := fmt.Sprintf("pin-%d.service", i)
		id := h.MachineID()
		if i == 1 {
			id = id[:8]
		}
		files[name], want[name] = testbed.SleepUnit+"[X-Flotilla]\nMachineID="+id+"\nConflicts=pin-*.service\n", h.MachineID()
	}
	submit(t, ctx, files)
	flotilla(t, ctx, append([]string{"start"}, slices.Sorted(maps.Keys(files))...)...)
	for name, i := range running(t, ctx, bed.Hosts[0], "pin-*") {
		if i.Host != want[name] {
			t.Errorf("%s is on %s, want its machine %s", name, i.Host, want[name])
		}
	}
}

// fleetGlobal: two units and a global one make five processes on three hosts; a second global one that
// excludes the first runs nowhere.
func fleetGlobal(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{
		"hello.service": testbed.SleepUnit, "goodbye.service": testbed.SleepUnit,
		"conflict-global.0.service": fleetUnit("Global=true", "Conflicts=conflict-global.*.service"),
		"conflict-global.1.service": fleetUnit("Global=true", "Conflicts=conflict-global.*.service"),
	})
	flotilla(t, ctx, "start", "hello", "goodbye", "conflict-global.0")
	if out := flotilla(t, ctx, "list-units", "--no-legend"); strings.Count(out, "active") != 5 {
		t.Errorf("list-units = %q, want five active", out)
	}
	if out := flotilla(t, ctx, "start", "conflict-global.1"); !strings.Contains(out, "running on no host: 3 hold units that conflict with it") {
		t.Errorf("start of the second global unit said %q, want that it is on no host, and the conflict", out)
	}
	for _, h := range bed.Hosts {
		if isActive(ctx, h, "conflict-global.1.service") || !isActive(ctx, h, "conflict-global.0.service") {
			t.Errorf("on %s the second global unit runs, or the first does not", h.Name())
		}
	}
}

// fleetSpecifiers: each instance of a template goes where its own name says; one whose host there is not
// ends with the reason.
func fleetSpecifiers(t *testing.T, ctx context.Context) {
	for _, h := range bed.Hosts {
		flotilla(t, ctx, "host", "label", h.Name(), "hostname="+h.Name())
		t.Cleanup(func() { flotilla(t, context.Background(), "host", "label", h.Name(), "hostname-") })
	}
	submit(t, ctx, map[string]string{"metadata@.service": fleetUnit("MachineMetadata=hostname=%i")})
	for _, h := range bed.Hosts {
		flotilla(t, ctx, "start", "metadata@"+h.Name())
	}
	for name, i := range running(t, ctx, bed.Hosts[0], "metadata@*") {
		if name != "metadata@"+i.HostName+".service" {
			t.Errorf("%s is on %s", name, i.HostName)
		}
	}
	if said := refused(t, ctx, "start", "--timeout=3s", "metadata@invalid"); !strings.Contains(said, "hostname=invalid") {
		t.Errorf("start of metadata@invalid said %q, want the label that no host has", said)
	}
}

// fleetInstall: a unit with [Install] that is bound to another starts and stops with it.
func fleetInstall(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{
		"hello.service": testbed.SleepUnit,
		"discovery.service": "[Unit]\nBindsTo=hello.service\nAfter=hello.service\n[Service]\nExecStart=/bin/sleep infinity\n" +
			"[Install]\nWantedBy=hello.service\n[X-Fleet]\nMachineOf=hello.service\n",
	})
	flotilla(t, ctx, "start", "hello", "discovery")
	both := running(t, ctx, bed.Hosts[0])
	if both["hello.service"].Host != both["discovery.service"].Host {
		t.Fatalf("hello is on %s, discovery on %s, want them together", both["hello.service"].HostName, both["discovery.service"].HostName)
	}
	h := hostByID(t, both["hello.service"].Host)
	flotilla(t, ctx, "stop", "hello")
	err := hosts.Wait(ctx, time.Minute, "discovery.service stops with hello.service", func(ctx context.Context) error {
		if isActive(ctx, h, "discovery.service") || isActive(ctx, h, "hello.service") {
			return errors.New("one of them is active")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// fleetBatches: many units submitted, loaded, started at once, counted, taken back, and again.
func fleetBatches(t *testing.T, ctx context.Context) {
	files := map[string]string{}
	for i := range 9 {
		files[fmt.Sprintf("single-%d.service", i)] = testbed.SleepUnit
	}
	names := slices.Sorted(maps.Keys(files))
	count := func(state string, want int) {
		t.Helper()
		out := flotilla(t, ctx, "list-unit-files", "--no-legend", "--fields=state")
		if got := strings.Count(out, state); got != want {
			t.Errorf("%d units are %s, want %d: %q", got, state, want, out)
		}
	}
	for range 2 {
		submit(t, ctx, files)
		count("inactive", 9)
		flotilla(t, ctx, append([]string{"load"}, names[:6]...)...)
		count("loaded", 6)
		flotilla(t, ctx, append([]string{"start"}, names[:3]...)...)
		count("launched", 3)
		flotilla(t, ctx, append([]string{"stop"}, names[:3]...)...)
		count("loaded", 6)
		flotilla(t, ctx, append([]string{"unload"}, names[:6]...)...)
		count("inactive", 9)
		flotilla(t, ctx, append([]string{"destroy"}, names...)...)
		count("inactive", 0)
	}
}

// fleetReplaced: --replace puts another content in place with each verb; a running unit restarts with it.
func fleetReplaced(t *testing.T, ctx context.Context) {
	dir := t.TempDir()
	for verb, state := range map[string]string{"submit": "inactive", "load": "loaded", "start": "launched"} {
		path, err := testbed.Put(dir, verb+"ted.service", testbed.SleepUnit)
		if err != nil {
			t.Fatal(err)
		}
		flotilla(t, ctx, verb, path)
		changed := testbed.SleepUnit + "ExecStartPre=/bin/true\n"
		if _, err := testbed.Put(dir, verb+"ted.service", changed); err != nil {
			t.Fatal(err)
		}
		if said := refused(t, ctx, verb, path); !strings.Contains(said, "--replace") {
			t.Errorf("%s of another content said %q, want how to replace it", verb, said)
		}
		flotilla(t, ctx, verb, "--replace", path)
		if got := flotilla(t, ctx, "cat", verb+"ted"); got != changed {
			t.Errorf("cat after %s --replace = %q, want the new content", verb, got)
		}
		if got := strings.TrimSpace(flotilla(t, ctx, "list-unit-files", "--no-legend", "--fields=state", verb+"ted.service")); got != state {
			t.Errorf("state after %s --replace = %q, want %q", verb, got, state)
		}
	}
	placed := running(t, ctx, bed.Hosts[0])["startted.service"]
	if out := exec(t, ctx, hostByID(t, placed.Host), "systemctl", "show", "-P", "ExecStartPre", "startted.service"); !strings.Contains(out, "/bin/true") {
		t.Errorf("systemd runs startted.service with ExecStartPre %q, want the new content", out)
	}
}

// fleetVerbs: restart leaves units where they are, cat shows the bytes, status what systemd says.
func fleetVerbs(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{"hello@.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "hello@{1..3}")
	before := running(t, ctx, bed.Hosts[0])
	flotilla(t, ctx, "restart", "hello@{1..3}")
	for name, now := range running(t, ctx, bed.Hosts[0]) {
		if was := before[name]; now.Host != was.Host || now.Invocation == was.Invocation {
			t.Errorf("%s ran on %s as %s, now on %s as %s; want a new run in the same place", name, was.HostName, was.Invocation, now.HostName, now.Invocation)
		}
	}
	if out := flotilla(t, ctx, "cat", "hello@2"); out != testbed.SleepUnit {
		t.Errorf("cat hello@2 = %q, want the bytes of its template", out)
	}
	flotilla(t, ctx, "load", "hello@4")
	if out := flotilla(t, ctx, "status", "hello@4"); !strings.Contains(out, "ordered loaded") || !strings.Contains(out, "inactive/dead") {
		t.Errorf("status of a loaded unit = %q", out)
	}
}

// fleetOrder: lists are sorted by name.
func fleetOrder(t *testing.T, ctx context.Context) {
	submit(t, ctx, map[string]string{"hello@.service": testbed.SleepUnit})
	flotilla(t, ctx, "submit", "hello@{1..20}")
	got := strings.Fields(flotilla(t, ctx, "list-unit-files", "--no-legend", "--fields=unit"))
	if len(got) != 21 || !slices.IsSorted(got) {
		t.Errorf("list-unit-files = %v, want 21 names, sorted", got)
	}
}

// fleetLabels: labels are added, changed, taken away, and bad ones refused, all or nothing.
func fleetLabels(t *testing.T, ctx context.Context) {
	name := bed.Hosts[2].Name()
	shown := func() string {
		t.Helper()
		for _, line := range strings.Split(flotilla(t, ctx, "list-machines", "--no-legend", "--fields=name,metadata"), "\n") {
			if host, labels, _ := strings.Cut(line, " "); host == name {
				return strings.TrimSpace(labels)
			}
		}
		return "no such host"
	}
	for _, step := range []struct{ label, want string }{
		{"ping=pong", "ping=pong"}, {"ping=splat", "ping=splat"}, {"ping-", "-"},
	} {
		flotilla(t, ctx, "host", "label", name, step.label)
		if got := shown(); got != step.want {
			t.Errorf("metadata after %s = %q, want %q", step.label, got, step.want)
		}
	}
	for _, bad := range []string{"ping=", "=pong", "a b=c", "x=y=z"} {
		refused(t, ctx, "host", "label", name, "good=yes", bad)
		if got := shown(); got != "-" {
			t.Errorf("metadata after the refused %q = %q, want none", bad, got)
		}
	}
}
