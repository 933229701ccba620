package calendar

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxText and maxSpans bound what one expression may ask of us; both are far beyond what anybody writes.
const (
	maxText  = 2048
	maxSpans = 240
)

// Parse reads an expression. The error is an *Error.
func Parse(text string) (*Expression, error) {
	p := &parser{text: text, rest: text}
	if len(text) > maxText {
		p.rest = ""
		return nil, p.fail(0, fmt.Sprintf("an expression has at most %d bytes", maxText), "write several windows")
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	return e, nil
}

// shorthand is what the words of systemd.time(7) stand for.
func shorthand(word string) string {
	switch strings.ToLower(word) {
	case "minutely":
		return "*-*-* *:*:00"
	case "hourly":
		return "*-*-* *:00:00"
	case "daily":
		return "*-*-* 00:00:00"
	case "weekly":
		return "Mon *-*-* 00:00:00"
	case "monthly":
		return "*-*-01 00:00:00"
	case "quarterly":
		return "*-01,04,07,10-01 00:00:00"
	case "semiannually", "semi-annually", "biannually", "bi-annually":
		return "*-01,07-01 00:00:00"
	case "yearly", "annually", "anually":
		return "*-01-01 00:00:00"
	}
	return ""
}

// parser reads an expression from left to right.
type parser struct {
	text string
	rest string // of text, up to the zone
	at   int    // bytes of text before rest
}

// fail says what is wrong so many bytes after what was read.
func (p *parser) fail(ahead int, msg, hint string) *Error {
	return &Error{Text: clip(p.text), Column: p.at + ahead + 1, Msg: msg, Hint: hint}
}

func clip(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}

func (p *parser) skip(n int) {
	p.rest = p.rest[n:]
	p.at += n
}

// take skips a text that comes next.
func (p *parser) take(text string) bool {
	if text == "" || !strings.HasPrefix(p.rest, text) {
		return false
	}
	p.skip(len(text))
	return true
}

func (p *parser) spaces() {
	for p.take(" ") {
	}
}

func (p *parser) expression() (*Expression, error) {
	if p.text == "" {
		return nil, p.fail(0, "nothing is written", "write for example Sat *-*-* 02:00")
	}
	e := &Expression{zone: p.cutZone()}
	if long := shorthand(p.rest); long != "" {
		of, err := Parse(long)
		if err == nil {
			of.zone = e.zone
		}
		return of, err
	}
	if cronish(p.text) {
		return nil, p.fail(0, "this is an expression of cron", "systemd's order is: weekdays year-month-day hour:minute, as in Sat *-*-* 02:00")
	}
	if err := p.weekdays(e); err != nil {
		return nil, err
	}
	if p.take("@") {
		return e, p.timestamp(e)
	}
	return e, p.dateAndTime(e)
}

// cronish says whether a text has the five fields of cron.
func cronish(text string) bool {
	fields := strings.Fields(text)
	return len(fields) == 5 && strings.Trim(text, "0123456789*/,- ") == ""
}

// cutZone takes the zone off the end, if one is there.
func (p *parser) cutZone() *time.Location {
	i := strings.LastIndexByte(p.rest, ' ')
	if i < 0 {
		return nil
	}
	zone, err := LoadZone(p.rest[i+1:])
	if err != nil {
		return nil
	}
	p.rest = p.rest[:i]
	return zone
}

// weekdays reads "Mon..Wed,Sun" and what parts it from the date, if it is there.
func (p *parser) weekdays(e *Expression) error {
	if p.weekday() < 0 {
		return nil
	}
	for {
		first, last, err := p.weekdayRange()
		if err != nil {
			return err
		}
		for d := first; d <= last; d++ {
			e.weekdays[d] = true
		}
		comma := p.take(",")
		if p.rest == "" || p.rest[0] == ' ' {
			p.spaces()
			return nil
		}
		if !comma {
			return p.fail(0, fmt.Sprintf("%q cannot follow a weekday", p.word()), "write a comma or .. between weekdays, and a space after the last one")
		}
		if p.weekday() < 0 {
			return p.fail(0, fmt.Sprintf("%q is no weekday", p.word()), "write Mon, Tue, Wed, Thu, Fri, Sat or Sun, and a space before a date or time")
		}
	}
}

func (p *parser) weekdayRange() (first, last int, err error) {
	first = p.takeWeekday()
	if !p.take("..") && !p.take("-") {
		return first, first, nil
	}
	if p.weekday() < 0 {
		return 0, 0, p.fail(0, fmt.Sprintf("%q is no weekday", p.word()), "write a range as Mon..Fri")
	}
	at := p.at
	if last = p.takeWeekday(); last < first {
		p.at = at
		return 0, 0, p.fail(0, short(last)+" comes before "+short(first)+" in the week, which begins on Monday",
			fmt.Sprintf("write %s and %s", days(0, last), days(first, 6)))
	}
	return first, last, nil
}

func days(first, last int) string {
	if first == last {
		return short(first)
	}
	return short(first) + ".." + short(last)
}

// weekday is the weekday whose name comes next, or -1.
func (p *parser) weekday() int {
	word := strings.ToLower(p.letters())
	for i, name := range weekdayNames() {
		if name = strings.ToLower(name); word == name || word == name[:3] {
			return i
		}
	}
	return -1
}

func (p *parser) takeWeekday() int {
	d := p.weekday()
	p.skip(len(p.letters()))
	return d
}

// letters are those that come next.
func (p *parser) letters() string {
	return p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
}

// word is what comes next, up to a space, for a person to find it.
func (p *parser) word() string {
	word, _, _ := strings.Cut(p.rest, " ")
	if word == "" {
		return strings.Repeat(" ", min(1, len(p.rest)))
	}
	return clip(word)
}

// timestamp reads the seconds since 1970 that stand after "@".
func (p *parser) timestamp(e *Expression) error {
	at, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimLeft(p.rest, " "), "+"), 10, 64)
	t := time.Unix(at, 0).UTC()
	if err != nil || at < 0 || at > 1<<40 || t.Year() > lastYear || strings.Trim(p.rest, "+ 0123456789") != "" {
		return p.fail(0, fmt.Sprintf("%q are no seconds since 1970", p.word()), "write a whole number, of a time before the year 2200")
	}
	one := func(v int) field { return field{{first: int64(v), last: -1}} }
	e.year, e.month, e.day = one(t.Year()), one(int(t.Month())), one(t.Day())
	e.hour, e.minute, e.second = one(t.Hour()), one(t.Minute()), field{{first: int64(t.Second()) * second, last: -1}}
	e.zone = time.UTC
	return nil
}
