package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

func applyCommand() *cli.Command {
	return &cli.Command{
		Name: "apply", Usage: "bring the cluster to what files and folders of units say", ArgsUsage: "FILE|DIR...", Category: groupUnits,
		Flags: append(endpointFlags(),
			&cli.BoolFlag{Name: "prune", Usage: "destroy what was applied from these folders before and is not there any more"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would change and change nothing; 2 if anything would"},
			&cli.StringFlag{Name: "set", Usage: "what --prune calls these files together; default: the path of their folder"},
			&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the wish is durable"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to wait, such as 30s"}),
		Action: runApply,
	}
}

// runApply reads the files, compares them with the cluster, tells the difference and makes it so.
func runApply(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("apply needs a file or a folder: flotilla apply web.service")
	}
	if c.IsSet("timeout") && c.Duration("timeout") <= 0 {
		return usagef("--timeout %s: want a positive duration such as 30s; --no-wait does not wait", c.Duration("timeout"))
	}
	given, err := readGiven(c)
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	p := applying{cl: cl, given: given, texts: map[units.Hash][]byte{}, bundles: map[units.Hash]units.DropIns{}}
	if err := p.make(ctx, c.Bool("prune")); err != nil {
		return late(ctx, c, err)
	}
	for _, line := range p.lines() {
		fmt.Fprintln(c.App.Writer, line)
	}
	for _, note := range p.notes {
		fmt.Fprintf(c.App.ErrWriter, "flotilla: %s\n", note)
	}
	switch {
	case c.Bool("dry-run") && p.changes():
		return exitCode(2)
	case c.Bool("dry-run"):
		return nil
	}
	return p.carryOut(ctx, c)
}

// carryOut makes the changes and waits for what they bring, up to the first unit that does not come up.
func (p *applying) carryOut(ctx context.Context, c *cli.Context) error {
	if len(p.steps) == 0 {
		return nil
	}
	wishes := make([]api.Change, len(p.steps))
	for i, s := range p.steps {
		wishes[i] = s.change
	}
	results, err := p.cl.Change(ctx, wishes)
	if err != nil {
		return late(ctx, c, err)
	}
	var from int64
	failed := 0
	for i, r := range results {
		if storeFailed(r) {
			return fmt.Errorf("%d of %d units not changed, the first is %s: %w", countFailed(results[i:]), len(results), r.Name, r.Error)
		}
		if r.Error != nil {
			failed++
			fmt.Fprintf(c.App.ErrWriter, "flotilla: error: %s\n", refusedStep(r))
		}
		from = max(from, r.Revision)
	}
	if failed > 0 {
		return exitCode(1)
	}
	if c.Bool("no-wait") {
		return nil
	}
	return p.await(ctx, c, from)
}

// refusedStep is the line on a change that was refused.
func refusedStep(r api.Result) string {
	if r.Error.Code == api.CodeConflict {
		return fmt.Sprintf("%s was changed by another hand in this moment (look, then flotilla apply again)", r.Name)
	}
	return r.Error.Error()
}

// await waits for started units first, then for loaded ones, then for those that go.
func (p *applying) await(ctx context.Context, c *cli.Context, from int64) error {
	for _, v := range unitVerbs() {
		if v.name != "start" && v.name != "load" && v.name != "destroy" {
			continue
		}
		var names []string
		for _, s := range p.steps {
			if s.awaits() == v.name {
				names = append(names, s.change.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		w := newProgress(c, v, names)
		w.first = true
		failed, err := w.wait(ctx, p.cl, names, from)
		if err != nil {
			return err
		}
		if failed > 0 && len(w.open) > 0 && ctx.Err() == nil {
			fmt.Fprintf(c.App.ErrWriter, "flotilla: %d more units are not waited for; flotilla list-unit-files shows them\n", len(w.open))
		}
		if failed > 0 {
			return exitCode(1)
		}
	}
	return nil
}

// step is one change, and what a person should know of it.
type step struct {
	change api.Change
	told   []string     // a line each; none of a change that only notes to which set a unit belongs
	target units.Target // once it is made
}

// awaits is the verb whose end the step waits for, "" if there is nothing to wait for.
func (s step) awaits() string {
	switch {
	case len(s.told) == 0:
		return ""
	case s.change.Delete:
		return "destroy"
	case s.target == units.Launched:
		return "start"
	case s.target == units.Loaded:
		return "load"
	}
	return ""
}

// lines are what a person reads.
func (p *applying) lines() []string {
	var out []string
	for _, s := range p.steps {
		out = append(out, s.told...)
	}
	if len(out) == 0 {
		return []string{"nothing to change"}
	}
	return out
}

// changes says that anything but notes in the store changes.
func (p *applying) changes() bool {
	for _, s := range p.steps {
		if len(s.told) > 0 {
			return true
		}
	}
	return false
}
