package calendar

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Each refusal is one line with the place and a remedy.
func TestBadExpressions(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		says   string
	}{
		{"", 1, "nothing is written"},
		{"foo", 1, `"foo" is neither a weekday nor a word such as daily`},
		{"daily Nowhere/Town", 1, `"daily" is neither a weekday nor a word such as daily`},
		{"Mon 25:00", 5, "25 is no hour (write a number from 0 to 23)"},
		{"Sat *-*-* 02:61", 14, "61 is no minute"},
		{"*:*:60", 5, "60 is no second"},
		{"*-13-01", 3, "13 is no month"},
		{"*-*-32", 5, "32 is no day (write a number from 1 to 31)"},
		{"*-*~29", 5, "29 is no day from the end of the month"},
		{"1969-1-1", 1, "1969 is no year (write a number from 1970 to 2199)"},
		{"2026-02", 1, "2026 is no month"},
		{"Fri..Mon 02:00", 6, "Mon comes before Fri in the week, which begins on Monday (write Mon and Fri..Sun)"},
		{"Mon,Tues 02:00", 5, `"Tues" is no weekday`},
		{"Mon, Tue 02:00", 6, `the weekday "Tue" stands apart`},
		{"Mon,10:00", 5, `"10:00" is no weekday`},
		{"Mon; 10:00", 4, `";" cannot follow a weekday`},
		{"10:00 Mon", 6, "the time ends before a space"},
		{"10:00 Europe/Atlantis", 7, `"Europe/Atlantis": no time zone`},
		{"*-*-* Europe/Atlantis", 7, `"Europe/Atlantis": no time zone`},
		{"10", 3, "a : is wanted after the hours, here is the end"},
		{"10:", 4, "a number or * is wanted, here is the end"},
		{"*/5:00", 2, "* takes no / (write the first value instead of *, as in 0/15"},
		{"5..1:00", 1, "the range ends before it begins (write 1..5, or two ranges)"},
		{"1/0:00", 3, "a step of 0 goes nowhere"},
		{"*:0/60", 3, "the step leads past the last minute at once"},
		{"*:*:1..1.5", 5, "no second after the first one is in this range"},
		{"99999999999:00", 1, "99999999999 is too large"},
		{"0 2 * * 6", 1, "this is an expression of cron"},
		{"2026-01-01T10:00", 11, `"T10:00" cannot follow a date`},
		{"@tomorrow", 2, `"tomorrow" are no seconds since 1970`},
		{" 10:00", 1, "a number or * is wanted, here is a space"},
		{"10:00 ", 6, "the time ends before a space"},
		{"２:00", 1, "a number or * is wanted"},
		{strings.Repeat("1,", 300) + "1:00", 482, "a list has at most 240 values"},
		{strings.Repeat("x", 5000), 1, "an expression has at most 2048 bytes"},
	} {
		_, err := Parse(c.text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) = %v, want an *Error", c.text, err)
			continue
		}
		line := e.Msg + " (" + e.Hint + ")"
		if e.Column != c.column || !strings.Contains(line, c.says) || e.Hint == "" {
			t.Errorf("Parse(%.40q): column %d: %s\nwant column %d: %s", c.text, e.Column, line, c.column, c.says)
		}
		if strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 500 {
			t.Errorf("Parse(%.40q): %q is not one short line", c.text, err)
		}
	}
}

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"UTC", "utc", "Europe/Berlin", "America/Argentina/Buenos_Aires", "EST5EDT"} {
		if _, err := LoadZone(name); err != nil {
			t.Errorf("LoadZone(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "Local", "localtime", "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "Berlin", "europe/berlin", "../UTC", "/etc/localtime", "+02:00", "CEST"} {
		if zone, err := LoadZone(name); !errors.Is(err, ErrNoZone) {
			t.Errorf("LoadZone(%q) = %v, %v, want ErrNoZone", name, zone, err)
		}
	}
}

func TestUnrepeated(t *testing.T) {
	zone, err := LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ at, want string }{
		{"2026-10-25T00:59:59Z", "2026-10-25T00:59:59Z"}, // 02:59:59 for the first time
		{"2026-10-25T01:00:00Z", "2026-10-25T00:59:59.999999Z"},
		{"2026-10-25T01:59:59Z", "2026-10-25T00:59:59.999999Z"}, // 02:59:59 for the second
		{"2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"},
		{"2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"}, // 03:00 after the gap
		{"2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z"},
	} {
		if got := Unrepeated(at(c.at), zone); !got.Equal(at(c.want)) {
			t.Errorf("Unrepeated(%s) = %s, want %s", c.at, got.UTC().Format(time.RFC3339Nano), c.want)
		}
	}
}
