package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// granted gives a host a grant of its boot "b".
func granted(s *cluster.Snapshot, id cluster.HostID, phase cluster.Phase, now time.Time, groups ...string) *cluster.Grant {
	g := &cluster.Grant{Generation: 40, Phase: phase, Groups: groups, Boot: cluster.Boot{ID: "b"}, Cause: "kernel", Began: now, Since: now}
	s.SetGrant(id, g, "", 50, now)
	return g
}

// relabel has an operator give a host a role.
func relabel(s *cluster.Snapshot, id cluster.HostID, role string, now time.Time) {
	spec := s.Hosts[id].Spec
	spec.Labels = map[string]string{"role": role}
	s.SetHostSpec(id, spec, 60, now)
}

// TestGroupsAreShownAsTheyArePlanned: what is said of a group's slots is what keeps a host of it waiting, or does not.
func TestGroupsAreShownAsTheyArePlanned(t *testing.T) {
	for _, test := range []struct {
		name   string
		is     func(s *cluster.Snapshot, now time.Time)
		used   map[string]int // by group
		halted map[string]string
		waits  string // in the reason of h2 of group web, which is to reboot; "" = it begins
	}{
		{"nobody is away", func(*cluster.Snapshot, time.Time) {}, map[string]int{"web": 1}, nil, ""}, // the one that begins
		{"the group in which a reboot began", func(s *cluster.Snapshot, now time.Time) {
			granted(s, "h1", cluster.PhaseDraining, now, "web")
			relabel(s, "h1", "db", now)
		}, map[string]int{"web": 1, "db": 1}, nil, "waits for a slot of group web (1 of 1: h1 is draining"},
		{"alive, and has not reported since it booted", func(s *cluster.Snapshot, _ time.Time) {
			s.SetAlive("h1", &cluster.Alive{Boot: "b2", Version: "0.1.0"}, 60)
		}, map[string]int{"web": 1}, nil, "waits for a slot of group web (1 of 1: h1 has not reported since it booted)"},
		{"given up in the boot that was to end", func(s *cluster.Snapshot, now time.Time) {
			granted(s, "h1", cluster.PhaseReleased, now, "web")
			s.DeleteAlive("h1", 60, now)
		}, map[string]int{"web": 1}, nil, ""},
		{"given up, came back, and is away again", func(s *cluster.Snapshot, now time.Time) {
			granted(s, "h1", cluster.PhaseReleased, now, "web").Boot.ID = "a"
			s.DeleteAlive("h1", 60, now)
		}, map[string]int{"web": 1}, nil, "waits for a slot of group web (1 of 1: h1 is absent since"},
		{"overdue, of another group by now", func(s *cluster.Snapshot, now time.Time) {
			granted(s, "h1", cluster.PhaseOverdue, now, "web")
			s.DeleteAlive("h1", 60, now)
			relabel(s, "h1", "db", now)
		}, map[string]int{"web": 1, "db": 1}, map[string]string{
			"web": "h1 is overdue since 2026-11-28 12:00:00 UTC", "db": "h1 is overdue since 2026-11-28 12:00:00 UTC",
		}, "group web is halted: h1 is overdue"},
		{"loops, of another group by now", func(s *cluster.Snapshot, now time.Time) {
			granted(s, "h1", cluster.PhaseLoop, now, "web").Need = true
			s.Hosts["h1"].Info.Reboot.Need = cluster.Need{State: cluster.NeedYes, Reasons: []string{"kernel"}}
			relabel(s, "h1", "db", now)
		}, map[string]int{"web": 1}, map[string]string{"db": "h1 is loop since 2026-11-28 12:00:00 UTC"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, now := ward(t, "h1", "h2")
			group(s, "web", "role=web")
			group(s, "db", "role=db")
			s.SetHostSpec("h2", cluster.HostSpec{Reboot: &cluster.RebootWish{ID: 70}}, 70, now)
			test.is(s, now)
			v := viewReboots(s, plan.Survey(s, plan.Options{}, now), now)
			for _, g := range v.groups {
				if g.Used != test.used[g.Name] || g.Max != 1 || g.Halted != test.halted[g.Name] {
					t.Errorf("group %s: %d of %d slots taken, halted %q; want %d of 1, %q", g.Name, g.Used, g.Max, g.Halted, test.used[g.Name], test.halted[g.Name])
				}
			}
			if len(v.groups) != 2 {
				t.Errorf("%d groups are shown, want web and db", len(v.groups))
			}
			i := slices.IndexFunc(v.hosts, func(h HostReboot) bool { return h.Host == "h2" })
			want := test.waits
			if want == "" {
				want = "it begins just now"
			}
			if got := v.hosts[i].Reason; !strings.HasPrefix(got, want) {
				t.Errorf("h2 says %q, want %q", got, want)
			}
		})
	}
}

// TestWindowsOfAGroup: a group is open while one of its windows is, and says when the next one opens, or what is wrong.
func TestWindowsOfAGroup(t *testing.T) {
	s, now := ward(t, "h1") // noon
	window(s, "noon", "*-*-* 11:30", 2*time.Hour)
	window(s, "night", "*-*-* 02:00", time.Hour)
	group(s, "open", "role=web", "noon", "night")
	group(s, "shut", "role=web", "night")
	group(s, "wrong", "role=web", "nosuch")
	groups := viewReboots(s, plan.Survey(s, plan.Options{}, now), now).groups
	if len(groups) != 3 {
		t.Fatalf("%d groups are shown, want those that were made", len(groups))
	}
	night := now.Add(14 * time.Hour)
	if g := groups[0]; !g.Until.Equal(now.Add(90*time.Minute)) || !g.Next.Equal(night) || g.Problem != "" {
		t.Errorf("the open group is %+v", g)
	}
	if g := groups[1]; !g.Until.IsZero() || !g.Next.Equal(night) || g.Problem != "" {
		t.Errorf("the shut group is %+v", g)
	}
	if g := groups[2]; !g.Until.IsZero() || !g.Next.IsZero() || g.Problem != "window nosuch does not exist" {
		t.Errorf("the group whose window does not exist is %+v", g)
	}
}
