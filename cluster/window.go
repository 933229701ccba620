package cluster

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster/calendar"
	"flotilla/units"
)

// longestWindow bounds a window's duration, and mostDays how many exceptions it has.
const (
	longestWindow = 31 * 24 * time.Hour
	mostDays      = 1000
)

// Check says what is wrong with a window, where, and how to mend it. The error is a *units.Error.
func (w Window) Check() error {
	if len(w.Except) > mostDays {
		return fault(fmt.Sprintf("%d exceptions are more than %d", len(w.Except), mostDays), "write days that follow one another as FROM..TO")
	}
	s, err := w.schedule()
	if err != nil {
		return err
	}
	if _, ok := s.calendar.Next(time.Time{}, s.zone); !ok {
		return fault(fmt.Sprintf("calendar %q names no time that there is", w.Calendar), "look at the days of its months, and at hours that the clocks skip")
	}
	return nil
}

// Normalized is the calendar in the form in which systemd prints it, with the window's zone. It is empty if the
// calendar cannot be read.
func (w Window) Normalized() string {
	e, err := w.readCalendar()
	if err != nil {
		return ""
	}
	if e.Zone() == "" && w.Zone != "" {
		return e.String() + " " + w.Zone
	}
	return e.String()
}

func fault(msg, hint string) error { return &units.Error{Msg: msg, Hint: hint} }

func (w Window) readCalendar() (*calendar.Expression, error) {
	e, err := calendar.Parse(w.Calendar)
	var bad *calendar.Error
	if errors.As(err, &bad) {
		return nil, fault(fmt.Sprintf("calendar %q, column %d: %s", bad.Text, bad.Column, bad.Msg), bad.Hint)
	}
	return e, err
}

// readZone is the zone of the calendar or, if it names none, the window's own.
func (w Window) readZone(e *calendar.Expression) (*time.Location, error) {
	named := e.Zone()
	switch {
	case named == "" && w.Zone == "":
		return time.UTC, nil
	case named != "" && w.Zone != "" && !strings.EqualFold(named, w.Zone):
		return nil, fault(fmt.Sprintf("calendar %q names the zone %s, and the window's is %s", w.Calendar, named, w.Zone), "write one of them")
	case named != "":
		return calendar.LoadZone(named)
	}
	zone, err := calendar.LoadZone(w.Zone)
	if err != nil {
		return nil, fault(fmt.Sprintf("zone %q: %v", w.Zone, err), "ls /usr/share/zoneinfo shows the names")
	}
	return zone, nil
}

func (w Window) checkDurations() error {
	switch {
	case w.Duration <= 0:
		return fault(fmt.Sprintf("a window that is open for %s never lets anything begin", w.Duration), "write how long it is open, as in 2h or 90m")
	case w.Duration > longestWindow:
		return fault(fmt.Sprintf("%s is longer than a window may be open", w.Duration), "write at most 744h; one that opens more often may be open all the time")
	case w.Jitter < 0:
		return fault(fmt.Sprintf("jitter %s is below 0", w.Jitter), "write how much later hosts may begin, as in 15m")
	case w.Jitter >= w.Duration:
		return fault(fmt.Sprintf("jitter %s is not less than the %s for which the window is open: some hosts would never begin", w.Jitter, w.Duration), "write less")
	}
	return nil
}

// readDays reads YYYY-MM-DD, or FROM..TO of them.
func readDays(text string) (daySpan, error) {
	first, last, span := strings.Cut(text, "..")
	if !span {
		last = first
	}
	const hint = "write 2026-12-24, or 2026-12-24..2027-01-02"
	for _, day := range []string{first, last} {
		if t, err := time.Parse(time.DateOnly, day); err != nil || t.Year() < 1970 {
			return daySpan{}, fault(fmt.Sprintf("except %q: %q is no day", text, day), hint)
		}
	}
	if last < first {
		return daySpan{}, fault(fmt.Sprintf("except %q ends before it begins", text), hint)
	}
	return daySpan{first, last}, nil
}
