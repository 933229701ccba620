package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// whatIf reads assumptions: lose=h drain=h cordon=h remove=h label=h:key=value add=unit resume. An added
// unit is as the cluster has it, or a plain one.
func (w *world) whatIf(args []string) string {
	var a plan.Assumptions
	for _, arg := range args {
		verb, value, _ := strings.Cut(arg, "=")
		id := hostID(value)
		switch verb {
		case "lose":
			a.Lose = append(a.Lose, id)
		case "drain":
			a.Drain = append(a.Drain, id)
		case "cordon":
			a.Cordon = append(a.Cordon, id)
		case "remove":
			a.Remove = append(a.Remove, id)
		case "label":
			host, label, _ := strings.Cut(value, ":")
			a.Labels = map[cluster.HostID]map[string]string{hostID(host): labels([]string{label})}
		case "add":
			a.Add = append(a.Add, w.added(value))
		case "resume":
			a.Resume = true
		default:
			w.t.Fatalf("unknown assumption %q", arg)
		}
	}
	return printForecast(plan.WhatIf(w.snap, w.opt, a, w.now))
}

// added is a head for Add.
func (w *world) added(name string) cluster.UnitHead {
	if head := w.snap.Units[units.Name(name)]; head != nil {
		return *head
	}
	other := newWorld(w.t)
	if t := w.snap.Units[units.Name(name).Template()]; t != nil {
		head := *t
		head.Name = units.Name(name)
		return head
	}
	other.unit(name, "launched")
	return *other.snap.Units[units.Name(name)]
}

func printForecast(f plan.Forecast) string {
	var b strings.Builder
	for _, m := range f.Moves {
		fmt.Fprintf(&b, "%s %s -> %s: %s\n", m.Unit, or(m.FromName), or(m.ToName), m.Why)
	}
	for _, m := range f.Waiting {
		fmt.Fprintf(&b, "does not fit: %s (was on %s, already=%t): %s\n", m.Unit, or(m.FromName), m.Already, m.Reason)
	}
	for _, h := range f.Hosts {
		fmt.Fprintf(&b, "host %s %d -> %d %s\n", h.Name, h.Before, h.After, or(h.State))
	}
	if f.Storm != nil {
		fmt.Fprintf(&b, "brake (resumed=%t): %s\n", f.Resumed, f.Brake)
	}
	return b.String()
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// rebalance prints the moves and makes them; words: fenced, max=N.
func (w *world) rebalance(args []string) string {
	var opt plan.Balance
	for _, arg := range args {
		if arg == "fenced" {
			opt.Fenced = true
		} else if _, err := fmt.Sscanf(arg, "max=%d", &opt.Max); err != nil {
			w.t.Fatalf("rebalance %s: %v", arg, err)
		}
	}
	moves := plan.Rebalance(w.snap, w.opt, opt, w.now)
	w.relocate(moves)
	var b strings.Builder
	for _, m := range moves {
		fmt.Fprintf(&b, "%s %s -> %s: %s\n", m.Unit, m.FromName, m.ToName, m.Why)
	}
	if len(moves) == 0 {
		return "nothing to move\n"
	}
	return b.String()
}

// saved is the world as text.
func (w *world) saved() string {
	out, err := json.Marshal(plan.Save(w.snap, w.opt, w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// relocate makes moves as if they had been wished and carried out.
func (w *world) relocate(moves []plan.Relocation) {
	for _, m := range moves {
		pl := *w.snap.Placed[m.Unit][m.From]
		if want := (cluster.Shift{From: m.From, Generation: pl.Generation, To: m.To}); m.Shift() != want {
			w.t.Fatalf("Shift() of %s = %+v, want %+v", m.Unit, m.Shift(), want)
		}
		at := cluster.Where{Host: m.From, Unit: m.Unit}
		w.snap.DeleteStatus(at)
		w.snap.DeletePlaced(at)
		pl.Host, pl.Rev = m.To, w.rev()
		pl.Generation = pl.Rev
		w.snap.SetPlaced(&pl)
	}
	w.obeyAll()
}

// settle lets the leader and the agents go on until nothing changes by itself.
func (w *world) settle() {
	w.obeyAll()
	for range 200 {
		res := w.step()
		w.obeyAll()
		if len(res.Decisions) == 0 {
			if res.Next.IsZero() {
				return
			}
			w.now = res.Next
		}
	}
	w.t.Fatalf("the world does not come to rest:\n%s", w.dump())
}

const randomWorlds = 200

// TestWhatIfOfNothingChangesNothing, whatever the world, and leaves the snapshot as it is.
func TestWhatIfOfNothingChangesNothing(t *testing.T) {
	for seed := range uint64(randomWorlds) {
		w := randomWorld(t, rand.New(rand.NewPCG(seed, 1)))
		was := w.saved()
		f := plan.WhatIf(w.snap, w.opt, plan.Assumptions{}, w.now)
		for _, h := range f.Hosts {
			if h.Before != h.After {
				t.Errorf("seed %d: host %s has %d units, then %d", seed, h.Name, h.Before, h.After)
			}
		}
		for _, m := range f.Waiting {
			if !m.Already {
				t.Errorf("seed %d: %s does not fit, and did before: %s", seed, m.Unit, m.Reason)
			}
		}
		if len(f.Moves) > 0 || f.Endless {
			t.Errorf("seed %d: WhatIf() moves %+v, endless %t in\n%s", seed, f.Moves, f.Endless, w.dump())
		}
		if diff := cmp.Diff(was, w.saved()); diff != "" {
			t.Fatalf("seed %d: WhatIf() changed the snapshot:\n%s", seed, diff)
		}
	}
}

// TestSavedIsTheWholeWorld: a snapshot that was written and read decides the same, and saves as the same.
func TestSavedIsTheWholeWorld(t *testing.T) {
	for seed := range uint64(randomWorlds) {
		w := randomWorld(t, rand.New(rand.NewPCG(seed, 5)))
		text := w.saved()
		var s plan.Saved
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		snap, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again := &world{t: t, snap: snap, now: s.Taken, opt: s.Options}
		if diff := cmp.Diff(text, again.saved()); diff != "" {
			t.Fatalf("seed %d: saved again (-want +got):\n%s", seed, diff)
		}
		if diff := cmp.Diff(w.plan(), again.plan()); diff != "" {
			t.Fatalf("seed %d: plan of the saved world (-want +got):\n%s\n%s", seed, diff, w.dump())
		}
	}
}

// TestSavedRefusesOthers: what is no snapshot says so.
func TestSavedRefusesOthers(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"flotilla_snapshot":2}`, `{"flotilla_snapshot":1,"hosts":[{"id":"x"}]}`,
		`{"flotilla_snapshot":1,"units":[{"name":"a b"}]}`,
		`{"flotilla_snapshot":1,"units":[{"name":"a.service","spec":{"blob":"k","target":"launched"}}],"contents":{"k":"WwoK"}}`,
		`{"flotilla_snapshot":1,"hosts":[{"id":"61000000000000000000000000000000","status":{"a.service":null}}]}`,
	} {
		var s plan.Saved
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := s.Snapshot(); !errors.Is(err, plan.ErrNotSaved) {
			t.Errorf("Snapshot() of %s: %v, want ErrNotSaved", text, err)
		}
	}
}

// TestWhatIfForetells: what it says of a lost host is what then comes, as long as no brake holds.
func TestWhatIfForetells(t *testing.T) {
	foretold := 0
	for seed := range uint64(randomWorlds) {
		w := randomWorld(t, rand.New(rand.NewPCG(seed, 2)))
		w.opt.StormOff = true
		w.settle()
		h := w.randomHost(rand.New(rand.NewPCG(seed, 3)))
		if h.Alive == nil {
			continue
		}
		was := w.saved()
		f := plan.WhatIf(w.snap, w.opt, plan.Assumptions{Lose: []cluster.HostID{h.ID}}, w.now)
		if diff := cmp.Diff(was, w.saved()); diff != "" {
			t.Fatalf("seed %d: WhatIf() changed the snapshot:\n%s", seed, diff)
		}
		w.kill(h.Name())
		w.settle()
		for _, m := range f.Moves {
			foretold++
			if pl := w.snap.Placed[m.Unit][m.To]; m.To != "" && (pl == nil || pl.State == cluster.Gone) {
				t.Errorf("seed %d: %s is not on %s as foretold in\n%s", seed, m.Unit, m.ToName, w.dump())
			}
		}
		for _, x := range f.Hosts {
			if n := ordered(w.snap.Hosts[x.Host]); n != x.After {
				t.Errorf("seed %d: %s has %d units, foretold were %d in\n%s", seed, x.Name, n, x.After, w.dump())
			}
		}
	}
	if foretold == 0 {
		t.Error("no world had anything to foretell")
	}
}

func ordered(h *cluster.Host) int {
	n := 0
	for _, pl := range h.Placed {
		if pl.State != cluster.Gone {
			n++
		}
	}
	return n
}

// TestRebalanceConverges on random worlds: each move makes the hosts more even, the planner finds nothing
// broken in what comes out, and a second look finds nothing to move.
func TestRebalanceConverges(t *testing.T) {
	moved := 0
	for seed := range uint64(randomWorlds) {
		r := rand.New(rand.NewPCG(seed, 4))
		w := randomWorld(t, r)
		w.settle()
		for i := range r.IntN(3) {
			w.addHost(fmt.Sprintf("n%d", i), randomLabels(r)...)
		}
		w.settle()
		was, opt := w.saved(), plan.Balance{Fenced: chance(r, 50)}
		uneven := w.uneven()
		moves := plan.Rebalance(w.snap, w.opt, opt, w.now)
		if diff := cmp.Diff(was, w.saved()); diff != "" {
			t.Fatalf("seed %d: Rebalance() changed the snapshot:\n%s", seed, diff)
		}
		if some := plan.Rebalance(w.snap, w.opt, plan.Balance{Fenced: opt.Fenced, Max: 1}, w.now); len(some) > 1 {
			t.Errorf("seed %d: %d moves, at most 1 was asked for", seed, len(some))
		}
		for _, m := range moves {
			if req := w.snap.Units[m.Unit].Req; req.Global || req.MachineID != "" || req.Fence && !opt.Fenced {
				t.Errorf("seed %d: %s must not move: %+v", seed, m.Unit, req)
			}
		}
		w.relocate(moves)
		if now := w.uneven(); len(moves) > 0 && now >= uneven {
			t.Errorf("seed %d: unevenness %d, then %d, by %+v", seed, uneven, now, moves)
		}
		res := w.plan()
		for _, d := range res.Decisions {
			if d.Kind != plan.Place { // for which a move made room
				t.Errorf("seed %d: after %+v the planner wants to %s %s: %s; in\n%s", seed, moves, d.Kind, d.Unit, d.Reason, w.dump())
			}
		}
		moved += len(moves)
		if len(res.Decisions) > 0 {
			continue
		}
		if again := plan.Rebalance(w.snap, w.opt, opt, w.now); len(again) > 0 {
			t.Errorf("seed %d: after %+v a second rebalance moves %+v in\n%s", seed, moves, again, w.dump())
		}
	}
	if moved == 0 {
		t.Error("no world had anything to move")
	}
}

// uneven is the sum of the squares of how many units the hosts have.
func (w *world) uneven() int {
	n := 0
	for _, h := range w.snap.Hosts {
		n += len(h.Placed) * len(h.Placed)
	}
	return n
}

// TestRebalanceKeepsWhatUnitsPrefer: a move costs neither a preference nor the spread of a family.
func TestRebalanceKeepsWhatUnitsPrefer(t *testing.T) {
	w := newWorld(t)
	for i, zone := range []string{"1", "1", "2"} {
		w.addHost(fmt.Sprintf("h%d", i), "zone="+zone)
	}
	for i := range 6 {
		name := fmt.Sprintf("web@%d.service", i)
		w.unit(name, "launched")
		head := *w.snap.Units[units.Name(name)]
		head.Req.Spread = []units.Spread{{Label: "zone"}}
		if i%2 == 0 {
			head.Req.Prefer = []units.Requirement{{Key: "zone", Values: []string{"1"}}}
		}
		w.snap.SetUnit(&head)
	}
	for i, host := range []string{"h0", "h0", "h0", "h2", "h2", "h2"} { // three in each zone
		w.snap.SetPlaced(&cluster.Placed{
			Host: hostID(host), Unit: units.Name(fmt.Sprintf("web@%d.service", i)), Rev: w.rev(),
			Placement: cluster.Placement{Generation: 1, State: cluster.Launched, Blob: w.snap.Units["web@0.service"].Spec.Blob},
		})
	}
	w.obeyAll()
	var got []string
	for _, m := range plan.Rebalance(w.snap, w.opt, plan.Balance{}, w.now) {
		got = append(got, fmt.Sprintf("%s %s %s", m.Unit, m.FromName, m.ToName))
	}
	if want := []string{"web@0.service h0 h1"}; !slices.Equal(got, want) {
		t.Errorf("Rebalance() = %q, want %q: h2 may give nothing away, its zone would have fewer than the other", got, want)
	}
}

// TestRebalanceKeepsRoom: a unit that reserves much does not go where more would be taken than it leaves behind.
func TestRebalanceKeepsRoom(t *testing.T) {
	w := newWorld(t)
	w.addHost("big")
	w.addHost("small")
	for name, memory := range map[string]int64{"big": 16 << 30, "small": 2 << 30} {
		w.snap.Hosts[hostID(name)].Info.Memory, w.snap.Hosts[hostID(name)].Info.CPUs = memory, 4
	}
	for _, name := range []string{"a.service", "b.service", "c.service", "d.service"} {
		w.unit(name, "launched")
		head := *w.snap.Units[units.Name(name)]
		if name != "c.service" {
			head.Req.Memory = 1 << 30
		}
		w.snap.SetUnit(&head)
		w.snap.SetPlaced(&cluster.Placed{
			Host: hostID("big"), Unit: head.Name, Rev: w.rev(),
			Placement: cluster.Placement{Generation: 1, State: cluster.Launched, Blob: head.Spec.Blob},
		})
	}
	w.obeyAll()
	var s plan.Saved
	if err := json.Unmarshal([]byte(w.saved()), &s); err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot() // what the contents do not say is saved too
	if err != nil {
		t.Fatal(err)
	}
	for what, snap := range map[string]*cluster.Snapshot{"live": w.snap, "saved": snap} {
		var got []string
		for _, m := range plan.Rebalance(snap, w.opt, plan.Balance{}, w.now) {
			got = append(got, fmt.Sprintf("%s %s %s", m.Unit, m.FromName, m.ToName))
		}
		if want := []string{"c.service big small"}; !slices.Equal(got, want) {
			t.Errorf("%s: Rebalance() = %q, want %q: each of the others would take half of small", what, got, want)
		}
	}
}
