package units

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"web.service", []string{"web.service"}},
		{"", []string{""}},
		{"a,b", []string{"a,b"}},
		{"web@{1..3}.service", []string{"web@1.service", "web@2.service", "web@3.service"}},
		{"web@{3..1}", []string{"web@3", "web@2", "web@1"}},
		{"{08..10}", []string{"08", "09", "10"}},
		{"{7..7}", []string{"7"}},
		{"{a,b}.socket", []string{"a.socket", "b.socket"}},
		{"web{,-canary}", []string{"web", "web-canary"}},
		{"{a,b}@{1..2}", []string{"a@1", "a@2", "b@1", "b@2"}},
		{"x{a{1..2},b,{c,d}e}", []string{"xa1", "xa2", "xb", "xce", "xde"}},
		{"{,}", []string{"", ""}},
	} {
		got, err := Expand(test.in)
		if err != nil {
			t.Errorf("Expand(%q): %v", test.in, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Expand(%q) differs (-want +got):\n%s", test.in, diff)
		}
	}
}

func TestExpandBound(t *testing.T) {
	got, err := Expand("web@{1..1000}.service")
	if err != nil || len(got) != MaxExpand || got[MaxExpand-1] != "web@1000.service" {
		t.Errorf("Expand of 1000 = %d names, %v", len(got), err)
	}
}

func TestExpandColumn(t *testing.T) {
	for _, test := range []struct {
		in     string
		column int
	}{
		{"web@{1..3", 5},
		{"a}b", 2},
		{"{}", 1},
		{"x{y}", 2},
		{"{a..c}", 1},
		{"{1..x}", 1},
		{"{-1..3}", 1},
		{"{{1..2}}", 1},
		{"{a,{b}", 4},
		{"{1..2}}", 7},
		{"{0..1000}", 1},
		{"web@{1..99999}", 5},
		{"n{1..999}{1..999}", 2},
		{"{1..999999999}", 1},
		{"{1..9999999999}", 1},
		{strings.Repeat("a", 2000) + "{1..2}", 1025},
		{strings.Repeat("a", 1000) + "{1..90000}", 1001},
	} {
		got, err := Expand(test.in)
		var fault *Error
		if !errors.As(err, &fault) || fault.Column != test.column {
			t.Errorf("Expand(%.20q) = %d names, %v, want an error in column %d", test.in, len(got), err, test.column)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		glob, name string
		want       bool
	}{
		{"web@*.service", "web@3.service", true},
		{"web@*.service", "db@3.service", false},
		{"web@?.service", "web@12.service", false},
		{"web@[1-3].service", "web@2.service", true},
		{"web@[!1-3].service", "web@2.service", false},
		{"web@[^1-3].service", "web@7.service", true},
		{"web.service", "web.service", true},
		{"web.service", "web.socket", false},
		{`dev-\x2d*.mount`, `dev-\x2da.mount`, true},
		{`dev-\x2d.mount`, `dev-\x2d.mount`, true},
		{"*", "", true},
	} {
		if got, err := Match(test.glob, test.name); err != nil || got != test.want {
			t.Errorf("Match(%q, %q) = %v, %v, want %v", test.glob, test.name, got, err, test.want)
		}
	}
	for _, glob := range []string{"[", "web@[", "a[b-]", "x*[", `[\`} {
		if _, err := Match(glob, "web.service"); err == nil {
			t.Errorf("Match(%q) = no error, want one", glob)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"web@{1..3}.service", "{a,b{1..2}}", "{{}", "}", "{01..3}", "{1..99999}{1,2}", "{,}", "a,b{c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Expand(s)
		if mustOneLine(t, s, err); err != nil {
			var fault *Error
			if !errors.As(err, &fault) || fault.Column < 1 || fault.Column > len(s)+1 {
				t.Errorf("Expand(%q): column of %v is outside the pattern", s, err)
			}
			return
		}
		if len(got) == 0 || len(got) > MaxExpand {
			t.Errorf("Expand(%q) = %d names", s, len(got))
		}
		if slices.ContainsFunc(got, func(n string) bool { return len(n) > len(s) || strings.ContainsAny(n, "{}") }) {
			t.Errorf("Expand(%q) leaves braces or grows", s)
		}
	})
}
