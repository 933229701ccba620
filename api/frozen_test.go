package api

import (
	"strings"
	"testing"
	"time"
)

// TestFrozenIsSaidOnce: the remedy stands once, whether the reason names it or not, and other hosts are not forgotten.
func TestFrozenIsSaidOnce(t *testing.T) {
	const other = "other hosts may be frozen too: flotilla status on each tells"
	for frozen, want := range map[string]string{
		"":                     "",
		"frozen: it was wiped": "h1 is frozen: it was wiped (flotilla accept-store, if that is meant)",
		"frozen: it went back; accept it with flotilla accept-store": "h1 is frozen: it went back; accept it with flotilla accept-store",
	} {
		got := Local{Name: "h1", Frozen: frozen}.FrozenNotices()
		if frozen == "" && got != nil || frozen != "" && (len(got) != 2 || got[0] != want || got[1] != other) {
			t.Errorf("FrozenNotices of %q = %q, want %q and %q", frozen, got, want, other)
		}
		s, _ := lateServer(time.Now().Add(time.Hour))
		s.opt.Local = func() Local { return Local{Name: "h1", Frozen: frozen} }
		if e := s.unusable("x", "y"); frozen != "" && strings.Count(e.Error(), acceptStore) != 1 {
			t.Errorf("refusal of %q = %q, want the remedy once", frozen, e.Error())
		}
	}
}
