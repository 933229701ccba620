package api

import (
	"strings"
	"testing"
	"time"
)

// TestAbsenceOfWhichTheBeginWasNotSeen: a daemon that started later says so.
func TestAbsenceOfWhichTheBeginWasNotSeen(t *testing.T) {
	s, snap := serverOf(1, &still{whole: -1})
	for _, h := range snap.Hosts {
		for rev, want := range map[int64]string{0: "absent since before 1970-01-01 00:15:00 UTC:", 6: "absent since 1970-01-01 00:15:00 UTC:"} {
			h.Alive, h.Absent, h.AbsentRev = nil, time.Unix(900, 0), rev
			v := hostView(snap, h)
			if x := s.explainHost(v); v.Earlier != (rev == 0) || !strings.HasPrefix(x.Summary, want) {
				t.Errorf("host that is absent by revision %d = %+v, %q, want %q", rev, v, x.Summary, want)
			}
		}
	}
}
