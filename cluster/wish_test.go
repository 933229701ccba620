package cluster

import "testing"

// TestWishes: what was asked for is new until a grant takes it up, under way while that holds a slot, and stands again
// after one that could not do it; a person who unlocked the grant, or a grant for the host's own need, ends that.
func TestWishes(t *testing.T) {
	type is struct{ new, stands, underWay bool }
	for _, test := range []struct {
		name   string
		wish   int64 // 0 = none
		grant  *Grant
		unlock int64
		want   is
	}{
		{"nothing", 0, nil, 0, is{}},
		{"none, and a grant", 0, &Grant{Wish: 5, Phase: PhaseDraining}, 0, is{}},
		{"asked", 5, nil, 0, is{new: true, stands: true}},
		{"asked again after one that is done", 6, &Grant{Wish: 5, Phase: PhaseDone}, 0, is{new: true, stands: true}},
		{"asked again under way", 6, &Grant{Wish: 5, Phase: PhaseDraining}, 0, is{new: true, stands: true}},
		{"asked again after one that was unlocked", 6, &Grant{Generation: 9, Wish: 5, Phase: PhaseReleased}, 9, is{new: true, stands: true}},
		{"under way", 5, &Grant{Wish: 5, Phase: PhaseDraining}, 0, is{underWay: true}},
		{"overdue", 5, &Grant{Wish: 5, Phase: PhaseOverdue}, 0, is{underWay: true}},
		{"its own need under way", 5, &Grant{Wish: 5, Need: true, Phase: PhaseDraining}, 0, is{}},
		{"done", 5, &Grant{Wish: 5, Phase: PhaseDone}, 0, is{}},
		{"failed", 5, &Grant{Wish: 5, Phase: PhaseFailed}, 0, is{}},
		{"blocked", 5, &Grant{Wish: 5, Phase: PhaseBlocked}, 0, is{stands: true}},
		{"abandoned", 5, &Grant{Wish: 5, Phase: PhaseAbandoned}, 0, is{stands: true}},
		{"its own need blocked", 5, &Grant{Wish: 5, Need: true, Phase: PhaseBlocked}, 0, is{}},
		{"blocked and unlocked", 5, &Grant{Generation: 9, Wish: 5, Phase: PhaseBlocked}, 9, is{}},
		{"blocked, and an earlier grant unlocked", 5, &Grant{Generation: 9, Wish: 5, Phase: PhaseBlocked}, 8, is{stands: true}},
	} {
		h := &Host{Grant: test.grant}
		if test.wish != 0 {
			h.Spec.Reboot = &RebootWish{ID: test.wish}
		}
		if test.unlock != 0 {
			h.Spec.Unlock = &Unlock{Generation: test.unlock}
		}
		if got := (is{h.WishIsNew(), h.WishStands(), h.WishUnderWay()}); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
