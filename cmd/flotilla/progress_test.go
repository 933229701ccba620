package main

import (
	"testing"

	"flotilla/api"
	"flotilla/units"
)

// TestSentence: a unit runs where that is ordered and known, not where an absent host or an orphan says so.
func TestSentence(t *testing.T) {
	instances := []api.Instance{
		{HostName: "h1", Order: "launched", Active: "active"},
		{HostName: "h2", Order: "gone", Active: "inactive"},
		{HostName: "h3", Active: "unknown"},
		{HostName: "h4", Order: "launched", Active: "unknown"},
		{HostName: "h5", Active: "active"},
	}
	for _, tt := range []struct {
		verb string
		u    api.Unit
		want string
	}{
		{"start", api.Unit{Name: "a.service", Instances: instances, Target: units.Launched}, "a.service running on h1"},
		{"start", api.Unit{Name: "a.service", Global: true, Settled: true, Target: units.Launched, Reason: "no host: 3 lack disk=ssd"}, "a.service running on no host: 3 lack disk=ssd"},
		{"load", api.Unit{Name: "a.service", Global: true, Settled: true, Target: units.Loaded, Instances: instances[:1], Reason: "not on 1 of 2 hosts: lacks memory"}, "a.service loaded on h1; not on 1 of 2 hosts: lacks memory"},
		{"destroy", api.Unit{Name: "a.service", Global: true, Settled: true, Target: units.Launched, Reason: "no host: none"}, "a.service destroyed"},
		{"unload", api.Unit{Name: "a.service", Instances: instances[1:]}, "a.service unloaded"},
		{"destroy", api.Unit{Name: "a.service", Instances: instances[4:]}, "a.service destroyed"},
	} {
		if got := (verb{name: tt.verb}).sentence(tt.u); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.verb, got, tt.want)
		}
	}
}
