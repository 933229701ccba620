package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	if follow || len(queries) == 1 {
		err = logsAsTheyCome(c, cl, queries)
	} else {
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

// logsAsTheyCome prints the lines of several things as the daemon sends them, until the first error.
func logsAsTheyCome(c *cli.Context, cl *api.Client, queries []api.LogQuery) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(c.Context)
	for _, q := range queries {
		group.Go(func() error {
			return readLog(ctx, cl, q, func(e api.LogEntry) error {
				mu.Lock()
				defer mu.Unlock()
				return printEntry(c, e)
			})
		})
	}
	return group.Wait()
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
