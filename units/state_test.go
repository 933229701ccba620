package units

import (
	"encoding/json"
	"testing"
)

func TestTarget(t *testing.T) {
	for _, target := range []Target{Inactive, Loaded, Launched} {
		text, err := json.Marshal(target)
		var back Target
		if err != nil || json.Unmarshal(text, &back) != nil || back != target {
			t.Errorf("%v encodes as %s, %v, and reads back as %v", target, text, err, back)
		}
	}
	for _, bad := range []string{`"banana"`, `""`, `"Launched"`} {
		got := Loaded
		if err := json.Unmarshal([]byte(bad), &got); err == nil || got != Loaded {
			t.Errorf("Unmarshal(%s) = %v, %v, want an error and no change", bad, got, err)
		}
	}
	if _, err := Target(7).MarshalText(); err == nil {
		t.Error("MarshalText of an unknown target = no error, want one")
	}
	if got := Target(7).String(); got != "Target(7)" {
		t.Errorf("String of an unknown target = %q", got)
	}
}

func TestState(t *testing.T) {
	for active, want := range map[string]bool{
		"active": true, "reloading": true, "refreshing": true, "activating": false, "deactivating": false, "inactive": false, "failed": false, "": false,
	} {
		s := State{Active: active}
		if s.Running() != want || s.Failed() != (active == "failed") {
			t.Errorf("State %q: Running %v, Failed %v", active, s.Running(), s.Failed())
		}
	}
}

func TestHash(t *testing.T) {
	h := HashOf([]byte("abc"))
	if h != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || h.Short() != "ba7816b" || Hash("ab").Short() != "ab" {
		t.Errorf("HashOf(abc) = %s, short %s", h, h.Short())
	}
}

func TestServiceType(t *testing.T) {
	for _, test := range []struct {
		name     Name
		in, want string
		restarts bool
	}{
		{"a.service", "[Service]\nExecStart=/bin/true\nRestart=always\n", "simple", true},
		{"a.service", "[Service]\nExecStart=/bin/true\nType=notify\nRestart=no\n", "notify", false},
		{"a.service", "[Service]\nType=oneshot\nType=bogus\n", "oneshot", false},
		{"a.service", "[Service]\nExecStart=/bin/true\nBusName=a.b\n", "dbus", false},
		{"a.service", "[Service]\nRemainAfterExit=yes\nExecStop=/bin/true\n", "oneshot", false},
		{"a.timer", "[Timer]\nOnCalendar=daily\n", "", false},
	} {
		f := mustParse(t, test.name, test.in)
		if f.ServiceType() != test.want || f.Oneshot() != (test.want == "oneshot") || f.Restarts() != test.restarts {
			t.Errorf("%q: ServiceType = %q, Oneshot %v, Restarts %v, want %+v", test.in, f.ServiceType(), f.Oneshot(), f.Restarts(), test)
		}
	}
}
