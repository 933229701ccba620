package units

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOverlay(t *testing.T) {
	for _, test := range []struct {
		name             string
		base, own, whole DropIns
	}{
		{"nothing", nil, nil, nil},
		{"the template's", drops("a.conf", "1"), nil, drops("a.conf", "1")},
		{"its own", nil, drops("a.conf", "1"), drops("a.conf", "1")},
		{"both", drops("a.conf", "1", "c.conf", "3"), drops("b.conf", "2"), drops("a.conf", "1", "b.conf", "2", "c.conf", "3")},
		{"its own comes first", drops("a.conf", "1", "b.conf", "2"), drops("b.conf", "own"), drops("a.conf", "1", "b.conf", "own")},
	} {
		whole := test.base.Overlay(test.own)
		if diff := cmp.Diff(bundled(t, test.whole), bundled(t, whole)); diff != "" {
			t.Errorf("%s: Overlay differs (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(bundled(t, test.own), bundled(t, whole.Beyond(test.base))); diff != "" {
			t.Errorf("%s: Beyond differs (-want +got):\n%s", test.name, diff)
		}
	}
}

func bundled(t *testing.T, d DropIns) string {
	t.Helper()
	raw, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
