package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"flotilla/agent/systemd"
)

// TestDevLeft: when dev ends it names what runs on, and how to end that.
func TestDevLeft(t *testing.T) {
	b := newBench(t, true)
	var said bytes.Buffer
	c := cli.NewContext(newApp(b.host, &said, &said), flag.NewFlagSet("dev", 0), nil)
	want := func(runs []string, line string) {
		t.Helper()
		b.systemctl = func(ctx context.Context, args ...string) error {
			if ctx.Err() != nil || !slices.Contains(runs, args[len(args)-1]) {
				return errors.New("not active")
			}
			return nil
		}
		said.Reset()
		if err := b.devLeft(c, "/data"); err != nil || said.String() != line {
			t.Errorf("of %q running dev says %v, %q, want %q", runs, err, said.String(), line)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as Ctrl-C does
	c.Context = ctx
	want(nil, "flotilla ended, no unit of it runs; its data stays in /data\n")
	dir := systemd.NewDir(b.host.systemd(), nil)
	for _, unit := range []string{"api.service", "once.service", "web@1.service"} {
		if err := errors.Join(dir.WriteDropIn(unit, systemd.DropIn, nil), dir.Write(unit, []byte("[Service]\nExecStart=/bin/true\n"))); err != nil {
			t.Fatal(err)
		}
	}
	want(nil, "flotilla ended, no unit of it runs; its data stays in /data\n")
	want([]string{"api.service", "web@1.service"}, strings.Join([]string{
		"flotilla ended, what it started runs on: api.service, web@1.service", "to end it:", "  systemctl stop api.service web@1.service",
		"the next flotilla dev takes it up or starts it again; without /data it knows of nothing", "",
	}, "\n"))
}
