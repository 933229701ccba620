package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// verb is a command that moves units between target states.
type verb struct {
	name, usage string
	target      units.Target
	content     bool     // takes unit files
	only        api.Only // the other way nothing happens
	change      func(*api.Change)
	waits       bool
}

// unitVerbs are fleet's, with fleet's meanings.
func unitVerbs() []verb {
	return []verb{
		{name: "submit", usage: "put unit files into the cluster, without placing them", target: units.Inactive, content: true},
		{name: "load", usage: "submit, and place on a host without starting", target: units.Loaded, only: api.Raise, content: true, waits: true},
		{name: "start", usage: "submit, place and start units", target: units.Launched, content: true, waits: true},
		{name: "stop", usage: "stop units; they stay on their host", target: units.Loaded, only: api.Lower, waits: true},
		{name: "unload", usage: "stop units and take them off their host", target: units.Inactive, only: api.Lower, waits: true},
		{name: "restart", usage: "restart units where they are", target: units.Launched, waits: true, change: func(c *api.Change) { c.Target, c.Restart = nil, true }},
		{name: "destroy", usage: "stop units and remove them from the cluster", waits: true, change: func(c *api.Change) { c.Target, c.Delete = nil, true }},
	}
}

func unitCommands() []*cli.Command {
	var out []*cli.Command
	for _, v := range unitVerbs() {
		flags := endpointFlags()
		if v.content {
			flags = append(flags, &cli.BoolFlag{Name: "replace", Usage: "put new content in the place of the old; a unit that runs is restarted with it"})
		}
		if v.waits {
			flags = append(flags,
				&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the wish is durable"},
				&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to wait, such as 30s"})
		}
		out = append(out, &cli.Command{
			Name: v.name, Usage: v.usage, ArgsUsage: "UNIT...", Category: groupUnits, Flags: flags,
			Action: func(c *cli.Context) error { return runVerb(c, v) }, BashComplete: completeUnits,
		})
	}
	return append(out, applyCommand(), verifyCommand(), renderCommand(), &cli.Command{
		Name: "cat", Usage: "print a unit file as it was submitted", ArgsUsage: "UNIT...", Category: groupUnits,
		Flags: endpointFlags(), Action: runCat, BashComplete: completeUnits,
	})
}

func runVerb(c *cli.Context, v verb) error {
	if !c.Args().Present() {
		return usagef("%s needs a unit: flotilla %s web.service", v.name, v.name)
	}
	if c.IsSet("timeout") && c.Duration("timeout") <= 0 {
		return usagef("--timeout %s: want a positive duration such as 30s; --no-wait does not wait", c.Duration("timeout"))
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	ctx, cancel := c.Context, context.CancelFunc(func() {})
	if v.waits {
		ctx, cancel = context.WithTimeout(c.Context, c.Duration("timeout"))
	}
	defer cancel()
	changes, err := gather(ctx, c, cl, v)
	if err != nil {
		return late(ctx, c, err)
	}
	results, err := cl.Change(ctx, changes)
	if err != nil {
		return late(ctx, c, err)
	}
	return follow(ctx, c, cl, v, results)
}

// late says that --timeout ended a request, if that is what err means.
func late(ctx context.Context, c *cli.Context, err error) error {
	if ctx.Err() != nil && c.Context.Err() == nil {
		return fmt.Errorf("the daemon did not answer within %s: nothing may have changed; flotilla status tells", c.Duration("timeout"))
	}
	return err
}

// of is the change that a verb makes of one unit.
func (v verb) of(name string) api.Change {
	target := v.target
	ch := api.Change{Name: name, Target: &target, Only: v.only}
	if v.name == "submit" {
		ch.Target = nil
	}
	if v.change != nil {
		v.change(&ch)
	}
	return ch
}

func runCat(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("cat needs a unit: flotilla cat web.service")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	names, err := names(c, cl, submitted)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := printUnit(c, cl, units.Mangle(name)); err != nil {
			return err
		}
	}
	return nil
}

// printUnit prints a unit file as it is, or with its drop-ins, each below its name.
func printUnit(c *cli.Context, cl *api.Client, name string) error {
	raw, err := cl.Content(c.Context, name)
	if err != nil {
		return err
	}
	dropIns, err := cl.DropIns(c.Context, name)
	if err != nil {
		return err
	}
	if len(dropIns) == 0 {
		_, err = c.App.Writer.Write(raw)
		return err
	}
	parts := []string{"# " + name + "\n" + string(raw)}
	for _, d := range dropIns {
		parts = append(parts, "# "+name+".d/"+d.Name+"\n"+d.Content)
	}
	for i, p := range parts {
		parts[i] = strings.TrimRight(p, "\n") + "\n"
	}
	_, err = io.WriteString(c.App.Writer, strings.Join(parts, "\n"))
	return err
}
