package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

var names = []string{"a.service", "b.service", "c.service", "d.service", "e.service", "f.service", "web@1.service", "web@2.service", "web@3.service", "web@4.service", "db@1.service", "db@2.service"}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func randomWorld(t testing.TB, r *rand.Rand) *world {
	w := newWorld(t)
	rich := chance(r, 70)
	for i := range 1 + r.IntN(5) {
		w.addHost(fmt.Sprintf("h%d", i), randomLabels(r)...)
		if rich {
			w.info(fmt.Sprintf("h%d", i), randomInfo(r)...)
		}
	}
	if rich && chance(r, 40) {
		w.randomFamily(r)
	} else {
		for _, n := range names {
			if chance(r, 70) {
				w.randomUnit(r, n)
			}
		}
	}
	if chance(r, 50) { // orders that nobody would have made
		for range r.IntN(8) {
			p := cluster.Placed{
				Host: w.randomHost(r).ID, Unit: units.Name(pick(r, names)), Rev: w.rev(),
				Placement: cluster.Placement{Generation: int64(r.IntN(3)), State: pick(r, []cluster.Order{cluster.Loaded, cluster.Launched, cluster.Gone})},
			}
			if chance(r, 10) {
				p.State, p.Bad = cluster.Launched, "unknown order"
			}
			w.snap.SetPlaced(&p)
		}
	}
	for range r.IntN(4) {
		w.disturb(r)
	}
	return w
}

func randomLabels(r *rand.Rand) []string {
	var out []string
	if chance(r, 70) {
		out = append(out, "disk="+pick(r, []string{"ssd", "hdd"}))
	}
	if chance(r, 50) {
		out = append(out, "zone="+pick(r, []string{"1", "2"}))
	}
	return out
}

// randomInfo is what a host may say of its room and runtimes.
func randomInfo(r *rand.Rand) []string {
	out := []string{"memory=" + pick(r, []string{"", "512M", "1024M", "2048M"}), "cpus=" + pick(r, []string{"1", "2", "4"}), "podman=", "reserved=0M"}
	if chance(r, 70) {
		out = append(out, "podman=5.0")
	}
	if chance(r, 30) {
		out = append(out, "reserved=256M")
	}
	return out
}

// randomPlacing are options of which the planner has most to think.
func randomPlacing(r *rand.Rand, instance bool) []string {
	var out []string
	if chance(r, 25) {
		out = append(out, "Prefer=disk=ssd")
	}
	if chance(r, 15) {
		out = append(out, "Prefer=zone="+pick(r, []string{"1", "2"}))
	}
	if chance(r, 30) {
		out = append(out, "Memory="+pick(r, []string{"128M", "256M", "512M", "900M"}))
	}
	if chance(r, 20) {
		out = append(out, "CPU="+pick(r, []string{"1", "2"}))
	}
	if chance(r, 12) {
		out = append(out, "Runtime="+pick(r, []string{"podman", "podman", "docker"}))
	}
	if chance(r, 15) {
		out = append(out, "Replaces="+pick(r, names), "Replaces="+pick(r, []string{"web@*.service", "[a-c].service", "zzz", "*"}))
	}
	if instance && chance(r, 30) {
		out = append(out, "MaxPerHost="+pick(r, []string{"1", "2"}))
	}
	if instance && chance(r, 50) {
		out = append(out, "Spread="+pick(r, []string{"zone", "zone:hard", "disk", "disk:hard"}))
	}
	if instance && chance(r, 15) {
		out = append(out, "Spread="+pick(r, []string{"none", "rack:hard", "zone"}))
	}
	return out
}

// randomFamily submits instances of one template, of which some are a little different.
func (w *world) randomFamily(r *rand.Rand) {
	placing := randomPlacing(r, true)
	var opts []string
	if chance(r, 30) {
		opts = append(opts, "MachineMetadata=disk=ssd")
	}
	for i := range 2 + r.IntN(9) {
		mine := placing
		if chance(r, 20) {
			mine = append(slices.Clone(placing), randomPlacing(r, true)...)
		}
		w.submit(fmt.Sprintf("web@%d.service", i), "launched", opts, mine)
	}
	if chance(r, 30) {
		w.randomUnit(r, "a.service")
	}
}

// submit submits a unit with options of its file, and others that its file only has as comments.
func (w *world) submit(name, target string, options, placing []string) {
	for _, o := range placing {
		options = append(slices.Clone(options), "# "+o)
	}
	w.unit(name, target, options...)
	for _, o := range placing {
		require(&w.snap.Units[units.Name(name)].Req, o)
	}
}

// require sets an option whatever the unit asks for besides: the planner must do with all that a
// unit file may not say together.
func require(r *units.Requirements, option string) {
	switch key, value, _ := strings.Cut(option, "="); key {
	case "Prefer":
		k, v, _ := strings.Cut(value, "=")
		r.Prefer = append(r.Prefer, units.Requirement{Key: k, Values: []string{v}})
	case "Replaces":
		r.Replaces = append(r.Replaces, value)
	case "MaxPerHost":
		r.MaxPerHost = number(value)
	case "Spread":
		label, hard := strings.CutSuffix(value, ":hard")
		r.Spread = append(r.Spread, units.Spread{Label: label, Hard: hard})
	case "Memory":
		r.Memory = megabytes(value)
	case "CPU":
		r.CPU = int64(number(value)) * 1000
	case "Runtime":
		r.Runtime = value
	}
}

func (w *world) randomHost(r *rand.Rand) *cluster.Host {
	var ids []cluster.HostID
	for id := range w.snap.Hosts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return w.snap.Hosts[pick(r, ids)]
}

func (w *world) randomUnit(r *rand.Rand, name string) {
	var opts []string
	global := chance(r, 15)
	if global {
		opts = append(opts, "Global=yes")
	}
	if chance(r, 30) {
		opts = append(opts, "MachineMetadata=disk="+pick(r, []string{"ssd", "hdd"}))
	}
	if chance(r, 10) {
		opts = append(opts, "MachineMetadata=zone=1", "MachineMetadata=zone=2")
	}
	peer := pick(r, names)
	switch {
	case global && chance(r, 30), !global && chance(r, 25):
		if c := pick(r, []string{"web@*.service", "a.service", "[b-d].service", "*"}); peer != name || !strings.Contains(c, peer) {
			opts = append(opts, "Conflicts="+c)
		}
	case !global && peer != name && chance(r, 35):
		opts = append(opts, "MachineOf="+peer)
	case !global && chance(r, 8):
		opts = append(opts, "MachineID="+pick(r, []string{"68300000", "68310000000000000000000000000000", "ffffffff"}))
	}
	if !global && chance(r, 15) {
		opts = append(opts, "Fence=yes")
	}
	var placing []string
	if chance(r, 60) {
		placing = randomPlacing(r, units.Name(name).IsInstance())
	}
	w.submit(name, pick(r, []string{"launched", "launched", "launched", "loaded", "inactive"}), opts, placing)
}

// disturb does one thing that users, operators, agents or faults do.
func (w *world) disturb(r *rand.Rand) {
	h := w.randomHost(r)
	name := pick(r, names)
	u := units.Name(name)
	switch r.IntN(16) {
	case 0, 1:
		if h.Alive != nil {
			w.kill(h.Info.Name)
			for chance(r, 50) { // others follow, some of them together with it
				w.now = w.now.Add(time.Duration(r.IntN(25)) * 100 * time.Millisecond)
				if h := w.randomHost(r); h.Alive != nil {
					w.kill(h.Info.Name)
				}
			}
			if chance(r, 50) { // no brake
				w.snap.Resumed = w.rev()
			}
		} else {
			w.revive(h.Info.Name, chance(r, 50))
		}
	case 2:
		w.randomUnit(r, name)
	case 3:
		if w.snap.Units[u] != nil && chance(r, 75) { // else it is lost, and nobody destroyed it
			w.snap.SetDestroyed(u, w.rev())
		}
		w.rev()
		w.snap.DeleteUnit(u)
	case 4:
		if w.snap.Units[u] != nil {
			w.change(name, func(s *cluster.UnitSpec) { s.Target = units.Target(r.IntN(3)); s.Run++ })
		}
	case 5:
		w.spec(h.Info.Name, func(s *cluster.HostSpec) { s.Labels = labels(randomLabels(r)) })
	case 6:
		w.spec(h.Info.Name, func(s *cluster.HostSpec) {
			s.Cordon, s.Removed = nil, nil
			if chance(r, 40) {
				s.Cordon = &cluster.Note{}
			}
			if chance(r, 15) {
				s.Removed = &cluster.Note{}
			}
		})
	case 7:
		w.now = w.now.Add(time.Duration(r.IntN(15)) * time.Second)
	case 8:
		w.snap.Resumed = w.rev()
	case 9, 13:
		if h.Alive != nil && h.Placed[u] == nil {
			w.snap.SetStatus(cluster.Where{Host: h.ID, Unit: u}, &cluster.Status{Orphan: true, Boot: h.Alive.Boot})
		}
	case 10:
		w.snap.SetOrphanStop(cluster.Where{Host: h.ID, Unit: u}, w.rev())
	case 11:
		w.command("reload")
	case 12:
		w.info(h.Info.Name, randomInfo(r)...)
	default:
		w.obey(h)
	}
}

func (w *world) dump() string {
	var b strings.Builder
	for _, u := range w.snap.UnitNames() {
		if head := w.snap.Units[u]; head != nil {
			fmt.Fprintf(&b, "unit %s %s %+v\n", u, head.Spec.Target, head.Req)
		}
		for id, pl := range w.snap.Placed[u] {
			fmt.Fprintf(&b, "  on %s %s generation %d\n", w.nameOf(id), pl.State, pl.Generation)
		}
	}
	for _, h := range w.snap.Hosts {
		fmt.Fprintf(&b, "host %s %s info=%+v alive=%t labels=%v cordon=%t removed=%t absent=%s/%d\n", h.Name(), h.ID.Short(), h.Info, h.Alive != nil,
			h.Labels(), h.Spec.Cordon != nil, h.Spec.Removed != nil, h.Absent.Format(time.TimeOnly), h.AbsentRev)
		for u, st := range h.Status {
			if st.Orphan {
				fmt.Fprintf(&b, "  orphan %s\n", u)
			}
		}
	}
	fmt.Fprintf(&b, "now %s watched %s loaded %d resumed %d\n", w.now.Format(time.TimeOnly), w.snap.Watched.Format(time.TimeOnly), w.snap.Loaded, w.snap.Resumed)
	return b.String()
}
