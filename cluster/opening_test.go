package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster/calendar"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// show is openings as "from..until" in their zone.
func show(list []Opening) string {
	var out []string
	for _, o := range list {
		out = append(out, o.From.Format("0102 15:04 MST")+".."+o.Until.Format("0102 15:04 MST"))
	}
	return strings.Join(out, " ")
}

func TestOpenings(t *testing.T) {
	for _, c := range []struct {
		name   string
		window Window
		after  string
		want   string
	}{
		{
			"before it opens",
			Window{Calendar: "02:00", Duration: 2 * time.Hour, Zone: "Europe/Berlin"},
			"2026-01-10T00:59:59Z", "0110 02:00 CET..0110 04:00 CET 0111 02:00 CET..0111 04:00 CET",
		},
		{
			"while it is open",
			Window{Calendar: "02:00", Duration: 2 * time.Hour, Zone: "Europe/Berlin"},
			"2026-01-10T02:59:59Z", "0110 02:00 CET..0110 04:00 CET 0111 02:00 CET..0111 04:00 CET",
		},
		{
			"the end is not part of it",
			Window{Calendar: "02:00", Duration: 2 * time.Hour, Zone: "Europe/Berlin"},
			"2026-01-10T03:00:00Z", "0111 02:00 CET..0111 04:00 CET 0112 02:00 CET..0112 04:00 CET",
		},
		{
			"a zone in the calendar",
			Window{Calendar: "02:00 Asia/Tokyo", Duration: time.Hour},
			"2026-01-10T00:00:00Z", "0111 02:00 JST..0111 03:00 JST 0112 02:00 JST..0112 03:00 JST",
		},
		{
			"past midnight it is of the day on which it starts",
			Window{Calendar: "Sat 23:00", Duration: 4 * time.Hour, Except: []string{"2026-01-11"}},
			"2026-01-09T00:00:00Z", "0110 23:00 UTC..0111 03:00 UTC 0117 23:00 UTC..0118 03:00 UTC",
		},
		{
			"not on excepted days",
			Window{Calendar: "02:00", Duration: time.Hour, Except: []string{"2026-01-11", "2026-01-12..2026-01-14"}},
			"2026-01-10T02:30:00Z", "0110 02:00 UTC..0110 03:00 UTC 0115 02:00 UTC..0115 03:00 UTC",
		},
		{
			"excepted days are those of the zone",
			Window{Calendar: "23:30", Duration: time.Hour, Zone: "America/New_York", Except: []string{"2026-01-10"}},
			"2026-01-10T05:30:00Z", "0111 23:30 EST..0112 00:30 EST 0112 23:30 EST..0113 00:30 EST",
		},
		{
			"openings that overlap are one",
			Window{Calendar: "22,23:00", Duration: 90 * time.Minute},
			"2026-01-10T23:45:00Z", "0110 22:00 UTC..0111 00:30 UTC 0111 22:00 UTC..0112 00:30 UTC",
		},
		{
			"openings that touch are one",
			Window{Calendar: "1..3:00", Duration: time.Hour},
			"2026-01-10T03:30:00Z", "0110 01:00 UTC..0110 04:00 UTC 0111 01:00 UTC..0111 04:00 UTC",
		},
		{
			"once",
			Window{Calendar: "2026-02-01 02:00", Duration: time.Hour},
			"2026-01-10T00:00:00Z", "0201 02:00 UTC..0201 03:00 UTC",
		},
		{
			"never again",
			Window{Calendar: "2026-02-01 02:00", Duration: time.Hour},
			"2026-02-01T03:00:00Z", "",
		},
		{
			"a day without midnight that is excepted",
			Window{Calendar: "*:30", Duration: time.Minute, Zone: "America/Sao_Paulo", Except: []string{"2018-11-03", "2018-11-04"}},
			"2018-11-03T12:00:00Z", "1105 00:30 -02..1105 00:31 -02 1105 01:30 -02..1105 01:31 -02",
		},
		{
			"asked in the hour that comes twice",
			Window{Calendar: "02:30", Duration: 10 * time.Minute, Zone: "Europe/Berlin"},
			"2026-10-25T01:20:00Z", "1026 02:30 CET..1026 02:40 CET 1027 02:30 CET..1027 02:40 CET",
		},
	} {
		got, err := c.window.Openings(at(t, c.after), 2)
		if err != nil || show(got) != c.want {
			t.Errorf("%s: Openings = %s, %v, want %s", c.name, show(got), err, c.want)
		}
	}
}

// A window that never closes is open, whenever one asks.
func TestOpeningsWithoutEnd(t *testing.T) {
	for _, w := range []Window{
		{Calendar: "daily", Duration: 24 * time.Hour},
		{Calendar: "*:00", Duration: 2 * time.Hour},
		{Calendar: "*:*:*", Duration: time.Minute},
	} {
		now := at(t, "2026-01-10T00:20:00Z")
		got, err := w.Openings(now, 2)
		if err != nil || len(got) == 0 {
			t.Fatalf("Openings = %v, %v, want some", got, err)
		}
		if got[0].From.After(now.Add(-15*time.Minute)) || !got[0].Until.After(now.Add(15*time.Minute)) {
			t.Errorf("%s for %s: open %s, want it around %s", w.Calendar, w.Duration, show(got[:1]), now)
		}
	}
}

// slowOpenings joins the starts of a long time one by one.
func slowOpenings(w Window, from, to time.Time) []Opening {
	e, err := calendar.Parse(w.Calendar)
	if err != nil {
		panic(err)
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		panic(err)
	}
	var out []Opening
	for t, ok := e.Next(from, zone); ok && t.Before(to); t, ok = e.Next(t, zone) {
		day := t.In(zone).Format(time.DateOnly)
		if slices.ContainsFunc(w.Except, func(x string) bool {
			first, last, _ := strings.Cut(x, "..")
			return first <= day && day <= max(first, last)
		}) {
			continue
		}
		if n := len(out) - 1; n >= 0 && !t.After(out[n].Until) {
			out[n].Until = t.Add(w.Duration)
			continue
		}
		out = append(out, Opening{t, t.Add(w.Duration)})
	}
	return out
}

func TestOpeningsAgreeWithSlowOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	begin := at(t, "2026-01-01T00:00:00Z")
	for range 300 {
		w := Window{
			Calendar: pick("", "Sat ", "Mon..Fri ", "*-*-1,15 ", "*-*~1 ") + pick("02:00", "23:30", "*:0/20", "22..23:15", "0/3:00", "1,2:30,50"),
			Duration: time.Duration(1+r.IntN(60)) * 5 * time.Minute,
			Zone:     pick("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
		}
		for range r.IntN(3) {
			day := begin.AddDate(0, 0, 60+r.IntN(260))
			w.Except = append(w.Except, day.Format(time.DateOnly)+pick("", "..")+day.AddDate(0, 0, r.IntN(5)).Format(time.DateOnly))
			if i := len(w.Except) - 1; !strings.Contains(w.Except[i], "..") {
				w.Except[i] = w.Except[i][:len(time.DateOnly)]
			}
		}
		all := slowOpenings(w, begin, begin.AddDate(1, 1, 0))
		for range 10 {
			now := begin.AddDate(0, 2, r.IntN(250)).Add(time.Duration(r.IntN(24*3600)) * time.Second)
			i := slices.IndexFunc(all, func(o Opening) bool { return o.Until.After(now) })
			if i < 0 || i+3 >= len(all) || all[i].Until.Sub(all[i].From) > 20*24*time.Hour {
				continue
			}
			got, err := w.Openings(now, 3)
			if want := all[i : i+3]; err != nil || show(got) != show(want) {
				t.Fatalf("%+v after %s:\n got %s, %v\nwant %s", w, now, show(got), err, show(want))
			}
		}
	}
}

func TestWindowCheck(t *testing.T) {
	good := Window{Calendar: "Sat *-*-* 02:00", Duration: time.Hour, Zone: "Europe/Berlin", Except: []string{"2026-12-24..2027-01-02", "2027-05-01"}, Jitter: 10 * time.Minute}
	if err := good.Check(); err != nil {
		t.Errorf("Check(%+v) = %v", good, err)
	}
	if got, want := good.Normalized(), "Sat *-*-* 02:00:00 Europe/Berlin"; got != want {
		t.Errorf("Normalized() = %q, want %q", got, want)
	}
	same := Window{Calendar: "02:00 utc", Duration: time.Hour, Zone: "UTC"}
	if err := same.Check(); err != nil {
		t.Errorf("Check(%+v) = %v", same, err)
	}
	for want, edit := range map[string]func(*Window){
		`calendar "Sat 25:00", column 5: 25 is no hour (write a number from 0 to 23)`: func(w *Window) { w.Calendar = "Sat 25:00" },
		`calendar "", column 1: nothing is written`:                                   func(w *Window) { w.Calendar = "" },
		`calendar "*-02-30" names no time that there is`:                              func(w *Window) { w.Calendar = "*-02-30" },
		`calendar "2026-03-29 02:30" names no time that there is`:                     func(w *Window) { w.Calendar = "2026-03-29 02:30" },
		`names the zone UTC, and the window's is Europe/Berlin (write one of them)`:   func(w *Window) { w.Calendar = "02:00 UTC" },
		`zone "Berlin": no time zone`:                                                 func(w *Window) { w.Zone = "Berlin" },
		`zone "Local": no time zone`:                                                  func(w *Window) { w.Zone = "Local" },
		`open for 0s never lets anything begin`:                                       func(w *Window) { w.Duration = 0 },
		`open for -1h0m0s never lets anything begin`:                                  func(w *Window) { w.Duration = -time.Hour },
		`1000h0m0s is longer than a window may be open`:                               func(w *Window) { w.Duration = 1000 * time.Hour },
		`jitter -1s is below 0`:                                                       func(w *Window) { w.Jitter = -time.Second },
		`jitter 1h0m0s is not less than the 1h0m0s`:                                   func(w *Window) { w.Jitter = time.Hour },
		`except "christmas": "christmas" is no day`:                                   func(w *Window) { w.Except = []string{"christmas"} },
		`except "2026-02-30": "2026-02-30" is no day`:                                 func(w *Window) { w.Except = []string{"2026-02-30"} },
		`except "2026-12-24..": "" is no day`:                                         func(w *Window) { w.Except = []string{"2026-12-24.."} },
		`except "2027-01-02..2026-12-24" ends before it begins`:                       func(w *Window) { w.Except = []string{"2027-01-02..2026-12-24"} },
		`1001 exceptions are more than 1000`:                                          func(w *Window) { w.Except = make([]string, 1001) },
	} {
		bad := good
		edit(&bad)
		err := bad.Check()
		checkFault(t, fmt.Sprintf("%.200s", fmt.Sprint(bad)), err, want)
		if _, err := bad.Openings(time.Time{}, 1); err == nil && !strings.Contains(want, "names no time") && !strings.Contains(want, "exceptions are") {
			t.Errorf("Openings of %+v: no error, want %s", bad, want)
		}
	}
}
