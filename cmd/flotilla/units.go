package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
var unitVerbs = [...]verb{
	{name: "submit", usage: "put unit files into the cluster, without placing them", target: units.Inactive, content: true},
	{name: "load", usage: "submit, and place on a host without starting", target: units.Loaded, only: api.Raise, content: true, waits: true},
	{name: "start", usage: "submit, place and start units", target: units.Launched, content: true, waits: true},
	{name: "stop", usage: "stop units; they stay on their host", target: units.Loaded, only: api.Lower, waits: true},
	{name: "unload", usage: "stop units and take them off their host", target: units.Inactive, only: api.Lower, waits: true},
	{name: "restart", usage: "restart units where they are", target: units.Launched, waits: true, change: func(c *api.Change) { c.Target, c.Restart = nil, true }},
	{name: "destroy", usage: "stop units and remove them from the cluster", waits: true, change: func(c *api.Change) { c.Target, c.Delete = nil, true }},
}

func unitCommands() []*cli.Command {
	var out []*cli.Command
	for _, v := range unitVerbs {
		flags := endpointFlags()
		if v.content {
			flags = append(flags, &cli.BoolFlag{Name: "replace", Usage: "put new content in the place of the old; a unit that runs is restarted with it"})
		}
		if v.waits {
			flags = append(flags,
				&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the wish is durable"},
				&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to wait"})
		}
		out = append(out, &cli.Command{
			Name: v.name, Usage: v.usage, ArgsUsage: "UNIT...", Category: groupUnits, Flags: flags,
			Action: func(c *cli.Context) error { return runVerb(c, v) }, BashComplete: completeUnits,
		})
	}
	return append(out, &cli.Command{
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

// gather makes a Change of each argument: globs look at the cluster, braces expand here,
// a unit that the cluster does not know is read from its file.
func gather(ctx context.Context, c *cli.Context, cl *api.Client, v verb) ([]api.Change, error) {
	var out []api.Change
	g := gatherer{ctx: ctx, cl: cl, verb: v, replace: c.Bool("replace"), families: map[string]map[string]bool{}}
	for _, arg := range c.Args().Slice() {
		words, err := units.Expand(arg)
		if err != nil {
			return nil, err
		}
		for _, word := range words {
			found, err := g.resolve(word)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(ch api.Change) bool {
		dup := seen[ch.Name]
		seen[ch.Name] = true
		return dup
	})
	return out, nil
}

// gatherer turns words of a command line into changes.
type gatherer struct {
	ctx      context.Context
	cl       *api.Client
	verb     verb
	replace  bool
	families map[string]map[string]bool // names in the cluster, by template
}

func (g *gatherer) resolve(word string) ([]api.Change, error) {
	if units.IsGlob(word) {
		return g.resolveGlob(word)
	}
	name := units.Mangle(filepath.Base(word))
	if _, err := units.ParseName(name); err != nil {
		return nil, err
	}
	ch := g.verb.of(name)
	ch.Replace = g.replace
	if !g.verb.content {
		return []api.Change{ch}, nil
	}
	path, raw, err := readUnit(word, name)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return []api.Change{ch}, nil
	}
	if template := filepath.Base(path); template != name && !g.replace {
		family, err := g.family(template)
		if err != nil {
			return nil, err
		}
		if family[name] || family[template] {
			return []api.Change{ch}, nil // what the cluster has comes before the template's file
		}
	}
	text := string(raw)
	ch.Content, ch.File = &text, path
	return []api.Change{ch}, nil
}

// family are the names in the cluster of a template and its instances.
func (g *gatherer) family(template string) (map[string]bool, error) {
	if known, ok := g.families[template]; ok {
		return known, nil
	}
	known := map[string]bool{}
	before, after, _ := strings.Cut(template, "@")
	err := g.cl.Units(g.ctx, []string{before + "@*" + after}, func(u api.Unit) error {
		known[u.Name] = u.Revision > 0
		return nil
	})
	g.families[template] = known
	return known, err
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

func (g *gatherer) resolveGlob(glob string) ([]api.Change, error) {
	var out []api.Change
	err := g.cl.Units(g.ctx, []string{glob}, func(u api.Unit) error {
		if u.Revision > 0 && !(g.verb.target != units.Inactive && strings.Contains(u.Name, "@.")) {
			ch := g.verb.of(u.Name)
			ch.Replace = g.replace
			out = append(out, ch)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no unit in the cluster matches %q: quote it, and see flotilla list-unit-files", glob)
	}
	return out, nil
}

// readUnit reads the file of a unit, or of its template, beside the path given. Without
// either raw is nil.
func readUnit(word, name string) (path string, raw []byte, err error) {
	dir := filepath.Dir(word)
	tries := []string{filepath.Join(dir, name)}
	if parsed, err := units.ParseName(name); err == nil && parsed.IsInstance() {
		tries = append(tries, filepath.Join(dir, string(parsed.Template())))
	}
	for _, path := range tries {
		raw, err := os.ReadFile(path)
		if err == nil {
			return path, raw, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fmt.Errorf("read unit file: %w", err)
		}
	}
	if dir != "." {
		return "", nil, fmt.Errorf("%s: no such unit file", tries[0])
	}
	return "", nil, nil
}

func runCat(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("cat needs a unit: flotilla cat web.service")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	names, err := names(c, cl)
	if err != nil {
		return err
	}
	for _, name := range names {
		raw, err := cl.Content(c.Context, units.Mangle(name))
		if err != nil {
			return err
		}
		if _, err := c.App.Writer.Write(raw); err != nil {
			return err
		}
	}
	return nil
}

// names expands the arguments: braces here, globs against the cluster; other words stay as
// they are.
func names(c *cli.Context, cl *api.Client) ([]string, error) {
	var out []string
	for _, arg := range c.Args().Slice() {
		words, err := units.Expand(arg)
		if err != nil {
			return nil, err
		}
		for _, word := range words {
			if !units.IsGlob(word) {
				out = append(out, word)
				continue
			}
			before := len(out)
			if err := cl.Units(c.Context, []string{word}, func(u api.Unit) error { out = append(out, u.Name); return nil }); err != nil {
				return nil, err
			}
			if len(out) == before {
				return nil, fmt.Errorf("no unit in the cluster matches %q: see flotilla list-unit-files", word)
			}
		}
	}
	return out, nil
}
