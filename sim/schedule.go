package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/units"
)

// step is one thing that is done to the world at a time.
type step struct {
	at   time.Duration
	what string
	do   func(*World) error
}

// theme is what a seed is about: how likely each fault is.
type theme struct {
	name    string
	weights map[string]int
	wipe    bool
	guest   bool
	windows bool // groups have one
}

// themes covers every fault; seed n has theme n modulo their number.
func themes() []theme {
	return []theme{
		{name: "mixed", weights: map[string]int{"cut": 3, "deaf": 2, "freeze": 2, "kill": 3, "fuse": 3, "power": 3, "stall": 3, "late order": 2, "down": 1, "leader change": 1, "compact": 1, "crash": 2, "remove": 1, "cordon": 1, "label": 1, "bus": 1, "user": 12}},
		{name: "flaps", weights: map[string]int{"flap": 10, "cut": 2, "user": 4}},
		{name: "leaders", weights: map[string]int{"stall": 6, "hand over": 6, "late order": 6, "freeze": 3, "cut": 2, "leader change": 2, "user": 10}},
		{name: "agents", weights: map[string]int{"kill": 4, "fuse": 8, "freeze": 2, "crash": 2, "bus": 1, "user": 14}},
		{name: "store", weights: map[string]int{"down": 4, "read only": 2, "leader change": 2, "compact": 3, "cut": 2, "user": 8}},
		{name: "power", weights: map[string]int{"power": 8, "kill": 2, "cut": 2, "down": 1, "user": 8}},
		{name: "wipe", weights: map[string]int{"kill": 2, "cut": 1, "user": 6}, wipe: true},
		{name: "removal", weights: map[string]int{"retire": 5, "late cordon": 2, "vandal": 3, "cordon": 2, "label": 3, "cut": 1, "user": 6}},
		{name: "fence", weights: map[string]int{"slow cut": 8, "freeze": 3, "cut": 2, "deaf": 2, "kill": 2, "user": 4}},
		{name: "guest", weights: map[string]int{"kill": 1, "user": 6}, guest: true},
	}
}

// schedule is all that will be done in a seed's run. It is drawn before the run begins, and
// nothing that happens in the run changes it.
type schedule struct {
	opt   Options
	theme theme
	units []cluster.Unit
	steps []step
	end   time.Duration // no fault lasts longer

	rng    *rand.Rand
	busy   []time.Duration // until when a host has a fault
	models map[cluster.Unit]*model
	store  time.Duration // until when the store has a fault
}

// model is what the drawn user did to a unit so far.
type model struct {
	exists  bool
	version int
}

// Sizes of a run.
const (
	warmup    = 12 * time.Second
	bigEvery  = 50 // one seed in so many has
	bigHosts  = 100
	bigUnits  = 300
	tightFire = 5900 * time.Millisecond // the latest switch that cluster.Timing allows
)

func newSchedule(seed uint64) *schedule {
	all := themes()
	s := startSchedule(seed, 0x73696d, all[seed%uint64(len(all))])
	hosts, n := 3+s.rng.IntN(6), 10+s.rng.IntN(51)
	s.end = warmup + time.Duration(60+s.rng.IntN(90))*time.Second
	if seed%bigEvery == bigEvery-1 {
		hosts, n = bigHosts, bigUnits
	}
	s.opt.Hosts, s.opt.Candidates = hosts, 2+s.rng.IntN(2)
	s.busy = make([]time.Duration, hosts)
	s.units = populate(s.rng, n)
	s.draw()
	s.sort()
	return s
}

// startSchedule is an empty one. kind tells apart what is drawn for one seed.
func startSchedule(seed, kind uint64, about theme) *schedule {
	return &schedule{
		rng: rand.New(rand.NewPCG(seed, kind)), models: map[cluster.Unit]*model{}, theme: about,
		opt: Options{
			Seed: seed, Timing: cluster.Timing{TTL: 10 * time.Second, Switch: tightFire, StopBudget: 3 * time.Second},
			StartTime: fake.Range{To: 300 * time.Millisecond}, StopTime: fake.Range{To: 300 * time.Millisecond}, ReloadTime: fake.Range{To: 200 * time.Millisecond},
		},
	}
}

func (s *schedule) sort() {
	slices.SortStableFunc(s.steps, func(a, b step) int { return int(a.at - b.at) })
}

func (s *schedule) add(at time.Duration, what string, do func(*World)) {
	s.steps = append(s.steps, step{at, what, func(w *World) error { do(w); return nil }})
}

func (s *schedule) try(at time.Duration, what string, do func(*World) error) {
	s.steps = append(s.steps, step{at, what, do})
}

// between draws a duration.
func (s *schedule) between(a, b time.Duration) time.Duration {
	return a + time.Duration(s.rng.Int64N(int64(b-a)))
}

func (s *schedule) draw() {
	for _, u := range s.units {
		t := units.Launched
		switch s.rng.IntN(12) {
		case 0:
			t = units.Loaded
		case 1:
			t = units.Inactive
		}
		s.models[u] = &model{exists: true, version: 1}
		s.add(s.between(time.Second, 5*time.Second), "submit "+string(u), func(w *World) { w.Submit(u, content(u, 1), t) })
	}
	at := warmup
	if s.theme.wipe {
		s.drawWipe(s.end - 70*time.Second)
	}
	if s.theme.guest {
		s.drawGuest()
	}
	for {
		at += s.between(200*time.Millisecond, 4*time.Second)
		if at >= s.end {
			return
		}
		s.drawOne(at)
	}
}

// drawOne draws what happens next.
func (s *schedule) drawOne(at time.Duration) {
	names := make([]string, 0, len(s.theme.weights))
	total := 0
	for name, w := range s.theme.weights {
		names = append(names, name)
		total += w
	}
	slices.Sort(names)
	n := s.rng.IntN(total)
	for _, name := range names {
		if n -= s.theme.weights[name]; n >= 0 {
			continue
		}
		if name == "user" {
			s.drawUser(at)
			return
		}
		s.drawFault(name, at)
		return
	}
}

// drawUser draws what the user wants next.
func (s *schedule) drawUser(at time.Duration) {
	u := s.units[s.rng.IntN(len(s.units))]
	m := s.models[u]
	n := s.rng.IntN(12)
	if !m.exists {
		n = 11
	}
	switch n {
	case 0, 1:
		s.add(at, "", func(w *World) { w.Restart(u) })
	case 2, 3:
		s.add(at, "", func(w *World) { w.Aim(u, units.Loaded) })
	case 4:
		s.add(at, "", func(w *World) { w.Aim(u, units.Inactive) })
	case 5, 6, 7:
		s.add(at, "", func(w *World) { w.Aim(u, units.Launched) })
	case 8, 9:
		m.version++
		v, restart := m.version, s.rng.IntN(2) == 0
		s.add(at, "", func(w *World) { w.Replace(u, content(u, v), restart) })
	case 10:
		m.exists = false
		s.add(at, "", func(w *World) { w.Destroy(u) })
	default:
		m.exists, m.version = true, m.version+1
		v := m.version
		s.add(at, "", func(w *World) { w.Submit(u, content(u, v), units.Launched) })
	}
}

// free draws a host without a fault, and gives it one until a time.
func (s *schedule) free(at, until time.Duration) (int, bool) {
	var hosts []int
	for i, b := range s.busy {
		if b <= at {
			hosts = append(hosts, i)
		}
	}
	if len(hosts) == 0 {
		return 0, false
	}
	i := hosts[s.rng.IntN(len(hosts))]
	s.busy[i] = until + time.Second
	return i, true
}

// ownFault draws a fault of one host with a begin and an end.
func (s *schedule) ownFault(at time.Duration, what string, least, most time.Duration, begin, end func(*World, *Host) error) {
	d := s.between(least, most)
	until := min(at+d, s.end)
	i, ok := s.free(at, until)
	if !ok {
		return
	}
	name := fmt.Sprintf("%s h%d for %s", what, i+1, (until - at).Round(time.Millisecond))
	s.try(at, name, func(w *World) error {
		w.Judge.troubled(w.Hosts[i].truth, true)
		return begin(w, w.Hosts[i])
	})
	s.try(until, "end of "+name, func(w *World) error {
		defer w.Judge.troubled(w.Hosts[i].truth, false)
		return end(w, w.Hosts[i])
	})
}

// storeFault draws a fault of the store with a begin and an end.
func (s *schedule) storeFault(at time.Duration, what string, least, most time.Duration, do func(*World, bool)) {
	if at < s.store {
		return
	}
	until := min(at+s.between(least, most), s.end)
	s.store = until + time.Second
	s.add(at, what, func(w *World) {
		w.Judge.troubled(nil, true)
		do(w, true)
	})
	s.add(until, "end of "+what, func(w *World) {
		do(w, false)
		w.Judge.troubled(nil, false)
	})
}
