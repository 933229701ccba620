package calendar

import (
	"fmt"
	"strconv"
	"strings"
)

// part is what one field of a date or time may hold.
type part struct {
	name        string
	least, most int64 // values
	unit        int64 // in which they are counted
	back        bool  // counted from the end
}

func aYear() part   { return part{"year", firstYear, lastYear, 1, false} }
func aMonth() part  { return part{"month", 1, 12, 1, false} }
func anHour() part  { return part{"hour", 0, 23, 1, false} }
func aMinute() part { return part{"minute", 0, 59, 1, false} }
func aSecond() part { return part{"second", 0, 60*second - 1, second, false} }

// aDay of the month; from its end only those that every month has.
func aDay(back bool) part {
	if back {
		return part{"day from the end of the month", 1, 28, 1, true}
	}
	return part{"day", 1, 31, 1, false}
}

// list is what was written for one field, not checked yet: which part it is turns out later.
type list struct {
	spans []span
	at    []int // bytes of the text before each span
}

// dateAndTime reads the rest: a date, a time, or both.
func (p *parser) dateAndTime(e *Expression) error {
	midnight := field{{first: 0, last: -1}}
	e.hour, e.minute, e.second = midnight, midnight, midnight
	if p.rest == "" {
		return p.missing()
	}
	first, err := p.list(1)
	if err != nil {
		return err
	}
	if strings.HasPrefix(p.rest, "-") || strings.HasPrefix(p.rest, "~") {
		if err := p.date(e, first); err != nil {
			return err
		}
		space := p.rest != "" && p.rest[0] == ' '
		if p.spaces(); p.rest == "" {
			return nil
		}
		if !space {
			return p.fail(0, fmt.Sprintf("%q cannot follow a date", p.word()), "write a date as year-month-day, then a space and the time")
		}
		if first, err = p.list(1); err != nil {
			return err
		}
	}
	return p.time(e, first)
}

// missing is the fault of an expression that ends too early; weekdays alone are whole.
func (p *parser) missing() error {
	if strings.TrimRight(p.text[:p.at], " ") != "" {
		return nil
	}
	return p.fail(0, "neither weekdays nor a date nor a time is written", "write for example Sat *-*-* 02:00")
}

// date reads what follows the first list of a date: month-day, or year-month-day.
func (p *parser) date(e *Expression, first list) error {
	back := p.take("~")
	if !back {
		p.skip(1)
	}
	second, err := p.list(1)
	if err != nil {
		return err
	}
	lists := []list{{}, first, second}
	if !back && (strings.HasPrefix(p.rest, "-") || strings.HasPrefix(p.rest, "~")) {
		back = p.rest[0] == '~'
		p.skip(1)
		third, err := p.list(1)
		if err != nil {
			return err
		}
		lists = []list{first, second, third}
	}
	e.back = back
	for i, s := range lists[0].spans {
		lists[0].spans[i].first, lists[0].spans[i].last = century(s.first), century(s.last)
	}
	for i, to := range []*field{&e.year, &e.month, &e.day} {
		if *to, err = p.check(lists[i], []part{aYear(), aMonth(), aDay(back)}[i]); err != nil {
			return err
		}
	}
	return nil
}

// century makes a year of one that is written with two digits.
func century(year int64) int64 {
	switch {
	case year >= 0 && year < 70:
		return year + 2000
	case year >= 70 && year < 100:
		return year + 1900
	}
	return year
}

// time reads what follows the first list of a time: hour:minute, or hour:minute:second.
func (p *parser) time(e *Expression, hours list) (err error) {
	if !p.take(":") {
		return p.fail(0, fmt.Sprintf("a : is wanted after the hours, here is %s", p.here()), "write a time as 02:00, and a date as *-12-24")
	}
	minutes, err := p.list(1)
	if err != nil {
		return err
	}
	seconds := list{spans: []span{{first: 0, last: -1}}, at: []int{p.at}}
	if p.take(":") {
		if seconds, err = p.list(second); err != nil {
			return err
		}
	}
	if p.rest != "" {
		return p.tooMuch()
	}
	if e.hour, err = p.check(hours, anHour()); err != nil {
		return err
	}
	if e.minute, err = p.check(minutes, aMinute()); err != nil {
		return err
	}
	e.second, err = p.check(seconds, aSecond())
	return err
}

// tooMuch is the fault of what follows a time.
func (p *parser) tooMuch() error {
	if zone := strings.TrimPrefix(p.rest, " "); len(zone) == len(p.rest)-1 && !strings.Contains(zone, " ") {
		p.skip(1)
		if p.letters() != "" && p.weekday() < 0 {
			return p.noZone()
		}
		p.at--
		p.rest = " " + p.rest
	}
	return p.fail(0, "the time ends before "+p.here(), "write weekdays, date, time and zone in this order, with one space between")
}

func (p *parser) noZone() error {
	return p.fail(0, fmt.Sprintf("%q: %v", p.word(), ErrNoZone), "ls /usr/share/zoneinfo shows the names")
}

// here names what comes next in words.
func (p *parser) here() string {
	switch {
	case p.rest == "":
		return "the end"
	case p.rest[0] == ' ':
		return "a space"
	}
	return strconv.Quote(p.word())
}

// list reads "*", or spans with commas between them.
func (p *parser) list(unit int64) (list, error) {
	var l list
	if p.take("*") {
		if strings.HasPrefix(p.rest, "/") {
			return l, p.fail(0, "* takes no /", "write the first value instead of *, as in 0/15")
		}
		if p.rest != "" && !strings.ContainsRune(" -~:", rune(p.rest[0])) {
			return l, p.fail(0, fmt.Sprintf("%s cannot follow *", p.here()), "* stands alone; write a list of values instead")
		}
		return l, nil
	}
	for {
		at := p.at
		s, err := p.span(unit)
		if err != nil {
			return l, err
		}
		l.spans, l.at = append(l.spans, s), append(l.at, at)
		if len(l.spans) > maxSpans {
			return l, p.fail(0, fmt.Sprintf("a list has at most %d values", maxSpans), "write a range, or several windows")
		}
		if !p.take(",") {
			return l, nil
		}
	}
}

// span reads "1", "1..5", "1/2" or "1..5/2".
func (p *parser) span(unit int64) (span, error) {
	at := p.at
	s := span{last: -1}
	var err error
	if s.first, err = p.number(unit); err != nil {
		return s, err
	}
	if p.take("..") {
		if s.last, err = p.number(unit); err != nil {
			return s, err
		}
	}
	if p.take("/") {
		before := p.at
		if s.step, err = p.number(unit); err != nil {
			return s, err
		}
		if s.step == 0 {
			p.at = before
			return s, p.fail(0, "a step of 0 goes nowhere", "write a number above 0 after /")
		}
	} else if unit == second && s.last >= s.first && s.last-s.first < unit {
		p.at = at
		return s, p.fail(0, "no second after the first one is in this range", "write one value, or a step: 1..1.5/0.1")
	}
	return s, nil
}

// number reads digits, of seconds with a fraction that is rounded to microseconds.
func (p *parser) number(unit int64) (int64, error) {
	digits := p.digits()
	if digits == "" {
		return 0, p.noNumber()
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, p.fail(0, digits+" is too large", "no part of a date or time is as large")
	}
	p.skip(len(digits))
	n *= unit
	if unit == second && len(p.rest) > 1 && p.rest[0] == '.' && p.rest[1] >= '0' && p.rest[1] <= '9' {
		p.skip(1)
		fraction := p.digits()
		p.skip(len(fraction))
		fraction += "0000000"
		micros, err := strconv.ParseInt(fraction[:6], 10, 32)
		if err != nil {
			return 0, p.fail(0, fraction+" is no fraction", "write digits")
		}
		n += micros
		if fraction[6] >= '5' {
			n++
		}
	}
	return n, nil
}

func (p *parser) digits() string {
	return p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "0123456789"))]
}

// noNumber is the fault of what stands where a number should.
func (p *parser) noNumber() error {
	last := !strings.Contains(p.rest, " ")
	switch {
	case p.letters() == "":
		return p.fail(0, fmt.Sprintf("a number or * is wanted, here is %s", p.here()), "write for example Sat *-*-* 02:00")
	case p.weekday() >= 0:
		return p.fail(0, fmt.Sprintf("the weekday %q stands apart", p.word()), "weekdays come first, with commas and no spaces between them: Mon,Fri 02:00")
	case last && p.at > 0:
		return p.noZone()
	}
	return p.fail(0, fmt.Sprintf("%q is neither a weekday nor a word such as daily", p.word()),
		"the words are minutely, hourly, daily, weekly, monthly, quarterly, semiannually and yearly")
}

// check makes a field of a list once it is known of what.
func (p *parser) check(l list, of part) (field, error) {
	after := p.at
	for i, s := range l.spans {
		p.at = l.at[i]
		s = s.short(of.unit)
		l.spans[i] = s
		wrong := int64(-1)
		switch {
		case s.first < of.least || s.first > of.most:
			wrong = s.first
		case s.last > of.most:
			wrong = s.last
		}
		switch {
		case wrong >= 0:
			return nil, p.fail(0, fmt.Sprintf("%s is no %s", number(wrong, 1, of.unit), of.name),
				fmt.Sprintf("write a number from %d to %d", of.least, of.most/of.unit))
		case s.last >= 0 && s.last < s.first:
			return nil, p.fail(0, "the range ends before it begins", fmt.Sprintf("write %s..%s, or two ranges",
				number(s.last, 1, of.unit), number(s.first, 1, of.unit)))
		case s.last < 0 && s.step > 0 && (of.back && s.first-s.step < of.least || !of.back && s.first+s.step > of.most):
			return nil, p.fail(0, fmt.Sprintf("the step leads past the last %s at once", of.name), "leave out / and what follows, or write a smaller step")
		}
	}
	p.at = after
	f := field(l.spans).sorted()
	for i, s := range f {
		if most := of.most - 3*int64(i); of.back && max(s.first, s.last) > most { // as systemd has it
			return nil, p.fail(0, fmt.Sprintf("%d is too far from the end of the month for a list", max(s.first, s.last)),
				fmt.Sprintf("value %d of a list is %d at most; write a range, or two windows", i+1, most))
		}
	}
	return f, nil
}
