package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// completeWithin bounds how long a shell waits for unit names.
const completeWithin = time.Second

// completeUnits prints what can follow a command that takes units: its flags after a dash,
// else the units of the cluster. Without a daemon it prints nothing.
func completeUnits(c *cli.Context) {
	if n := len(os.Args); n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
		cli.DefaultCompleteWithFlags(c.Command)(c)
		return
	}
	cl, err := client(c)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.Context, completeWithin)
	defer cancel()
	// A shell has no place for errors: it shows files then.
	_ = cl.Units(ctx, nil, func(u api.Unit) error {
		_, err := fmt.Fprintln(c.App.Writer, u.Name)
		return err
	})
}
