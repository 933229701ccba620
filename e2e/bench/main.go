// Command bench measures flotilla and prints one table: what, figure, aim, the same
// figure of another system where one was measured, and how to measure it again.
//
//	bench                      everything, in under ten minutes, as root
//	bench -only starts,idle    some sections: starts idle kill plan churn list hosts reboots
//
// The sections starts, idle and kill run real agents and leaders on simulated hosts (a fake
// systemd each) in this process, in real time. plan lets a leader place units on hosts without agents, and
// churn asks a real API for changes; both have etcd on disk. The section list asks a
// large cluster in memory, hosts and reboots boot real ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// section is a part of the bench that can run alone.
type section struct {
	name string
	run  func(context.Context, *bench) error
}

var sections = [...]section{{"starts", starts}, {"idle", idle}, {"kill", kills}, {"plan", planning}, {"churn", churn}, {"list", list}, {"hosts", realHosts}, {"reboots", reboots}}

// bench is one run.
type bench struct {
	log   io.Writer // what hosts and tools say
	table table
	now   string // the section that runs
}

func main() {
	only := flag.String("only", "", "comma-separated sections: starts, idle, kill, plan, churn, list, hosts, reboots")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	wanted := strings.FieldsFunc(only, func(r rune) bool { return r == ',' })
	for _, w := range wanted {
		if !slices.ContainsFunc(sections[:], func(s section) bool { return s.name == w }) {
			return fmt.Errorf("-only %s: sections are starts, idle, kill, plan, churn, list, hosts and reboots", w)
		}
	}
	log, err := openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	b := &bench{log: log}
	began, before := time.Now(), load()
	for _, s := range sections {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) {
			continue
		}
		b.now = s.name
		fmt.Fprintf(os.Stderr, "== %s\n", s.name)
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w (noise is in %s)", s.name, err, log.Name())
		}
	}
	fmt.Printf("%s, %s\n\n", time.Now().Format(time.DateOnly), machine())
	b.table.print(os.Stdout)
	fmt.Printf("\nTook %s. Load of the machine: %s before, %s after; a figure in brackets is the span of its runs.\n", time.Since(began).Round(time.Second), before, load())
	return nil
}

// openLog is where noise goes: the file that make names, or one of ours.
func openLog() (*os.File, error) {
	path := os.Getenv("FLOTILLA_LOG")
	if path == "" {
		path = filepath.Join(os.TempDir(), "flotilla-bench.log")
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
}

// machine says what this was measured on.
func machine() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-")
	memory, err := os.ReadFile("/proc/meminfo")
	var kib int
	if err == nil {
		_, err = fmt.Sscanf(string(memory), "MemTotal: %d kB", &kib)
	}
	if err != nil {
		kib = 0
	}
	return fmt.Sprintf("%d cores, %d GB, Linux %s", cores(), (kib+1<<19)>>20, version)
}

// cores counts the machine's processors, whatever this process may use.
func cores() int {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return 0
	}
	return strings.Count("\n"+string(info), "\nprocessor")
}

// load is the machine's load of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
