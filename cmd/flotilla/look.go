package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

func lookCommands() []*cli.Command {
	logFlags := append(endpointFlags(),
		&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 10, Usage: "last lines to show"},
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as lines come"},
		&cli.StringFlag{Name: "host", Usage: "only this host's lines"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json: one object a line"})
	outputFlag := &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"}
	statusFlags := append(endpointFlags(), outputFlag,
		&cli.BoolFlag{Name: "no-legend", Usage: "no header line"},
		&cli.BoolFlag{Name: "full", Aliases: []string{"l"}, Usage: "do not shorten ids"})
	out := []*cli.Command{
		{Name: "status", ArgsUsage: "[THING...]", Category: groupLook, Usage: "the cluster, a unit or a host, with the reason for every wait", Flags: statusFlags, Action: status, BashComplete: completeUnits},
		{Name: "explain", ArgsUsage: "THING...", Category: groupLook, Usage: "why a unit or host is as it is", Flags: append(endpointFlags(), &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "wide, json or yaml"}), Action: explain, BashComplete: completeUnits},
		{Name: "logs", ArgsUsage: "[THING...]", Category: groupLook, Usage: "journal lines of a unit (on every host that has it) or of a host's daemons", Flags: logFlags, Action: logs, BashComplete: completeUnits},
		{Name: "journal", ArgsUsage: "UNIT...", Category: groupLook, Usage: "the same as logs, under fleet's name", Flags: logFlags, Action: logs, BashComplete: completeUnits},
		{Name: "events", Category: groupLook, Usage: "what happened, and with -f what happens", Action: events, Flags: append(endpointFlags(),
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as events come"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json: one object a line"})},
	}
	return append(append(out, simulateCommand()), listCommands()...)
}

// eachThing does something with every unit or host that the arguments name, and says of each
// that fails why: one that is missing keeps nobody from the others.
func eachThing(c *cli.Context, cl *api.Client, do func(thing string) error) error {
	things, err := names(c, cl, known)
	if err != nil {
		return err
	}
	var failed error
	for i, thing := range things {
		if i > 0 && c.String("output") == "yaml" {
			fmt.Fprintln(c.App.Writer, "---")
		}
		switch err := do(thing); {
		case errors.Is(err, api.ErrUnreachable):
			return err
		case err != nil:
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func explain(c *cli.Context) error {
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	if !c.Args().Present() {
		return usagef("explain needs one unit or host: flotilla explain web.service")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	return eachThing(c, cl, func(thing string) error { return explainThing(c, cl, thing) })
}

func explainThing(c *cli.Context, cl *api.Client, thing string) error {
	e, err := cl.Explain(c.Context, thing)
	if notFound(err) {
		if second, err2 := cl.Explain(c.Context, units.Mangle(thing)); err2 == nil {
			e, err = second, nil
		}
	}
	if err != nil {
		return err
	}
	if done, err := printThing(c, e); done {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %s\n", e.Thing, plain(e.Summary))
	for _, l := range e.Lines {
		fmt.Fprintf(c.App.Writer, "  %s\n", plain(l))
	}
	for _, l := range hostLines(e.Hosts, c.String("output") == "wide") {
		fmt.Fprintf(c.App.Writer, "  %s\n", plain(l))
	}
	return nil
}

// Up to hostsApart hosts have a line each; of more of them, those of which the same is said share one that names
// the first few.
const (
	hostsApart = 10
	hostsNamed = 3
)

// hostLines say of hosts what holds of each.
func hostLines(hosts []api.HostVerdict, each bool) []string {
	var out []string
	if each || len(hosts) <= hostsApart {
		for _, h := range hosts {
			out = append(out, h.Name+": "+h.Reason)
		}
		return out
	}
	alike := map[string][]api.HostVerdict{}
	for _, h := range hosts {
		what := h.Reason
		if h.Fits && !h.Placed {
			what = "fits"
		}
		if alike[what] == nil {
			out = append(out, what)
		}
		alike[what] = append(alike[what], h)
	}
	for i, what := range out {
		out[i] = shared(what, alike[what])
	}
	return out
}

// shared is one line on several hosts. Those that fit have how many units they have beside it.
func shared(what string, hosts []api.HostVerdict) string {
	if len(hosts) == 1 {
		return hosts[0].Name + ": " + hosts[0].Reason
	}
	var names []string
	least, most := hosts[0].Units, hosts[0].Units
	for i, h := range hosts {
		least, most = min(least, h.Units), max(most, h.Units)
		if i < hostsNamed {
			names = append(names, h.Name)
		}
	}
	if more := len(hosts) - hostsNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if what == "fits" {
		what = fmt.Sprintf("fits (%d to %d units)", least, most)
	}
	return fmt.Sprintf("%d hosts: %s: %s", len(hosts), what, strings.Join(names, ", "))
}

// notFound says that the cluster does not have what was named.
func notFound(err error) bool {
	var refused *api.Error
	return errors.As(err, &refused) && refused.Code == api.CodeNotFound
}
