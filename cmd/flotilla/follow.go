package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// follow prints what became of a batch and waits until its units are as wanted.
func follow(ctx context.Context, c *cli.Context, cl *api.Client, v verb, results []api.Result) error {
	failed := 0
	var names []string
	var from int64
	for _, r := range results {
		if r.Error != nil {
			failed++
			fmt.Fprintf(c.App.ErrWriter, "flotilla: error: %s\n", v.refusal(r))
			continue
		}
		if r.Note != "" && (!v.waits || c.Bool("no-wait")) {
			fmt.Fprintf(c.App.Writer, "%s: %s\n", r.Name, r.Note)
		}
		names, from = append(names, r.Name), max(from, r.Revision)
	}
	if v.waits && !c.Bool("no-wait") && len(names) > 0 {
		n, err := wait(ctx, c, cl, v, names, from)
		if err != nil {
			return err
		}
		failed += n
	}
	if failed > 0 {
		return exitCode(1)
	}
	return nil
}

// refusal is the one line on a change that was refused.
func (v verb) refusal(r api.Result) string {
	if v.content && r.Error.Code == api.CodeNotFound {
		return fmt.Sprintf("no unit %q in the cluster, and no file of this name here (flotilla list-unit-files shows the units; a path names another folder)", r.Name)
	}
	return r.Error.Error()
}

// errSettled ends a watch when there is nothing left to wait for.
var errSettled = errors.New("settled")

// wait watches units until each is settled or failed, and returns how many failed.
func wait(ctx context.Context, c *cli.Context, cl *api.Client, v verb, names []string, from int64) (failed int, err error) {
	p := progress{c: c, verb: v, open: map[string]api.Unit{}, began: time.Now()}
	for _, n := range names {
		p.open[n] = api.Unit{Name: n}
	}
	err = cl.WatchUnits(ctx, names, from, p.see)
	p.clear()
	switch {
	case errors.Is(err, errSettled):
		return p.failed, nil
	case ctx.Err() != nil && c.Context.Err() == nil:
		for _, n := range names {
			if u, ok := p.open[n]; ok {
				fmt.Fprintf(c.App.ErrWriter, "flotilla: error: %s: not %s after %s: %s (it stays wanted; flotilla explain %s)\n",
					n, v.done(), c.Duration("timeout"), u.Reason, n)
			}
		}
		return len(p.open) + p.failed, nil
	case err == nil:
		return 0, errors.New("the daemon ended the answer early: run the command again")
	}
	return 0, err
}

// done is the word for a verb's end.
func (v verb) done() string {
	switch v.name {
	case "start":
		return "running"
	case "load", "stop":
		return "loaded"
	case "restart":
		return "restarted"
	case "destroy":
		return "destroyed"
	}
	return "unloaded"
}

// progress is what a waiting command knows of its units.
type progress struct {
	c      *cli.Context
	verb   verb
	open   map[string]api.Unit
	failed int
	began  time.Time
	shown  bool
}

// see takes a unit's newest view.
func (p *progress) see(u api.Unit) error {
	if _, waiting := p.open[u.Name]; !waiting {
		return nil
	}
	switch {
	case u.Settled:
		delete(p.open, u.Name)
		p.clear()
		fmt.Fprintln(p.c.App.Writer, p.verb.sentence(u))
	case u.Failed && p.verb.name != "destroy" && p.verb.name != "unload":
		delete(p.open, u.Name)
		p.failed++
		p.clear()
		fmt.Fprintf(p.c.App.ErrWriter, "flotilla: error: %s: %s (flotilla explain %s)\n", u.Name, u.Reason, u.Name)
	default:
		p.open[u.Name] = u
		p.line(u)
	}
	if len(p.open) == 0 {
		return errSettled
	}
	return nil
}

// sentence tells that a unit is as wanted, and where.
func (v verb) sentence(u api.Unit) string {
	var on []string
	for _, i := range u.Instances {
		if i.Order != "gone" {
			on = append(on, i.HostName)
		}
	}
	switch {
	case v.name == "stop" && u.Target == units.Inactive:
		return fmt.Sprintf("%s is not loaded anywhere", u.Name)
	case len(on) == 0:
		return fmt.Sprintf("%s %s", u.Name, v.done())
	}
	return fmt.Sprintf("%s %s on %s", u.Name, v.done(), strings.Join(on, ", "))
}

// line shows one progress line on a terminal, and nothing in a file.
func (p *progress) line(u api.Unit) {
	if !isTerminal(os.Stderr) {
		return
	}
	p.shown = true
	fmt.Fprintf(p.c.App.ErrWriter, "\r\x1b[K%s: %s (%d left, %s)", u.Name, u.Reason, len(p.open), time.Since(p.began).Round(time.Second))
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
