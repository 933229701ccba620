package systemd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	lookLimit = time.Minute // for a runtime's word on one image
	pullLimit = time.Hour   // for one pull: what hangs so long is begun anew, and finished layers count
	mostLooks = 4           // at once in one runtime: each is a process
	mostPulls = 16          // at once on this host
	saidLimit = 400         // bytes of a failed pull's last line
)

// Runner is what Images need of a systemd: Manager, or the fake's Host.
type Runner interface {
	RunOnce(ctx context.Context, name string, o Once) (string, error)
	Start(ctx context.Context, name string) (string, error)
	ResetFailed(ctx context.Context, name string) error
	Units(ctx context.Context, names []string) ([]Unit, error)
}

// LastLines reads the end of one run's log: Journal, or the fake's Host.
type LastLines interface {
	LastLines(ctx context.Context, unit, invocationID string, n int) ([]LogEntry, error)
}

// Engine is the container runtimes of a host: Engines, or the fake's Host.
type Engine interface {
	// Program is the absolute path of a runtime's program.
	Program(runtime string) (string, error)
	// HasImage says whether a runtime has an image.
	HasImage(ctx context.Context, runtime, ref string) (bool, error)
}

// Images are the container images of this host. A pull is a service of its own, named
// after runtime and image: it outlives this process, and there is never a second one of the same image
// beside it. Its output is in the journal. It is safe for use by many goroutines.
type Images struct {
	systemd Runner
	journal LastLines
	engine  Engine
	looks   map[string]chan struct{}
	pulls   chan struct{}
}

// NewImages makes the images of a host.
func NewImages(systemd Runner, journal LastLines, engine Engine) *Images {
	return &Images{
		systemd: systemd, journal: journal, engine: engine, pulls: make(chan struct{}, mostPulls),
		looks: map[string]chan struct{}{"docker": make(chan struct{}, mostLooks), "podman": make(chan struct{}, mostLooks)},
	}
}

// HasImage says whether a runtime has an image. It pulls nothing.
func (i *Images) HasImage(ctx context.Context, runtime, ref string) (bool, error) {
	if _, err := i.find(runtime, ref); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	leave, err := enter(ctx, i.looks[runtime])
	if err != nil {
		return false, err
	}
	defer leave()
	return i.engine.HasImage(ctx, runtime, ref)
}

// PullImage fetches an image and waits until it is there. A pull of it that is under way, by
// a process before this one too, is waited for instead. The end of ctx ends only
// the wait. The error of a pull that failed is its last line.
func (i *Images) PullImage(ctx context.Context, runtime, ref string) error {
	program, err := i.find(runtime, ref)
	if err != nil {
		return err
	}
	leave, err := enter(ctx, i.pulls)
	if err != nil {
		return err
	}
	defer leave()
	name := PullUnit(runtime, ref)
	outcome, err := i.systemd.RunOnce(ctx, name, Once{
		Description: "Pulls " + ref + " into " + runtime, Command: []string{program, "pull", "--", ref}, Environment: pullEnvironment(), Limit: pullLimit,
	})
	if errors.Is(err, ErrExists) {
		outcome, err = i.systemd.Start(ctx, name)
	}
	if err != nil {
		return err
	}
	if outcome == Done {
		return nil
	}
	return i.why(ctx, name, outcome)
}

// PullUnit is the name of the service that pulls an image.
func PullUnit(runtime, ref string) string {
	sum := sha256.Sum256([]byte(runtime + " " + ref))
	return fmt.Sprintf("flotilla-pull-%x.service", sum[:8])
}

// properRef is what an image's name may consist of; nothing in it means anything to systemd.
var properRef = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$`)

// find is a runtime's program, for an image that has a proper name.
func (i *Images) find(runtime, ref string) (program string, err error) {
	if !properRef.MatchString(ref) {
		return "", fmt.Errorf("%q is not the name of an image", ref)
	}
	return i.engine.Program(runtime)
}

// why is the last line of a pull that failed. Its service is forgotten then.
func (i *Images) why(ctx context.Context, name, outcome string) error {
	said := fmt.Errorf("its job ended with %q; see journalctl -u %s", outcome, name)
	if u, err := i.systemd.Units(ctx, []string{name}); err == nil && u[0].InvocationID != "" {
		if u[0].Result == "timeout" {
			said = fmt.Errorf("not finished after %s; see journalctl -u %s", pullLimit, name)
		} else if line := i.lastLine(ctx, name, u[0].InvocationID); line != "" {
			said = errors.New(line)
		}
	}
	return errors.Join(said, i.systemd.ResetFailed(ctx, name))
}

// lastLine is the last that a run said itself; what systemd says of it is left out.
func (i *Images) lastLine(ctx context.Context, name, invocation string) string {
	lines, err := i.journal.LastLines(ctx, name, invocation, 20)
	if err != nil {
		return ""
	}
	for _, e := range slices.Backward(lines) {
		if text := strings.TrimSpace(string(e.Message)); e.Identifier != "systemd" && text != "" {
			return strings.ToValidUTF8(text[:min(len(text), saidLimit)], "")
		}
	}
	return ""
}

// enter waits for a free place.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pullEnvironment is what a pull has of our own environment: where its credentials lie, and how it
// reaches the world.
func pullEnvironment() []string {
	var out []string
	if home, err := os.UserHomeDir(); err == nil {
		out = append(out, "HOME="+home)
	} else if os.Getuid() == 0 {
		out = append(out, "HOME=/root")
	}
	for _, key := range []string{
		"XDG_RUNTIME_DIR", "DOCKER_CONFIG", "DOCKER_HOST", "REGISTRY_AUTH_FILE",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	} {
		if v := os.Getenv(key); v != "" {
			out = append(out, key+"="+v)
		}
	}
	return out
}

// Engines are Docker and Podman, each asked through its program.
type Engines struct{}

// Program is where a runtime's program is.
func (Engines) Program(runtime string) (string, error) {
	path, err := exec.LookPath(runtime)
	if err != nil {
		return "", fmt.Errorf("this host has no %s", runtime)
	}
	return filepath.Abs(path)
}

// HasImage asks a runtime for an image.
func (e Engines) HasImage(ctx context.Context, runtime, ref string) (bool, error) {
	program, err := e.Program(runtime)
	if err != nil {
		return false, err
	}
	args := []string{"image", "inspect", "--format={{.Id}}", "--", ref}
	if runtime == "podman" {
		args = []string{"image", "exists", "--", ref}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	var said tail
	cmd.Stderr = &said
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("%s does not answer", runtime)
	case !errors.As(err, &exit):
		return false, err
	case runtime == "podman" && exit.ExitCode() == 1, strings.Contains(strings.ToLower(said.line()), "no such image"):
		return false, nil
	case said.line() == "":
		return false, fmt.Errorf("%s %s: %w", runtime, strings.Join(args[:2], " "), err)
	}
	return false, errors.New(said.line())
}
