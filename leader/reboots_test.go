package leader_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flotilla/cluster"
	"flotilla/leader"
)

// gauge is the value of a gauge without labels.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// says changes what a host's agent says of reboots.
func (f *fake) says(id cluster.HostID, boot string, r cluster.RebootReport) {
	f.do(func(s *cluster.Snapshot) {
		s.SetHostInfo(id, &cluster.HostInfo{Name: string(id), Boot: boot, Reboot: &r}, time.Now())
		s.SetAlive(id, &cluster.Alive{Boot: boot, Version: "1.0.0"}, s.Revision)
	})
}

func (f *fake) grantOf(id cluster.HostID) cluster.Grant {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.truth.Hosts[id].Grant; g != nil {
		return *g
	}
	return cluster.Grant{}
}

// asks wishes that these hosts reboot.
func (f *fake) asks(ids ...cluster.HostID) {
	f.do(func(s *cluster.Snapshot) {
		wish := cluster.RebootWish{ID: s.Revision, By: cluster.Note{Who: "ann"}}
		for _, id := range ids {
			s.SetHostSpec(id, cluster.HostSpec{Reboot: &wish}, s.Revision, time.Now())
		}
		s.HostsEpoch = s.Revision
	})
}

// use commits a host to its grant and takes it away.
func (f *fake) use(id cluster.HostID) {
	f.do(func(s *cluster.Snapshot) {
		h := s.Hosts[id]
		s.SetBooting(id, &cluster.Booting{Generation: h.Grant.Generation, Grant: h.GrantRev, Boot: h.Grant.Boot}, s.Revision)
		s.DeleteAlive(id, s.Revision, time.Now())
	})
}

func TestTakesHostsThroughTheirReboots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		for _, id := range []cluster.HostID{"aaaaaaaa", "bbbbbbbb"} {
			f.says(id, "1", cluster.RebootReport{})
		}
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		l, stop := f.run(leader.Options{Metrics: reg, Log: slog.New(slog.NewTextHandler(&log, nil))})
		f.asks("aaaaaaaa", "bbbbbbbb")
		synctest.Wait()
		g := f.grantOf("aaaaaaaa")
		if g.Phase != cluster.PhaseDrained {
			t.Fatalf("the first host is %s, want drained", g.Phase)
		}
		if r := l.Latest().Reboots; len(r) != 2 || r[1].Phase != cluster.PhaseQueued || r[1].Reason == "" {
			t.Errorf("Latest().Reboots = %+v, want the second host queued with a reason", r)
		}
		f.says("aaaaaaaa", "1", cluster.RebootReport{Before: &cluster.Verdict{Generation: g.Generation, Well: true}})
		synctest.Wait()
		f.use("aaaaaaaa")
		time.Sleep(10*time.Minute + time.Second)
		if g := f.grantOf("aaaaaaaa"); g.Phase != cluster.PhaseOverdue {
			t.Errorf("a host that does not come back is %s after its time, want overdue", g.Phase)
		}
		if got := f.grantOf("bbbbbbbb"); got.Phase != cluster.PhaseNone {
			t.Errorf("the second host is %s while the first is overdue, want without a grant", got.Phase)
		}
		if held, oldest := gauge(t, reg, "flotilla_leader_reboot_slots_held"), gauge(t, reg, "flotilla_leader_reboot_oldest_wait_seconds"); held != 1 || oldest < 600 {
			t.Errorf("slots held = %v, oldest wait = %v s, want 1 and 600 s or more", held, oldest)
		}
		f.says("aaaaaaaa", "2", cluster.RebootReport{After: &cluster.Verdict{Generation: g.Generation, Well: true}})
		time.Sleep(20 * time.Second)
		if g := f.grantOf("aaaaaaaa"); g.Phase != cluster.PhaseDone {
			t.Errorf("a host that is back and well is %s, want done", g.Phase)
		}
		if g := f.grantOf("bbbbbbbb"); g.Phase != cluster.PhaseDrained {
			t.Errorf("the second host is %s after the first is done, want drained", g.Phase)
		}
		if got := counter(t, reg, "flotilla_leader_reboots_total"); got != 1 {
			t.Errorf("flotilla_leader_reboots_total = %v, want 1", got)
		}
		stop()
		for _, want := range []string{
			"level=INFO msg=reboot host=aaaaaaaa phase=granted", "level=ERROR msg=reboot host=aaaaaaaa phase=overdue",
			`level=ERROR msg="host halts the reboots of its groups" host=aaaaaaaa`,
			`level=INFO msg="host halts the reboots of its groups no longer" host=aaaaaaaa`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no line %q in the log:\n%s", want, log.String())
			}
		}
	})
}

// TestLeaderRebootsItsOwnHostLast: of hosts that are asked for together, the leader's ends the term.
func TestLeaderRebootsItsOwnHostLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		for _, id := range []cluster.HostID{"aaaaaaaa", "bbbbbbbb"} {
			f.says(id, "1", cluster.RebootReport{})
		}
		f.host = "aaaaaaaa"
		_, stop := f.run(leader.Options{})
		defer stop()
		f.asks("aaaaaaaa", "bbbbbbbb")
		synctest.Wait()
		if a, b := f.grantOf("aaaaaaaa").Phase, f.grantOf("bbbbbbbb").Phase; a != cluster.PhaseNone || b != cluster.PhaseDrained {
			t.Errorf("the leader's host is %q and the other %q, want no grant and drained", a, b)
		}
	})
}

// TestWindowsFollowTheClock: a clock that is set while nothing else happens opens a window within a minute.
func TestWindowsFollowTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.says("aaaaaaaa", "1", cluster.RebootReport{Need: cluster.Need{State: cluster.NeedYes, Reasons: []string{"kernel"}}})
		f.do(func(s *cluster.Snapshot) {
			s.Windows["night"] = &cluster.WindowHead{Name: "night", Window: cluster.Window{Calendar: "*-*-* 02:00", Duration: 2 * time.Hour}}
			s.Groups["all"] = &cluster.GroupHead{Name: "all", Group: cluster.Group{Windows: []string{"night"}}}
		})
		_, stop := f.run(leader.Options{Clock: f.now}) // bubbles begin at midnight UTC
		defer stop()
		time.Sleep(30 * time.Minute)
		if g := f.grantOf("aaaaaaaa"); g.Phase != cluster.PhaseNone {
			t.Fatalf("before the window the host is %s, want without a grant", g.Phase)
		}
		f.ahead.Store(int64(2 * time.Hour))
		time.Sleep(time.Minute + time.Second)
		if g := f.grantOf("aaaaaaaa"); g.Phase != cluster.PhaseDrained {
			t.Errorf("a minute after the clock was set into the window the host is %q, want drained", g.Phase)
		}
	})
}
