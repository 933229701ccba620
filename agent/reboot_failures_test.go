package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"flotilla/agent/systemd"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// The tests here are the failures F… of the reboots that the agent has a part in; the leader's part is in leader/plan and sim.

// granted is a grant that may be used for a minute.
func (w *world) granted() cluster.Grant {
	return cluster.Grant{Generation: 7, Phase: cluster.PhaseGranted, Boot: w.bootNow(), Cause: "test", Within: time.Minute}
}

func red(generation int64, part string) func(cluster.Verdict) bool {
	return func(v cluster.Verdict) bool {
		return v.Generation == generation && !v.Well && !v.Busy && strings.Contains(v.Reason, part)
	}
}

// stays fails if the host goes down, or is asked to, within a time.
func (w *world) stays(d time.Duration) {
	w.t.Helper()
	before := w.count("shutdown", "")
	w.pass(d)
	if n := w.count("shutdown", "") - before; n != 0 || !w.host.Powered() {
		w.t.Errorf("the host was asked to go down %d times, want it up", n)
	}
}

// TestF2AgentKilledBeforeLogindWasAsked: an agent that ends between the use of the grant and the call of logind is not taken for
// back. The next one, in the same boot, finds in the store that the host is committed, and asks.
func TestF2AgentKilledBeforeLogindWasAsked(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.SlowLogind(time.Hour)
		w.grant(w.granted())
		w.until("the grant to be used", func() bool { return w.booting() != nil })
		w.stop()
		if !w.host.Powered() || w.count("shutdown", "") != 0 {
			t.Fatal("the host goes down, want the agent dead before it asked")
		}
		w.host.SlowLogind(0)
		w.start()
		w.fell("reboot")
		w.verdict("the host to be well after the reboot", afterOf, well(7))
	})
}

// TestF2AgentComesBackTooLate: the time of the grant is over when the next agent comes. It gives the grant back and does not
// reboot.
func TestF2AgentComesBackTooLate(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.SlowLogind(time.Hour)
		w.grant(w.granted())
		w.until("the grant to be used", func() bool { return w.booting() != nil })
		w.stop()
		w.pass(2 * time.Minute)
		w.host.SlowLogind(0)
		w.start()
		w.until("the grant to be given back", func() bool { return w.booting().Refused != "" })
		if why := w.booting().Refused; !strings.Contains(why, "within 1m0s") {
			t.Errorf("refused because %q, want the time told", why)
		}
		w.stays(5 * time.Minute)
		if r := w.report(); r.After != nil {
			t.Errorf("After = %+v in the boot that was to end, want none", r.After)
		}
	})
}

// TestF6DegradedAfterTheBoot: the gate is red and names what failed; it is green later without help.
func TestF6DegradedAfterTheBoot(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.AddHostUnit("db.service", "/usr/lib/systemd/system/db.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
		w.grant(w.granted())
		w.fell("reboot")
		if r := w.host.Jobs(t.Context(), []systemd.Job{{Name: "db.service", Verb: systemd.Start}})[0]; r.Outcome != systemd.JobFailed {
			t.Fatalf("start of db.service = %+v, want it failed", r)
		}
		w.verdict("the gate to be red", afterOf, red(7, "systemd is degraded: failed db.service"))
		if err := w.host.ResetFailed(t.Context(), "db.service"); err != nil {
			t.Fatal(err)
		}
		w.verdict("the gate to be green", afterOf, well(7))
	})
}

// TestF7FailsWhileItSettles: what fails after the first good look is seen while the grant stands.
func TestF7FailsWhileItSettles(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.AddHostUnit("web.service", "/usr/lib/systemd/system/web.service", "[Service]\nExecStart=/bin/web\n")
		g := w.grant(w.granted())
		w.fell("reboot")
		if r := w.host.Jobs(t.Context(), []systemd.Job{{Name: "web.service", Verb: systemd.Start}})[0]; r.Outcome != systemd.Done {
			t.Fatalf("start of web.service = %+v", r)
		}
		w.verdict("the host to be well", afterOf, well(7))
		g.Phase = cluster.PhaseSettling
		w.grant(g)
		w.pass(2 * time.Minute)
		if v := w.report().After; v == nil || !v.Well {
			t.Errorf("After = %+v while it settles, want well", v)
		}
		w.host.Crash("web.service")
		w.verdict("the crash to be told", afterOf, red(7, "web.service"))
	})
}

// TestF9NoQuorumNoReboot: the grant is there and the store is not: the host does not reboot, and does when the store is back
// in time.
func TestF9NoQuorumNoReboot(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		gate.set(errors.New("not yet"))
		g := w.granted()
		g.Checks = []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "not yet"))
		w.mem.Down(true)
		gate.set(nil)
		w.stays(20 * time.Second)
		w.mem.Down(false)
		w.fell("reboot")
		if b := w.booting(); b == nil || b.Generation != 7 || b.Refused != "" {
			t.Errorf("the host says %+v, want that it used grant 7", b)
		}
	})
}

// TestF43GrantPastItsTime: a host that is cut off with a grant in its hands does not use it after the time that it
// has from when it first saw it, whatever it sees then.
func TestF43GrantPastItsTime(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		gate.set(errors.New("not yet"))
		g := w.granted()
		g.Checks = []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "not yet"))
		w.mem.Partition("one", memory.CutAll)
		gate.set(nil)
		w.stays(2 * time.Minute)
		w.mem.Partition("one", memory.CutNone)
		w.stays(5 * time.Minute)
		if b := w.booting(); b != nil {
			t.Errorf("the host says %+v, want nothing", b)
		}
	})
}

// TestF43GrantTakenBack: the leader took the grant back while the host was cut off. The transaction that would use it fails.
func TestF43GrantTakenBack(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		gate.set(errors.New("not yet"))
		g := w.granted()
		g.Within, g.Checks = time.Hour, []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "not yet"))
		w.mem.Partition("one", memory.CutAll)
		g.Phase = cluster.PhaseAbandoned
		w.grant(g)
		gate.set(nil)
		w.pass(20 * time.Second)
		w.mem.Partition("one", memory.CutNone)
		w.stays(5 * time.Minute)
		if b := w.booting(); b != nil {
			t.Errorf("the host says %+v, want nothing", b)
		}
	})
}

// TestGrantGivenAnew: a grant that was taken back and given anew has its time anew.
func TestGrantGivenAnew(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		gate.set(errors.New("not yet"))
		g := w.granted()
		g.Since, g.Checks = time.Now(), []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "not yet"))
		w.pass(2 * time.Minute)
		g.Phase, g.Since = cluster.PhaseDrained, time.Now()
		w.grant(g)
		w.pass(time.Minute)
		g.Phase, g.Since = cluster.PhaseGranted, time.Now()
		w.grant(g)
		gate.set(nil)
		w.fell("reboot")
	})
}

// TestExternalChecks: the checks of a host that somebody else reboots are made for as long as it may reboot.
func TestExternalChecks(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		g := w.granted()
		g.External, g.Checks = true, []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the checks to be green", beforeOf, well(7))
		gate.set(errors.New("ill by now"))
		w.verdict("the check to be red", beforeOf, red(7, "ill by now"))
		gate.set(nil)
		w.verdict("the checks to be green again", beforeOf, well(7))
	})
}

// TestF24PowerLoss: a boot that nobody asked for is told as such.
func TestF24PowerLoss(t *testing.T) {
	inReboots(t, func(w *world) {
		was := w.bootNow()
		if r := w.report(); r.Last != nil {
			t.Errorf("Last = %+v on a host that is new, want nothing", r.Last)
		}
		w.host.PowerLoss()
		w.stop()
		w.host.Boot()
		w.start()
		w.until("the boot to be told", func() bool {
			last := w.report().Last
			return last != nil && *last == cluster.LastBoot{Before: was, How: "unexpected"}
		})
	})
}

// TestF25LogindRefuses: the reason is told, the grant is given back, shutdowns are delayed again, and nothing is asked any more.
func TestF25LogindRefuses(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.Block("dpkg")
		g := w.grant(w.granted())
		w.until("the refusal to be told", func() bool { b := w.booting(); return b != nil && b.Refused == "dpkg forbids shutdowns" })
		w.host.Unblock()
		w.stays(5 * time.Minute)
		w.until("the lock to be held again", func() bool { return w.host.Held() == 1 })
		g.Phase = cluster.PhaseFailed
		w.grant(g)
		next := w.granted()
		next.Generation = 9
		w.grant(next)
		w.fell("reboot")
	})
}

// TestF25LogindDoesNotAnswer: it may do what it was asked all the same. The grant is not given back, and the reboot
// counts as granted.
func TestF25LogindDoesNotAnswer(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.Deafen(1)
		w.grant(w.granted())
		w.fell("reboot")
		if b := w.booting(); b.Refused != "" {
			t.Errorf("refused because %q, want it kept", b.Refused)
		}
		w.until("the boot to be told as granted", func() bool { last := w.report().Last; return last != nil && last.How == "granted" })
	})
}

// TestF25ShutdownTakenBack: logind took the reboot on and then did not go through with it.
func TestF25ShutdownTakenBack(t *testing.T) {
	inReboots(t, func(w *world) {
		other, err := w.host.Logind().Hold(t.Context()) // somebody else delays it, too
		if err != nil {
			t.Fatal(err)
		}
		defer other()
		w.host.DelayMax(time.Hour)
		w.grant(w.granted())
		w.until("the host to be asked to go down", func() bool { return w.count("shutdown", "") == 1 })
		w.pass(time.Second)
		w.host.CancelShutdown()
		w.until("the grant to be given back", func() bool { b := w.booting(); return b != nil && b.Refused != "" })
		if r := w.report(); r.Down != nil {
			t.Errorf("Down = %+v for a reboot of ours, want none", r.Down)
		}
		w.stays(5 * time.Minute)
	})
}

// TestF26SoftReboot: the boot id stays, the count tells that the host is back. The grant is not used again although it stands, and
// units start anew.
func TestF26SoftReboot(t *testing.T) {
	inReboots(t, func(w *world) {
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		g := w.granted()
		g.Soft = true
		w.grant(g)
		w.fell("soft-reboot")
		if now := w.bootNow(); now.ID != g.Boot.ID || now.Soft != 1 {
			t.Fatalf("the host is in boot %+v, want the same with one soft reboot", now)
		}
		w.verdict("the host to be well after the soft reboot", afterOf, well(7))
		r := w.report()
		if r.Soft != 1 || r.Last == nil || r.Last.How != "granted" || r.Last.Before != g.Boot {
			t.Errorf("report = %+v, Last %+v, want the soft reboot told", r, r.Last)
		}
		w.until("the unit to run again", func() bool { return w.count("start", "web.service") == 2 })
		w.stays(5 * time.Minute)
	})
}

// TestSoftRebootOfAnOldSystemd: nobody could tell that the host is back, so the grant is given back with that.
func TestSoftRebootOfAnOldSystemd(t *testing.T) {
	inReboots(t, func(w *world) {
		w.agent.reboots.version = 252 // before any grant
		g := w.granted()
		g.Soft = true
		w.grant(g)
		w.until("the grant to be given back", func() bool { b := w.booting(); return b != nil && b.Refused != "" })
		if why := w.booting().Refused; !strings.Contains(why, "systemd 252 does not count soft reboots") {
			t.Errorf("refused because %q, want the version told", why)
		}
		w.stays(time.Minute)
	})
}

// TestF28UnknownNeed: a source without an answer makes the need unknown, and a person sees why.
func TestF28UnknownNeed(t *testing.T) {
	needs := &toldNeeds{need: cluster.Need{State: cluster.NeedUnknown, Reasons: []string{"x ended with exit status 127"}}, problem: "x ended with exit status 127"}
	inRebootsWith(t, func(d *Doors) { d.Needs = needs }, func(w *world) {
		w.until("the problem to be told", func() bool {
			r := w.report()
			return r.Need.State == cluster.NeedUnknown && len(r.Need.Reasons) == 1 && strings.HasPrefix(r.Problem, "x ended with exit status 127")
		})
		needs.set(cluster.Need{State: cluster.NeedYes, Reasons: []string{"/run/reboot-required"}}, "", nil)
		w.until("the need to be told at the next look", func() bool {
			r := w.report()
			return r.Need.State == cluster.NeedYes && !strings.HasPrefix(r.Problem, "x")
		})
		was := w.infoRev()
		w.pass(10 * time.Minute)
		if now := w.infoRev(); now != was {
			t.Errorf("the report was written at revision %d, was at %d, and nothing changed", now, was)
		}
		needs.set(cluster.Need{State: cluster.NeedNo}, "", []cluster.Rival{{Name: "locksmithd.service", Why: "a", Mend: "b"}})
		needs.changed <- struct{}{}
		w.pass(time.Second)
		if r := w.report(); r.Need.State != cluster.NeedNo || len(r.Rivals) != 1 {
			t.Errorf("report after a signal = %+v, want it told at once", r)
		}
	})
}

// TestF36CheckRedBeforeTheReboot: the verdict is red with the reason, is made again while the host waits, and is well only
// when the check is.
func TestF36CheckRedBeforeTheReboot(t *testing.T) {
	gate := &gatedChecks{}
	inRebootsWith(t, func(d *Doors) { d.Checks = gate }, func(w *world) {
		gate.set(errors.New("query: connection refused"))
		g := w.granted()
		g.Phase, g.Checks = cluster.PhaseDrained, []cluster.Check{{PromQL: &cluster.PromQL{Query: "ALERTS"}}, {TCP: "x:1", When: "after"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "connection refused"))
		if gate.asked("after") != 0 {
			t.Error("a check of after was made before the reboot")
		}
		gate.set(nil)
		w.verdict("the check to be well", beforeOf, well(7))
		gate.set(errors.New("fires"))
		w.verdict("the check to be red again while the host waits", beforeOf, red(7, "fires"))
	})
}

// TestChecksWithoutADoor: an agent that can make no checks says so.
func TestChecksWithoutADoor(t *testing.T) {
	inReboots(t, func(w *world) {
		g := w.granted()
		g.Checks = []cluster.Check{{TCP: "x:1"}}
		w.grant(g)
		w.verdict("the check to be red", beforeOf, red(7, "makes no checks"))
		w.stays(time.Minute)
	})
}

// infoRev is the revision at which the host's report was written last.
func (w *world) infoRev() int64 {
	w.t.Helper()
	r, err := w.judge.Range(w.t.Context(), store.Range{Key: "/flotilla/hostinfo/" + string(hostID)})
	if err != nil || len(r.KVs) != 1 {
		w.t.Fatalf("the host's report: %d keys, %v", len(r.KVs), err)
	}
	return r.KVs[0].ModRev
}

// gatedChecks are as well as they are told to be.
type gatedChecks struct {
	mu   sync.Mutex
	err  error
	made map[string]int
}

func (c *gatedChecks) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *gatedChecks) asked(when string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[when]
}

func (c *gatedChecks) Check(_ context.Context, check cluster.Check) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = map[string]int{}
	}
	c.made[check.When]++
	return c.err
}

// toldNeeds says what it is told.
type toldNeeds struct {
	mu      sync.Mutex
	need    cluster.Need
	rivals  []cluster.Rival
	problem string
	changed chan struct{}
}

func (n *toldNeeds) set(need cluster.Need, problem string, rivals []cluster.Rival) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.need, n.problem, n.rivals = need, problem, rivals
}

func (n *toldNeeds) Look(context.Context) (cluster.Need, []cluster.Rival, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.need, n.rivals, n.problem
}

func (n *toldNeeds) Changed(context.Context) <-chan struct{} {
	n.changed = make(chan struct{}, 1)
	return n.changed
}
