package load

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// TestServes: only a copy that is up, believed and ordered to be there is an endpoint.
func TestServes(t *testing.T) {
	for _, c := range []struct {
		name string
		i    api.Instance
		want bool
	}{
		{"up", api.Instance{Order: "launched", Active: "active"}, true},
		{"starting", api.Instance{Order: "launched", Active: "activating"}, false},
		{"stopping by itself", api.Instance{Order: "launched", Active: "deactivating"}, false},
		{"ordered to go, and still up", api.Instance{Order: "gone", Active: "active"}, false},
		{"ordered to drain, and still up", api.Instance{Order: "draining", Active: "active"}, false},
		{"on an absent host", api.Instance{Order: "launched", Active: "unknown"}, false},
		{"an orphan", api.Instance{Active: "active", Orphan: true}, false},
	} {
		if got := serves(c.i); got != c.want {
			t.Errorf("%s: serves() = %t, want %t", c.name, got, c.want)
		}
	}
}

// TestLeaving: what is on a host that is about to reboot gets requests only while there is nothing else.
func TestLeaving(t *testing.T) {
	e := &Endpoints{port: func(string) string { return "80" }, units: map[string]api.Unit{}, leaving: map[string]bool{}}
	for _, host := range []string{"a", "b"} {
		u := api.Unit{Name: "web@" + host, Instances: []api.Instance{{Host: host, Address: host + ":7117", Order: "launched", Active: "active"}}}
		if err := e.hearUnit(u); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		host  string
		phase cluster.Phase
		want  []string
	}{
		{"a", cluster.PhaseQueued, []string{"a:80", "b:80"}},
		{"a", cluster.PhaseDraining, []string{"b:80"}},
		{"a", cluster.PhaseGranted, []string{"b:80"}},
		{"b", cluster.PhaseDraining, []string{"a:80", "b:80"}},
		{"b", cluster.PhaseAbandoned, []string{"b:80"}},
		{"a", cluster.PhaseReturning, []string{"a:80", "b:80"}},
	} {
		line := api.RebootLine{Host: &api.HostReboot{HostReboot: plan.HostReboot{Host: cluster.HostID(step.host), Phase: step.phase}}}
		if err := errors.Join(e.hearReboot(line), e.hearReboot(api.RebootLine{})); err != nil {
			t.Fatal(err)
		}
		if got := e.List(); !slices.Equal(got, step.want) {
			t.Errorf("%s is %s: endpoints are %q, want %q", step.host, step.phase, got, step.want)
		}
	}
}

// TestFollow: endpoints come and go with what the API says, and go on when the daemon that was asked ends.
func TestFollow(t *testing.T) {
	c, err := apitest.New(3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dead, err := api.NewClient("unix:///nobody/listens", nil)
	if err != nil {
		t.Fatal(err)
	}
	daemons := []*api.Client{dead}
	var end func() // of the first daemon that answers
	dir := t.TempDir()
	for _, h := range c.Hosts[:2] {
		socket := filepath.Join(dir, h.Name)
		stop, err := h.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		d, err := api.NewClient("unix://"+socket, nil)
		if err != nil {
			t.Fatal(err)
		}
		if end == nil {
			end = stop
		}
		daemons = append(daemons, d)
	}
	e := Follow(ctx, daemons, []string{"web@1.service", "web@2.service"}, func(unit string) string { return "808" + unit[4:5] })
	change := func(target units.Target, names ...string) {
		t.Helper()
		text := "[Service]\nExecStart=/bin/true\n"
		var all []api.Change
		for _, name := range names {
			all = append(all, api.Change{Name: name, Content: &text, Target: &target})
		}
		results, err := daemons[2].Change(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Error != nil {
				t.Fatal(r.Error)
			}
		}
	}
	await := func(want ...string) {
		t.Helper()
		for !slices.Equal(e.List(), want) {
			select {
			case <-ctx.Done():
				t.Fatalf("endpoints are %q, want %q", e.List(), want)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	await()
	change(units.Launched, "web@1.service", "web@2.service")
	await("127.0.0.1:8081", "127.0.0.1:8082")
	end()
	change(units.Inactive, "web@1.service")
	await("127.0.0.1:8082")
}
