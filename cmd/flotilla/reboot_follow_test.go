package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/leader/plan"
)

// stands is a line on a host that was asked to reboot with the id 7.
func stands(name string, phase cluster.Phase, served int64, reason string) api.RebootLine {
	return api.RebootLine{Host: &api.HostReboot{
		HostReboot: plan.HostReboot{Host: cluster.HostID(name), Name: name, Phase: phase, Reason: reason, Groups: []string{"web"}},
		State:      api.HostAlive, Wish: 7, Served: served,
	}}
}

// rolls follows the hosts, which were asked with the id 7.
func rolls(t *testing.T, d *lives, hosts ...string) (out, talk string, err error) {
	t.Helper()
	return following(t, d, func(c *cli.Context, cl *api.Client) error {
		f := newRoll(c, cl)
		f.from = 9
		for _, h := range hosts {
			f.open[h] = &target{name: h, id: 7}
		}
		return f.follow()
	})
}

// TestRebootOverARestart: the reboots are followed to their end over restarts of the daemon, however long none answers,
// and each phase is told once.
func TestRebootOverARestart(t *testing.T) {
	for _, end := range []error{nil, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		synctest.Test(t, func(t *testing.T) {
			d := &lives{list: []life{{lines: []any{
				stands("h1", cluster.PhaseDone, 3, "of an earlier time"), stands("h1", cluster.PhaseQueued, 3, "its turn"), stands("h1", cluster.PhaseDraining, 7, "2 units left"),
			}, end: end}}}
			for range 600 { // ten minutes
				d.list = append(d.list, life{down: true})
			}
			d.list = append(d.list, life{lines: []any{stands("h1", cluster.PhaseDraining, 7, "1 unit left"), stands("h1", cluster.PhaseSettling, 7, "all is well"), stands("h1", cluster.PhaseDone, 7, "well")}})
			out, talk, err := rolls(t, d, "h1")
			want := "h1: queued: its turn\nh1: draining: 2 units left\nh1: settling: all is well\nh1: done\n"
			if err != nil || out != want {
				t.Errorf("reboot prints %q and ends with %v, want %q", out, err, want)
			}
			if strings.Count(talk, "\n") != 1 || !strings.Contains(talk, "asking again (the reboots go on)") || d.asked[0] != "watch=9" {
				t.Errorf("reboot says %q and asked %q, want one line, and to be shown what is after the request", talk, d.asked[0])
			}
		})
	}
}

// TestRebootEnds: each way in which a reboot does not end well ends the command with 1, a reason and what to type.
func TestRebootEnds(t *testing.T) {
	halts := stands("h1", cluster.PhaseReturning, 7, "web.service is failed")
	halts.Host.Halts = true
	cancelled := stands("h1", cluster.PhaseNone, 0, "")
	cancelled.Host.Wish = 0
	gone := stands("h1", cluster.PhaseNone, 0, "")
	gone.Host.State = api.HostGone
	halted := api.RebootLine{Group: &api.RebootGroup{Name: "web", Halted: "h9 is overdue"}}
	queued := stands("h1", cluster.PhaseQueued, 0, "its turn")
	for _, test := range []struct {
		lines []any
		after []life
		want  string
	}{
		{[]any{stands("h1", cluster.PhaseBlocked, 7, "a has no place")}, nil, "h1: blocked: a has no place (flotilla explain h1)"},
		{[]any{stands("h1", cluster.PhaseFailed, 7, "logind: no")}, nil, "h1: failed: logind: no (flotilla explain h1)"},
		{[]any{stands("h1", cluster.PhaseReleased, 7, "by bob")}, nil, "h1: released: by bob (flotilla explain h1)"},
		{[]any{stands("h1", cluster.PhaseOverdue, 7, "not back")}, nil, "h1: overdue: not back (flotilla explain h1)"},
		{[]any{halts}, nil, "h1: returning, and its group begins nothing else: web.service is failed (flotilla explain h1)"},
		{[]any{queued, halted}, nil, "h1: not begun: group web begins nothing: h9 is overdue (it stays asked for; flotilla reboot status)"},
		{[]any{queued, cancelled}, []life{{lines: []any{api.Host{ID: "h1"}}}}, "h1: nobody asks it to reboot any more (it was cancelled)"},
		{[]any{gone}, nil, "h1: gone from the cluster"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, talk, err := rolls(t, &lives{list: append([]life{{lines: test.lines}}, test.after...)}, "h1")
			var code exitCode
			if !errors.As(err, &code) || code != 1 || talk != "flotilla: error: "+test.want+"\n" {
				t.Errorf("reboot says %q and ends with %v, want %q and 1", talk, err, test.want)
			}
		})
	}
}

// TestRebootOfADaemonBehind: a request that another daemon's plan does not know yet is not taken for one that was cancelled.
func TestRebootOfADaemonBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind := stands("h1", cluster.PhaseNone, 0, "")
		behind.Host.Wish = 0
		d := &lives{list: []life{
			{lines: []any{stands("h1", cluster.PhaseQueued, 0, "its turn"), behind, stands("h1", cluster.PhaseDone, 7, "well")}},
			{lines: []any{api.Host{ID: "h1", Reboot: &cluster.RebootWish{ID: 7}}}},
		}}
		if out, talk, err := rolls(t, d, "h1"); err != nil || !strings.HasSuffix(out, "h1: done\n") || talk != "" {
			t.Errorf("reboot prints %q, says %q and ends with %v, want it done", out, talk, err)
		}
	})
}

// TestRebootIsLeft: Ctrl-C ends the watching, and says that the reboots go on.
func TestRebootIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &lives{list: []life{{lines: []any{stands("h2", cluster.PhaseQueued, 0, "its turn"), stands("h1", cluster.PhaseDraining, 7, "2 units left")}}}}
		_, talk, err := following(t, d, func(c *cli.Context, cl *api.Client) error {
			ctx, cancel := context.WithCancel(c.Context)
			time.AfterFunc(30*time.Second, cancel)
			c.Context = ctx
			f := newRoll(c, cl)
			f.open["h1"], f.open["h2"] = &target{name: "h1", id: 7}, &target{name: "h2", id: 7}
			return f.follow()
		})
		var code exitCode
		if want := "flotilla: the reboots go on: flotilla reboot status shows them, flotilla reboot cancel h1 h2 takes back what has not begun\n"; !errors.As(err, &code) || !strings.HasSuffix(talk, want) {
			t.Errorf("reboot that is left says %q and ends with %v, want %q", talk, err, want)
		}
	})
}

// TestStatusWatchOverARestart: each change is told once, over a restart of the daemon too; a host that has nothing to do
// with reboots is not.
func TestStatusWatchOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle := stands("h3", cluster.PhaseNone, 0, "")
		place := stands("h2", cluster.PhaseQueued, 0, "its turn")
		place.Host.Place, place.Host.Left = 1, 2
		group := api.RebootLine{Group: &api.RebootGroup{Name: "web", Used: 1, Max: 2}}
		d := &lives{list: []life{
			{lines: []any{idle, place, group}, end: io.ErrUnexpectedEOF},
			{lines: []any{idle, place, group, stands("h2", cluster.PhaseDraining, 7, "2 units left")}},
		}}
		out, talk, _ := following(t, d, func(c *cli.Context, cl *api.Client) error { return watchStatus(c, cl, "") })
		var got []string
		for line := range strings.Lines(out) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			got = append(got, text)
		}
		want := []string{"h2: queued (place 1) (2 units left): its turn", "group web: 1/2 slots taken, no window: only flotilla reboot", "h2: draining: 2 units left"}
		if !slices.Equal(got, want) || strings.Count(talk, "asking again") < 1 {
			t.Errorf("status --watch prints %q and says %q, want %q", got, talk, want)
		}
	})
}
