package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

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

// TestRolled: the demo does not say "one at a time" of what went together, nor of what did not go.
func TestRolled(t *testing.T) {
	run := func(host, invocation string, second int) api.Instance {
		return api.Instance{Host: host, HostName: host, Invocation: invocation, Since: time.Unix(int64(second), 0)}
	}
	before := map[string]api.Instance{"web@1": run("h1", "1", 1), "web@2": run("h2", "2", 1), "log@1": run("h1", "3", 1)}
	for _, c := range []struct {
		name  string
		after map[string]api.Instance
		fault string
	}{
		{"one after another", map[string]api.Instance{"web@1": run("h1", "4", 12), "web@2": run("h2", "5", 9), "log@1": before["log@1"]}, ""},
		{"together", map[string]api.Instance{"web@1": run("h1", "4", 9), "web@2": run("h2", "5", 10), "log@1": before["log@1"]}, "two of web@* were restarted within 1s"},
		{"one is as it was", map[string]api.Instance{"web@1": run("h1", "4", 9), "web@2": before["web@2"], "log@1": before["log@1"]}, "web@2 was not restarted"},
		{"one moved", map[string]api.Instance{"web@1": run("h2", "4", 9), "web@2": run("h2", "5", 12), "log@1": before["log@1"]}, "web@1 was not restarted"},
		{"another was touched", map[string]api.Instance{"web@1": run("h1", "4", 9), "web@2": run("h2", "5", 12), "log@1": run("h1", "6", 15)}, "log@1 was touched"},
	} {
		n, err := rolled(before, c.after, "web@")
		if n != 2 || (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: rolled() = %d, %v, want 2, %q", c.name, n, err, c.fault)
		}
	}
}

// TestByCtrlC: a command that Ctrl-C ended is told from one that failed.
func TestByCtrlC(t *testing.T) {
	for script, want := range map[string]bool{"kill -INT $$": true, "kill -KILL $$": false, "exit 130": false} {
		err := exec.CommandContext(t.Context(), "/bin/sh", "-c", script).Run()
		if got := byCtrlC(fmt.Errorf("boot: %w", err)); err == nil || got != want {
			t.Errorf("byCtrlC(%v) after %q = %t, want %t", err, script, got, want)
		}
	}
	if byCtrlC(nil) {
		t.Error("byCtrlC(nil) = true, want false")
	}
}
