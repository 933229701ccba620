package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// TestDepartedHost: what a host said last counts no more once it was removed while it was away, and
// what waits for it says so.
func TestDepartedHost(t *testing.T) {
	s, snap := serverOf(2, &still{whole: -1})
	away, here := snap.Hosts[cluster.HostID(fmt.Sprintf("%032x", 1))], snap.Hosts[cluster.HostID(fmt.Sprintf("%032x", 0))]
	runs := &cluster.Status{Order: cluster.Launched, State: units.State{Load: "loaded", Active: "active", Sub: "running"}}
	for _, h := range []*cluster.Host{away, here} {
		snap.SetStatus(cluster.Where{Host: h.ID, Unit: "lost.service"}, &cluster.Status{Orphan: true})
	}
	snap.SetStatus(cluster.Where{Host: away.ID, Unit: "a.service"}, runs)
	snap.SetStatus(cluster.Where{Host: away.ID, Unit: "only.service"}, &cluster.Status{Orphan: true})
	snap.Units["b.service"].File, snap.Units["b.service"].Spec.Blob = &units.File{}, "x"
	snap.SetPlaced(&cluster.Placed{Host: away.ID, Unit: "b.service", Placement: cluster.Placement{State: cluster.Launched, Blob: "x"}})
	get := func(path string) string {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Body.String()
	}
	snap.DeleteAlive(away.ID, 8, time.Unix(900, 0))
	if got := get("/v1/units?name=b.service"); !strings.Contains(got, "its host h0001 is absent since") {
		t.Errorf("a unit of an absent host = %s", got)
	}
	snap.SetHostSpec(away.ID, cluster.HostSpec{Removed: &cluster.Note{}}, 9, time.Now())
	snap.Revision = 9
	for path, want := range map[string]bool{"/v1/units?name=a.service": false, "/v1/units?name=lost.service": true, "/v1/units?host=h0000": true} {
		if got := get(path); strings.Contains(got, "h0001") || strings.Contains(got, `"instances":[{`) != want {
			t.Errorf("GET %s = %s, want nothing on h0001, an instance on h0000: %v", path, got, want)
		}
	}
	if got := get("/v1/units"); strings.Contains(got, "only.service") {
		t.Errorf("the units are %s, want none that only a removed host knew", got)
	}
	if got := get("/v1/explain/only.service"); !strings.Contains(got, "no unit and no host") {
		t.Errorf("explain = %s, want no such unit", got)
	}
	if got := get("/v1/hosts/h0001"); strings.Contains(got, "orphans") {
		t.Errorf("the removed host is %s, want no orphans", got)
	}
	if got := get("/v1/units?name=b.service"); !strings.Contains(got, "its host h0001 is removed from the cluster") || strings.Contains(got, "absent") {
		t.Errorf("a unit of a removed host = %s, want that it was removed", got)
	}
	snap.SetHostSpec(away.ID, cluster.HostSpec{}, 10, time.Now())
	if got := get("/v1/units?name=lost.service"); !strings.Contains(got, "h0001") {
		t.Errorf("after restore = %s, want the orphan of h0001 again", got)
	}
}

// TestRemovalOfOneThatLeft: it stays free to join again; a removal by an operator is not.
func TestRemovalOfOneThatLeft(t *testing.T) {
	yes, no := true, false
	left := cluster.HostSpec{Removed: &cluster.Note{Who: "root@h1"}, Left: true}
	for name, tt := range map[string]struct {
		spec cluster.HostSpec
		p    HostPatch
		who  string
		left bool
	}{
		"remove":             {cluster.HostSpec{}, HostPatch{Remove: &yes}, "me", false},
		"remove what left":   {left, HostPatch{Remove: &yes}, "root@h1", true},
		"restore what left":  {left, HostPatch{Remove: &no}, "", false},
		"no word of removal": {left, HostPatch{}, "root@h1", true},
	} {
		applyPatch(&tt.spec, tt.p, cluster.Note{Who: "me"})
		who := ""
		if tt.spec.Removed != nil {
			who = tt.spec.Removed.Who
		}
		if who != tt.who || tt.spec.Left != tt.left {
			t.Errorf("%s: removed by %q, left %v, want %q, %v", name, who, tt.spec.Left, tt.who, tt.left)
		}
	}
}
