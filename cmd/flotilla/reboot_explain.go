package main

import (
	"github.com/urfave/cli/v2"
)

// rebootExplain says of hosts why they are as they are, as explain does, and takes nothing else for one.
func rebootExplain(c *cli.Context) error {
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	if !c.Args().Present() {
		return usagef("reboot explain needs a host: flotilla reboot explain h1")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	return eachThing(c, cl, func(thing string) error {
		h, err := cl.Host(c.Context, thing)
		if err != nil {
			return err
		}
		return explainThing(c, cl, h.ID)
	})
}
