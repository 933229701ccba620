package main

import "github.com/urfave/cli/v2"

// leaves are the commands that do something, by their words.
func leaves(parent string, cmds []*cli.Command) map[string]*cli.Command {
	out := map[string]*cli.Command{}
	for _, c := range cmds {
		if actsItself(c) {
			out[parent+c.Name] = c
		}
		for name, sub := range leaves(parent+c.Name+" ", c.Subcommands) {
			out[name] = sub
		}
	}
	return out
}
