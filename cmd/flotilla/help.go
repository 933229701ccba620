package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"flotilla/units"
)

// The groups of commands, in the order of "help all".
const (
	groupCluster = "Cluster"
	groupUnits   = "Units"
	groupLook    = "Looking"
	groupHosts   = "Hosts"
	groupDaemons = "Daemons"
	groupTools   = "Tools"
)

// helpGroups are the groups in their order.
func helpGroups() []string {
	return []string{groupCluster, groupUnits, groupLook, groupHosts, groupDaemons, groupTools}
}

// ten are the commands a new user needs; the rest stands in "help all".
func ten() []string {
	return []string{"init", "join", "start", "stop", "destroy", "apply", "status", "explain", "logs", "help"}
}

func printTen(app *cli.App) error {
	fmt.Fprintf(app.Writer, "flotilla %s: one machine of many systemd hosts\n\n", app.Version)
	w := tabwriter.NewWriter(app.Writer, 0, 8, 3, ' ', 0)
	for _, name := range ten() {
		c := find(app.Commands, name)
		fmt.Fprintf(w, "  %s %s\t%s\n", c.Name, c.ArgsUsage, c.Usage)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(app.Writer, "\nflotilla help all shows every command, flotilla help COMMAND its flags.\n")
	return nil
}

func printAll(app *cli.App) error {
	w := tabwriter.NewWriter(app.Writer, 0, 8, 3, ' ', 0)
	for i, group := range helpGroups() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", group)
		for _, c := range app.Commands {
			if c.Category == group && !c.Hidden {
				printCommand(w, "", c)
			}
		}
	}
	return w.Flush()
}

func printCommand(w *tabwriter.Writer, parent string, c *cli.Command) {
	if actsItself(c) {
		fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(parent+c.Name+" "+c.ArgsUsage), c.Usage)
	}
	for _, sub := range c.Subcommands {
		printCommand(w, parent+c.Name+" ", sub)
	}
}

// printHelp prints what a command is for, then its commands or its flags.
func printHelp(app *cli.App, path string, c *cli.Command) error {
	w := tabwriter.NewWriter(app.Writer, 0, 8, 3, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n", strings.TrimSpace("flotilla "+path+" "+c.ArgsUsage), c.Usage)
	if len(c.Subcommands) > 0 {
		fmt.Fprintln(w)
		for _, sub := range c.Subcommands {
			printCommand(w, path+" ", sub)
		}
		fmt.Fprintf(w, "\nflotilla help %s COMMAND shows its flags.\n", path)
	}
	if len(c.Flags) > 0 {
		fmt.Fprintf(w, "\nFlags:\n")
	}
	for _, f := range c.Flags {
		fmt.Fprintf(w, "  %s\n", f)
	}
	return w.Flush()
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, ArgsUsage: "[all|COMMAND...]", Category: groupTools,
		Usage: "show what there is", Action: showHelp,
	}
}

// showHelp follows the words of a command down to it.
func showHelp(c *cli.Context) error {
	words := c.Args().Slice()
	switch {
	case len(words) == 0:
		return printTen(c.App)
	case len(words) == 1 && words[0] == "all":
		return printAll(c.App)
	case words[0] == "all":
		return usagef("help all takes nothing after it, got %q", words[1])
	}
	cmd := find(c.App.Commands, words[0])
	if cmd == nil {
		return unknownCommand(c.App, words[0])
	}
	path := cmd.Name
	for _, word := range words[1:] {
		sub := find(cmd.Subcommands, word)
		if sub == nil {
			return usagef("%s has no command %q: see flotilla help %s", path, word, path)
		}
		cmd, path = sub, path+" "+sub.Name
	}
	return printHelp(c.App, path, cmd)
}

// unknownCommand names the nearest command, if one is near.
func unknownCommand(app *cli.App, word string) error {
	var known []string
	for _, c := range app.Commands {
		if !c.Hidden {
			known = append(known, c.Name)
		}
	}
	if near := units.Typo(word, known); near != "" {
		return usagef("no command %q: did you mean %s?", word, near)
	}
	return usagef("no command %q: see flotilla help all", word)
}
