package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"flotilla/api"
	"flotilla/units"
)

// mostFollowed bounds how many units one command follows: each is a connection.
const mostFollowed = 100

// logs prints journal lines: of the cluster's daemons, or of what the arguments name, merged by time.
func logs(c *cli.Context) error {
	switch {
	case !c.Args().Present() && c.Command.Name == "journal":
		return usagef("journal needs a unit: flotilla journal web.service; flotilla logs shows the daemons")
	case c.Int("lines") < 0:
		return usagef("--lines %d: want 0 or more", c.Int("lines"))
	}
	if err := wantJSON(c); err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	queries, err := logQueries(c, cl)
	if err != nil {
		return err
	}
	follow := c.Bool("follow")
	if follow && len(queries) > mostFollowed {
		return fmt.Errorf("%d units are more than one command follows (name at most %d, or leave --follow out)", len(queries), mostFollowed)
	}
	switch {
	case follow:
		err = followLogs(c, cl, queries)
	case len(queries) == 1:
		err = readLog(c.Context, cl, queries[0], func(e api.LogEntry) error { return printEntry(c, e) })
	default:
		err = logsByTime(c, cl, queries)
	}
	if c.Context.Err() != nil {
		return nil // Ctrl-C is how a person ends -f
	}
	return err
}

// wantJSON refuses every form of output but json.
func wantJSON(c *cli.Context) error {
	if o := c.String("output"); o != "" && o != "json" {
		return usagef("-o %s: want json", o)
	}
	return nil
}

// logQueries are what to ask for: one for each thing, or one for the daemons.
func logQueries(c *cli.Context, cl *api.Client) ([]api.LogQuery, error) {
	things := []string{""}
	if c.Args().Present() {
		var err error
		if things, err = names(c, cl, placed); err != nil {
			return nil, err
		}
	}
	var out []api.LogQuery
	for _, thing := range things {
		if c.Command.Name == "journal" {
			thing = units.Mangle(thing)
		}
		out = append(out, api.LogQuery{Thing: thing, Host: c.String("host"), Lines: c.Int("lines"), Follow: c.Bool("follow")})
	}
	return out, nil
}

// mostMissed is how many lines of each thing are asked for that may have come while no daemon answered.
const mostMissed = 1000

// followLogs prints the lines of several things as the daemon sends them, over its restarts.
func followLogs(c *cli.Context, cl *api.Client, queries []api.LogQuery) error {
	tails := make([]tail, len(queries))
	ended := logsAsTheyCome(c.Context, c, cl, queries, tails)
	return again(c, ended, func(ctx context.Context) error {
		for i := range tails {
			if tails[i].resume() {
				queries[i].Lines = mostMissed
			}
		}
		return logsAsTheyCome(ctx, c, cl, queries, tails)
	}, fmt.Sprintf("what came meanwhile follows, up to %d lines of each", mostMissed))
}

// logsAsTheyCome prints what several things say from where their tails are, until the first error.
func logsAsTheyCome(ctx context.Context, c *cli.Context, cl *api.Client, queries []api.LogQuery, tails []tail) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for i, q := range queries {
		group.Go(func() error {
			return readLog(ctx, cl, q, func(e api.LogEntry) error {
				mu.Lock()
				defer mu.Unlock()
				if !tails[i].takes(e) {
					return nil
				}
				return printEntry(c, e)
			})
		})
	}
	return group.Wait()
}

// tail is how far one thing's log was printed. The zero value has printed nothing.
type tail struct {
	newest, from map[string]time.Time // by host: printed, and until when before the present answer
	floor        time.Time            // from for a host that was not heard before
}

// resume begins another answer, and says whether there is anything to go on from.
func (t *tail) resume() bool {
	t.from = maps.Clone(t.newest)
	for _, at := range t.newest {
		if at.After(t.floor) {
			t.floor = at
		}
	}
	return len(t.newest) > 0
}

// takes notes a line, and says whether it is later than what was printed of earlier answers.
func (t *tail) takes(e api.LogEntry) bool {
	from, heard := t.from[e.Host]
	if !heard {
		from = t.floor
	}
	if !e.Time.After(from) {
		return false
	}
	if t.newest == nil {
		t.newest = map[string]time.Time{}
	}
	t.newest[e.Host] = e.Time
	return true
}

// logsByTime reads the lines of several things, then prints all by time. One that has no log
// is said at the end.
func logsByTime(c *cli.Context, cl *api.Client, queries []api.LogQuery) error {
	var all []api.LogEntry
	var failed error
	for _, q := range queries {
		err := readLog(c.Context, cl, q, func(e api.LogEntry) error { all = append(all, e); return nil })
		if err != nil && !notFound(err) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	slices.SortStableFunc(all, func(a, b api.LogEntry) int { return a.Time.Compare(b.Time) })
	for _, e := range all {
		if err := printEntry(c, e); err != nil {
			return err
		}
	}
	return failed
}

// readLog asks for a thing as it was typed, and if there is none for the unit of that name.
func readLog(ctx context.Context, cl *api.Client, q api.LogQuery, emit func(api.LogEntry) error) error {
	err := cl.Logs(ctx, q, emit)
	if name := units.Mangle(q.Thing); notFound(err) && name != q.Thing {
		q.Thing = name
		err = cl.Logs(ctx, q, emit)
	}
	return err
}

func printEntry(c *cli.Context, e api.LogEntry) error {
	if c.String("output") == "json" {
		return jsonLine(c, e)
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s %s %s: %s\n", e.Time.Local().Format(time.StampMilli), e.Host, cmp.Or(e.Unit, "flotilla"), plain(e.Message))
	return err
}
