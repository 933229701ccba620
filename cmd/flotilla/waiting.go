package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

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

// line shows why a unit is waited for: at a terminal at once and in one line, elsewhere when tell comes to it.
func (p *progress) line(u api.Unit) {
	if r := p.reason[u.Name]; r.why != u.Reason {
		p.reason[u.Name] = standing{u.Reason, time.Now(), r.told}
	}
	if !p.person {
		return
	}
	p.shown = true
	fmt.Fprintf(p.c.App.ErrWriter, "\r\x1b[K%s: %s (%d left, %s)", u.Name, u.Reason, len(p.open), time.Since(p.began).Round(time.Second))
}

// tell says, where no terminal is, which reasons have stood for tellAfter and were not told yet:
// a line for each, with all units that it keeps waiting.
func (p *progress) tell() {
	if p.person {
		return
	}
	var order []string
	waiting := map[string][]string{} // units, by reason
	for _, name := range slices.Sorted(maps.Keys(p.reason)) {
		r := p.reason[name]
		if r.why == "" || r.why == r.told || time.Since(r.since) < tellAfter {
			continue
		}
		if waiting[r.why] == nil {
			order = append(order, r.why)
		}
		waiting[r.why] = append(waiting[r.why], name)
		r.told = r.why
		p.reason[name] = r
	}
	for _, why := range order {
		fmt.Fprintf(p.c.App.ErrWriter, "flotilla: waiting: %s: %s\n", andMore(waiting[why]), why)
	}
}

// andMore names the first unit of several.
func andMore(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.c.App.ErrWriter, "\r\x1b[K")
		p.shown = false
	}
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
