package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"flotilla/e2e/hosts"
)

// result is what became of a suite.
type result struct {
	suite
	tests, failed int
	skipped       []string
	took          time.Duration
	err           error
}

// do runs the suite; over its budget it is ended.
func (s suite) do(ctx context.Context) result {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	began := time.Now()
	args := s.run
	if len(args) == 0 {
		args = append([]string{"go", "test", "-json"}, s.tests...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.env...)
	// A group of its own, so that the end of a suite is the end of all it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = os.Stderr
	r := result{suite: s}
	if len(s.run) > 0 {
		cmd.Stdout = os.Stdout
		r.tests = 1
		r.err = cmd.Run()
		if r.err != nil {
			r.failed = 1
		}
	} else {
		r.err = r.follow(cmd)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.err = fmt.Errorf("over its budget of %s", s.budget)
	}
	if ctx.Err() != nil {
		r.err = errors.Join(r.err, s.remove())
	}
	r.took = time.Since(began)
	return r
}

// remove takes the labs away that the suite may have left.
func (s suite) remove() error {
	var failed error
	for _, lab := range s.labs {
		failed = errors.Join(failed, hosts.Remove(context.Background(), hosts.Options{Name: lab}))
	}
	return failed
}

// follow runs go test and reads its events.
func (r *result) follow(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.read(out)
	return cmd.Wait()
}

// event is a line of go test -json (test2json(1)).
type event struct {
	Action, Package, Test, Output string
}

// read counts tests and shows the output of those that failed.
func (r *result) read(out io.Reader) {
	said := map[string][]string{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Print(string(line))
		default:
			r.take(e, said)
		}
		if err != nil {
			return
		}
	}
}

// take counts one event; said keeps what the tests under way have printed.
func (r *result) take(e event, said map[string][]string) {
	key := e.Package + " " + e.Test
	if e.Test != "" && (e.Action == "pass" || e.Action == "skip" || e.Action == "fail") {
		r.tests++
	}
	switch e.Action {
	case "output":
		said[key] = append(said[key], e.Output)
	case "build-output":
		fmt.Print(e.Output)
	case "pass":
		delete(said, key)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, e.Test+": "+reason(said[key]))
		}
		delete(said, key)
	case "fail":
		if e.Test != "" {
			r.failed++
		}
		fmt.Printf("FAIL %s\n%s", key, strings.Join(said[key], ""))
		delete(said, key)
		if e.Test == "" {
			r.unfinished(e.Package, said)
		}
	}
}

// unfinished shows what the tests of a failed package had printed that never ended: one
// of them crashed the test binary. Each counts as failed.
func (r *result) unfinished(pkg string, said map[string][]string) {
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if !strings.HasPrefix(key, pkg+" ") {
			continue
		}
		r.tests++
		r.failed++
		fmt.Printf("FAIL %s did not end\n%s", key, strings.Join(said[key], ""))
		delete(said, key)
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
