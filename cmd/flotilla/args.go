package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// intersperse moves flags before arguments, so that "start web.service --no-wait" works
// as "start --no-wait web.service" does. Everything after "--" stays where it is.
func intersperse(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	head := []string{args[0]}
	rest := args[1:]
	flags := app.Flags
	cmds := app.Commands
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		c := find(cmds, rest[0])
		if c == nil {
			break
		}
		head, rest = append(head, rest[0]), rest[1:]
		flags, cmds = c.Flags, c.Subcommands
	}
	var moved, plain []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		switch {
		case a == "--":
			plain = append(plain, rest[i:]...)
			i = len(rest)
		case len(a) < 2 || a[0] != '-':
			plain = append(plain, a)
		default:
			moved = append(moved, a)
			if takesValue(flags, a) && i+1 < len(rest) {
				i++
				moved = append(moved, rest[i])
			}
		}
	}
	return append(append(head, moved...), plain...)
}

func find(cmds []*cli.Command, name string) *cli.Command {
	for _, c := range cmds {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// takesValue says whether the flag as written swallows the next word.
func takesValue(flags []cli.Flag, word string) bool {
	name := strings.TrimLeft(word, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}
