package cluster

import (
	"testing"
	"time"
)

func TestOpenings(t *testing.T) {
	w := Window{Calendar: "*-*-* 02:00", Duration: 2 * time.Hour, Zone: "Europe/Berlin"}
	for _, c := range []struct{ after, from, until string }{
		{"2026-01-10T00:59:59Z", "2026-01-10T01:00:00Z", "2026-01-10T03:00:00Z"},
		{"2026-01-10T02:59:59Z", "2026-01-10T01:00:00Z", "2026-01-10T03:00:00Z"},
		{"2026-01-10T03:00:00Z", "2026-01-11T01:00:00Z", "2026-01-11T03:00:00Z"},
	} {
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Openings(after, 2)
		if err != nil || len(got) != 2 {
			t.Fatalf("Openings(%s) = %v, %v, want two", c.after, got, err)
		}
		from, until := got[0].From.UTC().Format(time.RFC3339), got[0].Until.UTC().Format(time.RFC3339)
		if from != c.from || until != c.until {
			t.Errorf("Openings(%s)[0] = %s to %s, want %s to %s", c.after, from, until, c.from, c.until)
		}
	}
}
