package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// script answers each request with units that come at their time, and goes on until the request ends.
type script []struct {
	after time.Duration
	u     api.Unit
}

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
	go func() {
		for _, step := range s {
			select {
			case <-time.After(step.after):
			case <-r.Context().Done():
				return
			}
			if json.NewEncoder(w).Encode(step.u) != nil {
				return
			}
		}
	}()
	return &http.Response{StatusCode: http.StatusOK, Body: body, Header: http.Header{}}, nil
}

// TestWaitTellsWhy: where no terminal is, each reason that stands is told once, and those that
// pass by are not.
func TestWaitTellsWhy(t *testing.T) {
	const absent = "its host h3 is absent since 12:00:00"
	wait1 := func(reason string) api.Unit {
		return api.Unit{Name: "a.service", Reason: reason, Instances: []api.Instance{{HostName: "h3"}}}
	}
	wait2 := func(reason string) api.Unit {
		return api.Unit{Name: "b.service", Reason: reason, Instances: []api.Instance{{HostName: "h2"}}}
	}
	for _, verb := range []string{"stop", "destroy", "unload", "start"} {
		synctest.Test(t, func(t *testing.T) {
			cl := api.NewClientWith("daemon", script{
				{0, wait1("waiting for the leader to order it")},
				{100 * time.Millisecond, wait1(absent)},
				{0, wait2(absent)},
				{5 * time.Second, wait2("stopping on h2")},
				{5 * time.Second, wait1("stopping on h3")},
				{100 * time.Millisecond, api.Unit{Name: "a.service", Settled: true}},
			})
			got, err := talkOf(t, cl, verb, "a.service", "b.service")
			want := "flotilla: waiting: a.service and 1 more: " + absent + "\n" +
				"flotilla: waiting: b.service: stopping on h2\n" +
				"flotilla: error: b.service: not " + doneWord(verb) + " after 1m0s: stopping on h2 (it stays wanted; flotilla explain b.service)\n"
			if got != want || err != 1 {
				t.Errorf("%s says %q (%d failed), want %q", verb, got, err, want)
			}
		})
	}
}

func doneWord(name string) string { return verb{name: name}.done() }

// talkOf is what a waiting verb says on stderr, and how many units failed.
func talkOf(t *testing.T, cl *api.Client, name string, units ...string) (string, int) {
	t.Helper()
	c, talk := waiting(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	failed, err := wait(ctx, c, cl, verb{name: name, waits: true}, units, 1)
	if err != nil {
		t.Fatal(err)
	}
	return talk.String(), failed
}

// waiting is the context of a command that waits for a minute at most, and what it says on stderr.
func waiting(t *testing.T) (*cli.Context, *bytes.Buffer) {
	t.Helper()
	var talk bytes.Buffer
	flags := flag.NewFlagSet("wait", flag.ContinueOnError)
	flags.Duration("timeout", time.Minute, "")
	c := cli.NewContext(&cli.App{Writer: io.Discard, ErrWriter: &talk}, flags, nil)
	c.Context = t.Context()
	return c, &talk
}
