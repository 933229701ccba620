package units

import "testing"

func TestTypo(t *testing.T) {
	known := []string{"init", "join", "start", "status", "stop", "version", "list-units"}
	for got, want := range map[string]string{
		"verify": "", "unit": "", "x": "", "": "", "sttus": "status", "strat": "start", "joi": "join", "jn": "", "list": "list-units", "Version": "version",
	} {
		if near := Typo(got, known); near != want {
			t.Errorf("Typo(%q) = %q, want %q", got, near, want)
		}
	}
}
