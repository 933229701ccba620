package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", ArgsUsage: "[HOST]", Category: groupLook, Usage: "what a person should mend, each with the command that mends it", Action: doctor,
		Flags: append(endpointFlags(), &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"}),
	}
}

// doctor ends with 1 when there is something to mend.
func doctor(c *cli.Context) error {
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	found := []api.Ailment{}
	if err := cl.Doctor(c.Context, c.Args().First(), func(a api.Ailment) error { found = append(found, a); return nil }); err != nil {
		return err
	}
	done, err := printThing(c, found)
	if err != nil {
		return err
	}
	for _, a := range found {
		if !done {
			fmt.Fprintf(c.App.Writer, "%s: %s: %s\n", plain(a.Thing), plain(a.Text), plain(a.Mend))
		}
	}
	if len(found) > 0 {
		return exitCode(1)
	}
	if !done {
		fmt.Fprintln(c.App.Writer, "nothing to mend")
	}
	return nil
}
