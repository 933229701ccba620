// Command suites runs the project's test suites one after another, each within its
// budget, prints the failures as they come and a table at the end: tests, skipped
// ones with their reasons, seconds. It exits 1 when anything failed.
//
//	suites test    what CI runs
//	suites long    what does not fit into CI
//	suites e2e     the suites on real hosts alone
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// suite is one call of go test.
type suite struct {
	name   string
	in     []string // test, long, e2e
	args   []string
	env    []string
	budget time.Duration
}

// suites are all there are. Those on hosts come one after another: they share two cores.
var suites = []suite{
	{name: "unit", in: []string{"test"}, args: []string{"-race", "-shuffle=on", "./..."}, budget: 8 * time.Minute},
	{name: "simulator, 200 seeds", in: []string{"test"}, args: []string{"-run=Seeds", "./sim"}, env: []string{"SIM_SEEDS=200"}, budget: 3 * time.Minute},
	{name: "simulator, 1000 seeds", in: []string{"long"}, args: []string{"-run=Seeds", "./sim"}, env: []string{"SIM_SEEDS=1000"}, budget: 15 * time.Minute},
	{name: "systemd door", in: []string{"test", "e2e"}, args: []string{"-tags=e2e", "-count=1", "./agent/systemd"}, budget: 3 * time.Minute},
	{name: "hosts", in: []string{"test", "e2e"}, args: []string{"-tags=e2e", "-count=1", "./e2e/hosts"}, budget: 4 * time.Minute},
	{name: "scenarios", in: []string{"test", "e2e"}, args: []string{"-tags=e2e", "-count=1", "-timeout=20m", "./e2e"}, budget: 12 * time.Minute},
	{name: "scenarios, three times", in: []string{"long"}, args: []string{"-tags=e2e", "-count=3", "-timeout=60m", "./e2e"}, budget: 45 * time.Minute},
	{name: "nested Debian 13", in: []string{"long"}, args: []string{"-tags=e2e,nested", "-count=1", "-timeout=40m", "-run=Nested", "./e2e"}, budget: 40 * time.Minute},
}

// result is what became of a suite.
type result struct {
	suite
	tests, failed int
	skipped       []string
	took          time.Duration
	err           error
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: suites test|long|e2e")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var results []result
	for _, s := range suites {
		if chosen(s, os.Args[1]) && ctx.Err() == nil {
			fmt.Printf("== %s\n", s.name)
			results = append(results, s.run(ctx))
		}
	}
	if !table(os.Stdout, results) || ctx.Err() != nil {
		os.Exit(1)
	}
}

func chosen(s suite, group string) bool {
	for _, in := range s.in {
		if in == group {
			return true
		}
	}
	return false
}

// run runs the suite; over its budget it is ended.
func (s suite) run(ctx context.Context) result {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, s.args...)...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Stderr = os.Stderr
	r := result{suite: s}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		r.read(out)
		err = cmd.Wait()
	}
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("over its budget of %s", s.budget)
	}
	r.took, r.err = time.Since(began), err
	return r
}

// event is a line of go test -json (test2json(1)).
type event struct {
	Action, Package, Test, Output string
}

// read counts tests and shows the output of those that failed.
func (r *result) read(out io.Reader) {
	said := map[string][]string{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			said[key] = append(said[key], e.Output)
			if e.Action == "build-output" {
				fmt.Print(e.Output)
			}
		case "pass":
			if e.Test != "" {
				r.tests++
			}
			delete(said, key)
		case "skip":
			if e.Test != "" {
				r.tests++
				r.skipped = append(r.skipped, e.Test+": "+reason(said[key]))
			}
			delete(said, key)
		case "fail":
			if e.Test != "" {
				r.tests++
				r.failed++
			}
			fmt.Printf("FAIL %s\n%s", key, strings.Join(said[key], ""))
		}
	}
}

// reason is what a skipped test said.
func reason(said []string) string {
	for _, line := range said {
		if text := strings.TrimSpace(line); !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") && text != "" {
			return text
		}
	}
	return "no reason given"
}

// table prints one row a suite and says whether all is well.
func table(out io.Writer, results []result) bool {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\nSUITE\tTESTS\tFAILED\tSKIPPED\tSECONDS\tBUDGET\n")
	passed, failed, skipped := 0, 0, 0
	ok := len(results) > 0
	var notes []string
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.0f\n", r.name, r.tests, r.failed, len(r.skipped), r.took.Seconds(), r.budget.Seconds())
		if r.err != nil {
			ok = false
			notes = append(notes, fmt.Sprintf("%s: %v", r.name, r.err))
		}
		for _, s := range r.skipped {
			notes = append(notes, "skipped "+s)
		}
		passed, failed, skipped = passed+r.tests-r.failed-len(r.skipped), failed+r.failed, skipped+len(r.skipped)
	}
	_ = w.Flush() // stdout
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return ok && failed == 0
}
