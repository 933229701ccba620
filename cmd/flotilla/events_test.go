package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// lives are a daemon's answers, one life after the other: lines, and how the life ended.
type lives struct {
	list  []life
	asked []string // queries
}

type life struct {
	lines []any
	end   error // of the answer; nil = in good order
	down  bool  // no daemon listens
}

func (d *lives) RoundTrip(r *http.Request) (*http.Response, error) {
	d.asked = append(d.asked, r.URL.RawQuery)
	if len(d.list) == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	now := d.list[0]
	d.list = d.list[1:]
	if now.down {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "socket"}, Err: syscall.ECONNREFUSED}
	}
	body, w := io.Pipe()
	go func() {
		for _, l := range now.lines {
			if json.NewEncoder(w).Encode(l) != nil {
				return
			}
		}
		w.CloseWithError(now.end)
	}()
	return &http.Response{StatusCode: http.StatusOK, Body: body, Header: http.Header{}}, nil
}

// following runs a command with -f until it ends by itself, or an hour is over.
func following(t *testing.T, d *lives, do func(*cli.Context, *api.Client) error) (out, talk string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := cli.NewContext(&cli.App{Writer: &stdout, ErrWriter: &stderr}, flag.NewFlagSet("events", flag.ContinueOnError), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	c.Context = ctx
	err = do(c, api.NewClientWith("daemon", d))
	return stdout.String(), stderr.String(), err
}

// TestEventsOverARestart: events -f goes on with the next daemon after the last event, and gives up
// when none has answered for a minute.
func TestEventsOverARestart(t *testing.T) {
	event := func(rev int64, text string) api.Event {
		return api.Event{Revision: rev, Kind: api.EventUnit, Subject: "a.service", Text: text}
	}
	ending := map[string]*api.Error{"stream_error": {Code: api.CodeUnavailable, Message: "the daemon ends"}}
	for _, end := range []error{nil, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		synctest.Test(t, func(t *testing.T) {
			d := &lives{list: slices.Concat(
				[]life{{lines: []any{event(7, "one"), event(9, "two")}, end: end}},
				[]life{{down: true}, {down: true}},
				[]life{{lines: []any{event(12, "three"), ending}}, {lines: []any{event(13, "four")}, end: end}},
				slices.Repeat([]life{{down: true}}, 100),
			)}
			out, talk, err := following(t, d, followEvents)
			if !errors.Is(err, api.ErrUnreachable) {
				t.Errorf("events -f ends with %v, want %v", err, api.ErrUnreachable)
			}
			if got := strings.Join(strings.Fields(out), " "); strings.Count(got, "a.service") != 4 || !strings.HasSuffix(got, "four") {
				t.Errorf("events -f prints %q, want all four", out)
			}
			if n := strings.Count(talk, "asking again"); n != 3 || strings.Count(talk, "\n") != 3 {
				t.Errorf("events -f says %q, want one line for each end", talk)
			}
			if want := []string{"limit=10&watch=0", "watch=9", "watch=9", "watch=9", "watch=12", "watch=13"}; !slices.Equal(d.asked[:6], want) {
				t.Errorf("events -f asks %q, want %q", d.asked[:6], want)
			}
		})
	}
}

// TestEventsWithoutADaemon: where no daemon was to begin with, nothing is waited for.
func TestEventsWithoutADaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &lives{list: []life{{down: true}}}
		_, talk, err := following(t, d, followEvents)
		if !errors.Is(err, api.ErrUnreachable) || talk != "" || len(d.asked) != 1 {
			t.Errorf("events -f says %q and ends with %v after %d requests", talk, err, len(d.asked))
		}
	})
}

// TestLogsOverARestart: logs -f prints each line once, and those that came while no daemon answered.
func TestLogsOverARestart(t *testing.T) {
	line := func(host string, second int64, text string) api.LogEntry {
		return api.LogEntry{Time: time.Unix(second, 0), Host: host, Unit: "a.service", Message: text}
	}
	synctest.Test(t, func(t *testing.T) {
		d := &lives{list: []life{
			{lines: []any{line("h1", 10, "m1"), line("h2", 9, "m2"), line("h1", 12, "m3")}, end: io.ErrUnexpectedEOF},
			{lines: []any{line("h1", 10, "m1"), line("h2", 9, "m2"), line("h2", 11, "m4"), line("h3", 5, "old"), line("h1", 12, "m3"), line("h3", 13, "m5")}},
		}}
		out, _, _ := following(t, d, func(c *cli.Context, cl *api.Client) error {
			return followLogs(c, cl, []api.LogQuery{{Thing: "a.service", Lines: 10, Follow: true}})
		})
		var got []string
		for l := range strings.Lines(out) {
			f := strings.Fields(l)
			got = append(got, f[len(f)-1])
		}
		if want := []string{"m1", "m2", "m3", "m4", "m5"}; !slices.Equal(got, want) {
			t.Errorf("logs -f prints %q, want %q", got, want)
		}
		if want := []string{"follow=true&lines=10", "follow=true&lines=1000"}; !slices.Equal(d.asked[:2], want) {
			t.Errorf("logs -f asks %q, want %q", d.asked, want)
		}
	})
}
