package cluster

import (
	"fmt"
	"strings"
	"time"
)

// Opening is one time in which a window is open: From is part of it, Until is not.
type Opening struct{ From, Until time.Time }

// Openings are the next n openings that end after a time, in order; the first one may have begun before. It is
// open at a time if the first one's From is not after it. An error says what of the window cannot be read.
func (w Window) Openings(after time.Time, n int) ([]Opening, error) {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", w.Zone, err)
	}
	clock, err := time.Parse("15:04", strings.TrimPrefix(w.Calendar, "*-*-* "))
	if err != nil {
		return nil, fmt.Errorf("calendar %q: %w", w.Calendar, err)
	}
	var out []Opening
	day := after.Add(-w.Duration).In(zone)
	for d := 0; len(out) < n; d++ {
		from := time.Date(day.Year(), day.Month(), day.Day()+d, clock.Hour(), clock.Minute(), 0, 0, zone)
		if o := (Opening{From: from, Until: from.Add(w.Duration)}); o.Until.After(after) {
			out = append(out, o)
		}
	}
	return out, nil
}
