package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// joinAndEnter moves the shell into the host's control group $1, so that what
// it runs is frozen and killed with the host, then enters the namespaces of
// process $2. The command dies with its caller.
const joinAndEnter = `{ echo $$ >"$1/cgroup.procs"; } 2>/dev/null
pid=$2
shift 2
exec nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup -- \
  /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
  /usr/bin/setpriv --pdeathsig KILL "$@"`

// Command prepares a command that runs as root inside the host. It fails to
// start while the host is down.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	pid, err := h.leader()
	shell := []string{"-c", joinAndEnter, "exec", filepath.Join(h.payload(), "init.scope"), strconv.Itoa(pid)}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(shell, args...)...)
	cmd.Cancel = func() error { return killEntered(cmd.Process) }
	cmd.WaitDelay = 5 * time.Second
	if err != nil {
		cmd.Err = err
	}
	return cmd
}

// killEntered ends a command inside a host by way of its own process, so that
// nsenter collects it: an orphan there would hold up the host's shutdown.
func killEntered(nsenter *os.Process) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nsenter.Pid, nsenter.Pid))
	if err != nil {
		return nsenter.Kill()
	}
	inside := strings.Fields(string(data))
	if len(inside) == 0 {
		return nsenter.Kill()
	}
	var failed error
	for _, field := range inside {
		pid, err := strconv.Atoi(field)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if errors.Is(err, syscall.ESRCH) {
			err = os.ErrProcessDone
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// Exec runs a command inside the host and returns its standard output. The
// error carries what it wrote to standard error. Stdin may be nil.
func (h *Host) Exec(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := h.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said != "" {
			said = ": " + said
		}
		return stdout.String(), fmt.Errorf("%s: %s: %w%s", h.Name(), strings.Join(args, " "), err, said)
	}
	return stdout.String(), nil
}

// WriteFile puts a file on the host in one step, with the folders above it.
func (h *Host) WriteFile(ctx context.Context, path string, mode os.FileMode, data []byte) error {
	return h.copyIn(ctx, bytes.NewReader(data), path, mode)
}

// CopyIn copies a file of this machine to the host, keeping its mode.
func (h *Host) CopyIn(ctx context.Context, source, target string) error {
	file, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", h.Name(), err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("copy to %s: %w", h.Name(), err)
	}
	return h.copyIn(ctx, file, target, info.Mode())
}

func (h *Host) copyIn(ctx context.Context, source io.Reader, target string, mode os.FileMode) error {
	const script = `mkdir -p "$(dirname "$1")" && cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"`
	_, err := h.Exec(ctx, source, "sh", "-c", script, "copy", target, fmt.Sprintf("%o", mode.Perm()))
	return err
}

// ReadFile reads a file of the host.
func (h *Host) ReadFile(ctx context.Context, path string) ([]byte, error) {
	out, err := h.Exec(ctx, nil, "cat", path)
	return []byte(out), err
}
