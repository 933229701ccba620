// Command flotilla makes one machine of many systemd hosts.
//
// Results go to stdout, talk to stderr. Exit codes: 0 done, 1 refused or failed, 2
// wrong usage. Errors are one line, "flotilla: error: …", and name the remedy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // for hosts without a time zone database: windows open at the same time whoever leads

	"github.com/urfave/cli/v2"

	"flotilla/units"
)

// version is set at build time (-ldflags "-X main.version=…").
var version = "0.1.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runOn(ctx, thisHost(), args, stdout, stderr)
}

// runOn runs a command line on a host.
func runOn(ctx context.Context, h host, args []string, stdout, stderr io.Writer) int {
	app := newApp(h, stdout, stderr)
	err := refuseEmpty(args)
	if err == nil {
		err = app.RunContext(ctx, intersperse(app, args))
	}
	if err == nil {
		return 0
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "flotilla: error: %s\n", oneLine(usage.Error()))
		return 2
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	sayErrors(stderr, err)
	return 1
}

// sayErrors prints an error, each of its lines as one of ours.
func sayErrors(stderr io.Writer, err error) {
	for _, line := range strings.Split(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintf(stderr, "flotilla: error: %s\n", line)
	}
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// usageError is a wrong command line: exit code 2.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exitCode ends the program after everything was said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func newApp(h host, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "flotilla",
		Usage:     "one machine of many systemd hosts",
		Writer:    stdout,
		ErrWriter: stderr,
		Version:   version,

		HideHelp:                  true, // intersperse makes the help command of --help
		EnableBashCompletion:      true,
		UseShortOptionHandling:    false,
		DisableSliceFlagSeparator: true, // the value of a label may hold a comma
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsage("all"),
	}
	app.Commands = commands(h)
	app.BashComplete = cli.DefaultAppComplete
	for _, c := range app.Commands {
		prepare(c, "")
	}
	app.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return unknownCommand(app, c.Args().First())
		}
		return printTen(app)
	}
	return app
}

// prepare gives every command the same manners: errors that name its help, and no more
// arguments than it has a use for. parent are the words before it, with a blank after each.
func prepare(c *cli.Command, parent string) {
	path := parent + c.Name
	c.HideHelp = true
	c.OnUsageError = onUsage(path, c.Flags...)
	for _, sub := range c.Subcommands {
		prepare(sub, path+" ")
	}
	act := c.Action
	if len(c.Subcommands) > 0 && !actsItself(c) {
		act = func(cc *cli.Context) error {
			if cc.Args().Present() {
				return usagef("%s has no command %q: see flotilla help %s", path, cc.Args().First(), path)
			}
			return printHelp(cc.App, path, c)
		}
	}
	c.Action = func(cc *cli.Context) error {
		if err := refuseStray(cc, path, c); err != nil {
			return err
		}
		return act(cc)
	}
}

// actsItself says that a command does something of its own, with or without commands below it.
func actsItself(c *cli.Command) bool { return len(c.Subcommands) == 0 || c.ArgsUsage != "" }

func onUsage(path string, flags ...cli.Flag) cli.OnUsageErrorFunc {
	return func(_ *cli.Context, err error, _ bool) error {
		if flag, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
			return unknownFlag(path, flag, flags)
		}
		return usagef("%v: see flotilla help %s", err, path)
	}
}

// unknownFlag names the flag as it is typed, and the one that was most likely meant.
func unknownFlag(path, flag string, flags []cli.Flag) error {
	var known []string
	for _, f := range flags {
		known = append(known, f.Names()...)
	}
	remedy := "see flotilla help " + path
	if near := units.Suggest(flag, known); near != "" {
		remedy = "did you mean " + dashes(near) + "?"
	}
	return usagef("unknown flag %s: %s", dashes(flag), remedy)
}

// dashes is a flag's name as it is typed.
func dashes(flag string) string {
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// commands are all commands, by group; helpGroups orders them.
func commands(h host) []*cli.Command {
	var all []*cli.Command
	for _, group := range [][]*cli.Command{clusterCommands(h), unitCommands(), lookCommands(), hostCommands(), daemonCommands(h), toolCommands()} {
		all = append(all, group...)
	}
	return all
}
