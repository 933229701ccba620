package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
)

// TestF23TypedReboot: a reboot that somebody types is told at once and waits for the units that can move; those that cannot
// do not hold it up. The next boot says how it came about.
func TestF23TypedReboot(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.DelayMax(30 * time.Second)
		pinned := w.order("pinned.service", cluster.Placement{State: cluster.Launched, Blob: w.blob("[Service]\nExecStart=/bin/web\n[X-Fleet]\nMachineID=" + string(hostID) + "\n"), Run: 1})
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": web, "pinned.service": pinned})
		w.until("shutdowns to be delayed", func() bool { return w.host.Held() == 1 })
		was := w.bootNow()
		if refused := w.host.Type("reboot"); refused != "" {
			t.Fatal(refused)
		}
		w.until("the shutdown to be told", func() bool { d := w.report().Down; return d != nil && d.Kind == "reboot" })
		w.pass(10 * time.Second)
		if !w.host.Powered() {
			t.Fatal("the host went down while a unit that can move was here")
		}
		w.order("web.service", cluster.Placement{State: cluster.Gone, Blob: web.Blob})
		w.until("the tombstone to be acknowledged", func() bool { return w.statuses()["web.service"].Order == cluster.Gone })
		w.forget("web.service")
		w.until("the lock to be given back", func() bool { return w.host.Held() == 0 })
		w.fell("reboot")
		w.until("the boot to be told as typed", func() bool {
			last := w.report().Last
			return last != nil && *last == cluster.LastBoot{Before: was, How: "typed"}
		})
		if r := w.report(); r.Down != nil {
			t.Errorf("Down = %+v after the boot, want none", r.Down)
		}
	})
}

// TestTypedRebootWithoutAPlaceForUnits: the lock is given up just before logind's limit.
func TestTypedRebootWithoutAPlaceForUnits(t *testing.T) {
	inReboots(t, func(w *world) {
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": web})
		w.until("shutdowns to be delayed", func() bool { return w.host.Held() == 1 })
		w.host.Type("poweroff")
		w.until("the shutdown to be told", func() bool { d := w.report().Down; return d != nil && d.Kind == "poweroff" })
		w.pass(4 * time.Second)
		if w.host.Held() != 1 {
			t.Error("the lock was given back early")
		}
		w.until("the host to go down", func() bool { return !w.host.Powered() })
	})
}

// TestTypedRebootOfAnEmptyHost: it waits for the word to be in the store and no longer.
func TestTypedRebootOfAnEmptyHost(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.DelayMax(time.Hour)
		w.until("shutdowns to be delayed", func() bool { return w.host.Held() == 1 })
		w.host.Type("halt")
		w.pass(5 * time.Second)
		if w.host.Powered() {
			t.Error("the host is still up, want nothing to hold it")
		}
		if d := w.report().Down; d == nil || d.Kind != "halt" {
			t.Errorf("Down = %+v, want it told before the host went", d)
		}
	})
}

// TestTypedRebootTakenBack: nothing is left of it, and the next one is delayed again.
func TestTypedRebootTakenBack(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.DelayMax(time.Hour)
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": web})
		w.until("shutdowns to be delayed", func() bool { return w.host.Held() == 1 })
		w.host.Type("reboot")
		w.until("the shutdown to be told", func() bool { return w.report().Down != nil })
		w.host.CancelShutdown()
		w.until("it to be taken back", func() bool { return w.report().Down == nil })
		w.until("shutdowns to be delayed", func() bool { return w.host.Held() == 1 })
		w.host.PowerLoss()
		w.stop()
		w.host.Boot()
		w.start()
		w.until("the boot to be told as unexpected", func() bool { last := w.report().Last; return last != nil && last.How == "unexpected" })
	})
}

// TestExternalGrant: the agent of a host that a FleetLock client reboots runs hooks and checks, asks nobody, and takes the
// reboot for a granted one.
func TestExternalGrant(t *testing.T) {
	inReboots(t, func(w *world) {
		g := w.granted()
		g.Phase, g.External, g.Wall, g.Grace = cluster.PhaseDrained, true, "bye", time.Hour
		w.grant(g)
		w.verdict("the host to be ready", beforeOf, well(7))
		g.Phase = cluster.PhaseGranted
		w.grant(g)
		w.stays(time.Minute)
		if n := len(w.host.Walls()); n != 0 {
			t.Errorf("%d messages to people, want none: the client has its own", n)
		}
		w.client(g)
		w.goesAsGranted()
	})
}

// TestExternalGrantChecked: while the client has not used its grant the checks are made again, and what they find is told.
func TestExternalGrantChecked(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		g := w.granted()
		g.External, g.Phase, g.Checks = true, cluster.PhaseDrained, []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be well", beforeOf, well(7))
		g.Phase = cluster.PhaseGranted
		w.grant(g)
		gate.set(errors.New("an alert fires"))
		w.verdict("the check to be red although the host has its grant", beforeOf, red(7, "an alert fires"))
		gate.set(nil)
		w.verdict("the check to be well again", beforeOf, well(7))
		w.client(g)
		w.goesAsGranted()
	})
}

// TestExternalGrantOverdue: a client that reboots its host late, and says so first, reboots it as granted.
func TestExternalGrantOverdue(t *testing.T) {
	inReboots(t, func(w *world) {
		g := w.granted()
		g.External = true
		w.grant(g)
		w.client(g)
		g.Phase = cluster.PhaseOverdue
		w.grant(g)
		w.pass(time.Second)
		w.goesAsGranted()
	})
}

// TestExternalGrantUnused: a reboot that somebody types before the client has said that it reboots the host is no granted one, and so
// is one after the client gave the grant back.
func TestExternalGrantUnused(t *testing.T) {
	for name, refused := range map[string]string{"not used": "", "given back": "its client started anew"} {
		t.Run(name, func(t *testing.T) {
			inReboots(t, func(w *world) {
				w.host.DelayMax(time.Hour)
				g := w.granted()
				g.External = true
				w.grant(g)
				if refused != "" {
					w.put("boot/"+string(hostID), cluster.Booting{Generation: g.Generation, Boot: g.Boot, Refused: refused})
				}
				w.pass(time.Second)
				w.host.Type("reboot")
				w.until("the reboot to be told as somebody's", func() bool { d := w.report().Down; return d != nil && d.Kind == "reboot" })
			})
		})
	}
}

// client has the FleetLock client of the host use its grant, as the API does for it.
func (w *world) client(g cluster.Grant) {
	w.t.Helper()
	w.put("boot/"+string(hostID), cluster.Booting{Generation: g.Generation, Boot: g.Boot})
}

// goesAsGranted has the client reboot the host, and demands that the agent takes that for the granted reboot.
func (w *world) goesAsGranted() {
	w.t.Helper()
	w.host.Type("reboot")
	w.pass(time.Second)
	if r := w.report(); r.Down != nil {
		w.t.Errorf("Down = %+v, want the reboot taken for the granted one", r.Down)
	}
	w.fell("reboot")
	w.verdict("the host to be well after the reboot", afterOf, well(7))
	w.until("the boot to be told as granted", func() bool { last := w.report().Last; return last != nil && last.How == "granted" })
}

// TestHookBefore: it runs once, and the host is ready only when it went well. Its failure is told with its last lines; it
// is tried again.
func TestHookBefore(t *testing.T) {
	inReboots(t, func(w *world) {
		const unit = "flotilla-before-reboot@7.service"
		w.host.AddHostUnit(unit, "/etc/systemd/system/flotilla-before-reboot@.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
		g := w.granted()
		g.Phase = cluster.PhaseDrained
		w.grant(g)
		w.verdict("the hook to be red", beforeOf, red(7, unit+" ended with failed"))
		if v := w.report().Before; v == nil || !strings.Contains(v.Reason, "exit") {
			t.Errorf("Before = %+v, want its last lines", v)
		}
		w.host.AddHostUnit(unit, "/etc/systemd/system/flotilla-before-reboot@.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 20\n")
		w.verdict("the hook to run", beforeOf, func(v cluster.Verdict) bool { return v.Busy && v.Reason == unit+" runs" })
		w.verdict("the host to be ready", beforeOf, well(7))
		starts := w.count("start", unit)
		w.stop()
		w.start()
		w.pass(time.Minute)
		if n := w.count("start", unit); n != starts {
			t.Errorf("the hook ran %d times more for the same grant, want none", n-starts)
		}
	})
}

// TestHookUndone: when the reboot does not come the hook after it runs once, in the same boot; when it fails that is told, and it is
// run again until it goes well. A restart of the agent is no end of the grant.
func TestHookUndone(t *testing.T) {
	inReboots(t, func(w *world) {
		const unit, undo, file = "flotilla-before-reboot@7.service", "flotilla-after-reboot@7.service", "/etc/systemd/system/flotilla-after-reboot@.service"
		w.host.AddHostUnit(unit, "/x", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
		w.host.AddHostUnit(undo, file, "[Service]\nType=oneshot\nExecStart=/bin/false\n")
		g := w.granted()
		g.Phase = cluster.PhaseDrained
		w.grant(g)
		w.verdict("the host to be ready", beforeOf, well(7))
		w.stop()
		w.mem.Down(true) // it knows nothing of grants for a while
		w.start()
		w.pass(time.Minute)
		w.mem.Down(false)
		w.pass(time.Minute)
		if n := w.count("start", undo); n != 0 {
			t.Fatalf("%s ran %d times while the grant stands, want never", undo, n)
		}
		g.Phase = cluster.PhaseAbandoned
		w.grant(g)
		w.until("the failure to be told", func() bool { return strings.Contains(w.report().Problem, undo+" ended with failed") })
		w.host.AddHostUnit(undo, file, "[Service]\nType=oneshot\nExecStart=/bin/true\n")
		w.until("it to be told no more", func() bool { return w.report().Problem == "" })
		w.stop()
		starts := w.count("start", undo)
		w.start()
		w.pass(2 * time.Minute)
		if n := w.count("start", undo); n != starts {
			t.Errorf("%s ran %d times more after it went well, want never", undo, n-starts)
		}
	})
}

// TestHookUndoneBeforeTheNext: the grant goes away while the agent is down, and the next one comes. What the first one's hook did is
// undone before the second one's runs.
func TestHookUndoneBeforeTheNext(t *testing.T) {
	inReboots(t, func(w *world) {
		for _, unit := range []string{"flotilla-before-reboot@7.service", "flotilla-after-reboot@7.service", "flotilla-before-reboot@8.service"} {
			w.host.AddHostUnit(unit, "/x", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
		}
		g := w.granted()
		g.Phase = cluster.PhaseDrained
		w.grant(g)
		w.verdict("the host to be ready", beforeOf, well(7))
		w.stop()
		g.Generation, g.Phase = 8, cluster.PhaseDrained
		w.grant(g)
		w.start()
		w.verdict("the host to be ready for the next", beforeOf, well(8))
		if n := w.count("start", "flotilla-after-reboot@7.service"); n != 1 {
			t.Errorf("the hook after the reboot that did not come ran %d times, want once", n)
		}
		w.fellAfter(g)
		if n := w.count("start", "flotilla-after-reboot@7.service"); n != 1 {
			t.Errorf("it ran %d times after the next reboot, want once", n)
		}
	})
}

// fellAfter grants the reboot for which the host is ready, and waits until it is well after it.
func (w *world) fellAfter(g cluster.Grant) {
	w.t.Helper()
	g.Phase = cluster.PhaseGranted
	w.grant(g)
	w.fell("reboot")
	w.verdict("the host to be well after the reboot", afterOf, well(g.Generation))
}

// TestHookTakesTooLong: it is stopped, and the host is not ready.
func TestHookTakesTooLong(t *testing.T) {
	inReboots(t, func(w *world) {
		const unit = "flotilla-before-reboot@7.service"
		w.host.AddHostUnit(unit, "/etc/systemd/system/flotilla-before-reboot@.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 3600\n")
		g := w.granted()
		g.Phase, g.Hooks = cluster.PhaseDrained, 10*time.Second
		w.grant(g)
		w.verdict("the hook to be red", beforeOf, red(7, "did not end within 10s"))
		if n := w.count("stop", unit); n != 1 {
			t.Errorf("the hook was stopped %d times, want once", n)
		}
	})
}

// TestGrantTakenBackWhileTheHookRuns: the agent is free for the next grant at once.
func TestGrantTakenBackWhileTheHookRuns(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.AddHostUnit("flotilla-before-reboot@7.service", "/x", "[Service]\nType=oneshot\nExecStart=/bin/sleep 3600\n")
		g := w.granted()
		g.Phase, g.Hooks = cluster.PhaseDrained, time.Hour
		w.grant(g)
		w.verdict("the hook to run", beforeOf, func(v cluster.Verdict) bool { return v.Busy })
		g.Phase = cluster.PhaseAbandoned
		w.grant(g)
		w.until("the verdict to be dropped", func() bool { return w.report().Before == nil })
		g.Generation, g.Phase = 8, cluster.PhaseDrained
		w.grant(g)
		w.verdict("the host to be ready", beforeOf, well(8))
	})
}

// TestHookAfter: it runs once after the boot; until then the host is not back.
func TestHookAfter(t *testing.T) {
	inReboots(t, func(w *world) {
		const unit = "flotilla-after-reboot@7.service"
		w.host.AddHostUnit(unit, "/etc/systemd/system/flotilla-after-reboot@.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 20\n")
		w.grant(w.granted())
		w.fell("reboot")
		w.verdict("the hook to run", afterOf, func(v cluster.Verdict) bool { return v.Busy && v.Reason == unit+" runs" })
		w.verdict("the host to be well", afterOf, well(7))
		w.pass(time.Minute)
		if n := w.count("start", unit); n != 1 {
			t.Errorf("the hook ran %d times, want once", n)
		}
	})
}

// TestBootComplete: where the host has boot-complete.target it must be reached, and what it requires must be well.
func TestBootComplete(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.AddHostUnit("boot-complete.target", "/usr/lib/systemd/system/boot-complete.target", "[Unit]\nRequires=health.service\nAfter=health.service\n")
		w.host.AddHostUnit("health.service", "/etc/systemd/system/health.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/false\n")
		w.grant(w.granted())
		w.fell("reboot")
		w.verdict("the gate to be red", afterOf, red(7, "failed health.service"))
		if n := w.count("start", "boot-complete.target"); n != 0 {
			t.Errorf("boot-complete.target was reached %d times although its check failed", n)
		}
		w.host.AddHostUnit("health.service", "/etc/systemd/system/health.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
		if err := w.host.ResetFailed(t.Context(), "health.service"); err != nil {
			t.Fatal(err)
		}
		w.verdict("the gate to be green", afterOf, well(7))
	})
}

// TestWallAndGrace: people get the message once, and their time; who has left is not waited for.
func TestWallAndGrace(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.LogIn(2)
		g := w.granted()
		g.Phase, g.Wall, g.Grace = cluster.PhaseDrained, "this host reboots in 5 minutes", 5*time.Minute
		w.grant(g)
		w.verdict("people to be waited for", beforeOf, func(v cluster.Verdict) bool {
			return v.Busy && v.Reason == "people are logged in (2) and have 5m0s after the warning"
		})
		w.pass(4 * time.Minute)
		if v := w.report().Before; v == nil || v.Well {
			t.Errorf("Before = %+v after four minutes, want it to wait", v)
		}
		w.verdict("their time to be over", beforeOf, well(7))
		if walls := w.host.Walls(); len(walls) != 1 || walls[0] != g.Wall {
			t.Errorf("messages = %q, want one", walls)
		}
		g.Generation = 8
		w.grant(g)
		w.verdict("people to be waited for", beforeOf, func(v cluster.Verdict) bool { return v.Generation == 8 && v.Busy })
		w.host.LogIn(0)
		w.pass(10 * time.Second)
		if v := w.report().Before; v == nil || !v.Well {
			t.Errorf("Before = %+v after they left, want well", v)
		}
	})
}

// TestLogindWithAShorterLimit: what logind really allows is told.
func TestLogindWithAShorterLimit(t *testing.T) {
	inReboots(t, func(w *world) {
		w.until("the limit to be told", func() bool {
			return w.report().Delay == 5*time.Second
		})
		w.host.DelayMax(30 * time.Second)
		w.until("the mended limit to be told", func() bool { return w.report().Delay == 30*time.Second })
	})
}
