package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// serves says that a unit does its work somewhere, as it is ordered there.
func (w *world) serves(u cluster.Unit) bool {
	for id, pl := range w.snap.Placed[u] {
		h := w.snap.Hosts[id]
		st, ok := h.StatusOf(u)
		if ok && pl.State == cluster.Launched && st.Generation == pl.Generation && st.State.Running() {
			return true
		}
	}
	return false
}

// down lists who of these is to run and does not serve.
func (w *world) down(all []cluster.Unit) (out []cluster.Unit, whole int) {
	for _, u := range all {
		if head := w.snap.Units[u]; head == nil || head.Spec.Target != units.Launched {
			continue
		}
		whole++
		if !w.serves(u) {
			out = append(out, u)
		}
	}
	return out, whole
}

// fleet is a world with a family and a unit that starts first, whose users and faults are drawn.
type fleet struct {
	*world
	r       *rand.Rand
	family  []cluster.Unit
	version int
	rolled  int // changes that took something down
	handed  int // old copies that were ended for a new one
	moved   int // failures that led elsewhere
	wished  int
	drained int // that left a host because it was drained
}

const swift, fickle = cluster.Unit("swift.service"), cluster.Unit("fickle.service")

func newFleet(t testing.TB, seed uint64) *fleet {
	f := &fleet{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 3))}
	for i := range 3 + f.r.IntN(3) {
		f.addHost(fmt.Sprintf("h%d", i), "disk=ssd")
	}
	for i := range 2 + f.r.IntN(5) {
		f.family = append(f.family, cluster.Unit(fmt.Sprintf("web@%d.service", i+1)))
	}
	f.opt.StormOff = true
	f.publish(f.family)
	f.publish([]cluster.Unit{swift, fickle})
	return f
}

// hosts are all, by id: a seed must play the same again.
func (f *fleet) hosts() []*cluster.Host {
	return slices.SortedFunc(maps.Values(f.snap.Hosts), func(a, b *cluster.Host) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

// publish gives units new content, which may be broken somewhere.
func (f *fleet) publish(list []cluster.Unit) {
	f.version++
	for _, u := range list {
		options := []string{fmt.Sprintf("v=%d", f.version), "MachineMetadata=disk=ssd"}
		switch {
		case u == swift:
			options = append(options, "Handover=start-first")
		case u == fickle:
			options = append(options, "Reschedule=on-failure")
		default:
			options = append(options, pick(f.r, []string{"MaxUnavailable=1", "MaxUnavailable=2", "MaxUnavailable=40%"}))
		}
		restarts := int64(0)
		if was := f.snap.Units[u]; was != nil {
			restarts = was.Spec.Restart + 1
		}
		f.unit(string(u), "launched", options...)
		f.change(string(u), func(s *cluster.UnitSpec) { s.Restart = restarts })
		if chance(f.r, 20) || u == fickle && chance(f.r, 70) {
			var hosts []string
			for chance(f.r, 70) {
				hosts = append(hosts, f.randomHost(f.r).Info.Name)
			}
			f.breaks(u, pick(f.r, []string{"failed", "loop", "hang"}), hosts)
		}
	}
}

// disturb does one thing that users, operators or faults do.
func (f *fleet) disturb() {
	h, u := f.randomHost(f.r), pick(f.r, append([]cluster.Unit{swift, fickle}, f.family...))
	switch f.r.IntN(12) {
	case 0:
		f.publish(f.family)
	case 1:
		f.publish([]cluster.Unit{u})
	case 2:
		for _, u := range f.family {
			f.change(string(u), func(s *cluster.UnitSpec) { s.Restart++ })
		}
	case 3, 4:
		if h.Alive == nil {
			f.revive(h.Info.Name, chance(f.r, 50))
		} else if chance(f.r, 50) {
			f.kill(h.Info.Name)
		}
	case 5:
		f.spec(h.Info.Name, func(s *cluster.HostSpec) {
			s.Labels = map[string]string{}
			if chance(f.r, 50) {
				s.Labels["disk"] = "hdd"
			}
		})
	case 6, 7:
		for _, from := range f.hosts() {
			if pl := from.Placed[u]; pl != nil {
				f.change(string(u), func(s *cluster.UnitSpec) {
					s.Shift = cluster.Shift{From: from.ID, Generation: pl.Generation, To: h.ID}
				})
			}
		}
	case 9, 10:
		f.drain(h.Info.Name, pick(f.r, []string{"abort", "skip", "stop"}), pick(f.r, []string{"20s", "10m"}))
	case 11:
		f.spec(h.Info.Name, func(s *cluster.HostSpec) { s.Drain = nil })
	case 8:
		f.change(string(u), func(s *cluster.UnitSpec) { s.Target = units.Target(f.r.IntN(3)); s.Run++ })
	}
}

// second is one second of the world: some agents obey, the leader plans and writes.
func (f *fleet) second() plan.Result {
	f.now = f.now.Add(time.Second)
	for _, h := range f.hosts() {
		if chance(f.r, 60) {
			f.obey(h)
		}
	}
	if chance(f.r, 5) {
		f.command("reload")
	}
	served := map[cluster.Unit]bool{}
	for u := range f.snap.Units {
		served[u] = f.serves(u)
	}
	was := f.snap.Placed
	before := map[cluster.Where]cluster.Placement{}
	for u, at := range was {
		for id, pl := range at {
			before[cluster.Where{Host: id, Unit: u}] = pl.Placement
		}
	}
	res := f.step()
	f.judge(res, served, before)
	return res
}

// judge holds a plan against what it promises.
func (f *fleet) judge(res plan.Result, served map[cluster.Unit]bool, before map[cluster.Where]cluster.Placement) {
	took := cluster.Unit("")
	for _, d := range res.Decisions {
		was, head := before[cluster.Where{Host: d.Host, Unit: d.Unit}], f.snap.Units[d.Unit]
		wanted := head.Spec.Target == units.Launched && was.State == cluster.Launched
		content := was.Blob != head.Spec.Blob || was.Restart != head.Spec.Restart
		wish := strings.HasPrefix(d.Reason, "its user wants it to leave")
		drained := d.Kind == plan.Stop && strings.Contains(d.Reason, "is being drained")
		if to := f.snap.Hosts[d.Host]; (d.Kind == plan.Place || d.Kind == plan.Move) && to.Spec.Drain != nil {
			f.t.Fatalf("%s %s on %s, which is drained\n%s", d.Kind, d.Unit, to.Name(), f.dump())
		}
		switch {
		case drained:
			f.drained++
		case d.Kind == plan.Stop && strings.HasPrefix(d.Reason, "failed on"):
			f.moved++
		case d.Kind == plan.Stop && wish:
			f.wished++
		}
		if d.Unit.IsInstance() && wanted && served[d.Unit] && (d.Kind == plan.Update && content || d.Kind == plan.Stop && wish || drained) {
			took = d.Unit
			f.rolled++
		}
		changed := slices.ContainsFunc(res.Decisions, func(d plan.Decision) bool { return d.Unit == swift && d.Kind == plan.Update })
		if d.Unit == swift && d.Kind == plan.Stop && wanted && served[swift] && !changed && !strandedStop(d) {
			if f.handed++; !f.serves(swift) {
				f.t.Fatalf("%s (%s) leaves no available copy\n%s", d.Kind, d.Reason, f.dump())
			}
		}
	}
	if down, whole := f.down(f.family); took != "" {
		if most := f.snap.Units[took].Req.MaxUnavailable.Of(whole); len(down) > most {
			f.t.Fatalf("%s was taken down, and %v are down of %d, want %d at most\n%s\n%s", took, down, whole, most, f.print(res), f.dump())
		}
	}
	f.copies()
}

// strandedStop says that an operator wanted the unit stopped where no host takes it.
func strandedStop(d plan.Decision) bool {
	return strings.HasSuffix(d.Reason, "and no other host takes it")
}

// copies: nothing is ordered to more than two hosts, or still stops on others that did not die meanwhile, and
// what does not start first to more than one.
func (f *fleet) copies() {
	for u, at := range f.snap.Placed {
		n, live := 0, 0
		for id, pl := range at {
			h := f.snap.Hosts[id]
			st, ok := h.StatusOf(u)
			if pl.State != cluster.Gone {
				live++
			}
			stopping := pl.State == cluster.Gone && h.AliveRev < pl.Rev && !(ok && st.Acknowledged(pl.Placement))
			if h.Alive != nil && (pl.State == cluster.Launched || stopping) {
				n++
			}
		}
		if u != swift && live > 1 || live > 2 || u == swift && n > 2 {
			f.t.Fatalf("%s stands on %d hosts, %d of them alive\n%s", u, live, n, f.dump())
		}
	}
}

// TestChangesStayWithinTheirBudget lets fleets live through changes, moves and faults.
func TestChangesStayWithinTheirBudget(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 50
	}
	rolled, handed, moved, wished, drained := 0, 0, 0, 0, 0
	for seed := range seeds {
		f := newFleet(t, uint64(seed))
		for range 150 {
			if chance(f.r, 15) {
				f.disturb()
			}
			f.second()
		}
		f.settle(seed)
		rolled, handed, moved, wished, drained = rolled+f.rolled, handed+f.handed, moved+f.moved, wished+f.wished, drained+f.drained
	}
	if rolled < seeds || handed < seeds/4 || moved < seeds/4 || wished < seeds/4 || drained < seeds {
		t.Errorf("%d rolled, %d handed over, %d tried elsewhere, %d wished, %d drained: too few of %d seeds for the test to mean anything",
			rolled, handed, moved, wished, drained, seeds)
	}
	t.Logf("%d rolled, %d handed over, %d tried elsewhere, %d wished, %d drained", rolled, handed, moved, wished, drained)
}

// settle mends everything and waits until all that is to run serves with its newest content.
func (f *fleet) settle(seed int) {
	f.broken = nil
	for _, h := range f.hosts() {
		f.spec(h.Info.Name, func(s *cluster.HostSpec) { s.Labels, s.Drain = nil, nil })
		if h.Alive == nil {
			f.revive(h.Info.Name, true)
		}
	}
	var res plan.Result
	for range 300 {
		res = f.second()
		if len(res.Decisions)+len(res.Waiting) == 0 && f.done() {
			return
		}
	}
	f.t.Fatalf("seed %d: not settled after five minutes: %s\n%s", seed, f.print(res), f.dump())
}

func (f *fleet) done() bool {
	for u, head := range f.snap.Units {
		if head.Spec.Target != units.Launched {
			continue
		}
		if !f.serves(u) {
			return false
		}
		for _, pl := range f.snap.Placed[u] {
			if pl.State == cluster.Launched && (pl.Blob != head.Spec.Blob || pl.Restart != head.Spec.Restart) {
				return false
			}
		}
	}
	return true
}

// TestFailingEverywhereIsNotHammered: a unit that fails on all hosts is tried ever more rarely, on all of
// them, and says where it failed and when it is tried next.
func TestFailingEverywhereIsNotHammered(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.addHost(fmt.Sprintf("h%d", i))
	}
	w.unit("web.service", "launched", "Reschedule=on-failure")
	w.breaks("web.service", "failed", nil)
	began, tried, tries, lastHour := w.now, map[cluster.HostID]int{}, 0, 0
	for w.now.Sub(began) < 24*time.Hour {
		res := w.step()
		for _, d := range res.Decisions {
			if d.Kind == plan.Place {
				tried[d.Host]++
				tries++
				if w.now.Sub(began) > 23*time.Hour {
					lastHour++
				}
			}
		}
		w.obeyAll()
		if len(res.Decisions) > 0 {
			continue
		}
		if res.Next.IsZero() || !res.Next.After(w.now) {
			t.Fatalf("plan at %s changes next at %s: %s", w.now, res.Next, w.print(res))
		}
		if len(res.Waiting) != 1 || !strings.HasPrefix(res.Waiting[0].Reason, "failed on h") || !strings.Contains(res.Waiting[0].Reason, "next try at") {
			t.Fatalf("waiting %v, want where it failed and when it is tried next", res.Waiting)
		}
		w.now = res.Next
	}
	if tries < 10 || tries > 45 || lastHour > 2 || len(tried) != 4 {
		t.Errorf("tried %d times in a day, %d times in its last hour, on %d hosts; want 10 to 45, 2 at most, all 4", tries, lastHour, len(tried))
	}
}

// TestStaleMovesAreHarmless applies moves to fleets that have changed since they were decided: their
// conditions must hold back what would leave no copy, or one too many.
func TestStaleMovesAreHarmless(t *testing.T) {
	refused, ended := 0, 0
	for seed := range 150 {
		f := newFleet(t, 1000+uint64(seed))
		for range 100 {
			f.now = f.now.Add(time.Second)
			for _, h := range f.hosts() {
				if chance(f.r, 70) {
					f.obey(h)
				}
			}
			res := f.plan()
			for range f.r.IntN(3) {
				if chance(f.r, 30) {
					f.disturb()
				}
			}
			for _, d := range res.Decisions {
				if err := guarded(d); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if d.Unit == swift && chance(f.r, 30) { // just then a host dies that has it
					for _, h := range f.hosts() {
						if h.ID != d.Host && h.Alive != nil && h.Placed[swift] != nil {
							f.kill(h.Info.Name)
						}
					}
				}
				head := f.snap.Units[d.Unit]
				serves, wanted := f.serves(d.Unit), head.Spec.Target == units.Launched
				if f.apply(d.Orders) != nil {
					refused++
					continue
				}
				f.copies()
				if d.Unit != swift || d.Kind != plan.Stop || !wanted || !serves || strandedStop(d) {
					continue
				}
				if ended++; !f.serves(swift) {
					t.Fatalf("seed %d: %s on %s (%s) leaves no available copy\n%s", seed, d.Kind, f.nameOf(d.Host), d.Reason, f.dump())
				}
			}
		}
	}
	if refused < 100 || ended < 50 {
		t.Errorf("%d stale decisions were refused, %d copies ended: too few for the test to mean anything", refused, ended)
	}
}
