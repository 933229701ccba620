//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	command "os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flotilla/e2e/hosts"
)

// demoLab is the lab in which these tests run the demo; a person's own stays as it is.
const demoLab = "commands"

// checkout is a copy of this repository without anything built: what a clone gives.
type checkout struct {
	dir string
	env []string
}

func mustCheckout(t *testing.T) *checkout {
	t.Helper()
	dir := t.TempDir()
	copied := command.Command("sh", "-c", "tar -C .. --exclude=./.git --exclude=./bin --exclude=./.flotilla -c . | tar -C "+dir+" -x")
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copy the repository: %v: %s", err, out)
	}
	// A make that runs this test would have the makes below it speak of their folders.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "MAKEFLAGS" || name == "MAKELEVEL" || name == "MFLAGS"
	})
	return &checkout{dir: dir, env: append(env, "FLOTILLA_DEMO="+demoLab, "FLOTILLA_ENDPOINT=")}
}

// command prepares a command typed in the checkout, in a process group of its own.
func (c *checkout) command(ctx context.Context, args ...string) *command.Cmd {
	cmd := command.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs a command in the checkout.
func (c *checkout) run(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := c.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestCommands types the commands of the README as somebody does who tries things out:
// ends the demo in the middle, starts it again, lets the machine crash, removes it twice.
func TestCommands(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	c := mustCheckout(t)
	o := hosts.Options{Name: demoLab}
	t.Cleanup(func() {
		if err := hosts.Remove(context.Background(), o); err != nil {
			t.Error(err)
		}
	})
	t.Run("prerequisites", func(t *testing.T) { c.prerequisites(t, ctx) })
	for _, after := range []string{"packages:", "host image:", "one cluster:"} {
		t.Run("Ctrl-C after "+after, func(t *testing.T) { c.interrupt(t, ctx, after) })
	}
	t.Run("after Ctrl-C", func(t *testing.T) {
		out := c.demo(t, ctx)
		checkReadme(t, out)
	})
	t.Run("over a living demo", func(t *testing.T) { c.interrupt(t, ctx, "unit files:") })
	t.Run("a step fails", func(t *testing.T) { c.failure(t, ctx) })
	t.Run("after a crash", func(t *testing.T) {
		crash(t)
		began := time.Now()
		checkReadme(t, c.demo(t, ctx))
		t.Logf("a second run took %.0f s", time.Since(began).Seconds())
	})
	t.Run("down twice", func(t *testing.T) { c.down(t, ctx, o) })
}

// prerequisites: what is missing is said in one line each before anything is changed.
func (c *checkout) prerequisites(t *testing.T, ctx context.Context) {
	old := t.TempDir()
	if err := os.WriteFile(filepath.Join(old, "go"), []byte("#!/bin/sh\necho go version go1.20.3 linux/amd64\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(c.dir)), 0o755); err != nil { // for the user without rights
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(c.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	const system = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
	for _, p := range []struct {
		name, want string
		args       []string
	}{
		{"no Go", "no go in PATH", []string{"env", system, "make", "demo"}},
		{"no Go for the tests", "no go in PATH", []string{"env", system, "make", "test"}},
		{"old Go", "go 1.20.3 is too old", []string{"env", "PATH=" + old + ":/usr/bin:/bin", "make", "demo"}},
		{"not root", "hosts can be booted by root only", []string{"setpriv", "--reuid=65534", "--clear-groups", "make", "demo"}},
		{"little memory", "99999999 MB are needed", []string{"env", "FLOTILLA_MIN_MEMORY_MB=99999999", "make", "demo"}},
		{"little disk", "MB free in", []string{"env", "FLOTILLA_MIN_DISK_MB=999999999", "make", "demo"}},
		{"no rights", "no right to make namespaces", []string{"setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "make", "demo"}},
	} {
		out, said, err := c.run(ctx, p.args...)
		lines := strings.Split(strings.TrimSpace(said), "\n")
		if err == nil || out != "" {
			t.Errorf("%s: make = %v with output %q, want a failure at once", p.name, err, out)
		}
		// The last line is make's own.
		if !strings.Contains(lines[0], p.want) || !strings.HasPrefix(lines[0], "make ") || !strings.Contains(lines[0], "; ") || len(lines) > 3 {
			t.Errorf("%s: make said %q, want a line with %q and a remedy", p.name, said, p.want)
		}
	}
	for _, made := range []string{"bin", ".flotilla"} {
		if _, err := os.Stat(filepath.Join(c.dir, made)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made before the prerequisites were there", made)
		}
	}
}

// interrupt presses Ctrl-C once the demo has printed a line.
func (c *checkout) interrupt(t *testing.T, ctx context.Context, after string) {
	if signal.Ignored(os.Interrupt) { // else the children would inherit that
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, os.Interrupt)
		defer signal.Reset(os.Interrupt)
	}
	var errs bytes.Buffer
	cmd := c.command(ctx, "make", "demo")
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(printed.String(), after); {
		n, err := out.Read(buf)
		printed.Write(buf[:n])
		if err != nil {
			t.Fatalf("make demo ended with %v before it printed %q: %s%s", cmd.Wait(), after, printed.String(), errs.String())
		}
	}
	pressed := time.Now()
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	err = cmd.Wait()
	if err == nil || !strings.Contains(errs.String(), "demo: interrupted") {
		t.Errorf("make demo after Ctrl-C = %v, said %q, want that it was interrupted", err, errs.String())
	}
	if strings.Contains(string(rest), "bin/flotilla status") {
		t.Errorf("make demo went on after Ctrl-C: %s", rest)
	}
	t.Logf("ended %.1f s after Ctrl-C", time.Since(pressed).Seconds())
}

// demo runs make demo to its end, and asks the cluster how it is.
func (c *checkout) demo(t *testing.T, ctx context.Context) string {
	t.Helper()
	out, said, err := c.run(ctx, "make", "demo")
	if err != nil {
		t.Fatalf("make demo = %v: %s%s", err, out, said)
	}
	if n := strings.Count(out, "\n"); n > 40 || said != "" {
		t.Errorf("make demo printed %d lines and said %q, want at most 40 lines and nothing", n, said)
	}
	status, said, err := c.run(ctx, "bin/flotilla", "status")
	if err != nil || !strings.Contains(status, "hosts 3/3 alive, units 15/15 running") {
		t.Errorf("bin/flotilla status = %q, %v: %s, want three hosts and fifteen units", status, err, said)
	}
	return out
}

// failure: a step that fails ends the demo and names the log.
func (c *checkout) failure(t *testing.T, ctx context.Context) {
	broken := filepath.Join(c.dir, "cmd", "flotilla", "broken.go")
	if err := os.WriteFile(broken, []byte("package main\n\nfunc broken() { nonsense }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(broken)
	_, said, err := c.run(ctx, "make", "demo")
	if err == nil || !strings.Contains(said, "demo: error: the build failed: see .flotilla/demo.log") {
		t.Errorf("make demo of code that does not compile = %v, said %q, want the log's name", err, said)
	}
}

// crash ends everything of the demo at once, as a power cut would.
func crash(t *testing.T) {
	t.Helper()
	if err := hosts.Crash(t.Context(), hosts.Options{Name: demoLab}); err != nil {
		t.Fatal(err)
	}
}

// down removes the demo, twice; the host image stays.
func (c *checkout) down(t *testing.T, ctx context.Context, o hosts.Options) {
	for i := range 2 {
		if out, said, err := c.run(ctx, "make", "demo-down"); err != nil || out+said != "" {
			t.Errorf("make demo-down, time %d = %v: %s%s, want silence", i+1, err, out, said)
		}
	}
	if _, err := hosts.Attach(ctx, o); !errors.Is(err, hosts.ErrNoLab) {
		t.Errorf("Attach() after demo-down = %v, want %v", err, hosts.ErrNoLab)
	}
	for _, left := range []string{filepath.Join(hosts.CacheDir(), "labs", demoLab), filepath.Join("/run/flotilla-lab", demoLab), filepath.Join(c.dir, ".flotilla", "endpoint"), filepath.Join(c.dir, ".flotilla", "shop"), filepath.Join(c.dir, ".flotilla", "changed")} {
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("demo-down left %s", left)
		}
	}
	if images, err := filepath.Glob(filepath.Join(hosts.CacheDir(), "images", "[a-z]*")); err != nil || len(images) == 0 {
		t.Errorf("demo-down took the host image away: %v", err)
	}
}

// figure is what differs from run to run and from machine to machine.
var figure = regexp.MustCompile(` *[0-9]+(\.[0-9]+)?`)

// checkReadme demands that README shows what make demo prints, figures masked.
func checkReadme(t *testing.T, out string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(readme), "<!-- demo -->")
	_, after, fenced := strings.Cut(after, "```text\n")
	block, _, closed := strings.Cut(after, "```")
	if !ok || !fenced || !closed {
		t.Fatal("README.md has no ```text block after <!-- demo -->")
	}
	mask := func(s string) string { return figure.ReplaceAllString(strings.TrimSpace(s), " N") }
	if want, got := mask(block), mask(out); want != got {
		t.Errorf("README's demo differs from make demo, figures masked.\nREADME:\n%s\nmake demo:\n%s", want, fmt.Sprint(out))
	}
}
