package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
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

var helpGroups = [...]string{groupCluster, groupUnits, groupLook, groupHosts, groupDaemons, groupTools}

// ten are the commands a new user needs; the rest stands in "help all".
var ten = [...]string{"init", "join", "start", "stop", "restart", "destroy", "status", "explain", "logs", "help"}

func printTen(app *cli.App) error {
	fmt.Fprintf(app.Writer, "flotilla %s: one machine of many systemd hosts\n\n", app.Version)
	w := tabwriter.NewWriter(app.Writer, 0, 8, 3, ' ', 0)
	for _, name := range ten {
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
	for i, group := range helpGroups {
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
	if len(c.Subcommands) == 0 {
		fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(parent+c.Name+" "+c.ArgsUsage), c.Usage)
		return
	}
	for _, sub := range c.Subcommands {
		printCommand(w, parent+c.Name+" ", sub)
	}
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, ArgsUsage: "[all|COMMAND]", Category: groupTools,
		Usage: "show what there is",
		Action: func(c *cli.Context) error {
			switch name := c.Args().First(); name {
			case "":
				return printTen(c.App)
			case "all":
				return printAll(c.App)
			default:
				if find(c.App.Commands, name) == nil {
					return unknownCommand(c.App, name)
				}
				return cli.ShowCommandHelp(c, name)
			}
		},
	}
}

// unknownCommand names the nearest command, if one is near.
func unknownCommand(app *cli.App, word string) error {
	best, least := "", len(word)/2+1
	for _, c := range app.Commands {
		if d := distance(word, c.Name); d < least && !c.Hidden {
			best, least = c.Name, d
		}
	}
	if best != "" {
		return usagef("no command %q: did you mean %s?", word, best)
	}
	return usagef("no command %q: see flotilla help all", word)
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
