package main

import (
	"testing"
	"time"

	"flotilla/api"
)

func TestPlainKeepsTheTerminalSafe(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain text, tab\tand ümläut ✓", "plain text, tab\tand ümläut ✓"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"forged\nNov 22 h1 web.service: line", `forged\nNov 22 h1 web.service: line`},
		{"over\rwritten", `over\rwritten`},
		{"bell\a and del\x7f", `bell\a and del\x7f`},
		{"right to left \u202e override", `right to left \u202e override`},
	} {
		if got := plain(c.in); got != c.want {
			t.Errorf("plain(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestHostState: how long a host is absent is said with what is known of its begin.
func TestHostState(t *testing.T) {
	for _, test := range []struct {
		host api.Host
		want string
	}{
		{api.Host{State: api.HostAlive, Leader: true}, "alive, leader"},
		{api.Host{State: api.HostAbsent, Since: time.Now().Add(-2 * time.Minute)}, "absent 2m"},
		{api.Host{State: api.HostAbsent, Since: time.Now().Add(-2 * time.Minute), Earlier: true}, "absent, at least 2m"},
		{api.Host{State: api.HostRemoved}, "removed"},
	} {
		if got := hostState(test.host); got != test.want {
			t.Errorf("hostState(%+v) = %q, want %q", test.host, got, test.want)
		}
	}
}
