package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
)

// TestEventsOfReboots: requests, phases, freezes, cordons and what nobody asked for are told once each, with who and why.
func TestEventsOfReboots(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	alice := cluster.Note{Who: "alice", Why: "kernel"}
	s := cluster.NewSnapshot()
	s.SetHostInfo("h1", &cluster.HostInfo{Name: "h1", Boot: "b1"}, now)
	s.SetAlive("h1", &cluster.Alive{Boot: "b1"}, 2)
	s.Groups["web"] = &cluster.GroupHead{Name: "web"}
	last := factsOf(s, nil)
	for _, step := range []struct {
		what string
		do   func(h *cluster.Host)
		want []string
	}{
		{"asked", func(h *cluster.Host) { h.Spec.Reboot = &cluster.RebootWish{ID: 5, By: alice} }, []string{"reboot h1: asked for by alice: kernel"}},
		{"a phase", func(h *cluster.Host) {
			h.Grant = &cluster.Grant{Generation: 6, Phase: cluster.PhaseDraining, Reason: "its units go elsewhere"}
		}, []string{"reboot h1: draining: its units go elsewhere"}},
		{"another reason", func(h *cluster.Host) {
			h.Grant = &cluster.Grant{Generation: 6, Phase: cluster.PhaseDraining, Reason: "one is left"}
		}, nil},
		{"cancelled", func(h *cluster.Host) { h.Spec.Reboot = nil }, []string{"reboot h1: not asked for any more"}},
		{"unlocked", func(h *cluster.Host) { h.Spec.Unlock = &cluster.Unlock{Generation: 6, By: alice} }, []string{"reboot h1: slot taken away by alice: kernel"}},
		{"frozen", func(h *cluster.Host) { h.Spec.Freeze = &cluster.Freeze{By: alice} }, []string{"reboot h1: frozen by alice: kernel"}},
		{"until", func(h *cluster.Host) { h.Spec.Freeze = &cluster.Freeze{By: alice, Until: now} }, []string{"reboot h1: frozen until 2026-11-28 12:00:00 UTC by alice: kernel"}},
		{"in another zone", func(h *cluster.Host) {
			h.Spec.Freeze = &cluster.Freeze{By: alice, Until: now.In(time.FixedZone("", 3600))}
		}, nil},
		{"thawed", func(h *cluster.Host) { h.Spec.Freeze = nil }, []string{"reboot h1: thawed"}},
		{"cordoned", func(h *cluster.Host) { h.Spec.Cordon = &cluster.Note{Who: "bob"} }, []string{"host h1: cordoned by bob"}},
		{"uncordoned, to be drained", func(h *cluster.Host) {
			h.Spec.Cordon, h.Spec.Drain = nil, &cluster.DrainWish{By: alice}
		}, []string{"host h1: not cordoned any more", "host h1: to be drained by alice: kernel"}},
		{"a need", func(h *cluster.Host) {
			h.Info = &cluster.HostInfo{Name: "h1", Boot: "b1", Reboot: &cluster.RebootReport{Need: cluster.Need{State: cluster.NeedYes, Reasons: []string{"kernel"}}}}
		}, []string{"reboot h1: needed: kernel"}},
		{"typed reboot", func(h *cluster.Host) {
			h.Info = &cluster.HostInfo{Name: "h1", Boot: "b1", Reboot: &cluster.RebootReport{Down: &cluster.GoingDown{Kind: "reboot"}}}
		}, []string{"reboot h1: somebody else began a reboot there"}},
		{"back from it", func(h *cluster.Host) {
			h.Info = &cluster.HostInfo{Name: "h1", Boot: "b2", Reboot: &cluster.RebootReport{Last: &cluster.LastBoot{How: "typed"}}}
		}, []string{"reboot h1: booted without a grant: typed"}},
		{"nothing", func(*cluster.Host) {}, nil},
		{"all and a group", func(*cluster.Host) {
			s.Reboots.Freeze = &cluster.Freeze{By: alice}
			s.Groups["web"] = &cluster.GroupHead{Name: "web", Group: cluster.Group{Freeze: &cluster.Freeze{By: alice}}}
		}, []string{"reboot group web: frozen by alice: kernel", "reboot all hosts: frozen by alice: kernel"}},
	} {
		step.do(s.Hosts["h1"])
		next := factsOf(s, last)
		var got []string
		for _, e := range last.diff(next, now) {
			got = append(got, string(e.Kind)+" "+e.Subject+": "+e.Text)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", step.what, diff)
		}
		last = next
	}
}
