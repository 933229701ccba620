// Command demo shows flotilla on three real hosts that it boots on this machine:
//
//	demo up LAB LOG   boots, joins, runs examples/, changes one, kills a host, reboots all, and leaves the cluster up
//	demo down LAB     removes everything but the host image
//
// It drives the hosts as a user would: the binary is copied there, init and join are
// typed there, and all else goes through bin/flotilla.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"flotilla/e2e/hosts"
)

// interrupted is the exit code of a program that a person ended with Ctrl-C.
const interrupted = 130

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case ctx.Err() != nil, byCtrlC(err):
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; make demo starts it anew, make demo-down removes what there is")
		os.Exit(interrupted)
	default:
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		os.Exit(1)
	}
}

// byCtrlC says whether a command was ended by Ctrl-C, which it may hear of before this program does.
func byCtrlC(err error) bool {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return false
	}
	status, ok := ended.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "up":
		return up(ctx, args[1], args[2])
	case len(args) == 2 && args[0] == "down":
		return hosts.Remove(ctx, hosts.Options{Name: args[1]})
	}
	return errors.New("usage: demo up LAB LOG | demo down LAB")
}

// steps prints what was done, with the seconds it took.
type steps struct{ began time.Time }

func (s *steps) done(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
	s.began = time.Now()
}

// up is the demo, from the host image to what to type next.
func up(ctx context.Context, lab, logFile string) error {
	log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	d := &demo{lab: lab, log: log, steps: &steps{began: time.Now()}}
	defer d.leave()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"host image", d.image},
		{"hosts", d.boot},
		{"cluster", d.form},
		{"unit files", d.raw},
		{"family", d.family},
		{"compose", d.compose},
		{"change", d.change},
		{"kill", d.kill},
		{"return", d.back},
		{"reboot", d.roll},
	} {
		if err := step.do(ctx); err != nil {
			fmt.Fprintf(log, "%s: %v\n", step.name, err)
			return fmt.Errorf("%s: %w (log: %s; make demo-down removes the hosts)", step.name, err, logFile)
		}
	}
	d.next()
	return nil
}
