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

// TestSubmitToRunning is the main job: files in, containers run, anybody can look.
func TestSubmitToRunning(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{
		"pod@.service":  testbed.PodmanUnit("", "-port 0"),
		"dock@.service": testbed.DockerUnit("", "-port 0"),
	})
	if out := flotilla(t, ctx, "start", "pod@{1..3}", "dock@{1..3}"); strings.Count(out, " running on ") != 6 {
		t.Errorf("start said %q, want six units running", out)
	}
	placed := running(t, ctx, bed.Hosts[0])
	perHost := map[string]int{}
	for _, i := range placed {
		perHost[i.HostName]++
	}
	if len(perHost) != 3 {
		t.Errorf("units are on %v, want all three hosts", perHost)
	}
	for _, h := range bed.Hosts { // any daemon answers for any host
		for name := range placed {
			awaitLog(t, ctx, h, name, "app "+name+" ")
		}
		if out := flotillaOn(t, ctx, h, "status", "pod@1"); !strings.Contains(out, "active/running") {
			t.Errorf("status pod@1 on %s = %q, want active/running", h.Name(), out)
		}
	}
	if out := flotilla(t, ctx, "cat", "pod@1"); out != testbed.PodmanUnit("", "-port 0") {
		t.Errorf("cat pod@1 = %q, want the bytes that were submitted", out)
	}
}

// TestTargetsAndVerbs walks a unit through its states, and each verb's answer.
func TestTargetsAndVerbs(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"walk.service": testbed.SleepUnit})
	states := func(step, want string) {
		t.Helper()
		if got := strings.Fields(flotilla(t, ctx, "list-unit-files", "--no-legend", "--fields=dstate,state", "walk.service")); strings.Join(got, " ") != want {
			t.Errorf("after %s: states = %v, want %s", step, got, want)
		}
	}
	for _, step := range []struct{ verb, want string }{
		{"load", "loaded loaded"},
		{"start", "launched launched"},
		{"stop", "loaded loaded"},
		{"start", "launched launched"},
		{"unload", "inactive inactive"},
		{"start", "launched launched"},
	} {
		flotilla(t, ctx, step.verb, "walk")
		states(step.verb, step.want)
	}
	before := running(t, ctx, bed.Hosts[0], "walk.service")["walk.service"]
	flotilla(t, ctx, "load", "walk") // load raises only: a running unit runs on
	states("load of a running unit", "launched launched")
	flotilla(t, ctx, "restart", "walk")
	after := running(t, ctx, bed.Hosts[0], "walk.service")["walk.service"]
	if after.Host != before.Host || after.Invocation == before.Invocation {
		t.Errorf("restart: was %s on %s, is %s on %s; want a new run in the same place", before.Invocation, before.HostName, after.Invocation, after.HostName)
	}
	flotilla(t, ctx, "destroy", "walk")
	if said := refused(t, ctx, "status", "walk"); !strings.Contains(said, "no unit and no host") {
		t.Errorf("status of a destroyed unit said %q", said)
	}
}

// TestGlobal: a unit that runs on every host is looked at and restarted as one thing.
func TestGlobal(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"all.service": testbed.PodmanUnit("[X-Flotilla]\nGlobal=yes", "-port 0")})
	flotilla(t, ctx, "start", "all")
	runs := func() map[string]string {
		out := map[string]string{}
		for _, h := range bed.Hosts {
			if !isActive(ctx, h, "all.service") {
				t.Errorf("all.service is not active on %s", h.Name())
			}
			out[h.Name()] = invocation(t, ctx, h, "all.service")
		}
		return out
	}
	before := runs()
	for _, h := range bed.Hosts { // whichever host is asked
		for _, from := range bed.Hosts {
			awaitLog(t, ctx, h, "all.service", from.Name()+" all.service: app ")
		}
		out := flotillaOn(t, ctx, h, "status", "all")
		for _, on := range bed.Hosts {
			if !strings.Contains(out, on.Name()) || strings.Count(out, "active/running") != len(bed.Hosts) {
				t.Errorf("status all on %s = %q, want active/running on every host", h.Name(), out)
			}
		}
	}
	flotilla(t, ctx, "restart", "all")
	after := runs()
	for name, was := range before {
		if after[name] == was {
			t.Errorf("all.service was not restarted on %s", name)
		}
	}
	flotilla(t, ctx, "stop", "all")
	for _, h := range bed.Hosts {
		if isActive(ctx, h, "all.service") {
			t.Errorf("all.service is active on %s after stop", h.Name())
		}
	}
}

// TestProcessDies: systemd restarts a container whose process was killed; a plain one at its start limit the unit is failed and
// explain shows its last lines.
func TestProcessDies(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{
		"again.service": testbed.PodmanUnit("RestartSec=100ms", "-port 0"),
		"hopeless.service": "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=3\n[Service]\n" +
			"ExecStartPre=/bin/sh -c 'echo the disk is on fire; exit 3'\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=50ms\n",
	})
	flotilla(t, ctx, "start", "again")
	was := running(t, ctx, bed.Hosts[0], "again.service")["again.service"]
	h := hostByID(t, was.Host)
	exec(t, ctx, h, "podman", "kill", "--signal=KILL", "again-") // the app, not what looks after it
	err := hosts.Wait(ctx, time.Minute, "again.service runs anew", func(ctx context.Context) error {
		now, err := testbed.Running(ctx, bed.Hosts[0], "again.service")
		if err == nil && now["again.service"].Invocation == was.Invocation {
			err = errors.New("it is still the run that was killed")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := strings.TrimSpace(exec(t, ctx, h, "systemctl", "show", "-P", "NRestarts", "again.service")); n != "1" {
		t.Errorf("again.service was restarted %s times by systemd, want once", n)
	}
	if said := refused(t, ctx, "start", "hopeless"); !strings.Contains(said, "hopeless.service: failed on h") {
		t.Errorf("start of a hopeless unit said %q, want that it failed and where", said)
	}
	err = hosts.Wait(ctx, time.Minute, "explain shows the last lines", func(ctx context.Context) error {
		out, _, err := bed.CLI(ctx, bed.Hosts[0], "explain", "hopeless")
		if err == nil && !strings.Contains(out, "the disk is on fire") {
			err = fmt.Errorf("explain said %q", out)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestHostKilled: power loss of a host, without and with the leader on it. All its units
// run elsewhere, nothing else is touched, and the host's return moves nothing.
func TestHostKilled(t *testing.T) {
	for _, c := range []struct {
		name   string
		victim func(leader *hosts.Host) *hosts.Host
	}{
		{"without the leader", func(l *hosts.Host) *hosts.Host { return others(l)[1] }},
		{"with the leader", func(l *hosts.Host) *hosts.Host { return l }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := scenario(t)
			submit(t, ctx, map[string]string{
				"pod@.service": testbed.PodmanUnit("", "-port 0"), "dock@.service": testbed.DockerUnit("", "-port 0"), "plain@.service": testbed.SleepUnit,
			})
			flotilla(t, ctx, "start", "pod@{1..3}", "dock@{1..3}", "plain@{1..9}")
			victim := c.victim(leader(t, ctx, bed.Hosts[0]))
			witness := others(victim)[0]
			before := running(t, ctx, witness)
			if err := victim.Kill(ctx); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := testbed.AwaitHost(ctx, witness, victim, "absent"); err != nil {
				t.Fatal(err)
			}
			noticed := time.Since(began)
			after := running(t, ctx, witness)
			t.Logf("noticed after %.1f s, all units active after %.1f s", noticed.Seconds(), time.Since(began).Seconds())
			untouched(t, before, after, victim)
			if err := victim.Start(ctx); err != nil {
				t.Fatal(err)
			}
			if err := testbed.AwaitHost(ctx, witness, victim, "alive"); err != nil {
				t.Fatal(err)
			}
			untouched(t, after, running(t, ctx, witness))
			demandOnce(t, ctx, after)
		})
	}
}

// TestHostCutOffAndBack: a host that lost the network keeps its units; they also start
// elsewhere; when it is back, its stale copies stop before anything else starts there, and
// nothing else is touched.
func TestHostCutOffAndBack(t *testing.T) {
	ctx := scenario(t)
	if err := bed.PrepareWitness(); err != nil {
		t.Fatal(err)
	}
	victim := others(leader(t, ctx, bed.Hosts[0]))[1]
	witness := others(victim)[0]
	submit(t, ctx, map[string]string{
		"beat@.service": testbed.BeatUnit("", ""), "dock@.service": testbed.DockerUnit("", "-port 0"),
		"late.service": testbed.BeatUnit("", "[X-Flotilla]\nMachineID="+victim.MachineID()+"\n"),
	})
	flotilla(t, ctx, "start", "beat@{1..9}", "dock@{1..3}")
	before := running(t, ctx, witness)
	if err := victim.Cut(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, witness, victim, "absent"); err != nil {
		t.Fatal(err)
	}
	after := running(t, ctx, witness)
	untouched(t, before, after, victim)
	var stale []string
	for name, i := range before {
		if i.Host != victim.MachineID() {
			continue
		}
		stale = append(stale, name)
		if !isActive(ctx, victim, name) {
			t.Errorf("%s was stopped on %s while it was cut off", name, victim.Name())
		}
	}
	flotillaOn(t, ctx, witness, "start", "--no-wait", "late")
	if err := victim.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, witness, victim, "alive"); err != nil {
		t.Fatal(err)
	}
	demandOnce(t, ctx, after)
	all := running(t, ctx, witness)
	untouched(t, after, all)
	if all["late.service"].Host != victim.MachineID() {
		t.Errorf("late.service is on %q, want %s", all["late.service"].HostName, victim.Name())
	}
	staleFirst(t, victim, stale)
}

// staleFirst demands that the beats of each stale copy on a host ended before late.service began there.
func staleFirst(t *testing.T, victim *hosts.Host, stale []string) {
	t.Helper()
	late, err := bed.Runs("late.service")
	if err != nil || len(late) != 1 {
		t.Fatalf("late.service ran %d times: %v, want once", len(late), err)
	}
	seen := 0
	for _, name := range stale {
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if r.Host != victim.Name() {
				continue
			}
			seen++
			if r.Last >= late[0].First {
				t.Errorf("the stale copy of %s ran until %v, late.service from %v: want it stopped first", name, r.Last, late[0].First)
			} else {
				t.Logf("the stale copy of %s ended %v before late.service began", name, late[0].First-r.Last)
			}
		}
	}
	if seen < 2 {
		t.Errorf("%d stale copies left beats on %s, want two at least", seen, victim.Name())
	}
}

// awaitLog waits until the log of a unit, asked on any host, shows a text.
func awaitLog(t *testing.T, ctx context.Context, h *hosts.Host, unit, want string) {
	t.Helper()
	err := hosts.Wait(ctx, time.Minute, "logs "+unit+" asked on "+h.Name(), func(ctx context.Context) error {
		out, _, err := bed.CLI(ctx, h, "logs", "-n", "100", unit)
		if err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("no %q in %q", want, out)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// demandOnce waits until each unit runs on its host and on no other, as the hosts' systemds tell.
func demandOnce(t *testing.T, ctx context.Context, placed map[string]api.Instance) {
	t.Helper()
	names := slices.Sorted(maps.Keys(placed))
	err := hosts.Wait(ctx, time.Minute, "each unit runs once", func(ctx context.Context) error {
		for _, h := range bed.Hosts {
			out, err := h.Exec(ctx, nil, append([]string{"systemctl", "show", "-P", "ActiveState"}, names...)...)
			if err != nil {
				return err
			}
			states := strings.Fields(out)
			if len(states) != len(names) {
				return fmt.Errorf("%s tells of %d units, want %d", h.Name(), len(states), len(names))
			}
			for i, name := range names {
				if want := h.MachineID() == placed[name].Host; (states[i] == "active") != want {
					return fmt.Errorf("%s on %s is %s, want active: %v", name, h.Name(), states[i], want)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// isActive asks a host's systemd itself.
func isActive(ctx context.Context, h *hosts.Host, unit string) bool {
	out, err := h.Exec(ctx, nil, "systemctl", "show", "-P", "ActiveState", unit)
	return err == nil && strings.TrimSpace(out) == "active"
}

// invocation is systemd's own id of a unit's run.
func invocation(t *testing.T, ctx context.Context, h *hosts.Host, unit string) string {
	t.Helper()
	out, err := h.Exec(ctx, nil, "systemctl", "show", "-P", "InvocationID", unit)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func hostByID(t *testing.T, id string) *hosts.Host {
	t.Helper()
	for _, h := range bed.Hosts {
		if h.MachineID() == id {
			return h
		}
	}
	t.Fatalf("no host with id %q", id)
	return nil
}
