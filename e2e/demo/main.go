// Command demo shows flotilla on three real hosts that it boots on this machine:
//
//	demo up LOG   boots, joins, deploys, kills a host, and leaves the cluster up
//	demo down     removes everything but the host image
//
// It drives the hosts as a user would: the binary is copied there, init and join are
// typed there, and all else goes through bin/flotilla.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"flotilla/e2e/hosts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "up":
		log, err := os.OpenFile(args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		return up(ctx, log)
	case len(args) == 1 && args[0] == "down":
		return hosts.Remove(ctx, hosts.Options{Name: labName})
	}
	return fmt.Errorf("usage: demo up LOG | demo down")
}

// labName is the demo's lab; there is one on a machine.
const labName = "demo"

// steps prints what was done, with the seconds it took.
type steps struct{ began time.Time }

func (s *steps) done(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
	s.began = time.Now()
}

// up is the demo, from the host image to what to type next.
func up(ctx context.Context, log io.Writer) error {
	s := &steps{began: time.Now()}
	if _, err := hosts.Image(ctx, "", log); err != nil {
		return err
	}
	s.done("host image is there (kept for next time)")

	d := &demo{log: log, steps: s}
	defer d.leave()
	for _, step := range []func(context.Context) error{d.boot, d.form, d.deploy, d.kill, d.back} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("%w (see the log; make demo-down removes the hosts)", err)
		}
	}
	d.next()
	return nil
}
