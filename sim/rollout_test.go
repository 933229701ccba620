package sim

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"flotilla/cluster"
	"flotilla/leader"
	"flotilla/units"
)

// misled is a mirror that shows a leader other things than there are.
type misled struct {
	leader.Mirror
	show func(*cluster.Snapshot)
}

func (m misled) Read(f func(*cluster.Snapshot)) {
	m.Mirror.Read(func(s *cluster.Snapshot) {
		c := s.Clone()
		m.show(c)
		f(c)
	})
}

func misleading(show func(*cluster.Snapshot)) seams {
	return seams{mirror: func(m leader.Mirror) leader.Mirror { return misled{m, show} }}
}

// allMayGo takes a family's budget away.
func allMayGo(s *cluster.Snapshot) {
	for _, head := range s.Units {
		c := *head
		c.Req.MaxUnavailable = units.Amount{N: 100, Percent: true}
		s.SetUnit(&c)
	}
}

// orderedIsUp has every host that is alive report what was ordered there as carried out, a while ago.
func orderedIsUp(s *cluster.Snapshot) {
	for _, h := range s.Hosts {
		if h.Alive == nil {
			continue
		}
		for u, pl := range h.Placed {
			if pl.State == cluster.Launched {
				h.Status[u] = &cluster.Status{Generation: pl.Generation, Order: pl.State, Boot: h.Alive.Boot, State: units.State{Active: "active"}}
			}
		}
	}
}

// TestChangesOneAtATime plays scripts with a planner that is misled about one thing: the judge must see it.
func TestChangesOneAtATime(t *testing.T) {
	for _, m := range []struct {
		name, script, want string
		show               func(*cluster.Snapshot)
	}{
		{"the budget of a family is ignored", "roll-leader-dies", "of its family are down", allMayGo},
		{"an order is taken for what it asks for", "roll-broken", "of its family are down", orderedIsUp},
		{"the old copy ends before the new one is up", "shift-start-first", "before it runs on", orderedIsUp},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			synctest.Test(t, func(t *testing.T) {
				s := NewScript(dir)
				s.seams = misleading(m.show)
				defer s.Close()
				for _, line := range commandsOf(t, "testdata/"+m.script+".txt") {
					if _, err := s.Do(line); err != nil {
						t.Fatal(err)
					}
				}
				if broken := strings.Join(s.World().Judge.Broken(), "\n"); !strings.Contains(broken, m.want) {
					t.Errorf("%s: broken promises = %q, want one with %q: the simulation is blind to it", m.script, broken, m.want)
				}
			})
		})
	}
}

// commandsOf are the commands of a script, without what they print.
func commandsOf(t *testing.T, file string) []string {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range strings.Split(string(raw), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		for line := range strings.Lines(input) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}
