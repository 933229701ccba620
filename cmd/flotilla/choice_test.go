package main

import (
	"strings"
	"testing"

	"flotilla/api"
)

// TestHostNamed: an id, a name, or the beginning of an id; a name goes before a beginning, and what fits
// several is none.
func TestHostNamed(t *testing.T) {
	list := []api.Host{
		{ID: "abc1" + strings.Repeat("0", 28), Name: "h1"},
		{ID: "abc2" + strings.Repeat("0", 28), Name: "h2"},
		{ID: "def3" + strings.Repeat("0", 28), Name: "abc"},
		{ID: "9994" + strings.Repeat("0", 28), Name: "twin"},
		{ID: "9995" + strings.Repeat("0", 28), Name: "twin"},
	}
	for word, want := range map[string]string{
		"h1": "h1", "abc1": "h1", list[1].ID: "h2", "d": "abc", "abc": "abc",
		"ab":     `"ab" is 2 hosts: h1 (abc10000), h2 (abc20000): write more of the id`,
		"twin":   `"twin" is 2 hosts: twin (99940000), twin (99950000): write more of the id`,
		"h3":     `no host "h3" in the cluster (flotilla list-machines shows them)`,
		"H1":     `no host "H1" in the cluster (flotilla list-machines shows them)`,
		"h1.lan": `no host "h1.lan" in the cluster (flotilla list-machines shows them)`,
	} {
		h, err := hostNamed(list, word)
		got := h.Name
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("hostNamed(%q) = %q, want %q", word, got, want)
		}
	}
}
