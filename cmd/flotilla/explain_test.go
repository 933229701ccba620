package main

import (
	"fmt"
	"slices"
	"testing"

	"flotilla/api"
)

// TestHostLines: a few hosts have a line each, many alike share one, and wide has all.
func TestHostLines(t *testing.T) {
	hosts := []api.HostVerdict{
		{Name: "a", Placed: true, Fits: true, Reason: "runs here"},
		{Name: "b", Fits: true, Units: 1, Reason: "fits (1 unit)"},
		{Name: "c", Reason: "lacks label disk=ssd"},
	}
	want := []string{"a: runs here", "b: fits (1 unit)", "c: lacks label disk=ssd"}
	if got := hostLines(hosts, false); !slices.Equal(got, want) {
		t.Errorf("hostLines() of three = %q, want %q", got, want)
	}
	for i := range 10 {
		hosts = append(hosts,
			api.HostVerdict{Name: fmt.Sprintf("f%d", i), Fits: true, Units: i, Reason: fmt.Sprintf("fits (%d units)", i)},
			api.HostVerdict{Name: fmt.Sprintf("l%d", i), Reason: "lacks label disk=ssd"})
	}
	want = []string{"a: runs here", "11 hosts: fits (0 to 9 units): b, f0, f1, 8 more", "11 hosts: lacks label disk=ssd: c, l0, l1, 8 more"}
	if got := hostLines(hosts, false); !slices.Equal(got, want) {
		t.Errorf("hostLines() of many = %q, want %q", got, want)
	}
	if got := hostLines(hosts, true); len(got) != len(hosts) || got[22] != "l9: lacks label disk=ssd" {
		t.Errorf("hostLines() of many, each = %q", got)
	}
}
