package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// blockedWait is how long a drain goes on with units that have no place, unless --timeout says otherwise.
const blockedWait = 15 * time.Minute

func drainCommands() []*cli.Command {
	reason := &cli.StringFlag{Name: "reason", Usage: "why, for those who look later"}
	flags := func(more ...cli.Flag) []cli.Flag { return append(append(endpointFlags(), choiceFlags()...), more...) }
	return []*cli.Command{
		{Name: "cordon", ArgsUsage: "HOST...", Category: groupHosts, Usage: "close hosts to new units; those that are there stay", Action: cordon, Flags: flags(reason)},
		{Name: "uncordon", ArgsUsage: "HOST...", Category: groupHosts, Usage: "end cordons and drains: the hosts take units again", Action: uncordon, Flags: flags()},
		{
			Name: "drain", ArgsUsage: "HOST...", Category: groupHosts, Usage: "move the units of hosts elsewhere, and follow it", Action: drain,
			Flags: flags(
				reason,
				&cli.BoolFlag{Name: "dry-run", Usage: "only print which unit would go where, what stays and what has no place"},
				&cli.StringFlag{Name: "on-blocked", Value: string(cluster.AbortDrain), Usage: "what becomes of units that have no place: abort, skip or stop"},
				&cli.DurationFlag{Name: "timeout", Value: blockedWait, Usage: "how long to wait for a place before that"},
				&cli.BoolFlag{Name: "no-wait", Aliases: []string{"no-block"}, Usage: "return once the wish is durable"},
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml, with --dry-run"},
				&cli.BoolFlag{Name: "no-legend", Usage: "no header line"},
			),
		},
	}
}

// chosenHosts are the hosts that a command is about, none of which was removed.
func chosenHosts(c *cli.Context) (*api.Client, []api.Host, error) {
	choice, err := readChoice(c)
	if err != nil {
		return nil, nil, err
	}
	cl, err := client(c)
	if err != nil {
		return nil, nil, err
	}
	hosts, err := choice.hosts(c.Context, cl)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range hosts {
		if h.State == api.HostRemoved {
			err = errors.Join(err, fmt.Errorf("%s was removed from the cluster (flotilla host restore %s takes it back)", h.Name, h.Name))
		}
	}
	return cl, hosts, err
}

// cordon closes hosts to new units.
func cordon(c *cli.Context) error {
	cl, hosts, err := chosenHosts(c)
	if err != nil {
		return err
	}
	ask := api.HostPatch{Cordon: api.Set(api.CordonAsk{Reason: c.String("reason")})}
	return patchEach(c, cl, hosts, ask, func(was, is api.Host) string { return "cordoned: it takes no new units" })
}

// uncordon ends cordons and drains.
func uncordon(c *cli.Context) error {
	cl, hosts, err := chosenHosts(c)
	if err != nil {
		return err
	}
	ask := api.HostPatch{Cordon: api.Null[api.CordonAsk](), Drain: api.Null[api.DrainAsk]()}
	return patchEach(c, cl, hosts, ask, func(was, is api.Host) string {
		if was.Cordon == nil && was.Drain == nil {
			return "was neither cordoned nor drained"
		}
		return "takes units again"
	})
}

// patchEach changes hosts one after the other: one that fails keeps nobody from the others.
func patchEach(c *cli.Context, cl *api.Client, hosts []api.Host, ask api.HostPatch, say func(was, is api.Host) string) error {
	var failed error
	for _, was := range hosts {
		is, err := cl.PatchHost(c.Context, was.ID, ask)
		switch {
		case errors.Is(err, api.ErrUnreachable):
			return errors.Join(failed, err)
		case err != nil:
			failed = errors.Join(failed, err)
			continue
		}
		fmt.Fprintf(c.App.Writer, "%s: %s\n", is.Name, say(was, is))
	}
	return failed
}

// drain moves the units of hosts elsewhere.
func drain(c *cli.Context) error {
	ask, err := drainAsk(c)
	if err != nil {
		return err
	}
	cl, hosts, err := chosenHosts(c)
	if err != nil {
		return err
	}
	ids := make([]string, len(hosts))
	for i, h := range hosts {
		ids[i] = h.ID
	}
	steps, err := cl.PlanDrain(c.Context, ids)
	if err != nil {
		return err
	}
	sayOrphans(c, hosts)
	if c.Bool("dry-run") {
		return printDrain(c, steps, ask.OnBlocked)
	}
	if err := refuseBlocked(steps, ask.OnBlocked); err != nil {
		return err
	}
	f := newDrainage(c, steps)
	for _, h := range hosts {
		got, err := cl.PatchHost(c.Context, h.ID, api.HostPatch{Drain: api.Set(ask)})
		if err != nil {
			f.fail(h.Name, err.Error())
			continue
		}
		f.begin(got)
	}
	if c.Bool("no-wait") {
		return f.outcome()
	}
	return f.follow(cl)
}

// sayOrphans names what runs on the hosts without any order: no drain moves it, and none waits for it.
func sayOrphans(c *cli.Context, hosts []api.Host) {
	for _, h := range hosts {
		if len(h.Orphans) > 0 {
			fmt.Fprintf(c.App.ErrWriter, "flotilla: %s runs %s without any order, and no drain moves that: flotilla orphan stop %s UNIT ends it\n", h.Name, andMore(h.Orphans), h.Name)
		}
	}
}

// drainAsk reads the flags.
func drainAsk(c *cli.Context) (ask api.DrainAsk, err error) {
	ask = api.DrainAsk{Reason: c.String("reason"), OnBlocked: cluster.OnBlocked(c.String("on-blocked")), Timeout: c.Duration("timeout").String()}
	known := []string{string(cluster.AbortDrain), string(cluster.SkipUnit), string(cluster.StopUnit)}
	switch {
	case !slices.Contains(known, c.String("on-blocked")):
		hint := "want abort, skip or stop"
		if near := units.Suggest(c.String("on-blocked"), known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return ask, usagef("--on-blocked %s: %s", c.String("on-blocked"), hint)
	case c.Duration("timeout") <= 0:
		return ask, usagef("--timeout %s: want a positive duration such as 30s; --no-wait does not wait", c.Duration("timeout"))
	case c.Bool("dry-run") && c.Bool("no-wait"):
		return ask, usagef("--dry-run and --no-wait exclude one another: give one of them")
	case c.IsSet("output") && !c.Bool("dry-run"):
		return ask, usagef("--output is for --dry-run: the drain itself prints its progress")
	}
	return ask, checkList(c, hostColumns())
}

// refuseBlocked says, of a drain that is to do nothing then, which units have no place.
func refuseBlocked(steps []plan.DrainStep, on cluster.OnBlocked) error {
	if on != cluster.AbortDrain {
		return nil
	}
	blocked := slices.DeleteFunc(slices.Clone(steps), func(s plan.DrainStep) bool { return s.Kind != plan.DrainBlocked })
	if len(blocked) == 0 {
		return nil
	}
	return fmt.Errorf("%s is not drained: %s (nothing was changed; --on-blocked skip moves the others, stop stops these; --dry-run shows all)",
		blocked[0].FromName, api.Homeless(blocked))
}

// printDrain prints what a drain comes to.
func printDrain(c *cli.Context, steps []plan.DrainStep, on cluster.OnBlocked) error {
	if done, err := printThing(c, api.DrainPlan{Steps: steps}); done {
		return err
	}
	if len(steps) == 0 {
		_, err := fmt.Fprintln(c.App.Writer, "nothing to drain: no unit is there")
		return err
	}
	err := printTable(c, steps, []column[plan.DrainStep]{
		{"turn", func(s plan.DrainStep, _ bool) string { return dash(number(s.Turn)) }},
		{"unit", func(s plan.DrainStep, _ bool) string { return string(s.Unit) }},
		{"from", func(s plan.DrainStep, _ bool) string { return s.FromName }},
		{"to", func(s plan.DrainStep, _ bool) string { return dash(s.ToName) }},
		{"how", func(s plan.DrainStep, _ bool) string { return string(s.Kind) }},
		{"downtime", func(s plan.DrainStep, _ bool) string { return downtime(s, on) }},
		{"why", func(s plan.DrainStep, _ bool) string { return plain(s.Reason) }},
	})
	if err == nil {
		err = sayDrain(c, steps, on)
	}
	return err
}

// downtime is for how long a unit is expected not to run, with what becomes of one that has no place.
func downtime(s plan.DrainStep, on cluster.OnBlocked) string {
	if s.Kind == plan.DrainBlocked && on == cluster.StopUnit {
		return "until a host takes it"
	}
	return s.Downtime
}

// sayDrain sums a plan up.
func sayDrain(c *cli.Context, steps []plan.DrainStep, on cluster.OnBlocked) error {
	n := map[plan.DrainKind]int{}
	for _, s := range steps {
		n[s.Kind]++
	}
	moves := n[plan.DrainStartFirst] + n[plan.DrainStopFirst] + n[plan.DrainIdle]
	fmt.Fprintf(c.App.ErrWriter, "flotilla: %d to move, %d to stay", moves, n[plan.DrainStays])
	if w := n[plan.DrainWaits]; w > 0 {
		fmt.Fprintf(c.App.ErrWriter, ", %d to wait for others", w)
	}
	if s := n[plan.DrainStops]; s > 0 {
		fmt.Fprintf(c.App.ErrWriter, ", %d to be stopped after %s", s, c.Duration("timeout"))
	}
	if b := n[plan.DrainBlocked]; b > 0 {
		fmt.Fprintf(c.App.ErrWriter, ", %d without a place: %s", b, map[cluster.OnBlocked]string{
			cluster.AbortDrain: "the drain would be refused (--on-blocked skip or stop)",
			cluster.SkipUnit:   "left there after " + c.Duration("timeout").String(),
			cluster.StopUnit:   "stopped after " + c.Duration("timeout").String(),
		}[on])
	}
	_, err := fmt.Fprintln(c.App.ErrWriter)
	return err
}

// closedText says by whom a host was closed to units, when and why.
func closedText(h api.Host) string {
	said := func(what string, n *cluster.Note) string {
		out := fmt.Sprintf("%s by %s %s ago", what, cmp.Or(n.Who, "somebody"), age(n.When))
		if n.Why != "" {
			out += ": " + n.Why
		}
		return plain(out)
	}
	switch {
	case h.Drain != nil:
		return said("drained", &h.Drain.By)
	case h.Cordon != nil:
		return said("cordoned", h.Cordon)
	}
	return ""
}

// drainState is the state of a host that is drained in a few words, "" for one that is not.
func drainState(h api.Host) string {
	switch {
	case h.Draining == nil && h.Drain == nil:
		return ""
	case h.Draining == nil || len(h.Draining.Left) == 0:
		return "drained"
	}
	out := fmt.Sprintf("draining, %d left", len(h.Draining.Left))
	if b := len(h.Draining.Blocked()); b > 0 {
		out += fmt.Sprintf(", %d blocked", b)
	}
	return out
}
