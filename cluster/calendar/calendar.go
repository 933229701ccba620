package calendar

import (
	"strings"
	"time"
)

// The years that systemd knows.
const (
	firstYear = 1970
	lastYear  = 2199
)

// Expression is a calendar expression in its normal form.
type Expression struct {
	weekdays [7]bool // Monday first; all false = every day
	year     field
	month    field
	day      field
	back     bool // day counts from the month's end
	hour     field
	minute   field
	second   field          // microseconds
	zone     *time.Location // nil = the reader's
}

// Zone is the name of the zone that the expression names, "" if it names none.
func (e *Expression) Zone() string {
	if e.zone == nil {
		return ""
	}
	return e.zone.String()
}

// String is the normalized form, as systemd-analyze prints it.
func (e *Expression) String() string {
	var b strings.Builder
	if days := e.weekdayText(); days != "" {
		b.WriteString(days + " ")
	}
	sep := "-"
	if e.back && len(e.day) > 0 {
		sep = "~"
	}
	b.WriteString(e.year.text(4, 1) + "-" + e.month.text(2, 1) + sep + e.day.text(2, 1))
	b.WriteString(" " + e.hour.text(2, 1) + ":" + e.minute.text(2, 1) + ":" + e.second.text(2, second))
	if e.zone != nil {
		b.WriteString(" " + e.zone.String())
	}
	return b.String()
}

// weekdayText is "Mon..Wed,Sun", or "" for every day.
func (e *Expression) weekdayText() string {
	var words []string
	for i := 0; i < 7; i++ {
		if !e.weekdays[i] {
			continue
		}
		last := i
		for last < 6 && e.weekdays[last+1] {
			last++
		}
		switch last - i {
		case 0:
			words = append(words, short(i))
		case 1:
			words = append(words, short(i), short(last))
		case 6:
			return ""
		default:
			words = append(words, short(i)+".."+short(last))
		}
		i = last
	}
	return strings.Join(words, ",")
}

func short(day int) string { return weekdayNames()[day][:3] }

// weekdayNames are in systemd's order, Monday first.
func weekdayNames() [7]string {
	return [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
}

// Next is the first time after a time at which the expression elapses, in its own zone or, if it names none,
// in the given one. It says false if there is none before the year 2200. As systemd does, it finds the second one
// of two times that a clock shows alike only if it is asked in between: see Unrepeated.
func (e *Expression) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	if e.zone != nil {
		zone = e.zone
	}
	after = after.Truncate(time.Microsecond).In(zone)
	now := clockOf(after)
	c := now.Add(time.Microsecond)
	for {
		var ok bool
		if c, ok = e.nextClock(c); !ok {
			return time.Time{}, false
		}
		at, resume, ok := instant(c, zone)
		switch {
		case !ok:
			c = resume
		case !at.After(after):
			return after.Add(c.Sub(now)), true
		default:
			return at, true
		}
	}
}

// Unrepeated is t or, where a clock in the zone shows for the second time what it shows at t, the last moment
// before it was set back. What elapses after it does not depend on when one asks.
func Unrepeated(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	first, _, _ := instant(clockOf(t), zone)
	if first.Before(t) {
		since, _ := t.ZoneBounds()
		return since.Add(-time.Microsecond)
	}
	return t
}
