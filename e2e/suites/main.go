// Command suites runs the project's test suites one after another, each within its
// budget, prints the failures as they come and a table at the end: tests, skipped
// ones with their reasons, seconds. It exits 1 when anything failed.
//
//	suites test    what CI runs
//	suites long    what does not fit into CI
//	suites e2e     the suites on real hosts alone
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// suite is one program that prints test events.
type suite struct {
	name   string
	in     []string // test, long, e2e
	dir    string   // where to run; empty is the module's root
	tests  []string // what to give to go test, or
	run    []string // a command that either succeeds or fails
	env    []string
	budget time.Duration
	labs   []string // what to remove when it was ended in the middle
}

// suites are all there are. Those on hosts come one after another: they share two cores.
func suites() []suite {
	hostLabs := []string{"hosts-test", "hosts-crash", "hosts-old"}
	labs := []string{"e2e", "commands", "contract", "debian12", "ignition"}
	return []suite{
		{name: "unit, -race", in: []string{"test"}, tests: []string{"-race", "-shuffle=on", "-skip=^TestMutations$", "./..."}, env: []string{"SIM_SEEDS=3", "CGO_ENABLED=1"}, budget: 6 * time.Minute},
		{name: "simulator, 200 seeds", in: []string{"test"}, tests: []string{"-count=1", "./sim"}, env: []string{"SIM_SEEDS=200", "CGO_ENABLED=0"}, budget: 5 * time.Minute},
		{name: "Butane files", in: []string{"test"}, dir: "install/butane", tests: []string{"-count=1", "./..."}, budget: 2 * time.Minute},
		{name: "hosts", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "./e2e/hosts"}, budget: 4 * time.Minute, labs: hostLabs},
		{name: "scenarios", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "-timeout=20m", "./e2e"}, budget: 12 * time.Minute, labs: labs},
		{name: "simulator, 1000 seeds", in: []string{"long"}, tests: []string{"-count=1", "-timeout=15m", "./sim"}, env: []string{"SIM_SEEDS=1000", "CGO_ENABLED=0"}, budget: 15 * time.Minute},
		{name: "scenarios, three times", in: []string{"long"}, tests: []string{"-tags=e2e", "-count=3", "-timeout=60m", "./e2e"}, budget: 45 * time.Minute, labs: labs},
		{name: "fuzz unit files", in: []string{"long"}, tests: []string{"-run=^$", "-fuzz=^FuzzParse$", "-fuzztime=2m", "./units"}, budget: 5 * time.Minute},
		{name: "fuzz patterns", in: []string{"long"}, tests: []string{"-run=^$", "-fuzz=^FuzzExpand$", "-fuzztime=1m", "./units"}, budget: 5 * time.Minute},
		{name: "make demo on a clean machine", in: []string{"long"}, run: []string{"e2e/hosts/nested.sh", "make", "demo"}, budget: 20 * time.Minute},
	}
}

func main() {
	if len(os.Args) != 2 || !slices.Contains([]string{"test", "long", "e2e"}, os.Args[1]) {
		fmt.Fprintln(os.Stderr, "usage: suites test|long|e2e")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	var results []result
	for _, s := range suites() {
		if slices.Contains(s.in, os.Args[1]) && ctx.Err() == nil {
			fmt.Printf("== %s\n", s.name)
			results = append(results, s.do(ctx))
		}
	}
	ok := table(os.Stdout, results, time.Since(began))
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "suites: interrupted: "+strings.Join(os.Args[1:], " ")+" is not complete")
		ok = false
	}
	if !ok {
		os.Exit(1)
	}
}
