package main

import "testing"

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
