package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// ward is a cluster of hosts that report nothing bad, for a doctor.
func ward(t *testing.T, names ...string) (*cluster.Snapshot, time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	s := cluster.NewSnapshot()
	s.Complete, s.Revision = true, 100
	for _, name := range names {
		id := cluster.HostID(name)
		s.SetAlive(id, &cluster.Alive{Boot: "b", Version: "0.1.0"}, 1)
		s.SetHostInfo(id, &cluster.HostInfo{Name: name, Boot: "b", Labels: map[string]string{"role": "web", "name": name}, Reboot: &cluster.RebootReport{Delay: time.Minute}}, now)
	}
	return s, now
}

func found(s *cluster.Snapshot, only cluster.HostID, now time.Time) []string {
	view := viewReboots(s, plan.Survey(s, plan.Options{}, now), now)
	out := []string{}
	for _, a := range ailments(s, view, only, now) {
		out = append(out, a.Thing+": "+a.Text+": "+a.Mend)
	}
	return out
}

func window(s *cluster.Snapshot, name, calendar string, d time.Duration) {
	s.Windows[name] = &cluster.WindowHead{Name: name, Window: cluster.Window{Calendar: calendar, Duration: d}}
}

func group(s *cluster.Snapshot, name, selector string, windows ...string) *cluster.GroupHead {
	g := &cluster.GroupHead{Name: name, Group: cluster.Group{Selector: selector, Windows: windows}}
	s.Groups[name] = g
	return g
}

// TestDoctor: each thing to mend is told once, with what mends it, and nothing of what is well.
func TestDoctor(t *testing.T) {
	for _, test := range []struct {
		name string
		ill  func(s *cluster.Snapshot, now time.Time)
		want []string
	}{
		{"well", func(s *cluster.Snapshot, _ time.Time) {
			window(s, "night", "*-*-* 02:00", 2*time.Hour)
			group(s, "web", "role=web", "night")
		}, []string{}},
		{"a rival", func(s *cluster.Snapshot, _ time.Time) {
			s.Hosts["h1"].Info.Reboot.Rivals = []cluster.Rival{{Name: "locksmithd.service", Why: "it takes no lock", Mend: "systemctl mask --now locksmithd"}}
		}, []string{"h1: locksmithd.service may reboot it without asking: it takes no lock: systemctl mask --now locksmithd"}},
		{"a short delay, a clock, a source", func(s *cluster.Snapshot, _ time.Time) {
			r := s.Hosts["h1"].Info.Reboot
			r.Delay, r.Skew, r.Problem = 5*time.Second, -7*time.Second, "no such command: /usr/bin/needs"
		}, []string{
			"h1: no such command: /usr/bin/needs: mend the section reboot of /etc/flotilla/flotilla.json there, then systemctl restart flotilla-agent",
			"h1: logind waits only 5s when somebody types reboot, 30s are needed to give units away (InhibitDelayMaxSec): systemctl reload systemd-logind there; if that does not help, another file of /etc/systemd/logind.conf.d has the last word: systemd-analyze cat-config systemd/logind.conf",
			"h1: its clock is 7s behind the leader's: it gets no grant: timedatectl set-ntp true there; timedatectl status tells whether it is in step",
		}},
		{"groups", func(s *cluster.Snapshot, _ time.Time) {
			group(s, "bad", "role=")
			group(s, "none", "role=db", "nosuch")
			group(s, "shut", "role=web").Max = cluster.Slots{Given: true}
		}, []string{
			"group bad: it cannot be used, and no host begins to reboot: selector role=: role= is no expression over labels",
			"group none: no host has the labels role=db: flotilla list-machines -o wide shows the labels that there are",
			"group none: it names the window nosuch, which does not exist: make the window, or leave it out of the group",
			"group shut: its max is 0: none of its 2 hosts can reboot: raise its max",
		}},
		{"windows", func(s *cluster.Snapshot, _ time.Time) {
			window(s, "bad", "never", time.Hour)
			window(s, "unused", "*-*-* 02:00", time.Hour)
		}, []string{
			"window bad: it never opens",
			"window unused: no group names it: nothing reboots in it: name it in a group, or remove it",
		}},
		{"groups without a common window", func(s *cluster.Snapshot, _ time.Time) {
			window(s, "night", "*-*-* 02:00", time.Hour)
			window(s, "noon", "*-*-* 12:00", time.Hour)
			group(s, "a", "role=web", "night")
			group(s, "b", "name=h1", "noon")
			group(s, "c", "name=h2")
		}, []string{
			"h1: in the groups a, b: their windows are never open at the same time, so that they never reboot by themselves: give these groups a common window, or leave the hosts out of one of them",
			"h2: in the groups a, c: a has windows and c has none, so that they never reboot by themselves: give these groups a common window, or leave the hosts out of one of them",
		}},
		{"groups with a common window", func(s *cluster.Snapshot, _ time.Time) {
			window(s, "night", "*-*-* 02:00", 2*time.Hour)
			window(s, "late", "*-*-* 03:00", 2*time.Hour)
			group(s, "a", "role=web", "night")
			group(s, "b", "name=h1", "late")
		}, []string{}},
		{"a forgotten freeze", func(s *cluster.Snapshot, now time.Time) {
			by := cluster.Note{Who: "alice", When: now.AddDate(0, -1, 0), Why: "fair"}
			s.Reboots.Freeze = &cluster.Freeze{By: by}
			s.Hosts["h1"].Spec.Freeze = &cluster.Freeze{By: by, Until: now.AddDate(0, 1, 0)} // has an end
			s.Hosts["h2"].Spec.Freeze = &cluster.Freeze{By: cluster.Note{When: now.Add(-time.Hour)}}
		}, []string{"cluster: frozen by alice since 2026-10-28 12:00:00 UTC, without an end: fair: flotilla reboot thaw"}},
		{"a webhook", func(s *cluster.Snapshot, now time.Time) {
			s.Reboots.Webhook, s.RebootsRev = "https://example.com/s3cret", 3
			s.Notified = cluster.Notified{Record: 3, Lost: 2, Trouble: "it answers 404 Not Found", Since: now}
		}, []string{"cluster: the webhook did not take 2 messages, the newest at 2026-11-28 12:00:00 UTC: it answers 404 Not Found: mend it, or flotilla reboot webhook --off"}},
		{"a grant that cannot be read", func(s *cluster.Snapshot, now time.Time) {
			s.SetGrant("h1", nil, "unknown phase", 50, now)
		}, []string{"h1: its grant cannot be read, and holds a slot: unknown phase: flotilla reboot unlock h1 --reason …"}},
	} {
		s, now := ward(t, "h1", "h2")
		test.ill(s, now)
		got := found(s, "", now)
		if len(got) == len(test.want) {
			for i, line := range got {
				if strings.HasPrefix(line, test.want[i]) {
					got[i] = test.want[i]
				}
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestDoctorOfOneHost: what is not its own and not its groups' is left out.
func TestDoctorOfOneHost(t *testing.T) {
	s, now := ward(t, "h1", "h2")
	s.Hosts["h1"].Info.Reboot.Problem = "one"
	s.Hosts["h2"].Info.Reboot.Problem = "two"
	group(s, "mine", "name=h1").Max = cluster.Slots{Given: true}
	group(s, "other", "name=h2").Max = cluster.Slots{Given: true}
	var got []string
	for _, line := range found(s, "h1", now) {
		thing, _, _ := strings.Cut(line, ":")
		got = append(got, thing)
	}
	if diff := cmp.Diff([]string{"h1", "group mine"}, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}
