package agent

import (
	"testing"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
)

// inReboots runs a test whose host says in its own words what becomes of its reboots. The host boots again by itself, after ten seconds, and
// its agent is started then.
func inReboots(t *testing.T, f func(w *world)) { inRebootsWith(t, nil, f) }

// inRebootsWith is inReboots with other doors.
func inRebootsWith(t *testing.T, bend func(*Doors), f func(w *world)) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.bend = bend
		down := make(chan string, 8)
		w.host.OnDown(func(kind string) { down <- kind })
		w.down = down
		w.start()
		w.until("the host to be alive", func() bool { return w.info() != nil })
		f(w)
	})
}

// info is what the store has of the host.
func (w *world) info() *cluster.HostInfo {
	w.t.Helper()
	info, _, err := w.user.Reported(w.t.Context(), hostID)
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

func (w *world) report() cluster.RebootReport {
	w.t.Helper()
	if info := w.info(); info != nil && info.Reboot != nil {
		return *info.Reboot
	}
	return cluster.RebootReport{}
}

func (w *world) bootNow() cluster.Boot {
	soft, err := w.host.SoftReboots(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return cluster.Boot{ID: w.host.BootID(), Soft: soft}
}

// grant writes the leader's word on the host's reboot.
func (w *world) grant(g cluster.Grant) cluster.Grant {
	w.t.Helper()
	w.put("to/"+string(hostID)+"/grant", g)
	return g
}

// booting is the host's own word on its grant; nil = it gave none.
func (w *world) booting() *cluster.Booting {
	w.t.Helper()
	b, err := w.user.Booting(w.t.Context(), hostID)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// fell waits until the host went down, ends its agent with it, and boots it anew.
func (w *world) fell(kind string) {
	w.t.Helper()
	w.until("the host to go down", func() bool { return !w.host.Powered() })
	if got := <-w.down; got != kind {
		w.t.Errorf("the host went down by %q, want %q", got, kind)
	}
	w.stop()
	w.pass(5 * time.Second)
	w.host.Boot()
	w.start()
}

func (w *world) verdict(what string, of func(cluster.RebootReport) *cluster.Verdict, ok func(cluster.Verdict) bool) {
	w.t.Helper()
	w.until(what, func() bool {
		v := of(w.report())
		return v != nil && ok(*v)
	})
}

func beforeOf(r cluster.RebootReport) *cluster.Verdict { return r.Before }
func afterOf(r cluster.RebootReport) *cluster.Verdict  { return r.After }

func well(generation int64) func(cluster.Verdict) bool {
	return func(v cluster.Verdict) bool { return v == cluster.Verdict{Generation: generation, Well: true} }
}

// TestGrantedReboot: drained, granted, down and back: the host says each time how it stands, and uses the grant once.
func TestGrantedReboot(t *testing.T) {
	inReboots(t, func(w *world) {
		g := cluster.Grant{Generation: 7, Phase: cluster.PhaseDrained, Boot: w.bootNow(), Cause: "test", Within: time.Minute}
		w.grant(g)
		w.verdict("the host to be ready", beforeOf, well(7))
		if b := w.booting(); b != nil {
			t.Errorf("before the grant the host says %+v, want nothing", b)
		}
		g.Phase = cluster.PhaseGranted
		w.grant(g)
		w.fell("reboot")
		if b := w.booting(); b == nil || b.Generation != 7 || b.Boot != g.Boot || b.Refused != "" {
			t.Errorf("the host says %+v, want that it uses grant 7 of boot %v", b, g.Boot)
		}
		w.verdict("the host to be well after the reboot", afterOf, well(7))
		r := w.report()
		if want := (cluster.LastBoot{Before: g.Boot, How: "granted"}); r.Last == nil || *r.Last != want {
			t.Errorf("Last = %+v, want %+v", r.Last, want)
		}
		if r.Before != nil {
			t.Errorf("Before = %+v after the reboot, want none", r.Before)
		}
		g.Phase = cluster.PhaseDone
		w.grant(g)
		w.until("the verdict to be dropped", func() bool { return w.report().After == nil })
		if n := w.count("down", ""); n != 1 {
			t.Errorf("the host went down %d times, want once", n)
		}
	})
}

// TestLeaderIsFaster: the leader sees that a grant is used, and says that the host reboots, before logind was reached. The host
// reboots all the same.
func TestLeaderIsFaster(t *testing.T) {
	inReboots(t, func(w *world) {
		w.host.SlowLogind(5 * time.Second)
		g := cluster.Grant{Generation: 7, Phase: cluster.PhaseGranted, Boot: w.bootNow(), Cause: "test", Within: time.Minute}
		w.grant(g)
		w.until("the grant to be used", func() bool { return w.booting() != nil })
		g.Phase = cluster.PhaseRebooting
		w.grant(g)
		w.fell("reboot")
		w.verdict("the host to be well after the reboot", afterOf, well(7))
		if n := w.count("down", ""); n != 1 {
			t.Errorf("the host went down %d times, want once", n)
		}
	})
}

// TestNoLifeToWatch: a host that goes down as granted ends its life, and its next boot begins one at once. One that runs what is
// fenced, or goes down ungranted, lets the lease run on.
func TestNoLifeToWatch(t *testing.T) {
	for _, c := range []struct {
		name            string
		granted, fenced bool
	}{
		{"granted", true, false},
		{"granted, with a fenced unit", true, true},
		{"not granted", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inReboots(t, func(w *world) {
				if c.fenced {
					w.settled(map[string]cluster.Placement{"single.service": w.launchFenced("single.service")})
				}
				if c.granted {
					w.grant(cluster.Grant{Generation: 7, Phase: cluster.PhaseGranted, Boot: w.bootNow(), Cause: "test", Within: time.Minute})
				} else if _, err := w.host.Logind().Reboot(w.t.Context(), false); err != nil {
					t.Fatal(err)
				}
				w.until("the host to go down", func() bool { return !w.host.Powered() })
				w.stop()
				if ended, want := w.alive() == 0, c.granted && !c.fenced; ended != want {
					t.Errorf("the life ended with the host: %t, want %t", ended, want)
				}
			})
		})
	}
}
