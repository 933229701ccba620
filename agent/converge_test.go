package agent

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"flotilla/cluster"
	"flotilla/units"

	"github.com/google/go-cmp/cmp"
)

const testDir = "/run/systemd/system"

var needsImage = Image{"podman", "x:1"}

// imageOf has a placement need an image.
func imageOf(w *Wanted) { w.Images = []Image{needsImage} }

func running(invocation string) Observed {
	return Observed{State: units.State{Load: "loaded", Active: "active", Sub: "running"}, Fragment: testDir + "/a.service", Invocation: invocation}
}

func dead() Observed {
	return Observed{State: units.State{Load: "loaded", Active: "inactive", Sub: "dead"}, Fragment: testDir + "/a.service"}
}

func failedState(invocation string) Observed {
	o := dead()
	o.Active, o.Result, o.Invocation = "failed", "exit-code", invocation
	return o
}

// placed is the placement that these tests begin with.
func placed(state cluster.Order, change ...func(*Wanted)) *Wanted {
	w := &Wanted{Placement: cluster.Placement{Generation: 5, State: state, Blob: "b1", Run: 1, Reason: "why"}, Ready: true, DropIn: []byte("d")}
	for _, c := range change {
		c(w)
	}
	return w
}

func ours(o Observed, a Applied) Found {
	a.Boot = "boot"
	return Found{Observed: o, Ours: true, Blob: "b1", DropIn: []byte("d"), Applied: a}
}

func short(actions []Action) string {
	var words []string
	for _, x := range actions {
		words = append(words, x.Kind.String())
	}
	return strings.Join(words, " ")
}

func TestConverge(t *testing.T) {
	done := carriedOut("", placed(cluster.Launched).Placement)
	loaded := carriedOut("", placed(cluster.Loaded).Placement)
	elsewhere := dead()
	elsewhere.Fragment = "/usr/lib/systemd/system/a.service"
	fileless := Observed{State: units.State{Load: "loaded", Active: "active", Sub: "mounted"}}
	stale := dead()
	stale.NeedReload = true
	with := func(f Found, change func(*Found)) Found { change(&f); return f }
	doing := func(a Applied, k Kind, before string, run, restart int64) Applied {
		a.Doing, a.Before, a.ToRun, a.ToRestart = k, before, run, restart
		return a
	}
	tests := []struct {
		name string
		want *Wanted
		have Found
		out  string
	}{
		{"new and launched", placed(cluster.Launched), Found{}, "write reload start"},
		{"new and loaded", placed(cluster.Loaded), Found{}, "write reload record"},
		{"draining is as launched", placed(cluster.Draining), Found{}, "write reload start"},
		{"content not at hand", placed(cluster.Launched, func(w *Wanted) { w.Ready = false }), Found{}, "refuse"},
		{"runs as ordered", placed(cluster.Launched), ours(running("i"), done), ""},
		{"ended by itself", placed(cluster.Launched), ours(dead(), done), ""},
		{"failed by itself", placed(cluster.Launched), ours(failedState("i"), done), ""},
		{"started again by the user", placed(cluster.Launched, func(w *Wanted) { w.Run = 2 }), ours(failedState("i"), done), "reset-failed start"},
		{"started again while it runs", placed(cluster.Launched, func(w *Wanted) { w.Run = 2 }), ours(running("i"), done), "record"},
		{"restart", placed(cluster.Launched, func(w *Wanted) { w.Restart = 1 }), ours(running("i"), done), "restart"},
		{"restart that the counters went back from", placed(cluster.Launched), ours(running("i"), func() Applied { a := done; a.Restart = 3; return a }()), "record"},
		{
			"restart under way", placed(cluster.Launched, func(w *Wanted) { w.Restart = 1 }),
			with(ours(running("i"), doing(done, Restart, "i", 1, 1)), func(f *Found) { f.Flying = Restart }), "",
		},
		{"died before the restart", placed(cluster.Launched, func(w *Wanted) { w.Restart = 1 }), ours(running("i"), doing(done, Restart, "i", 1, 1)), "restart"},
		{"died after the restart", placed(cluster.Launched, func(w *Wanted) { w.Restart = 1 }), ours(running("j"), doing(done, Restart, "i", 1, 1)), "record"},
		{"died before the first start", placed(cluster.Launched), ours(dead(), doing(Applied{}, Start, "", 1, 0)), "start"},
		{"died after the first start", placed(cluster.Launched), ours(running("i"), doing(Applied{}, Start, "", 1, 0)), "record"},
		{"died after a start that failed", placed(cluster.Launched), ours(failedState("i"), doing(Applied{}, Start, "", 1, 0)), "record"},
		{"start under way", placed(cluster.Launched), with(ours(dead(), doing(Applied{}, Start, "", 1, 0)), func(f *Found) { f.Flying = Start }), ""},
		{"not due yet", placed(cluster.Launched), with(ours(dead(), Applied{}), func(f *Found) { f.Later = true }), ""},
		{"held", placed(cluster.Launched, func(w *Wanted) { w.Hold = "fence" }), ours(dead(), Applied{}), "refuse"},
		{"other content", placed(cluster.Launched, func(w *Wanted) { w.Blob, w.Generation = "b2", 6 }), ours(running("i"), done), "write reload record"},
		{"other drop-ins", placed(cluster.Launched, func(w *Wanted) { w.DropIns = "d2" }), ours(running("i"), done), "write reload"},
		{"drop-ins went", placed(cluster.Launched), with(ours(running("i"), done), func(f *Found) { f.DropIns = "d2" }), "write reload"},
		{"same drop-ins", placed(cluster.Launched, func(w *Wanted) { w.DropIns = "d2" }), with(ours(running("i"), done), func(f *Found) { f.DropIns = "d2" }), ""},
		{"other generation", placed(cluster.Launched, func(w *Wanted) { w.Generation = 6 }), ours(running("i"), done), "record"},
		{"files not read yet", placed(cluster.Launched), ours(stale, done), "reload"},
		{"another boot", placed(cluster.Launched), with(ours(dead(), done), func(f *Found) { f.Applied.Boot = "old" }), "start"},
		{"host's own name", placed(cluster.Launched), Found{Observed: elsewhere}, "refuse"},
		{"host's own name, not loaded", placed(cluster.Launched), Found{Elsewhere: "/etc/systemd/system/a.service"}, "refuse"},
		{"made by the kernel or systemd, without a file", placed(cluster.Launched), Found{Observed: fileless}, "refuse"},
		{"made without a file, tombstone", placed(cluster.Gone), Found{Observed: fileless}, "acknowledge"},
		{"loaded after launched", placed(cluster.Loaded), ours(running("i"), done), "stop"},
		{"loaded, stop under way", placed(cluster.Loaded), with(ours(running("i"), doing(Applied{}, Stop, "i", 0, 0)), func(f *Found) { f.Flying = Stop }), ""},
		{"loaded, died before the stop", placed(cluster.Loaded), ours(running("i"), doing(Applied{}, Stop, "i", 0, 0)), "stop"},
		{"loaded and stopped", placed(cluster.Loaded), ours(dead(), doing(Applied{}, Stop, "i", 0, 0)), "record"},
		{"loaded, started by a timer of its own", placed(cluster.Loaded), ours(running("i"), loaded), ""},
		{"gone and running", placed(cluster.Gone), ours(running("i"), done), "stop"},
		{"gone while it starts", placed(cluster.Gone), with(ours(running("i"), doing(Applied{}, Start, "", 1, 0)), func(f *Found) { f.Flying = Start }), "stop"},
		{"gone while a start is queued", placed(cluster.Gone), with(ours(dead(), doing(Applied{}, Start, "", 1, 0)), func(f *Found) { f.Flying = Start }), ""},
		{"gone, died while a start was queued", placed(cluster.Gone), ours(dead(), doing(Applied{}, Start, "", 1, 0)), "stop"},
		{"loaded while a start is queued", placed(cluster.Loaded), with(ours(dead(), doing(Applied{}, Start, "", 1, 0)), func(f *Found) { f.Flying = Start }), ""},
		{"loaded, the start was seen", placed(cluster.Loaded), with(ours(running("i"), doing(Applied{}, Start, "", 1, 0)), func(f *Found) { f.Flying = Start }), "stop"},
		{"launched while it stops", placed(cluster.Launched), with(ours(running("i"), doing(Applied{}, Stop, "i", 0, 0)), func(f *Found) { f.Flying = Stop }), ""},
		{"gone, stop under way", placed(cluster.Gone), with(ours(running("i"), done), func(f *Found) { f.Flying = Stop }), ""},
		{"gone and stopped", placed(cluster.Gone), ours(dead(), done), "remove reload acknowledge"},
		{"gone and failed", placed(cluster.Gone), ours(failedState("i"), done), "remove reload reset-failed acknowledge"},
		{"gone and nothing here", placed(cluster.Gone), Found{}, "acknowledge"},
		{"gone and acknowledged", placed(cluster.Gone), Found{Applied: Applied{Boot: "boot", Generation: 5, Order: cluster.Gone}}, ""},
		{"gone, the name is the host's", placed(cluster.Gone), Found{Observed: func() Observed { o := elsewhere; o.Active = "active"; return o }()}, "acknowledge"},
		{"no order, runs", nil, ours(running("i"), done), "record"},
		{"no order, noted", nil, ours(running("i"), Applied{Orphan: true}), ""},
		{"no order, does not run", nil, ours(dead(), done), "forget"},
		{"adopted again", placed(cluster.Launched, func(w *Wanted) { w.Restart = 7 }), ours(running("i"), Applied{Orphan: true, Launched: true}), "record"},
		{"adopted after its record was lost", placed(cluster.Launched, func(w *Wanted) { w.Restart = 7 }), ours(running("i"), Applied{}), "record"},
		{"launched without its image", placed(cluster.Launched, imageOf), Found{}, "pull write reload"},
		{"loaded without its image", placed(cluster.Loaded, imageOf), ours(dead(), Applied{}), "pull"},
		{"loaded again", placed(cluster.Loaded, imageOf), ours(dead(), loaded), ""},
		{"stopped before the image is there", placed(cluster.Loaded, imageOf), ours(running("i"), done), "stop"},
		{"held, so that nothing is pulled yet", placed(cluster.Launched, imageOf, func(w *Wanted) { w.Hold = "fence" }), ours(dead(), Applied{}), "refuse"},
		{"runs without its image", placed(cluster.Launched, imageOf), ours(running("i"), done), ""},
		{"restart without its image", placed(cluster.Launched, imageOf, func(w *Wanted) { w.Restart = 1 }), ours(running("i"), done), "pull"},
		{"other content without its image", placed(cluster.Launched, imageOf, func(w *Wanted) { w.Blob = "b2" }), ours(running("i"), done), "pull"},
		{"other content of a unit that ended", placed(cluster.Launched, imageOf, func(w *Wanted) { w.Blob = "b2" }), ours(dead(), done), "write reload"},
		{"gone without its image", placed(cluster.Gone, imageOf), Found{}, "acknowledge"},
		{"order of a later flotilla", placed(cluster.Order(9)), Found{}, "refuse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := Want{Units: map[cluster.Unit]Wanted{}}
			if tt.want != nil {
				want.Units["a.service"] = *tt.want
			}
			got := short(Converge(want, Have{Boot: "boot", Dir: testDir, Units: map[cluster.Unit]Found{"a.service": tt.have}}))
			if got != tt.out {
				t.Errorf("Converge = %q, want %q", got, tt.out)
			}
		})
	}
}

func TestConvergeStopsFirstAndReloadsOnce(t *testing.T) {
	gone := ours(running("i"), carriedOut("", placed(cluster.Launched).Placement))
	gone.Fragment = testDir + "/z.service"
	got := Converge(Want{Units: map[cluster.Unit]Wanted{
		"a.service": *placed(cluster.Launched), "b.service": *placed(cluster.Launched), "z.service": *placed(cluster.Gone),
	}}, Have{Boot: "boot", Dir: testDir, Units: map[cluster.Unit]Found{"z.service": gone}})
	want := []Action{
		{Stop, "z.service", "why"},
		{Write, "a.service", "why"},
		{Write, "b.service", "why"},
		{Reload, "", "files were written"},
		{Start, "a.service", "why"},
		{Start, "b.service", "why"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Converge (-want +got):\n%s", diff)
	}
}

// model is a host to which actions are applied, as the agent and systemd would.
type model struct {
	r       *rand.Rand
	have    Have
	counter int
	starts  map[string]int // by unit and counts
}

func (m *model) apply(t *testing.T, want Want, actions []Action) {
	for _, x := range actions {
		f, w := m.have.Units[x.Unit], want.Units[x.Unit]
		switch x.Kind {
		case Stop:
			if w.State != cluster.Gone && w.State != cluster.Loaded {
				t.Fatalf("%s is stopped without an order: %+v, %+v", x.Unit, w, f)
			}
			f.Applied = Applied{Boot: "boot", Doing: Stop, Before: f.Invocation}
			f.Active, f.Invocation = "inactive", ""
		case Remove:
			if w.State != cluster.Gone {
				t.Fatalf("%s is removed without an order", x.Unit)
			}
			f.Ours, f.Blob, f.DropIn = false, "", nil
		case Pull:
			for _, i := range w.Images {
				m.have.Images[i] = true
			}
		case Write:
			f.Ours, f.Blob, f.DropIn, f.NeedReload = true, w.Blob, w.DropIn, true
		case Reload:
			for n, f := range m.have.Units {
				f.NeedReload = false
				f.Load, f.Fragment = "not-found", ""
				if f.Ours {
					f.Load, f.Fragment = "loaded", testDir+"/"+string(n)
				}
				m.have.Units[n] = f
			}
			continue
		case ResetFailed:
			f.Active = "inactive"
		case Start, Restart:
			for _, i := range w.Images {
				if !m.have.Images[i] {
					t.Fatalf("%s is started without %s", x.Unit, i.Ref)
				}
			}
			key := fmt.Sprintf("%s %s %d %d %d", x.Kind, x.Unit, w.Generation, w.Run, w.Restart)
			m.starts[key]++
			if m.starts[key] > 1 {
				t.Fatalf("%s happens twice", key)
			}
			m.counter++
			f.Active, f.Invocation = []string{"active", "active", "failed"}[m.r.IntN(3)], fmt.Sprint(m.counter)
			f.Applied = carriedOut("boot", w.Placement)
			if m.r.IntN(3) == 0 { // died before the end of the job was noted
				f.Applied = Applied{Boot: "boot", Doing: x.Kind, Before: "none", ToRun: w.Run, ToRestart: w.Restart, Launched: x.Kind == Restart, Run: w.Run}
			}
		case Record:
			f.Applied.Orphan, f.Applied.Doing = true, 0
			if _, ok := want.Units[x.Unit]; ok {
				f.Applied = carriedOut("boot", w.Placement)
			}
		case Forget:
			f.Applied = Applied{}
		case Acknowledge:
			if !f.Stopped() {
				t.Fatalf("%s is acknowledged while it runs", x.Unit)
			}
			f.Applied = Applied{Boot: "boot", Generation: w.Generation, Order: cluster.Gone}
		case Refuse:
		}
		m.have.Units[x.Unit] = f
	}
}

func TestConvergeReachesAFixpointAndStopsNothingUnasked(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{r: r, have: Have{Boot: "boot", Dir: testDir, Units: map[cluster.Unit]Found{}, Images: map[Image]bool{}}, starts: map[string]int{}}
		want := Want{Units: map[cluster.Unit]Wanted{}}
		for step := range 12 {
			n := cluster.Unit(fmt.Sprintf("u%d.service", r.IntN(4)))
			w, had := want.Units[n]
			if r.IntN(6) == 0 {
				delete(want.Units, n)
			} else {
				if !had || r.IntN(2) == 0 {
					w.State = cluster.Order(1 + r.IntN(4))
				}
				w.Generation, w.Ready, w.DropIn = int64(step+1), true, []byte(fmt.Sprint(r.IntN(2)))
				w.Blob = units.Hash(fmt.Sprint(r.IntN(2)))
				if w.Images = nil; r.IntN(2) == 0 {
					w.Images = []Image{{"podman", fmt.Sprint(r.IntN(3))}}
				}
				clear(m.have.Images)
				w.Run += int64(r.IntN(2))
				w.Restart += int64(r.IntN(2))
				want.Units[n] = w
			}
			before := maps.Clone(m.have.Units)
			for round := 0; ; round++ {
				actions := Converge(want, m.have)
				if !slices.Equal(actions, Converge(want, m.have)) {
					t.Fatalf("seed %d: Converge is not deterministic", seed)
				}
				if len(actions) == 0 {
					break
				}
				if round == 5 {
					t.Fatalf("seed %d: no fixpoint after %d rounds: %v", seed, round, actions)
				}
				m.apply(t, want, actions)
			}
			for n, f := range before {
				if !f.Stopped() && m.have.Units[n].Stopped() && m.have.Units[n].Active == "inactive" {
					if s := want.Units[n].State; s != cluster.Gone && s != cluster.Loaded {
						t.Fatalf("seed %d: %s no longer runs, its order is %v", seed, n, s)
					}
				}
			}
		}
	}
}
