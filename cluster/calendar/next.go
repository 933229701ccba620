package calendar

import "time"

// What a clock on the wall shows is kept as a time.Time in UTC, whatever the zone of the wall.

// clockOf is what a clock in t's zone shows at t.
func clockOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is the first time at which a clock in a zone shows c. It is false if none ever does, because the
// clock is set forward past c, to resume.
func instant(c time.Time, zone *time.Location) (at, resume time.Time, ok bool) {
	t := c.Add(-36 * time.Hour).In(zone) // before c in every zone
	for {
		_, offset := t.Zone()
		since, until := t.ZoneBounds()
		at = c.Add(-time.Duration(offset) * time.Second).In(zone)
		if at.Before(since) {
			return at, clockOf(since), false
		}
		if until.IsZero() || at.Before(until) {
			return at, c, true
		}
		t = until
	}
}

// nextClock is the first time by the clock, not before c, that the expression holds.
func (e *Expression) nextClock(c time.Time) (time.Time, bool) {
	day := time.Date(c.Year(), c.Month(), c.Day(), 0, 0, 0, 0, time.UTC)
	from := c.Sub(day).Microseconds()
	for {
		next, ok := e.nextDay(day)
		if !ok {
			return time.Time{}, false
		}
		if !next.Equal(day) {
			from = 0
		}
		if at, ok := e.nextOfDay(from); ok {
			return next.Add(time.Duration(at) * time.Microsecond), true
		}
		day, from = next.AddDate(0, 0, 1), 0
	}
}

// nextDay is the first day, not before the given one, that the date and the weekdays hold.
func (e *Expression) nextDay(day time.Time) (time.Time, bool) {
	y, m, d := int64(day.Year()), int64(day.Month()), int64(day.Day())
	for year, ok := e.year.next(max(y, firstYear), lastYear, 1); ok; year, ok = e.year.next(year+1, lastYear, 1) {
		if year > y {
			m, d = 1, 1
		}
		for month, ok := e.month.next(m, 12, 1); ok; month, ok = e.month.next(month+1, 12, 1) {
			if month > m {
				d = 1
			}
			if found, ok := e.nextOfMonth(int(year), time.Month(month), d); ok {
				return found, true
			}
			m, d = month, 1
		}
	}
	return time.Time{}, false
}

func (e *Expression) nextOfMonth(year int, month time.Month, d int64) (time.Time, bool) {
	last := int64(time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day())
	for ; d <= last; d++ {
		if e.back {
			if !e.day.back(last + 1 - d) {
				continue
			}
		} else if n, ok := e.day.next(d, last, 1); !ok || n != d {
			continue
		}
		if day := time.Date(year, month, int(d), 0, 0, 0, 0, time.UTC); e.onWeekday(day) {
			return day, true
		}
	}
	return time.Time{}, false
}

func (e *Expression) onWeekday(day time.Time) bool {
	return e.weekdays == [7]bool{} || e.weekdays[(day.Weekday()+6)%7]
}

// nextOfDay is the first time of day, not before the given one, in microseconds.
func (e *Expression) nextOfDay(from int64) (int64, bool) {
	const minute, hour = 60 * second, 3600 * second
	h, m, s := from/hour, from%hour/minute, from%minute
	for hh, ok := e.hour.next(h, 23, 1); ok; hh, ok = e.hour.next(hh+1, 23, 1) {
		if hh > h {
			m, s = 0, 0
		}
		for mm, ok := e.minute.next(m, 59, 1); ok; mm, ok = e.minute.next(mm+1, 59, 1) {
			if mm > m {
				s = 0
			}
			if ss, ok := e.second.next(s, minute-1, second); ok {
				return hh*hour + mm*minute + ss, true
			}
			m, s = mm, 0
		}
		h, m, s = hh, 0, 0
	}
	return 0, false
}
