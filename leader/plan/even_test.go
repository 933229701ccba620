package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"flotilla/cluster"
)

// TestRollsEndEven rolls random clusters: no host then has more than one of a family above its even share, those
// that start first are as even as can be, also around one that is not well, and nothing moves any more.
func TestRollsEndEven(t *testing.T) {
	moved := 0
	for seed := range 60 {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		w := newWorld(t)
		hosts := 2 + r.IntN(4)
		for i := range hosts {
			w.addHost(fmt.Sprintf("h%d", i))
		}
		sizes := map[cluster.Unit]int{}
		swift := map[cluster.Unit]bool{}
		for f := range 1 + r.IntN(3) {
			template := cluster.Unit(fmt.Sprintf("f%d@.service", f))
			sizes[template], swift[template] = 1+r.IntN(12), chance(r, 60)
			option := "MaxUnavailable=" + pick(r, []string{"1", "2", "50%"})
			for i := range sizes[template] {
				options := []string{option, fmt.Sprintf("v=%d", i)}
				if swift[template] {
					options = append(options, "Handover=start-first")
				}
				w.unit(string(template.With(fmt.Sprint(i))), "launched", options...)
			}
		}
		w.run([]string{"10s"})
		for template, n := range sizes {
			if swift[template] && n > 2 && seed%3 == 0 {
				w.breaks(template.With("1"), "failed", nil)
			}
		}
		for i := range hosts {
			w.wish([]string{fmt.Sprintf("h%d", i)})
		}
		w.run([]string{"1h"})
		for template, n := range sizes {
			on, most, least := w.standing(template), 0, n
			for _, h := range w.snap.Hosts {
				if h.Grant == nil || h.Grant.Phase != cluster.PhaseDone {
					t.Fatalf("seed %d: %s has not rebooted: %+v", seed, h.Name(), h.Grant)
				}
				most, least = max(most, on[h.ID]), min(least, on[h.ID])
			}
			if most > n/hosts+1 || swift[template] && most-least > 1 {
				t.Errorf("seed %d: %d of %s stand on %d hosts as %v", seed, n, template, hosts, on)
			}
		}
		before := w.show()
		if w.run([]string{"2h"}); w.show() != before {
			t.Errorf("seed %d: units move long after the roll", seed)
		}
		for _, at := range w.snap.Placed {
			for id, pl := range at {
				if pl.Shift.From != "" && pl.Shift.To == id {
					moved++
				}
			}
		}
	}
	if moved < 50 {
		t.Errorf("%d units were moved by the last step: too few for the test to mean anything", moved)
	}
}

// standing is how many instances of a template each host has.
func (w *world) standing(template cluster.Unit) map[cluster.HostID]int {
	out := map[cluster.HostID]int{}
	for u, at := range w.snap.Placed {
		for id, pl := range at {
			if u.Template() == template && pl.State == cluster.Launched {
				out[id]++
			}
		}
	}
	return out
}
