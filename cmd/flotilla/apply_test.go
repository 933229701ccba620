package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffTexts(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, test := range []struct {
		name, old, now string
		want           []string
	}{
		{"one value", "[Service]\nA=1\nB=2\n", "[Service]\nA=1\nB=3\n", []string{"[Service] B: 2 → 3"}},
		{"new and gone", "[Unit]\nA=1\n", "[Service]\nA=1\n", []string{"[Unit] A: 1 → (none)", "[Service] A: (none) → 1"}},
		{"a list that is reset", "[Service]\nE=a\n", "[Service]\nE=a\nE=\nE=b c\n", []string{"[Service] E: a → a | (empty) | b c"}},
		{"another order of a list", "[Service]\nE=a\nE=b\n", "[Service]\nE=b\nE=a\n", []string{"[Service] E: a | b → b | a"}},
		{"a comment", "[Service]\nE=a\n", "# why\n[Service]\nE=a\n", []string{"only comments, blanks or the order of options differ"}},
		{"the end of a long value", "[Service]\nE=" + long + "1\n", "[Service]\nE=" + long + "2\n", []string{
			"[Service] E: …" + strings.Repeat("x", 30) + "1 → …" + strings.Repeat("x", 30) + "2",
		}},
		{"no unit file", "[Service", "[Service]\nE=a\n", []string{"[] text: [Service → (none)", "[Service] E: (none) → a"}},
	} {
		if diff := cmp.Diff(test.want, diffTexts("", []byte(test.old), []byte(test.now))); diff != "" {
			t.Errorf("%s: differences differ (-want +got):\n%s", test.name, diff)
		}
	}
}
