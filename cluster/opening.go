package cluster

import (
	"cmp"
	"slices"
	"time"

	"flotilla/cluster/calendar"
)

// Opening is one time in which a window is open: From is part of it, Until is not. Both are in the window's zone.
type Opening struct{ From, Until time.Time }

// longestOpening bounds how far openings that touch are joined: a window that never closes is shown as openings
// of that length, or of so many.
const (
	longestOpening = 366 * 24 * time.Hour
	mostJoined     = 1000
)

// Openings are the next n openings that end after a time, in order; the first one may have begun before. It is
// open at a time if the first one's From is not after it. Openings that overlap or touch are one. There are fewer
// than n if the window opens no more before the year 2200. An error says what of the window cannot be read.
func (w Window) Openings(after time.Time, n int) ([]Opening, error) {
	s, err := w.schedule()
	if err != nil {
		return nil, err
	}
	var out []Opening
	first, ok := s.start(after.Add(-s.length))
	if !ok || n <= 0 {
		return nil, nil
	}
	from := s.joined(first)
	for {
		until := s.until(first)
		out = append(out, Opening{From: from, Until: until})
		if first, ok = s.start(until); !ok || len(out) == n {
			return out, nil
		}
		from = first
	}
}

// schedule is a window that was read.
type schedule struct {
	calendar *calendar.Expression
	zone     *time.Location
	length   time.Duration
	except   []daySpan // in order
}

// daySpan is days from one to another, both included, as YYYY-MM-DD.
type daySpan struct{ first, last string }

// start is the first start after a time. It does not depend on when one asks: of times that the clocks show twice
// only the first counts.
func (s schedule) start(after time.Time) (time.Time, bool) {
	for {
		at, ok := s.calendar.Next(calendar.Unrepeated(after, s.zone), s.zone)
		if !ok {
			return time.Time{}, false
		}
		last, excepted := s.excepted(at)
		if !excepted {
			return at, true
		}
		after = at
		if end := endOfDay(last, s.zone); end.After(at) {
			after = end
		}
	}
}

// excepted says whether a window does not open on a time's day, and until which day.
func (s schedule) excepted(at time.Time) (last string, ok bool) {
	day := at.In(s.zone).Format(time.DateOnly)
	for _, e := range s.except {
		if e.first <= day && day <= e.last {
			return e.last, true
		}
	}
	return "", false
}

// endOfDay is the last microsecond of a day, or a time before it where the clocks change at midnight.
func endOfDay(day string, zone *time.Location) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}
	}
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, zone).Add(-time.Microsecond)
}

// joined goes back from a start to that of the first opening which reaches it through others.
func (s schedule) joined(first time.Time) time.Time {
	from := first
	for range mostJoined {
		before, ok := s.start(from.Add(-s.length - time.Microsecond))
		if !ok || !before.Before(from) || first.Sub(before) > longestOpening {
			break
		}
		from = before
	}
	return from
}

// until is the end of the last opening that is reached from a start through others.
func (s schedule) until(first time.Time) time.Time {
	last, until := first, first.Add(s.length)
	for range mostJoined {
		// The later the next start, the fewer steps; one near the end is tried first.
		next, ok := s.start(until.Add(-s.length / 16))
		if !ok || next.After(until) {
			next, ok = s.start(last)
		}
		if !ok || next.After(until) || next.Sub(first) > longestOpening {
			break
		}
		last, until = next, next.Add(s.length)
	}
	return until
}

// schedule reads a window. The error is a *units.Error.
func (w Window) schedule() (schedule, error) {
	s := schedule{length: w.Duration}
	var err error
	if s.calendar, err = w.readCalendar(); err != nil {
		return s, err
	}
	if s.zone, err = w.readZone(s.calendar); err != nil {
		return s, err
	}
	if err := w.checkDurations(); err != nil {
		return s, err
	}
	for _, text := range w.Except {
		span, err := readDays(text)
		if err != nil {
			return s, err
		}
		s.except = append(s.except, span)
	}
	slices.SortFunc(s.except, func(a, b daySpan) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last))
	})
	return s, nil
}
