package main

import (
	"strings"
	"testing"

	"flotilla/api"
)

// TestCompare: the demo does not say "untouched" of what was touched.
func TestCompare(t *testing.T) {
	run := func(host, invocation string) api.Instance {
		return api.Instance{Host: host, HostName: host, Invocation: invocation}
	}
	before := map[string]api.Instance{"a": run("h1", "1"), "b": run("h2", "2"), "c": run("h3", "3")}
	for _, c := range []struct {
		name             string
		after            map[string]api.Instance
		gone             string
		moved, untouched int
		touched          string
	}{
		{"as it should be", map[string]api.Instance{"a": run("h1", "1"), "b": run("h2", "2"), "c": run("h1", "4")}, "h3", 1, 2, ""},
		{"nothing moved", before, "", 0, 3, ""},
		{"another was restarted", map[string]api.Instance{"a": run("h1", "9"), "b": run("h2", "2"), "c": run("h1", "4")}, "h3", 1, 1, "a was touched"},
		{"another moved", map[string]api.Instance{"a": run("h1", "1"), "b": run("h1", "2"), "c": run("h1", "4")}, "h3", 1, 1, "b was touched"},
		{"one is lost", map[string]api.Instance{"a": run("h1", "1"), "c": run("h1", "4")}, "h3", 1, 1, "b was touched"},
		{"the gone one did not move", before, "h3", 0, 2, "c was touched"},
		{"one moved back", map[string]api.Instance{"a": run("h1", "1"), "b": run("h2", "2"), "c": run("h1", "3")}, "", 0, 2, "c was touched"},
	} {
		moved, untouched, err := compare(before, c.after, c.gone)
		if moved != c.moved || untouched != c.untouched || (err != nil) != (c.touched != "") || err != nil && !strings.Contains(err.Error(), c.touched) {
			t.Errorf("%s: compare() = %d, %d, %v, want %d, %d, %q", c.name, moved, untouched, err, c.moved, c.untouched, c.touched)
		}
	}
}
