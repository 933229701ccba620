package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// drain is an operator's wish that the host's units go elsewhere.
func (w *world) drain(name string, args ...string) {
	wish := cluster.DrainWish{By: cluster.Note{Who: "op", Why: "new disk"}, OnBlocked: cluster.AbortDrain}
	if len(args) > 0 {
		wish.OnBlocked = cluster.OnBlocked(args[0])
	}
	if len(args) > 1 {
		var err error
		if wish.Timeout, err = time.ParseDuration(args[1]); err != nil {
			w.t.Fatal(err)
		}
	}
	w.spec(name, func(s *cluster.HostSpec) { s.Drain = &wish })
}

// grant is the leader's word on the host's reboot; "none" takes it away.
func (w *world) grant(name, phase string) {
	if phase == "none" {
		w.snap.DeleteGrant(hostID(name))
		w.spec(name, func(s *cluster.HostSpec) { s.Reboot = nil })
		return
	}
	w.spec(name, func(s *cluster.HostSpec) { s.Reboot = &cluster.RebootWish{ID: 1} })
	g := cluster.Grant{Generation: 7, Groups: []string{"default"}, Wish: 1}
	g.Boot, _ = w.snap.Hosts[hostID(name)].Boot()
	if err := g.Phase.UnmarshalText([]byte(phase)); err != nil {
		w.t.Fatal(err)
	}
	if g.Phase == cluster.PhaseGranted {
		w.report(name, func(r *cluster.RebootReport) { r.Before = &cluster.Verdict{Generation: g.Generation, Well: true} })
	}
	w.snap.SetGrant(hostID(name), &g, "", w.rev(), w.now)
}

// ends lets a unit do what it was started for.
func (w *world) ends(u cluster.Unit) {
	for id := range w.snap.Placed[u] {
		st := *w.snap.Hosts[id].Status[u]
		st.State.Active, st.State.Sub, st.State.Result, st.Message = "inactive", "dead", "success", cluster.Ended
		w.snap.SetStatus(cluster.Where{Host: id, Unit: u}, &st)
	}
}

// reports changes what a host says of reboots.
func (w *world) reports(name string, r *cluster.RebootReport) {
	info := *w.snap.Hosts[hostID(name)].Info
	if info.Reboot = r; r == nil {
		info.Reboot = &cluster.RebootReport{}
	}
	w.snap.SetHostInfo(hostID(name), &info, w.now)
	w.rev()
}

// left prints how far the hosts are drained.
func (w *world) left() string {
	var b strings.Builder
	for _, d := range w.plan().Drains {
		over := ""
		if d.Over {
			over = ", its time is over"
		}
		fmt.Fprintf(&b, "%s: %d left%s\n", w.nameOf(d.Host), len(d.Left), over)
		for _, l := range d.Left {
			word := "left"
			if l.Blocked {
				word = "blocked"
			}
			fmt.Fprintf(&b, "  %s %s: %s\n", word, l.Unit, l.Reason)
		}
		for _, l := range d.Stays {
			fmt.Fprintf(&b, "  stays %s: %s\n", l.Unit, l.Reason)
		}
	}
	if b.Len() == 0 {
		return "nothing is drained\n"
	}
	return b.String()
}

// drainPlan prints what draining the hosts comes to.
func (w *world) drainPlan(hosts []string) string {
	var ids []cluster.HostID
	for _, h := range hosts {
		ids = append(ids, hostID(h))
	}
	var b strings.Builder
	for _, s := range plan.DrainPlan(w.snap, w.opt, w.now, ids) {
		fmt.Fprintf(&b, "%d %s %s %s -> %s: %s; downtime %s\n", s.Turn, s.Kind, s.Unit, s.FromName, s.ToName, s.Reason, s.Downtime)
	}
	if b.Len() == 0 {
		return "nothing to drain\n"
	}
	return b.String()
}

// TestDrainsLoseNothing drains hosts of random clusters at rest: nothing comes to a host that is drained, each unit
// that had a host has one in the end, all comes to rest, and what is left there is said why.
func TestDrainsLoseNothing(t *testing.T) {
	moved, blocked := 0, 0
	for seed := range 900 {
		r := rand.New(rand.NewPCG(uint64(seed), 4))
		w := randomWorld(t, r)
		w.mustSettle(seed)
		had := map[cluster.Unit]bool{}
		for u, at := range w.snap.Placed {
			for id, pl := range at {
				if h := w.snap.Hosts[id]; pl.State != cluster.Gone && h.Alive != nil && w.snap.Units[u] != nil {
					had[u] = true
				}
			}
		}
		for range 1 + r.IntN(2) {
			w.drain(w.randomHost(r).Info.Name, "abort", "1h")
		}
		var res plan.Result
		for range 40 {
			w.now = w.now.Add(3 * time.Second)
			if res = w.step(); len(res.Decisions) == 0 && res.Next.After(w.now.Add(30*time.Second)) {
				break
			}
			for _, d := range res.Decisions {
				if h := w.snap.Hosts[d.Host]; (d.Kind == plan.Place || d.Kind == plan.Move) && h.Spec.Drain != nil {
					t.Fatalf("seed %d: %s %s on %s, which is drained\n%s", seed, d.Kind, d.Unit, h.Name(), w.dump())
				}
				if d.Kind == plan.Stop && strings.Contains(d.Reason, "is being drained") {
					moved++
				}
			}
			w.obeyAll()
			if err := w.check(); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, w.dump())
			}
		}
		if len(res.Decisions) > 0 {
			t.Fatalf("seed %d: still deciding: %s\n%s", seed, w.print(res), w.dump())
		}
		for u := range had {
			if len(w.living(u)) == 0 && !w.pushed(u) {
				t.Fatalf("seed %d: %s has lost its host: %s\n%s", seed, u, w.print(res), w.dump())
			}
		}
		for _, d := range res.Drains {
			for _, l := range d.Left {
				if blocked++; l.Reason == "" {
					t.Fatalf("seed %d: %s is left on %s without a reason\n%s", seed, l.Unit, w.nameOf(d.Host), w.dump())
				}
			}
		}
	}
	if moved < 200 || blocked < 100 {
		t.Errorf("%d units moved, %d were left: too few for the test to mean anything", moved, blocked)
	}
}

// living are the living hosts that are ordered to have the unit.
func (w *world) living(u cluster.Unit) (out []*cluster.Host) {
	for id, pl := range w.snap.Placed[u] {
		if h := w.snap.Hosts[id]; pl.State != cluster.Gone && h.Alive != nil {
			out = append(out, h)
		}
	}
	return out
}

// pushed says that another unit asks for the hosts of this one (Replaces=), and may take its last one.
func (w *world) pushed(u cluster.Unit) bool {
	for _, head := range w.snap.Units {
		for _, glob := range head.Req.Replaces {
			if ok, err := units.Match(glob, string(u)); ok && err == nil {
				return true
			}
		}
	}
	return false
}
