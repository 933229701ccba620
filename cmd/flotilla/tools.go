package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

func toolCommands() []*cli.Command {
	return []*cli.Command{
		helpCommand(),
		{Name: "version", Category: groupTools, Usage: "this program's version, and the daemon's", Action: printVersion, Flags: append(endpointFlags(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"})},
		{Name: "completion", ArgsUsage: "bash|zsh|fish", Category: groupTools, Usage: "print a completion script", Action: completion},
	}
}

// printVersion asks the daemon too, and says so when none answers.
func printVersion(c *cli.Context) error {
	out := struct {
		Client string `json:"client"`
		Daemon string `json:"daemon,omitempty"`
	}{Client: version}
	cl, err := client(c)
	if err != nil {
		return err
	}
	v, err := cl.Version(c.Context)
	if err != nil && !errors.Is(err, api.ErrUnreachable) {
		return err
	}
	out.Daemon = v.Version
	if done, err := printThing(c, out); done {
		return err
	}
	fmt.Fprintf(c.App.Writer, "flotilla %s", out.Client)
	switch {
	case out.Daemon == "":
		fmt.Fprint(c.App.Writer, ", no daemon here")
	case out.Daemon != out.Client:
		fmt.Fprintf(c.App.Writer, ", daemon %s", out.Daemon)
	}
	fmt.Fprintln(c.App.Writer)
	return nil
}

// completion prints a script that asks the program itself what can follow.
func completion(c *cli.Context) error {
	script, ok := map[string]string{"bash": bashCompletion, "zsh": zshCompletion}[c.Args().First()]
	if c.Args().First() == "fish" {
		text, err := c.App.ToFishCompletion()
		if err != nil {
			return fmt.Errorf("write fish completion: %w", err)
		}
		script, ok = text, true
	}
	if !ok {
		return usagef("completion needs bash, zsh or fish: source <(flotilla completion bash)")
	}
	fmt.Fprintln(c.App.Writer, strings.TrimSpace(script))
	return nil
}

const bashCompletion = `
_flotilla() {
  local words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
  [[ ${COMP_WORDS[COMP_CWORD]} == -* ]] && words+=(-) # asks for flags
  mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _flotilla flotilla
`

const zshCompletion = `
#compdef flotilla
_flotilla() {
  local -a found
  found=("${(@f)$("${words[@]:0:$#words-1}" --generate-bash-completion 2>/dev/null)}")
  compadd -a found
  _files
}
compdef _flotilla flotilla
`
