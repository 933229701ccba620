package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// events prints what happened, and with --follow what happens, over restarts of the daemon.
func events(c *cli.Context) error {
	if err := wantJSON(c); err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	if !c.Bool("follow") {
		return cl.Events(c.Context, false, func(e api.Event) error { return printEvent(c, e) })
	}
	err = followEvents(c, cl)
	if c.Context.Err() != nil {
		return nil // Ctrl-C is how a person ends -f
	}
	return err
}

// followEvents prints the newest events and those that come. What came while no daemon answered is
// told as far as the next one remembers it.
func followEvents(c *cli.Context, cl *api.Client) error {
	last, begun := int64(0), false
	show := func(e api.Event) error {
		last, begun = max(last, e.Revision), true
		return printEvent(c, e)
	}
	ended := cmp.Or(cl.Events(c.Context, true, show), io.EOF) // it has no end of its own
	return again(c, ended, func(ctx context.Context) error {
		if !begun {
			return cmp.Or(cl.Events(ctx, true, show), io.EOF)
		}
		return cmp.Or(cl.EventsAfter(ctx, last, show), io.EOF)
	}, "events of the meantime may be missing")
}

func printEvent(c *cli.Context, e api.Event) error {
	if c.String("output") == "json" {
		return jsonLine(c, e)
	}
	where := ""
	if e.Host != "" {
		where = " on " + e.Host
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s %s %s%s: %s\n", e.Time.Local().Format(time.DateTime), e.Kind, e.Subject, where, e.Text)
	return err
}

// A stream whose daemon went away is asked for again each againPause, until none has answered for
// againMost.
const (
	againPause = time.Second
	againMost  = time.Minute
)

// again goes on with a stream whose daemon went away: ended is how it broke off. It returns why it cannot
// go on. missing is what a person has to know of the gap.
func again(c *cli.Context, ended error, follow func(context.Context) error, missing string) error {
	if !api.Lost(ended) || errors.Is(ended, api.ErrUnreachable) { // no daemon was there to begin with
		return ended
	}
	for {
		fmt.Fprintf(c.App.ErrWriter, "flotilla: the daemon ended the answer: asking again (%s)\n", missing)
		began, err := reach(c.Context, follow)
		if !began || !api.Lost(err) {
			return err
		}
	}
}

// reach asks until an answer comes, and returns how that ended.
func reach(ctx context.Context, follow func(context.Context) error) (began bool, err error) {
	limit := time.NewTimer(againMost)
	defer limit.Stop()
	pause := time.NewTicker(againPause)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if err = follow(ctx); !notYet(err) {
			return true, err
		}
		select {
		case <-limit.C:
			return false, err
		default:
		}
	}
}

// notYet says that no daemon answers, or one that has just begun.
func notYet(err error) bool {
	var refused *api.Error
	return errors.Is(err, api.ErrUnreachable) || errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable
}
