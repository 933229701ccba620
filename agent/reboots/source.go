package reboots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"flotilla/cluster"
)

// Source is one way to learn whether the host needs a reboot. Exactly one of File, Command, OlderThan and the
// others is set.
type Source struct {
	File            string        // needs one while it exists; File.pkgs beside it says why
	Command         []string      // says so by its exit status
	Yes, No         []int         // exit statuses of Command; all others are no answer
	Timeout         time.Duration // of Command; 0 = 30 s
	Every           time.Duration // between two runs of Command; 0 = 10 min
	UpdateEngine    bool          // Flatcar's, over D-Bus
	RPMOSTree       bool          // rpm-ostree status --pending-exit-77
	Sysupdate       bool          // systemd-sysupdate pending
	NeedsRestarting bool          // dnf's needs-restarting
	OlderThan       time.Duration // time since the boot
	optional        bool          // no answer counts for none where what it asks is not there
}

// What Source.Timeout and Source.Every are where they are not set.
const (
	defaultTimeout = 30 * time.Second
	defaultEvery   = 10 * time.Minute
)

// Defaults are the sources of a host that names none.
func Defaults() []Source {
	return []Source{{File: "/run/reboot-required"}, {File: "/run/reboot-needed"}, {UpdateEngine: true, optional: true}}
}

// answer is what a source says.
type answer struct {
	state cluster.NeedState
	why   string // of yes and unknown
}

func unknown(format string, args ...any) answer {
	return answer{cluster.NeedUnknown, fmt.Sprintf(format, args...)}
}

// file asks a sentinel file.
func (n *Needs) file(path string) answer {
	_, err := os.Stat(n.at(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return answer{state: cluster.NeedNo}
	case err != nil:
		return unknown("%v", err)
	}
	why := path
	if list := packages(n.at(path) + ".pkgs"); list != "" {
		why += " (" + list + ")"
	}
	return answer{cluster.NeedYes, why}
}

// mostPackages are named of those that want a reboot.
const mostPackages = 5

// packages are the lines of a .pkgs file, each once.
func packages(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	list := slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(data)))))
	if more := len(list) - mostPackages; more > 0 {
		list = append(list[:mostPackages], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}

// asked is a command whose exit status is an answer.
type asked struct {
	command []string
	yes, no []int
	timeout time.Duration
	why     string                     // of yes
	proof   func(stdout []byte) string // why a yes is none after all; nil = it is one
}

// question is the command of a source that has one, and how its statuses read.
func (s Source) question() (asked, bool) {
	switch {
	case len(s.Command) > 0:
		return asked{command: s.Command, yes: s.Yes, no: s.No, timeout: s.Timeout, why: filepath.Base(s.Command[0]) + " says so"}, true
	case s.RPMOSTree:
		return asked{command: []string{"rpm-ostree", "status", "--pending-exit-77"}, yes: []int{77}, no: []int{0}, why: "rpm-ostree has a deployment that waits for a reboot"}, true
	case s.Sysupdate:
		return asked{command: []string{"/usr/lib/systemd/systemd-sysupdate", "pending"}, yes: []int{0}, no: []int{1}, why: "systemd-sysupdate has installed a newer system than the one that runs"}, true
	case s.NeedsRestarting:
		return asked{command: []string{"needs-restarting", "-r"}, yes: []int{1}, no: []int{0}, why: "needs-restarting says so", proof: namesReboot}, true
	}
	return asked{}, false
}

// namesReboot tells needs-restarting's yes from its errors, which have the same exit status.
func namesReboot(stdout []byte) string {
	if bytes.Contains(stdout, []byte("eboot")) {
		return ""
	}
	return "exited with 1 without a word about a reboot"
}

// run runs the command and reads its exit status. A command that is missing, hangs or ends in another way gives no answer.
func (a asked) run(ctx context.Context) answer {
	timeout := a.timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	name := strings.Join(a.command, " ")
	cmd := exec.CommandContext(ctx, a.command[0], a.command[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return unknown("%s did not end within %s", name, timeout)
	case err != nil && !errors.As(err, &exit):
		return unknown("%s: %v", name, err)
	}
	status := cmd.ProcessState.ExitCode()
	switch {
	case slices.Contains(a.no, status):
		return answer{state: cluster.NeedNo}
	case !slices.Contains(a.yes, status):
		return unknown("%s ended with %s, which is neither yes nor no", name, cmd.ProcessState)
	}
	if a.proof != nil {
		if why := a.proof(out); why != "" {
			return unknown("%s %s", name, why)
		}
	}
	return answer{cluster.NeedYes, a.why}
}
