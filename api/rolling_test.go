package api

import (
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// family is a cluster of one host with web@1 and web@2 launched; web@1 has the new content of both, and came
// up with it or failed.
func family(t *testing.T, first units.State) *cluster.Snapshot {
	t.Helper()
	s := cluster.NewSnapshot()
	s.Complete, s.Revision = true, 10
	s.SetHostInfo("h", &cluster.HostInfo{Boot: "b", Name: "h1"}, time.Now())
	s.SetAlive("h", &cluster.Alive{Boot: "b"}, 1)
	for i, u := range []cluster.Unit{"web@1.service", "web@2.service"} {
		file, err := units.Parse(u, []byte("[Service]\nExecStart=/bin/true\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.SetUnit(&cluster.UnitHead{Name: u, Rev: 9, File: file, Spec: cluster.UnitSpec{Blob: "new", Restart: 1, Target: units.Launched}})
		p := cluster.Placement{Generation: 5, State: cluster.Launched, Blob: "new", Restart: 1}
		st := cluster.Status{Generation: 5, Order: cluster.Launched, Boot: "b", State: first}
		if i == 1 {
			p.Blob, p.Restart, st.State = "old", 0, units.State{Load: "loaded", Active: "active", Sub: "running"}
		}
		s.SetPlaced(&cluster.Placed{Placement: p, Host: "h", Unit: u, Rev: 5})
		s.SetStatus(cluster.Where{Host: "h", Unit: u}, &st)
	}
	return s
}

// TestHeldBackSaysForWhom: an instance whose new content waits for another says so, and fails where only a
// person can end that.
func TestHeldBackSaysForWhom(t *testing.T) {
	for _, c := range []struct {
		name, want string
		state      units.State
		failed     bool
	}{
		{"starting", "waits for web@1.service on h1, which is starting", units.State{Active: "activating"}, false},
		{"failed", "waits for web@1.service on h1, which did not come up with its new content (failed", units.State{Active: "failed", Result: "exit-code"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := family(t, c.state)
			p := planFrom(s, plan.Options{}, time.Now())
			u := unitView(s, "web@2.service", p.verdict(s.Units["web@2.service"], "web@2.service"))
			if u.Settled || u.Failed != c.failed || !strings.HasPrefix(u.Reason, c.want) {
				t.Errorf("web@2.service is settled %t, failed %t, %q; want unsettled, failed %t, %q", u.Settled, u.Failed, u.Reason, c.failed, c.want)
			}
		})
	}
}

// TestFailureThatIsRemembered: a tombstone that only tells of a failure is no copy, and nobody waits for it.
func TestFailureThatIsRemembered(t *testing.T) {
	s := family(t, units.State{Active: "active"})
	s.SetHostInfo("g", &cluster.HostInfo{Boot: "b", Name: "g1"}, time.Now())
	s.SetAlive("g", &cluster.Alive{Boot: "b"}, 1)
	tomb := cluster.Placement{Generation: 4, State: cluster.Gone, Blob: "new", Restart: 1, Tries: 1}
	s.SetPlaced(&cluster.Placed{Placement: tomb, Host: "g", Unit: "web@1.service", Rev: 4})
	w := cluster.Where{Host: "g", Unit: "web@1.service"}
	for _, acknowledged := range []bool{false, true} {
		if acknowledged {
			s.SetStatus(w, &cluster.Status{Generation: 4, Order: cluster.Gone, Boot: "b"})
		}
		u := unitView(s, "web@1.service", verdict{})
		if u.Settled != acknowledged || (len(u.Instances) == 1) != acknowledged {
			t.Errorf("acknowledged %t: settled %t (%s) with %d instances", acknowledged, u.Settled, u.Reason, len(u.Instances))
		}
	}
}
