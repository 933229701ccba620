package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/leader/plan"
)

// drained is a host whose drain is followed.
type drained struct {
	name string
	all  map[string]bool // units that had to leave it at some time
	left int             // that have to still, as last seen
	why  string          // the first of them is there still
	told string          // of that, where no terminal is
}

// drainage is a command that follows drains.
type drainage struct {
	c      *cli.Context
	goes   map[string][]string // units that are to leave, by host id, as planned
	open   map[string]*drained // by host id
	failed int
	screenLine
}

func newDrainage(c *cli.Context, steps []plan.DrainStep) *drainage {
	f := &drainage{
		c: c, goes: map[string][]string{}, open: map[string]*drained{},
		screenLine: screenLine{out: c.App.ErrWriter, person: isTerminal(os.Stderr)},
	}
	for _, s := range steps {
		if s.Kind != plan.DrainStays {
			f.goes[string(s.From)] = append(f.goes[string(s.From)], string(s.Unit))
		}
	}
	return f
}

// begin takes a host whose drain is durable.
func (f *drainage) begin(h api.Host) {
	d := &drained{name: h.Name, all: map[string]bool{}}
	for _, u := range f.goes[h.ID] {
		d.all[u] = true
	}
	f.open[h.ID] = d
	if f.c.Bool("no-wait") {
		fmt.Fprintf(f.c.App.Writer, "%s: is being drained: %d %s to leave it (flotilla explain %s)\n", h.Name, len(d.all), plural(len(d.all), "unit"), h.Name)
	}
}

// follow watches until every host is drained or cannot be, over restarts of the daemon and changes of the leader.
func (f *drainage) follow(cl *api.Client) error {
	ctx := f.c.Context
	said := false
	for len(f.open) > 0 {
		err := cl.WatchHosts(ctx, 0, func(h api.Host) error {
			said = false
			if f.see(h); len(f.open) == 0 {
				return errAllDone
			}
			return nil
		})
		f.clear()
		switch {
		case errors.Is(err, errAllDone):
		case ctx.Err() != nil:
			return f.leave()
		case err != nil && !api.Lost(err) && !notYet(err):
			return err
		case !said:
			said = true
			fmt.Fprintln(f.c.App.ErrWriter, "flotilla: the daemon ended the answer: asking again (the drain goes on)")
		}
		if len(f.open) > 0 && !sleepFor(ctx, againPause) {
			return f.leave()
		}
	}
	return f.outcome()
}

func (f *drainage) outcome() error {
	if f.failed > 0 {
		return exitCode(1)
	}
	return nil
}

// leave says what goes on without this command.
func (f *drainage) leave() error {
	var names []string
	for _, d := range f.open {
		names = append(names, d.name)
	}
	slices.Sort(names)
	on := strings.Join(names, " ")
	fmt.Fprintf(f.c.App.ErrWriter, "flotilla: the drain goes on: flotilla explain %s shows it, flotilla uncordon %s ends it\n", on, on)
	return exitCode(1)
}

// see takes a host's newest view.
func (f *drainage) see(h api.Host) {
	d := f.open[h.ID]
	switch {
	case d == nil:
	case h.State == api.HostGone, h.State == api.HostRemoved:
		f.end(h, "it was removed from the cluster")
	case h.Drain == nil:
		f.end(h, "it is drained no more: somebody uncordoned it")
	case h.State == api.HostAbsent:
		f.end(h, fmt.Sprintf("it is absent, and its units go elsewhere as from any host that died (flotilla explain %s)", h.Name))
	case h.Draining == nil: // not planned yet
	case len(h.Draining.Left) == 0:
		f.done(h, d)
	case h.Draining.Over && len(h.Draining.Blocked()) > 0:
		f.tell(h, d)
		f.blocked(h, d)
	default:
		f.tell(h, d)
	}
}

// tell shows how far a drain is.
func (f *drainage) tell(h api.Host, d *drained) {
	first := h.Draining.Left[0]
	for _, l := range h.Draining.Left { // what a person may have to do something about
		if l.Blocked {
			first = l
			break
		}
	}
	before := d.left
	d.left, d.why = len(h.Draining.Left), fmt.Sprintf("%s: %s", first.Unit, plain(first.Reason))
	for _, l := range h.Draining.Left {
		d.all[string(l.Unit)] = true
	}
	if f.person {
		f.show("%s", strings.Join(f.lines(), "; "))
		return
	}
	if d.left != before || first.Blocked && d.told != d.why {
		d.told = d.why
		fmt.Fprintln(f.out, d.line())
	}
}

func (d *drained) line() string {
	return fmt.Sprintf("draining %s: %d of %d %s left: %s", d.name, d.left, len(d.all), plural(len(d.all), "unit"), d.why)
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// lines say how far each host is, by name.
func (f *drainage) lines() (out []string) {
	for _, d := range slices.SortedFunc(maps.Values(f.open), func(a, b *drained) int { return strings.Compare(a.name, b.name) }) {
		if d.left > 0 {
			out = append(out, d.line())
		}
	}
	return out
}

// done says that a host is drained.
func (f *drainage) done(h api.Host, d *drained) {
	delete(f.open, h.ID)
	f.clear()
	for _, l := range h.Draining.Stays {
		delete(d.all, string(l.Unit))
	}
	fmt.Fprintf(f.c.App.Writer, "%s: drained: %d %s left it%s\n", h.Name, len(d.all), plural(len(d.all), "unit"), stayText(h))
}

// stayText names what stays on a host.
func stayText(h api.Host) string {
	stays := h.Draining.Stays
	if len(stays) == 0 {
		return ""
	}
	var names []string
	for _, l := range stays {
		names = append(names, string(l.Unit))
	}
	return fmt.Sprintf(", %d %s (%s)", len(stays), map[bool]string{true: "stays", false: "stay"}[len(stays) == 1], andMore(names))
}

// blocked says which units have no place when the drain's time is over.
func (f *drainage) blocked(h api.Host, d *drained) {
	b := h.Draining.Blocked()
	why := fmt.Sprintf("blocked: %d of %d %s left, and %s: %s", d.left, len(d.all), plural(len(d.all), "unit"), b[0].Unit, b[0].Reason)
	if len(b) > 1 {
		why += fmt.Sprintf("; and %d more without a place", len(b)-1)
	}
	f.end(h, fmt.Sprintf("%s (it stays closed and goes on once there is a place; flotilla uncordon %s ends it)", why, h.Name))
}

// end closes a host that is not drained.
func (f *drainage) end(h api.Host, why string) {
	name := f.open[h.ID].name
	delete(f.open, h.ID)
	f.clear()
	f.fail(name, why)
}

func (f *drainage) fail(name, why string) {
	f.failed++
	fmt.Fprintf(f.c.App.ErrWriter, "flotilla: error: %s: %s\n", name, plain(why))
}
