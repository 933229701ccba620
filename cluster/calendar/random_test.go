package calendar

import (
	"flag"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 1, "of the random expressions that systemd is asked about")
	asked = flag.Int("asked", 150, "how many random expressions systemd is asked about")
)

// maker makes expressions, most of them good ones.
type maker struct{ *rand.Rand }

func (m maker) pick(words ...string) string { return words[m.IntN(len(words))] }

func (m maker) number(least, most int) string {
	n := strconv.Itoa(least + m.IntN(most-least+2) - m.IntN(20)/19)
	if m.IntN(3) == 0 && len(n) == 1 {
		return "0" + n
	}
	return n
}

func (m maker) span(least, most int) string {
	s := m.number(least, most)
	if m.IntN(3) == 0 {
		s += ".." + m.number(least, most)
	}
	// systemd loses the first value after a step that leaves the day, month or year
	// (https://github.com/systemd/systemd/issues/40260): steps without an end are those of the table.
	if strings.Contains(s, "..") && m.IntN(2) == 0 {
		s += "/" + strconv.Itoa(1+m.IntN(max(1, most/2)))
	}
	if least == 0 && m.IntN(6) == 0 {
		s = m.pick("0/2", "0/3", "0/4", "0/6", "0/12")
	}
	return s
}

func (m maker) list(least, most int) string {
	if m.IntN(3) == 0 {
		return "*"
	}
	words := []string{m.span(least, most)}
	for m.IntN(3) == 0 {
		words = append(words, m.span(least, most))
	}
	return strings.Join(words, ",")
}

func (m maker) weekdays() string {
	day := func() string { return short(m.IntN(7)) }
	words := []string{day()}
	for m.IntN(2) == 0 {
		words = append(words, m.pick(day(), day()+".."+day(), "Mon.."+day(), day()+"..Sun"))
	}
	return strings.Join(words, ",")
}

func (m maker) date() string {
	day := "-" + m.list(1, 31)
	if m.IntN(4) == 0 {
		day = "~" + m.list(1, 28)
	}
	return m.pick("", "*-", "*-", m.list(2020, 2032)+"-", m.list(20, 32)+"-") + m.list(1, 12) + day
}

func (m maker) time() string {
	s := m.list(0, 23) + ":" + m.list(0, 59)
	if m.IntN(3) == 0 {
		s += ":" + m.list(0, 59)
	}
	return s
}

func (m maker) expression() string {
	var words []string
	if m.IntN(2) == 0 {
		words = append(words, m.weekdays())
	}
	if m.IntN(2) == 0 {
		words = append(words, m.date())
	}
	if m.IntN(3) > 0 || len(words) == 0 {
		words = append(words, m.time())
	}
	if m.IntN(5) == 0 {
		words = append(words, m.zone())
	}
	return strings.Join(words, " ")
}

func (m maker) zone() string {
	return m.pick("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "Africa/Casablanca")
}

// base is often next to a change of the clocks.
func (m maker) base() time.Time {
	at := time.Date(2026, 1, 1, 0, 0, m.IntN(1000*24*3600), 0, time.UTC)
	if m.IntN(3) == 0 {
		return at
	}
	loc, err := time.LoadLocation(m.zone())
	if err != nil {
		panic(err)
	}
	if _, until := at.In(loc).ZoneBounds(); !until.IsZero() {
		at = until.Add(-time.Duration(m.IntN(3*3600)-3600) * time.Second)
	}
	return at.UTC()
}

// The table holds what came to somebody's mind; chance finds the rest. go test -asked=10000 asks about more.
func TestSystemdAgreesAtRandom(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine")
	}
	m := maker{rand.New(rand.NewPCG(*seed, 0))}
	good := 0
	for range *asked {
		text, base, zone := m.expression(), m.base().Format(layout), m.zone()
		ours, err := ask(text, base, zone)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := askSystemd(tool, text, base, zone)
		if err != nil && strings.Contains(err.Error(), "Infinite loop") {
			continue // it gives up after so many tries
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if ours != refused {
			good++
		}
		if ours != theirs {
			t.Errorf("%q after %s in %s:\n   ours %s\nsystemd %s", text, base, zone, ours, theirs)
		}
	}
	if good < *asked/4 {
		t.Errorf("%d of %d random expressions are good ones, want a quarter at least", good, *asked)
	}
}

// slowNext finds the next elapse by asking of each second whether it holds.
func slowNext(e *Expression, after time.Time, zone *time.Location, within time.Duration) (time.Time, bool) {
	for at := after.Truncate(time.Second).Add(time.Second); at.Before(after.Add(within)); at = at.Add(time.Second) {
		c := clockOf(at.In(zone))
		if first, _, ok := instant(c, zone); !ok || !first.Equal(at) {
			continue
		}
		if next, ok := e.nextClock(c); ok && next.Equal(c) {
			return at, true
		}
	}
	return time.Time{}, false
}

func TestNextIsTheFirst(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(*seed, 1))}
	const within = 6 * time.Hour
	found := 0
	for range 400 {
		text := m.expression()
		e, err := Parse(text)
		if err != nil {
			continue
		}
		zone, err := time.LoadLocation(m.zone())
		if err != nil {
			t.Fatal(err)
		}
		if e.zone != nil {
			zone = e.zone
		}
		after := Unrepeated(m.base(), zone)
		want, ok := slowNext(e, after, zone, within)
		got, gotOK := e.Next(after, zone)
		if gotOK && !got.Before(after.Add(within)) {
			gotOK = false
		}
		if ok {
			found++
		}
		if ok != gotOK || ok && !got.Equal(want) {
			t.Errorf("%q after %s in %s: Next = %v, %v, want %v, %v", text, after, zone, got, gotOK, want, ok)
		}
	}
	if found < 50 {
		t.Errorf("%d of the expressions elapse, want 50 at least", found)
	}
}

// FuzzParse: what parses has a normalized form that parses to the same, and Next goes forward.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"Sat *-*-* 02:00", "Mon..Fri *-*~3/2 08..18/2:00:00.25 Europe/Berlin", "@1700000000", "daily", "*:0/7", "2026..2028/2-1,2-30 0:0"} {
		f.Add(text, int64(1_770_000_000))
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, base int64) {
		e, err := Parse(text)
		if err != nil {
			if msg := err.Error(); slices.ContainsFunc([]rune(msg), func(r rune) bool { return r == '\n' || r == 0 }) {
				t.Errorf("Parse(%q): the error is not one line: %q", text, msg)
			}
			return
		}
		again, err := Parse(e.String())
		if err != nil || again.String() != e.String() {
			t.Fatalf("Parse(%q) is %s, which parses to %v, %v", text, e, again, err)
		}
		after := time.Unix(base%6_000_000_000, 0)
		next, ok := e.Next(after, zone)
		if ok && !next.After(after) {
			t.Fatalf("%q: Next(%s) = %s, want a later time", text, after, next)
		}
		if twice, ok2 := again.Next(after, zone); ok2 != ok || !twice.Equal(next) {
			t.Fatalf("%q: Next = %s, of its normalized form %s", text, next, twice)
		}
	})
}
