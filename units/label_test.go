package units

import (
	"strings"
	"testing"
)

func TestCheckLabel(t *testing.T) {
	for _, test := range []struct {
		key, value string
		ok         bool
	}{
		{"region", "eu", true},
		{"example.com/zone-1", "a b, ü", true},
		{strings.Repeat("k", 128), strings.Repeat("v", 1024), true},
		{"", "eu", false},
		{"a b", "eu", false},
		{"zone-", "eu", false},
		{strings.Repeat("k", 129), "v", false},
		{"region", "", false},
		{"region", "a=b", false},
		{"region", "a\nb", false},
		{"region", "\xfc", false},
		{"region", strings.Repeat("v", 1025), false},
	} {
		if err := CheckLabel(test.key, test.value); (err == nil) != test.ok {
			t.Errorf("CheckLabel(%q, %.20q) = %v, want no error: %v", test.key, test.value, err, test.ok)
		} else {
			mustOneLine(t, test.key, err)
		}
		if test.value == "" || test.key == "" || test.value == "\xfc" { // no file can hold them
			continue
		}
		_, err := mustParse(t, "web.service", "[X-Flotilla]\nMachineMetadata=\""+strings.NewReplacer("\n", "\x01").Replace(test.key+"="+test.value)+"\"\n").Requirements()
		if (err == nil) != test.ok {
			t.Errorf("MachineMetadata=%q=%.20q: %v, want no error: %v", test.key, test.value, err, test.ok)
		}
	}
}
