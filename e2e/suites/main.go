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
	"sync"
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
	beside bool     // runs beside the suite before it
}

// second and third are the scenarios that run beside the others, each about a third of the time of all: most
// of it all three wait for leases to end.
const (
	second = "^Test(AgentKilled|Apply|Debian12|DuplicateHost|EtcdAway|Fence|Fleet$|ForeignEtcd|Ignition|LeaderFrozen|StoreWiped|Systemd)"
	third  = "^Test(Drain|FleetLock|Handover|Reboot|RollingReboot|SoftReboot)"
)

// oneProcessor keeps the race detector from crashing: in a bubble of testing/synctest
// two processors may run timers under one race context at the same time
// (https://go.dev/issue/78156). It needs no second processor to find a race.
const oneProcessor = "-cpu=1"

// testBudget is what CI's suites should take together. Each suite's own budget is twice
// or three times what it takes on a quiet machine; their sum is no aim.
const testBudget = 15 * time.Minute

// suites are all there are. They come one after another but for those that say beside.
func suites() []suite {
	hostLabs := []string{"hosts-test", "hosts-crash", "hosts-old"}
	labs := []string{"e2e", "commands", "storm", "templates"}
	secondLabs := []string{"e2e-second", "contract", "debian12", "ignition", "wipe", "external"}
	thirdLabs := []string{"e2e-third", "overdue", "fleetlock"}
	return []suite{
		{name: "unit, -race", in: []string{"test"}, tests: []string{"-race", oneProcessor, "-shuffle=on", "-skip=Mutations$", "./..."}, env: []string{"SIM_SEEDS=3", "SIM_REBOOTS=2", "CGO_ENABLED=1"}, budget: 12 * time.Minute},
		{name: "simulator, 200 seeds", in: []string{"test"}, tests: []string{"-count=1", "./sim"}, env: []string{"SIM_SEEDS=200", "SIM_REBOOTS=70", "CGO_ENABLED=0"}, budget: 9 * time.Minute},
		{name: "Butane files", in: []string{"test"}, dir: "install/butane", tests: []string{"-count=1", "./..."}, budget: 2 * time.Minute},
		{name: "hosts", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "./e2e/hosts"}, budget: 4 * time.Minute, labs: hostLabs},
		{name: "scenarios", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "-timeout=30m", "-skip=" + second + "|" + third, "./e2e"}, budget: 25 * time.Minute, labs: labs},
		{name: "scenarios, the others", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "-timeout=30m", "-run=" + second, "./e2e"}, env: []string{"FLOTILLA_E2E_LAB=e2e-second"}, budget: 25 * time.Minute, labs: secondLabs, beside: true},
		{name: "scenarios of reboots", in: []string{"test", "e2e"}, tests: []string{"-tags=e2e", "-count=1", "-timeout=30m", "-run=" + third, "./e2e"}, env: []string{"FLOTILLA_E2E_LAB=e2e-third"}, budget: 25 * time.Minute, labs: thirdLabs, beside: true},
		{name: "simulator, 1000 seeds", in: []string{"long"}, tests: []string{"-count=1", "-timeout=15m", "./sim"}, env: []string{"SIM_SEEDS=1000", "CGO_ENABLED=0"}, budget: 15 * time.Minute},
		{name: "simulator, 1000 seeds of reboots", in: []string{"long"}, tests: []string{"-count=1", "-timeout=20m", "-run=^TestRebootSeeds$", "./sim"}, env: []string{"SIM_REBOOTS=1000", "CGO_ENABLED=0"}, budget: 20 * time.Minute},
		{name: "scenarios, three times", in: []string{"long"}, tests: []string{"-tags=e2e", "-count=3", "-timeout=60m", "-skip=" + second + "|" + third, "./e2e"}, budget: 45 * time.Minute, labs: labs},
		{name: "the others, three times", in: []string{"long"}, tests: []string{"-tags=e2e", "-count=3", "-timeout=60m", "-run=" + second, "./e2e"}, env: []string{"FLOTILLA_E2E_LAB=e2e-second"}, budget: 45 * time.Minute, labs: secondLabs, beside: true},
		{name: "those of reboots, three times", in: []string{"long"}, tests: []string{"-tags=e2e", "-count=3", "-timeout=60m", "-run=" + third, "./e2e"}, env: []string{"FLOTILLA_E2E_LAB=e2e-third"}, budget: 45 * time.Minute, labs: thirdLabs, beside: true},
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
	results := runAll(ctx, os.Args[1])
	took := time.Since(began)
	ok := table(os.Stdout, results, took)
	if os.Args[1] == "test" && took > testBudget {
		fmt.Printf("slow: %s, %s is the budget of a quiet machine with 2 cores\n", took.Round(time.Second), testBudget)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "suites: interrupted: "+strings.Join(os.Args[1:], " ")+" is not complete")
		ok = false
	}
	if !ok {
		os.Exit(1)
	}
}

// runAll runs the suites of a group; what one says beside another is told apart by its name.
func runAll(ctx context.Context, group string) []result {
	var chosen []suite
	for _, s := range suites() {
		if slices.Contains(s.in, group) {
			chosen = append(chosen, s)
		}
	}
	results := make([]result, 0, len(chosen))
	for len(chosen) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(chosen) && chosen[n].beside {
			n++
		}
		together := make([]result, n)
		var wg sync.WaitGroup
		for i, s := range chosen[:n] {
			fmt.Printf("== %s\n", s.name)
			wg.Go(func() { together[i] = s.do(ctx) })
		}
		wg.Wait()
		results, chosen = append(results, together...), chosen[n:]
	}
	return results
}
