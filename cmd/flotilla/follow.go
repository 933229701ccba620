package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// follow prints what became of a batch and waits until its units are as wanted.
func follow(ctx context.Context, c *cli.Context, cl *api.Client, v verb, results []api.Result) error {
	failed := 0
	var names []string
	var from int64
	for i, r := range results {
		if storeFailed(r) {
			return fmt.Errorf("%d of %d units not changed, the first is %s: %w", countFailed(results[i:]), len(results), r.Name, r.Error)
		}
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

// storeFailed says that a change was not made because of the store: the others met the same.
func storeFailed(r api.Result) bool {
	return r.Error != nil && (r.Error.Code == api.CodeUnavailable || r.Error.Code == api.CodeTimeout)
}

func countFailed(results []api.Result) int {
	n := 0
	for _, r := range results {
		if r.Error != nil {
			n++
		}
	}
	return n
}

// refusal is the one line on a change that was refused.
func (v verb) refusal(r api.Result) string {
	if v.content && r.Error.Code == api.CodeNotFound {
		return fmt.Sprintf("no unit %q in the cluster, and no file of this name here (flotilla list-unit-files shows the units; a path names another folder)", r.Name)
	}
	return r.Error.Error()
}

// wait watches units until each is settled or failed, and returns how many failed.
func wait(ctx context.Context, c *cli.Context, cl *api.Client, v verb, names []string, from int64) (failed int, err error) {
	return newProgress(c, v, names).wait(ctx, cl, names, from)
}

// wait watches until every unit is settled or failed, and returns how many failed.
func (p *progress) wait(ctx context.Context, cl *api.Client, names []string, from int64) (failed int, err error) {
	c := p.c
	w := watchUnits(ctx, cl, names, from)
	frozen := time.NewTicker(frozenLook)
	defer frozen.Stop()
	talk := time.NewTicker(tellAfter / 4)
	defer talk.Stop()
	for open := true; open && !p.over(); {
		select {
		case u := <-w.seen:
			p.see(u)
		case <-p.again:
			p.lookAgain()
		case <-talk.C:
			p.tell()
		case <-frozen.C:
			p.lookFrozen(ctx, cl)
		case err = <-w.ended:
			open = false
		}
	}
	w.stop()
	p.clear()
	switch {
	case p.over():
		return p.failed, nil
	case ctx.Err() != nil && c.Context.Err() == nil:
		return p.timedOut(names), nil
	case err == nil:
		return 0, errors.New("the daemon ended the answer early: run the command again")
	}
	return 0, err
}

// over says that there is nothing more to wait for.
func (p *progress) over() bool { return len(p.open) == 0 || p.first && p.failed > 0 }

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
