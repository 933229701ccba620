package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// tellAfter is how long a reason to wait has to stand before it is told where no terminal is: most
// pass by sooner, and a log is not to hold them.
const tellAfter = time.Second

// standing is why a unit is waited for.
type standing struct {
	why   string
	since time.Time
	told  string // the newest one that was told
}

// talk tells why units are waited for.
type talk struct {
	screenLine
	reason map[string]standing // by unit: the newest one, and since when
}

func newTalk(c *cli.Context) talk {
	return talk{screenLine: screenLine{out: c.App.ErrWriter, person: isTerminal(os.Stderr)}, reason: map[string]standing{}}
}

// line shows why a unit is waited for, and how far all are: at a terminal at once and in one line, elsewhere
// when tell comes to it.
func (t *talk) line(u api.Unit, far string) {
	if r := t.reason[u.Name]; r.why != u.Reason {
		t.reason[u.Name] = standing{u.Reason, time.Now(), r.told}
	}
	t.show("%s: %s (%s)", u.Name, u.Reason, far)
}

// tell says, where no terminal is, which reasons have stood for tellAfter and were not told yet:
// a line for each, with all units that it keeps waiting.
func (t *talk) tell() {
	if t.person {
		return
	}
	var order []string
	waiting := map[string][]string{} // units, by reason
	for _, name := range slices.Sorted(maps.Keys(t.reason)) {
		r := t.reason[name]
		if r.why == "" || r.why == r.told || time.Since(r.since) < tellAfter {
			continue
		}
		if waiting[r.why] == nil {
			order = append(order, r.why)
		}
		waiting[r.why] = append(waiting[r.why], name)
		r.told = r.why
		t.reason[name] = r
	}
	for _, why := range order {
		fmt.Fprintf(t.out, "flotilla: waiting: %s: %s\n", andMore(waiting[why]), why)
	}
}

// andMore names the first unit of several.
func andMore(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// screenLine is the last line of a terminal, which is written over; without a terminal it is nothing.
type screenLine struct {
	out    io.Writer
	person bool // at a terminal
	shown  bool
}

// show puts another text in the line's place.
func (l *screenLine) show(format string, args ...any) {
	if l.person {
		l.shown = true
		fmt.Fprintf(l.out, "\r\x1b[K"+format, args...)
	}
}

// clear takes the line away.
func (l *screenLine) clear() {
	if l.shown {
		fmt.Fprint(l.out, "\r\x1b[K")
		l.shown = false
	}
}

// watch is the newest views of units, as they come.
type watch struct {
	seen  <-chan api.Unit
	ended <-chan error // when it ends by itself
	stop  func()       // ends it and waits for that
}

// watchUnits watches units from a revision on until it is stopped or ctx ends.
func watchUnits(ctx context.Context, cl *api.Client, names []string, from int64) watch {
	ctx, cancel := context.WithCancel(ctx)
	seen, ended := make(chan api.Unit), make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- cl.WatchUnits(ctx, names, from, func(u api.Unit) error {
			select {
			case seen <- u:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return watch{seen: seen, ended: ended, stop: func() {
		cancel()
		for range ended { // until it is closed
		}
	}}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Each frozenLook some hosts that carry out nothing are asked whether they are frozen: they cannot
// write that to the store.
const (
	frozenLook = 2 * time.Second
	frozenWait = time.Second // for each answer
	mostAsked  = 8
)

// lookFrozen fails the units that wait for a frozen host.
func (p *progress) lookFrozen(ctx context.Context, cl *api.Client) {
	waiting := map[string][]api.Unit{} // by host
	for _, name := range slices.Sorted(maps.Keys(p.open)) {
		u := p.open[name]
		for _, i := range u.Instances {
			if u.State == units.Inactive && i.Order != "" && i.Active != "unknown" {
				waiting[i.Host] = append(waiting[i.Host], u)
			}
		}
	}
	hosts := slices.Sorted(maps.Keys(waiting))
	for _, host := range hosts[:min(len(hosts), mostAsked)] {
		within, cancel := context.WithTimeout(ctx, frozenWait)
		l, err := cl.LocalOf(within, host)
		cancel()
		if err != nil || l.Frozen == "" {
			continue // it is slow, or away: the watch tells
		}
		for _, u := range waiting[host] {
			p.refuse(u, l.FrozenText())
		}
	}
}
