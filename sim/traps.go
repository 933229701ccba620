package sim

import (
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store/memory"
)

// drawTrap draws what befalls the next host that reaches a phase of its reboot, a moment after.
func (s *schedule) drawTrap(at time.Duration) {
	phases := []cluster.Phase{
		cluster.PhaseDraining, cluster.PhaseDrained, cluster.PhaseGranted, cluster.PhaseGranted, cluster.PhaseGranted,
		cluster.PhaseRebooting, cluster.PhaseReturning, cluster.PhaseSettling,
	}
	phase := phases[s.rng.IntN(len(phases))]
	wait := time.Duration(s.rng.Int64N(int64(40 * time.Millisecond)))
	if s.rng.IntN(3) == 0 {
		wait = s.between(0, 3*time.Second)
	}
	long := s.between(time.Second, 30*time.Second)
	what, spring := s.trap(long)
	s.add(at, "", func(w *World) {
		w.lay(phase, fmt.Sprintf("%s, %s after it is %s", what, wait.Round(time.Millisecond), phase), wait, spring)
	})
}

// trap draws what happens, for how long.
func (s *schedule) trap(long time.Duration) (what string, spring func(*World, *Host)) {
	faulty := func(begin, end func(*World, *Host)) func(*World, *Host) {
		return func(w *World, h *Host) {
			h.trouble(true)
			begin(w, h)
			w.after(long, func() { end(w, h); h.trouble(false) })
		}
	}
	switch s.rng.IntN(9) {
	case 0:
		return "its user takes the wish back", (*World).CancelReboot
	case 1:
		return "its user unlocks it", (*World).Unlock
	case 2:
		return "its agent is killed", faulty(
			func(_ *World, h *Host) { h.Kill() }, func(_ *World, h *Host) { _ = h.Start() })
	case 3:
		return "its agent stands still", faulty(
			func(_ *World, h *Host) { h.Freeze(true) }, func(_ *World, h *Host) { h.Freeze(false) })
	case 4:
		return "it loses its power", faulty(
			func(_ *World, h *Host) { h.PowerOff() }, func(_ *World, h *Host) { h.rise() })
	case 5:
		return "it is cut off", faulty(
			func(w *World, h *Host) { w.Store.Partition(h.client(), memory.CutAll) },
			func(w *World, h *Host) { w.Store.Partition(h.client(), memory.CutNone) })
	case 6:
		return "the leader dies", func(w *World, _ *Host) {
			if l := w.Leader(); l != nil {
				faulty(func(_ *World, h *Host) { h.Kill() }, func(_ *World, h *Host) { _ = h.Start() })(w, l)
			}
		}
	case 7:
		return "its user takes the wish back while the leader's writes are held up", s.late(true)
	default:
		return "its answers are late, the leader's writes are held up, and its user takes the wish back", s.late(false)
	}
}

// late holds the leader's writes up while a wish is taken back, and perhaps the host's way to the store.
func (s *schedule) late(swift bool) func(*World, *Host) {
	slow := s.between(300*time.Millisecond, 1900*time.Millisecond)
	hold := s.between(slow, 4*time.Second)
	return func(w *World, h *Host) {
		if !swift {
			h.Slow(slow)
			w.after(20*time.Second, func() { h.Slow(0) })
		}
		l := w.Leader()
		if l == nil {
			return
		}
		w.Judge.stalled(true)
		l.Stall(true)
		w.CancelReboot(h)
		w.after(hold, func() { l.Stall(false); w.Judge.stalled(false) })
	}
}

// lay has something befall the next host that reaches a phase.
func (w *World) lay(phase cluster.Phase, what string, wait time.Duration, spring func(*World, *Host)) {
	j := w.Judge
	j.mu.Lock()
	defer j.mu.Unlock()
	j.traps[phase] = append(j.traps[phase], func(id cluster.HostID) { // called under j.mu
		j.note("trap of %s: %s", id.Short(), what)
		j.count["trap"]++
		w.after(wait, func() {
			for _, h := range w.Hosts {
				if h.id == id {
					spring(w, h)
				}
			}
		})
	})
}

// disarm takes all traps away.
func (w *World) disarm() {
	w.Judge.mu.Lock()
	defer w.Judge.mu.Unlock()
	clear(w.Judge.traps)
}
