package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

func jsonLine(c *cli.Context, v any) error { return json.NewEncoder(c.App.Writer).Encode(v) }

func hostCommands() []*cli.Command {
	return append([]*cli.Command{
		{Name: "host", Category: groupHosts, Usage: "labels and removal of hosts", Subcommands: []*cli.Command{
			{Name: "label", ArgsUsage: "HOST KEY=VALUE|KEY-...", Usage: "set labels of a host, KEY- removes one", Flags: endpointFlags(), Action: hostLabel},
			{Name: "remove", ArgsUsage: "HOST", Usage: "forget an absent host; its units go elsewhere", Flags: endpointFlags(), Action: func(c *cli.Context) error { return setRemoved(c, true) }},
			{Name: "restore", ArgsUsage: "HOST", Usage: "take a removed host back", Flags: endpointFlags(), Action: func(c *cli.Context) error { return setRemoved(c, false) }},
		}},
		{Name: "orphan", Category: groupHosts, Usage: "units that run without any order", Subcommands: []*cli.Command{
			{Name: "stop", ArgsUsage: "HOST UNIT", Usage: "stop an orphan and take its files away", Flags: endpointFlags(), Action: orphanStop},
		}},
		{Name: "failover", Category: groupHosts, Usage: "the storm brake", Subcommands: []*cli.Command{
			{Name: "resume", Usage: "move the units of the absent hosts after all", Flags: endpointFlags(), Action: failoverResume},
		}},
		rebootCommand(),
		doctorCommand(),
		rebalanceCommand(),
		groupCommand(),
		windowCommand(),
	}, drainCommands()...)
}

func hostLabel(c *cli.Context) error {
	if c.NArg() < 2 {
		return usagef("host label needs a host and labels: flotilla host label h1 disk=ssd old-")
	}
	p := api.HostPatch{Labels: map[string]*string{}}
	for _, word := range c.Args().Tail() {
		key, set, err := readLabel(word)
		if err != nil {
			return err
		}
		if _, twice := p.Labels[key]; twice {
			return usagef("label %q: %s stands before it already", word, key)
		}
		p.Labels[key] = set
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	h, err := cl.PatchHost(c.Context, c.Args().First(), p)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %s\n", h.Name, dash(labelText(h.Labels)))
	return nil
}

func setRemoved(c *cli.Context, removed bool) error {
	if c.NArg() != 1 {
		return usagef("host %s needs one host", c.Command.Name)
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	h, err := cl.PatchHost(c.Context, c.Args().First(), api.HostPatch{Remove: &removed})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %s\n", h.Name, h.State)
	return nil
}

func failoverResume(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	done, err := cl.ResumeFailover(c.Context)
	if err != nil {
		return err
	}
	if !done.Paused {
		fmt.Fprintln(c.App.Writer, "failover was not paused: nothing to resume")
		return nil
	}
	fmt.Fprintln(c.App.Writer, "failover resumed for the hosts that are absent now")
	return nil
}

func orphanStop(c *cli.Context) error {
	if c.NArg() != 2 {
		return usagef("orphan stop needs a host and a unit: flotilla orphan stop h1 web.service")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	host, unit := c.Args().Get(0), units.Mangle(c.Args().Get(1))
	if err := cl.StopOrphan(c.Context, host, unit); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s is being stopped on %s\n", unit, host)
	return nil
}
