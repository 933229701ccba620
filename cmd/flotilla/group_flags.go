package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
)

func groupFlags() []cli.Flag {
	return slices.Concat(endpointFlags(), []cli.Flag{
		&cli.StringFlag{Name: "selector", Usage: "which hosts, such as role=web,zone!=a"},
		&cli.StringFlag{Name: "max", Usage: "hosts that may be away at once, such as 2 or 25%; 0 lets none reboot (new: 1)"},
		&cli.StringSliceFlag{Name: "window", Usage: "a window in which its hosts may begin by themselves; again for another"},
		&cli.StringSliceFlag{Name: "stage", Usage: "a part that goes before the rest, in order: 'SELECTOR; max=N; soak=TIME', the last two as needed"},
		&cli.StringFlag{Name: "spread", Usage: "label whose values are failure domains: rack = never two hosts of one rack at once"},
		&cli.IntFlag{Name: "failures", Usage: "hosts that may be overdue or unwell while the group goes on", DefaultText: asItIs},
		&cli.IntFlag{Name: "loops", Usage: "reboots for one cause after which a host counts as looping (new: 2)", DefaultText: asItIs},
		&cli.StringFlag{Name: "on-blocked", Usage: "abort, skip or stop: what a drain does about a unit that has no place"},
		&cli.BoolFlag{Name: "finish", Usage: "what began in a window may reboot after its end; --finish=false ends that"},
		&cli.StringFlag{Name: "wall", Usage: "message to logged-in users before a reboot"},
		&cli.StringSliceFlag{Name: "check-http", Usage: "URL that must answer 2xx on the host: 'URL; when=before|after; timeout=TIME', the last two as needed"},
		&cli.StringSliceFlag{Name: "check-tcp", Usage: "HOST:PORT that must accept, with the same additions"},
		&cli.StringSliceFlag{Name: "check-command", Usage: "command that must exit with 0 on the host, with the same additions"},
		&cli.StringSliceFlag{Name: "check-promql", Usage: "query that must have an empty result, as 'URL QUERY', with the same additions"},
		&cli.StringSliceFlag{Name: "clear", Usage: "set back to nothing: " + strings.Join(groupClears(), ", ")},
	}, groupTimeFlags())
}

// asItIs is shown as the default of a flag that changes nothing unless it is given.
const asItIs = "as it is"

func groupTimeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "drain-timeout", Usage: "then a drain is blocked (new: 15m)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "grant-timeout", Usage: "then a grant that nobody used is taken back (new: 1m)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "return-timeout", Aliases: []string{"return"}, Usage: "then a host that is not back is overdue (new: 10m)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "gate-timeout", Usage: "then a host that is not well halts the group (new: 10m)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "hook-timeout", Usage: "of each hook (new: 5m)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "settle", Usage: "how long all must be well before the next host (new: 15s)", DefaultText: asItIs},
		&cli.DurationFlag{Name: "grace", Usage: "what logged-in users get after the wall message", DefaultText: asItIs},
		&cli.DurationFlag{Name: "retry", Usage: "before a blocked host is tried again (new: 1h)", DefaultText: asItIs},
	}
}

// groupClears are the words that --clear knows for a group.
func groupClears() []string {
	return []string{"selector", "max", "windows", "stages", "spread", "on-blocked", "wall", "checks"}
}

// groupChange is what the flags of group set say.
type groupChange struct {
	edits   []func(*api.Group)
	cleared []string
}

func (g groupChange) clears(what string) bool { return slices.Contains(g.cleared, what) }

func (g groupChange) apply(to *api.Group) {
	for _, edit := range g.edits {
		edit(to)
	}
}

func (g *groupChange) add(edit func(*api.Group)) { g.edits = append(g.edits, edit) }

// readGroupFlags reads all flags before anything is asked of a daemon.
func readGroupFlags(c *cli.Context) (groupChange, error) {
	var out groupChange
	var err error
	if out.cleared, err = readClear(c, groupClears(), map[string][]string{
		"windows": {"window"}, "stages": {"stage"}, "checks": {"check-http", "check-tcp", "check-command", "check-promql"},
	}); err != nil {
		return out, err
	}
	for _, what := range out.cleared {
		out.add(func(g *api.Group) { clearGroup(g, what) })
	}
	for _, read := range []func(*cli.Context, *groupChange) error{readGroupWords, readGroupNumbers, readGroupTimes, readStages, readChecks} {
		if err := read(c, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// readClear reads --clear. A thing is cleared or set, not both; flags are those that set it, where they are not of its name.
func readClear(c *cli.Context, known []string, flags map[string][]string) ([]string, error) {
	for _, what := range c.StringSlice("clear") {
		if !slices.Contains(known, what) {
			return nil, usagef("--clear %s: want one of %s", what, strings.Join(known, ", "))
		}
		names := flags[what]
		if names == nil {
			names = []string{what}
		}
		for _, name := range names {
			if c.IsSet(name) {
				return nil, usagef("--clear %s and --%s exclude one another: --%s sets anew", what, name, name)
			}
		}
	}
	return c.StringSlice("clear"), nil
}

func clearGroup(g *api.Group, what string) {
	switch what {
	case "selector":
		g.Selector = ""
	case "max":
		g.Max = cluster.Slots{}
	case "windows":
		g.Windows = nil
	case "stages":
		g.Stages = nil
	case "spread":
		g.Spread = ""
	case "on-blocked":
		g.OnBlocked = ""
	case "wall":
		g.Wall = ""
	case "checks":
		g.Checks = nil
	}
}

func readGroupWords(c *cli.Context, out *groupChange) error {
	text := func(flag string, to func(*api.Group) *string) {
		if c.IsSet(flag) {
			out.add(func(g *api.Group) { *to(g) = c.String(flag) })
		}
	}
	text("selector", func(g *api.Group) *string { return &g.Selector })
	text("spread", func(g *api.Group) *string { return &g.Spread })
	text("wall", func(g *api.Group) *string { return &g.Wall })
	text("on-blocked", func(g *api.Group) *string { return (*string)(&g.OnBlocked) })
	if c.IsSet("window") {
		names := commaWords(c.StringSlice("window"))
		out.add(func(g *api.Group) { g.Windows = names })
	}
	if c.IsSet("finish") {
		out.add(func(g *api.Group) { g.Finish = c.Bool("finish") })
	}
	return nil
}

// commaWords are the words of a flag that may be given again, or hold several with commas between them.
func commaWords(given []string) []string {
	var out []string
	for _, text := range given {
		for _, word := range strings.Split(text, ",") {
			out = append(out, strings.TrimSpace(word))
		}
	}
	return out
}

func readGroupNumbers(c *cli.Context, out *groupChange) error {
	if c.IsSet("max") {
		slots, err := readSlots(c.String("max"))
		if err != nil {
			return usagef("--max %v", err)
		}
		out.add(func(g *api.Group) { g.Max = slots })
	}
	if c.IsSet("failures") {
		out.add(func(g *api.Group) { g.Failures = c.Int("failures") })
	}
	if c.IsSet("loops") {
		out.add(func(g *api.Group) { g.Loops = c.Int("loops") })
	}
	return nil
}

func readSlots(text string) (cluster.Slots, error) {
	return cluster.ParseSlots(strings.TrimSpace(text))
}

func readGroupTimes(c *cli.Context, out *groupChange) error {
	for flag, to := range map[string]func(*api.GroupTimes) *api.Span{
		"drain-timeout":  func(t *api.GroupTimes) *api.Span { return &t.Drain },
		"grant-timeout":  func(t *api.GroupTimes) *api.Span { return &t.Grant },
		"return-timeout": func(t *api.GroupTimes) *api.Span { return &t.Return },
		"gate-timeout":   func(t *api.GroupTimes) *api.Span { return &t.Gate },
		"hook-timeout":   func(t *api.GroupTimes) *api.Span { return &t.Hooks },
		"settle":         func(t *api.GroupTimes) *api.Span { return &t.Settle },
		"grace":          func(t *api.GroupTimes) *api.Span { return &t.Grace },
		"retry":          func(t *api.GroupTimes) *api.Span { return &t.Retry },
	} {
		if c.IsSet(flag) {
			out.add(func(g *api.Group) { *to(&g.Times) = api.Span(c.Duration(flag)) })
		}
	}
	return nil
}
