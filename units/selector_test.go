package units_test

import (
	"testing"

	"flotilla/units"
)

func TestSelector(t *testing.T) {
	labels := map[string]string{"role": "web", "zone": "b", "cores": "4"}
	for text, want := range map[string]bool{
		"":                             true,
		" ":                            true,
		"role=web":                     true,
		"role=db":                      false,
		"role=web,zone!=a":             true,
		"role=web, zone in (a,b)":      true,
		"role=web,zone notin (a,b)":    false,
		"cores>=4,!gpu":                true,
		"gpu":                          false,
		"role in (db,web),zone in (b)": true,
	} {
		s, err := units.ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Match(labels); got != want {
			t.Errorf("%q matches: %t, want %t", text, got, want)
		}
	}
}

func TestBadSelectors(t *testing.T) {
	for text, want := range map[string]string{
		"=web":       `selector =web: =web is no expression over labels`,
		"role=web,":  `selector role=web,: an empty word is no expression over labels`,
		"zone in (a": `selector "zone in (a": "zone in (a" is no expression over labels`,
	} {
		_, err := units.ParseSelector(text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		e, ok := err.(*units.Error)
		if !ok || e.Hint == "" || e.Msg != want {
			t.Errorf("%q: %#v, want %s with a remedy", text, err, want)
		}
	}
}
