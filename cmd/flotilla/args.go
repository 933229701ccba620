package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// intersperse moves flags before arguments, so that "start web.service --no-wait" works
// as "start --no-wait web.service" does, and makes the help command of --help and -h.
// Everything after "--" stays where it is.
func intersperse(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	head := []string{args[0]}
	rest := args[1:]
	flags := app.Flags
	cmds := app.Commands
	var last []string // the marker of completion stays last
	if n := len(rest) - 1; n >= 0 && rest[n] == completionFlag {
		rest, last = rest[:n], rest[n:]
	}
	var moved, plain []string
	for len(rest) > 1 && takesValue(endpointFlags(), rest[0]) { // before the command, as fleet had them
		moved, rest = append(moved, rest[:2]...), rest[2:]
	}
	for len(rest) > 0 && isEndpointFlag(rest[0]) {
		moved, rest = append(moved, rest[0]), rest[1:]
	}
	acts := false
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		c := find(cmds, rest[0])
		if c == nil {
			break
		}
		acts = actsItself(c)
		head, rest = append(head, rest[0]), rest[1:]
		flags, cmds = c.Flags, c.Subcommands
	}
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		switch {
		case a == "--":
			plain = append(plain, rest[i:]...)
			i = len(rest)
		case len(a) < 2 || a[0] != '-':
			plain = append(plain, a)
		case isHelp(a):
			if acts {
				plain = nil // these are arguments of the command, not words of it
			}
			return slices.Concat(args[:1], []string{"help"}, head[1:], plain)
		default:
			moved = append(moved, a)
			if takesValue(flags, a) && i+1 < len(rest) {
				i++
				moved = append(moved, rest[i])
			}
		}
	}
	return slices.Concat(head, moved, plain, last)
}

func isHelp(word string) bool { return word == "--help" || word == "-help" || word == "-h" }

// completionFlag asks what can follow; see completion.
const completionFlag = "--generate-bash-completion"

// isEndpointFlag knows the form --endpoint=….
func isEndpointFlag(word string) bool {
	name, _, ok := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return ok && strings.HasPrefix(word, "-") && takesValue(endpointFlags(), "--"+name)
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

// refuseEmpty refuses words that say nothing: they come of a shell variable that is not set,
// and must not be taken for "all" or for a name.
func refuseEmpty(args []string) error {
	flags := true
	for i, word := range args {
		flags = flags && word != "--"
		flag, value, ok := strings.Cut(word, "=")
		switch {
		case strings.TrimSpace(word) == "" && i > 0:
			return usagef("word %d of the command line is empty: is a variable of the shell not set?", i)
		case flags && ok && strings.HasPrefix(flag, "-") && strings.TrimSpace(value) == "":
			return usagef("%s has an empty value: is a variable of the shell not set?", flag)
		}
	}
	return nil
}

// refuseStray refuses arguments that a command has no use for. How many it takes is what its
// ArgsUsage shows.
func refuseStray(c *cli.Context, path string, cmd *cli.Command) error {
	if strings.Contains(cmd.ArgsUsage, "...") || len(cmd.Subcommands) > 0 {
		return nil
	}
	most := len(strings.Fields(cmd.ArgsUsage))
	if c.NArg() <= most {
		return nil
	}
	what := "no arguments"
	if most > 0 {
		what = cmd.ArgsUsage + " and nothing after it"
	}
	return usagef("%s takes %s, got %q: %s", path, what, c.Args().Get(most), cmp.Or(strayHint(path, c.Args().Get(most)), "see flotilla help "+path))
}

// strayHint tells who gave a command an argument too many what was probably meant.
func strayHint(path, word string) string {
	switch path {
	case "reboot freeze", "reboot thaw":
		return "write --host " + word
	case "init":
		return "flotilla join ADDRESS joins a cluster"
	case "leave":
		return "it is typed on the host that leaves"
	case "list-machines":
		return "flotilla status HOST shows one"
	case "window set":
		return "write the calendar in quotes: 'Sat *-*-* 02:00'"
	}
	return ""
}
