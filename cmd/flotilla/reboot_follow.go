package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
)

// target is a host whose reboot is followed: the one that serves a request, or the one that was under way.
type target struct {
	name   string
	id     int64 // of the request; 0 = none was made, for the host was rebooting
	seen   bool  // the request was seen
	waits  bool  // its reboot has not begun
	phase  cluster.Phase
	reason string
	groups []string
}

// roll is a command that follows reboots.
type roll struct {
	c      *cli.Context
	cl     *api.Client
	id     int64              // of the request
	from   int64              // revision at which all requests are to be seen
	open   map[string]*target // by host id
	failed int
	screenLine
}

func newRoll(c *cli.Context, cl *api.Client) *roll {
	return &roll{
		c: c, cl: cl, open: map[string]*target{},
		screenLine: screenLine{out: c.App.ErrWriter, person: isTerminal(os.Stderr)},
	}
}

// errAllDone ends a watch.
var errAllDone = errors.New("all is done")

// follow watches until every host is done or cannot be, over restarts of the daemon and changes of the leader.
func (f *roll) follow() error {
	ctx := f.c.Context
	if d := f.c.Duration("timeout"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	said := false
	for len(f.open) > 0 {
		err := f.cl.WatchReboots(ctx, f.from, func(l api.RebootLine) error {
			said = false
			f.see(l)
			if len(f.open) == 0 {
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
			fmt.Fprintln(f.c.App.ErrWriter, "flotilla: the daemon ended the answer: asking again (the reboots go on)")
		}
		if len(f.open) > 0 && !sleepFor(ctx, againPause) {
			return f.leave()
		}
	}
	return f.outcome()
}

// sleepFor waits; false = ctx ended.
func sleepFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *roll) outcome() error {
	if f.failed > 0 {
		return exitCode(1)
	}
	return nil
}

// leave says what goes on without this command: its time is over, or a person ended it.
func (f *roll) leave() error {
	names := f.names()
	if f.c.Context.Err() != nil {
		fmt.Fprintf(f.c.App.ErrWriter, "flotilla: the reboots go on: flotilla reboot status shows them, flotilla reboot cancel %s takes back what has not begun\n", strings.Join(names, " "))
		return exitCode(1)
	}
	for _, id := range slices.SortedFunc(maps.Keys(f.open), func(a, b string) int { return strings.Compare(f.open[a].name, f.open[b].name) }) {
		t := f.open[id]
		why := "nothing was heard of it yet"
		if t.phase != cluster.PhaseNone {
			why = fmt.Sprintf("%s: %s", t.phase, t.reason)
		}
		f.fail(t.name, fmt.Sprintf("not done after %s: %s (it goes on; flotilla reboot status %s)", f.c.Duration("timeout"), why, t.name))
	}
	return exitCode(1)
}

func (f *roll) names() []string {
	var out []string
	for _, t := range f.open {
		out = append(out, t.name)
	}
	slices.Sort(out)
	return out
}

// see takes what a watch shows.
func (f *roll) see(l api.RebootLine) {
	switch {
	case l.Group != nil && l.Group.Halted != "":
		f.lookHalted(l.Group.Name, l.Group.Halted)
	case l.Host != nil:
		if t := f.open[string(l.Host.Host)]; t != nil {
			f.seeHost(t, *l.Host)
		}
	}
}

// seeHost tells a host's new phase, and ends what is over.
func (f *roll) seeHost(t *target, h api.HostReboot) {
	t.waits = t.id > h.Served
	switch {
	case h.State == api.HostGone:
		f.end(h, "gone from the cluster")
		return
	case t.waits && h.Wish < t.id:
		if t.seen && f.cancelled(h, t.id) {
			f.end(h, "nobody asks it to reboot any more (it was cancelled)")
		}
		return
	}
	t.seen = true
	if h.Phase != t.phase && !h.Phase.Ended() && (t.waits || !over(h)) {
		f.clear()
		fmt.Fprintf(f.c.App.Writer, "%s: %s: %s\n", h.Name, h.Phase, plain(h.Reason))
	}
	t.phase, t.reason, t.groups = h.Phase, h.Reason, h.Groups
	f.show("%s: %s: %s (%d to go)", h.Name, h.Phase, plain(h.Reason), len(f.open))
	if !t.waits && over(h) {
		f.lookOver(h)
	}
}

// cancelled asks again whether the request is gone: what another daemon planned may be older than the request.
func (f *roll) cancelled(h api.HostReboot, id int64) bool {
	now, err := f.cl.Host(f.c.Context, string(h.Host))
	return err == nil && (now.Reboot == nil || now.Reboot.ID < id)
}

// over says that a reboot does not go on by itself.
func over(h api.HostReboot) bool {
	return h.Phase.Ended() || h.Phase == cluster.PhaseOverdue || h.Halts
}

// lookOver ends what is done, and what goes on only when a person does something.
func (f *roll) lookOver(h api.HostReboot) {
	switch {
	case h.Phase == cluster.PhaseDone:
		f.close(h)
		fmt.Fprintf(f.c.App.Writer, "%s: done%s\n", h.Name, tookText(h))
	case h.Phase == cluster.PhaseOverdue:
		f.end(h, fmt.Sprintf("overdue: %s (flotilla explain %s)", h.Reason, h.Name))
	case h.Halts && !h.Phase.Ended():
		f.end(h, fmt.Sprintf("%s, and its group begins nothing else: %s (flotilla explain %s)", h.Phase, h.Reason, h.Name))
	default:
		f.end(h, fmt.Sprintf("%s: %s (flotilla explain %s)", h.Phase, h.Reason, h.Name))
	}
}

// tookText says how long a reboot took, as its leader saw it.
func tookText(h api.HostReboot) string {
	if d := h.Since.Sub(h.Began); d > 0 && !h.Began.IsZero() {
		return " in " + d.Round(time.Second).String()
	}
	return ""
}

// lookHalted ends the hosts that wait while a group of theirs begins nothing.
func (f *roll) lookHalted(group, why string) {
	for _, id := range slices.Sorted(maps.Keys(f.open)) {
		if t := f.open[id]; t.waits && t.seen && slices.Contains(t.groups, group) {
			delete(f.open, id)
			f.clear()
			f.fail(t.name, fmt.Sprintf("not begun: group %s begins nothing: %s (it stays asked for; flotilla reboot status)", group, why))
		}
	}
}

func (f *roll) close(h api.HostReboot) {
	delete(f.open, string(h.Host))
	f.clear()
}

// end closes a host that is not done.
func (f *roll) end(h api.HostReboot, why string) {
	name := f.open[string(h.Host)].name
	f.close(h)
	f.fail(name, why)
}

func (f *roll) fail(name, why string) {
	f.failed++
	fmt.Fprintf(f.c.App.ErrWriter, "flotilla: error: %s: %s\n", name, plain(why))
}
