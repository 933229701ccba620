//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/e2e/testbed"
)

// TestRollingReboot: three hosts, on which etcd and the leader are too, reboot one after another under load, and no
// request fails. A host that goes without a drain fails requests: the check can.
func TestRollingReboot(t *testing.T) {
	ctx, _ := rebootScenario(t)
	lead := leader(t, ctx, bed.Hosts[0])
	members(t, ctx)
	webServers(t, ctx)
	rolled, err := bed.Roll(ctx, "web", webs)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%v; %s; in all %.1f s; %s led", rolled.Load, rolled.Seconds(), rolled.Took.Seconds(), lead.Name())
	if err := rolled.Failed(); err != nil {
		t.Error(err)
	}
	answered(t, rolled.Load)
	members(t, ctx)
	even(t, ctx)
	t.Run("without a drain", func(t *testing.T) {
		g := underLoad(t, ctx)
		victim := bed.Hosts[1]
		if err := victim.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		if err := testbed.AwaitHost(ctx, bed.Hosts[0], victim, api.HostAbsent); err != nil {
			t.Fatal(err)
		}
		r := g.Stop()
		t.Log(r)
		if r.Failures() == 0 {
			t.Errorf("%v although a host was killed: the check sees nothing", r)
		}
	})
}

// TestRebootTyped: somebody types reboot inside a host. It drains within the time that logind grants it, and the history
// says what happened.
func TestRebootTyped(t *testing.T) {
	ctx, since := rebootScenario(t)
	victim := others(leader(t, ctx, bed.Hosts[0]))[0]
	before := boots(t)
	webServers(t, ctx)
	g := underLoad(t, ctx)
	_, _ = victim.Exec(ctx, nil, "systemctl", "reboot") // may be killed by the shutdown that it asks for
	if err := victim.AwaitBoot(ctx, before[victim.Name()]); err != nil {
		t.Fatal(err)
	}
	record := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Unasked })
	t.Logf("history: %s: %s", record.Cause, record.Reason)
	running(t, ctx, bed.Hosts[0])
	r := g.Stop()
	t.Log(r)
	if r.Failures() > 0 {
		t.Errorf("%v, want none failed:\n%s", r, strings.Join(r.Samples, "\n"))
	}
	rebooted(t, before, victim)
}

// TestRebootWindow: a window closes while a host is drained. The host is not rebooted, gets units again, and is
// rebooted in the next window.
func TestRebootWindow(t *testing.T) {
	ctx, since := rebootScenario(t)
	victim := others(leader(t, ctx, bed.Hosts[0]))[0]
	before := boots(t)
	labelHome(t, ctx, victim)
	submit(t, ctx, map[string]string{"slow.service": testbed.SleepUnit + "ExecStop=/bin/sleep 30\n[X-Flotilla]\nPrefer=home\n"})
	flotilla(t, ctx, "start", "slow")
	if i := running(t, ctx, bed.Hosts[0])["slow.service"]; i.Host != victim.MachineID() {
		t.Fatalf("slow.service is on %s, want %s", i.HostName, victim.Name())
	}
	exec(t, ctx, victim, "touch", "/run/reboot-required")
	exec(t, ctx, victim, "systemctl", "restart", testbed.Agent) // it looks at once, and else within a minute
	awaitPhase(t, ctx, victim, cluster.PhaseWanted)
	window(t, ctx, 15*time.Second)
	awaitPhase(t, ctx, victim, cluster.PhaseDraining)
	record := awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseAbandoned })
	if !strings.Contains(record.Reason, "window") {
		t.Errorf("the reboot was given up because %q, want the window's end named", record.Reason)
	}
	line := awaitPhase(t, ctx, victim, cluster.PhaseQueued)
	t.Logf("%s: %s; then: %s", victim.Name(), record.Reason, line.Reason)
	running(t, ctx, bed.Hosts[0])
	rebooted(t, before)
	window(t, ctx, 2*time.Minute)
	awaitRecord(t, ctx, victim, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	rebooted(t, before, victim)
}

// TestRebootOverdue: a host never comes back from its reboot. The roll stops and says why, until somebody unlocks it.
func TestRebootOverdue(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ownLab(t, "overdue", 4)
	if err := bed.Form(ctx); err != nil {
		t.Fatal(err)
	}
	quick(t, ctx)
	since := revision(t, ctx)
	lost, next := bed.Hosts[3], bed.Hosts[1] // the fourth is no member of etcd
	before := boots(t)
	if err := lost.StayDown(true); err != nil {
		t.Fatal(err)
	}
	flotilla(t, ctx, "reboot", "--no-wait", "--reason=disk firmware", lost.Name())
	awaitPhase(t, ctx, lost, cluster.PhaseRebooting)
	flotilla(t, ctx, "reboot", "--no-wait", "--reason=disk firmware", next.Name())
	awaitPhase(t, ctx, lost, cluster.PhaseOverdue)
	line := awaitPhase(t, ctx, next, cluster.PhaseQueued)
	if !strings.Contains(line.Reason, lost.Name()) {
		t.Errorf("%s waits because %q, want %s named", next.Name(), line.Reason, lost.Name())
	}
	out := flotilla(t, ctx, "reboot", "status")
	t.Logf("reboot status:\n%s", out)
	if !strings.Contains(out, "overdue") {
		t.Error("reboot status does not say overdue")
	}
	rebooted(t, before, lost)
	flotilla(t, ctx, "reboot", "unlock", lost.Name(), "--reason=its disk died")
	awaitRecord(t, ctx, lost, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseReleased })
	awaitRecord(t, ctx, next, since, func(r cluster.Record) bool { return r.Outcome == cluster.PhaseDone })
	rebooted(t, before, lost, next)
}
