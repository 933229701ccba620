package sim

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"flotilla/cluster"
)

// rebootThemes are what seeds of reboots are about; seed n has theme n modulo their number.
func rebootThemes() []theme {
	return []theme{
		{name: "rolls", weights: map[string]int{"reboot": 6, "illness": 1, "kill": 1, "power": 1, "cut": 1, "stall": 1, "crash": 1, "user": 3}},
		{name: "windows", windows: true, weights: map[string]int{"need": 6, "reboot": 2, "clock": 2, "policy": 1, "trap": 3, "cut": 1, "freeze": 2, "stall": 1, "down": 1, "user": 2}},
		{name: "traps", weights: map[string]int{"trap": 9, "reboot": 6, "need": 1, "people": 1, "user": 1}},
		{name: "typed", weights: map[string]int{"typed": 6, "reboot": 3, "kill": 1, "power": 1, "user": 3}},
		{name: "people", weights: map[string]int{"people": 8, "policy": 3, "reboot": 4, "label": 1, "remove": 1, "user": 2}},
		{name: "reboots without leaders", weights: map[string]int{"stall": 3, "hand over": 3, "late order": 1, "kill": 2, "fuse": 2, "clock": 1, "reboot": 5, "need": 1, "people": 1}},
		{name: "reboots without a store", weights: map[string]int{"down": 2, "read only": 2, "leader change": 2, "compact": 2, "cut": 2, "deaf": 2, "freeze": 2, "bus": 1, "reboot": 5, "trap": 2}},
	}
}

// newRebootSchedule draws a run in which hosts reboot.
func newRebootSchedule(seed uint64) *schedule {
	all := rebootThemes()
	s := startSchedule(seed, 0x7265626f6f74, all[seed%uint64(len(all))])
	s.end = warmup + time.Duration(200+s.rng.IntN(160))*time.Second
	if s.theme.windows {
		s.end += 3 * time.Minute
	}
	s.opt.Hosts = 3 + s.rng.IntN(6)
	s.opt.Candidates = 2 + s.rng.IntN(2)
	s.opt.Reboots = &Reboots{Delay: 5 * time.Second, Look: 4 * time.Second, Etcd: s.rng.IntN(2) == 0}
	if s.rng.IntN(2) == 0 {
		s.opt.Reboots.Delay = time.Minute
	}
	s.busy = make([]time.Duration, s.opt.Hosts)
	s.units = append(populate(s.rng, 6+s.rng.IntN(14)), families(s.rng)...)
	s.drawGroups()
	s.draw()
	for at := warmup; at < s.end; at += 5 * time.Second {
		s.add(at, "", (*World).checkReasons)
	}
	s.sort()
	return s
}

// drawGroups draws the groups and windows that there are from the beginning.
func (s *schedule) drawGroups() {
	most := 1 + s.rng.IntN(2)
	blocked := []cluster.OnBlocked{"", cluster.StopUnit, cluster.StopUnit, cluster.SkipUnit}[s.rng.IntN(4)]
	finish := s.theme.windows && s.rng.IntN(4) == 0
	var windows []string
	if s.theme.windows {
		windows = []string{"often"}
		s.add(2*time.Second, "", s.window())
	}
	s.add(2500*time.Millisecond, "", func(w *World) {
		w.EditGroup(cluster.DefaultGroup, func(g *cluster.Group) { g.OnBlocked, g.Windows = blocked, windows })
	})
	s.add(3*time.Second, "", func(w *World) {
		w.EditGroup("all", func(g *cluster.Group) {
			g.Max, g.OnBlocked, g.Finish, g.Windows = cluster.Slots{N: most, Given: true}, blocked, finish, windows
			g.Checks = []cluster.Check{{TCP: "outside:80"}}
		})
	})
	switch s.rng.IntN(4) {
	case 0:
		s.add(4*time.Second, "", func(w *World) {
			w.EditGroup("a", func(g *cluster.Group) { g.Selector, g.Windows, g.OnBlocked = "zone=a", windows, blocked })
		})
	case 1:
		s.add(4*time.Second, "", func(w *World) {
			w.EditGroup("all", func(g *cluster.Group) { g.Spread, g.Max = "zone", cluster.Slots{N: 50, Percent: true, Given: true} })
		})
	case 2:
		s.add(4*time.Second, "", func(w *World) {
			w.EditGroup("all", func(g *cluster.Group) {
				g.Stages = []cluster.Stage{{Selector: "zone=b", Soak: 3 * time.Second}}
			})
		})
	}
}

// window draws a window that opens every few minutes, for about as long as a reboot takes.
func (s *schedule) window() func(*World) {
	every := 1 + s.rng.IntN(2)
	d := time.Duration(20+s.rng.IntN(30)) * time.Second
	return func(w *World) {
		w.EditWindow("often", cluster.Window{Calendar: fmt.Sprintf("*-*-* *:0/%d:00", every), Duration: d})
	}
}

// drawReboots draws one thing that concerns reboots.
func (s *schedule) drawReboots(name string, at time.Duration) {
	i := s.rng.IntN(len(s.busy))
	switch name {
	case "reboot":
		s.drawWish(at, i)
	case "need":
		what := []string{"a new kernel", "a new libc", unmended}[s.rng.IntN(3)]
		s.add(at, fmt.Sprintf("h%d needs a reboot: %s", i+1, what), func(w *World) { w.Hosts[i].Need(what) })
	case "typed":
		s.drawTyped(at, i)
	case "clock":
		ahead := []time.Duration{2*time.Hour + 41*time.Second, -2*time.Hour - 17*time.Second, 0, 40 * time.Second}[s.rng.IntN(4)]
		if s.rng.IntN(2) == 0 {
			s.add(at, "", func(w *World) {
				if h := w.Leader(); h != nil {
					w.note("the clock of %s, which leads, is set %s ahead", h.name, ahead)
					h.clock.set(ahead)
				}
			})
			return
		}
		s.add(at, fmt.Sprintf("the clock of h%d is set %s ahead", i+1, ahead), func(w *World) { w.Hosts[i].clock.set(ahead) })
	case "people":
		s.drawPerson(at, i)
	case "policy":
		s.drawPolicy(at)
	case "trap":
		s.drawTrap(at)
	case "illness":
		until := min(at+s.between(5*time.Second, 50*time.Second), s.end)
		s.add(at, "what groups check does not answer", func(w *World) { w.outside.Store(true) })
		s.add(until, "what groups check answers again", func(w *World) { w.outside.Store(false) })
	}
}

// drawWish has the user ask for reboots of one host, of some or of all.
func (s *schedule) drawWish(at time.Duration, i int) {
	wish := cluster.RebootWish{Now: s.rng.IntN(6) == 0, Soft: s.rng.IntN(5) == 0}
	many := s.rng.IntN(5)
	s.add(at, "", func(w *World) {
		hosts := []*Host{w.Hosts[i]}
		if many == 0 {
			hosts = w.Hosts[:len(s.busy)]
		}
		w.WishReboots("reboot", hosts, wish)
	})
}

// drawTyped has somebody shut a host down without asking us.
func (s *schedule) drawTyped(at time.Duration, i int) {
	kind := []string{"reboot", "reboot", "reboot", softReboot}[s.rng.IntN(4)]
	back := s.rng.IntN(6) == 0
	s.add(at, fmt.Sprintf("somebody types %s on h%d", kind, i+1), func(w *World) {
		if refused := w.Hosts[i].machine.Type(kind); refused != "" {
			w.note("refused: %s", refused)
		}
	})
	if back {
		s.add(at+s.between(time.Second, 5*time.Second), "and takes it back", func(w *World) { w.Hosts[i].machine.CancelShutdown() })
	}
}

// drawPerson has a person say something of one host.
func (s *schedule) drawPerson(at time.Duration, i int) {
	until := min(at+s.between(3*time.Second, 60*time.Second), s.end)
	blocked := []cluster.OnBlocked{cluster.AbortDrain, cluster.SkipUnit, cluster.StopUnit}[s.rng.IntN(3)]
	do := func(at time.Duration, f func(*World, *Host)) { s.add(at, "", func(w *World) { f(w, w.Hosts[i]) }) }
	switch s.rng.IntN(6) {
	case 0:
		do(at, (*World).CancelReboot)
	case 1:
		do(at, (*World).Unlock)
	case 2:
		do(at, func(w *World, h *Host) { w.FreezeReboots(h, true) })
		do(until, func(w *World, h *Host) { w.FreezeReboots(h, false) })
	case 3, 4:
		do(at, func(w *World, h *Host) { w.Drain(h, true, blocked) })
		do(until, func(w *World, h *Host) { w.Drain(h, false, "") })
	default:
		name := fmt.Sprintf("somebody forbids shutdowns of h%d", i+1)
		s.add(at, name, func(w *World) { w.Hosts[i].machine.Block("apt") })
		s.add(until, "end of "+name, func(w *World) { w.Hosts[i].machine.Unblock() })
	}
}

// drawPolicy has a person edit groups, windows and the policy.
func (s *schedule) drawPolicy(at time.Duration) {
	until := min(at+s.between(3*time.Second, 40*time.Second), s.end)
	most := s.rng.IntN(4)
	switch s.rng.IntN(5) {
	case 0:
		s.add(at, "", func(w *World) { w.FreezeAll(true) })
		s.add(until, "", func(w *World) { w.FreezeAll(false) })
	case 1:
		s.add(at, "", func(w *World) { w.EditGroup("all", func(g *cluster.Group) { g.Freeze = freeze(true) }) })
		s.add(until, "", func(w *World) { w.EditGroup("all", func(g *cluster.Group) { g.Freeze = nil }) })
	case 2:
		if s.theme.windows {
			s.add(at, "", s.window())
		}
	case 3:
		selector := []string{"", "zone!=a", "zone=b"}[s.rng.IntN(3)]
		s.add(at, "", func(w *World) { w.EditGroup("all", func(g *cluster.Group) { g.Selector = selector }) })
		s.add(until, "", func(w *World) { w.EditGroup("all", func(g *cluster.Group) { g.Selector = "" }) })
	default:
		s.add(at, "", func(w *World) {
			w.EditGroup("all", func(g *cluster.Group) { g.Max = cluster.Slots{N: most, Given: true} })
		})
	}
}

// heads are the units that users want.
func (w *World) heads() map[cluster.Unit]*head {
	w.Judge.mu.Lock()
	defer w.Judge.mu.Unlock()
	return maps.Clone(w.Judge.heads)
}

// calm ends what keeps reboots from going on: after it, all that was asked for comes to pass by itself.
func (w *World) calm() {
	w.outside.Store(false)
	w.FreezeAll(false)
	w.Judge.mu.Lock()
	var groups []string
	for name := range w.Judge.groups {
		groups = append(groups, name)
	}
	w.Judge.mu.Unlock()
	for _, name := range groups {
		w.EditGroup(name, func(g *cluster.Group) {
			g.Freeze, g.OnBlocked = nil, cluster.StopUnit
			if g.Max.Given && g.Max.N == 0 {
				g.Max.N = 1
			}
		})
	}
	w.EditWindow("often", cluster.Window{Calendar: "*-*-* *:0/3:00", Duration: 100 * time.Second})
	for u := range w.heads() {
		if strings.HasPrefix(string(u), fails) { // one that never comes up may hold a stage up for ever
			w.Destroy(u)
		}
	}
	for _, h := range w.Hosts {
		h.recover()
		w.Edit("end all that holds up reboots of", h, func(s *cluster.HostSpec) { s.Cordon, s.Drain, s.Freeze = nil, nil, nil })
	}
}
