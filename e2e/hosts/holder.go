package hosts

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed lab.sh
var labScript []byte

//go:embed host.sh
var hostScript []byte

// bootedBySystemd says whether the machine's own process 1 is systemd, which
// then must delegate the lab's control groups.
func bootedBySystemd() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// cgroupTree is where the cgroup v2 tree is mounted: alone, or beside v1.
func cgroupTree() (string, error) {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no cgroup v2 tree below /sys/fs/cgroup; boot the machine with systemd.unified_cgroup_hierarchy=1")
}

func serviceName(o Options) string { return "flotilla-lab-" + o.Name + ".service" }

// startHolder starts lab.sh in new namespaces, detached from this process.
func startHolder(ctx context.Context, o Options) error {
	tree, err := cgroupTree()
	if err != nil {
		return err
	}
	script, err := writeScript(o, "lab.sh", labScript)
	if err != nil {
		return err
	}
	if _, err := writeScript(o, "host.sh", hostScript); err != nil {
		return err
	}
	cgroup := filepath.Join(tree, "flotilla-lab-"+o.Name)
	start := []string{"setsid", "--fork"}
	if bootedBySystemd() {
		cgroup = "own:" + tree
		start = []string{
			"systemd-run", "--quiet", "--collect", "--unit=" + serviceName(o),
			"--property=Delegate=yes", "--property=KillSignal=SIGKILL", "--property=TasksMax=infinity",
			"--property=StandardOutput=append:" + logFile(o), "--property=StandardError=append:" + logFile(o), "--",
		}
	}
	start = append(start, "unshare", "--net", "--mount", "--propagation", "private",
		"bash", script, o.Dir, cgroup, bridge, fmt.Sprintf("%s/%d", gateway, prefixBits))
	return runLogged(ctx, logFile(o), start...)
}

func logFile(o Options) string { return filepath.Join(o.Dir, "lab.log") }

func writeScript(o Options, name string, data []byte) (string, error) {
	path := filepath.Join(o.Dir, name)
	return path, os.WriteFile(path, data, 0o755)
}

// runLogged runs a command whose output, and that of what it leaves running,
// goes to a file.
func runLogged(ctx context.Context, log string, args ...string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s (see %s): %w", args[0], log, err)
	}
	return nil
}

// removeAll ends and deletes all that belongs to the lab of that name. It
// needs no record of it: the lab's processes are those in its control group.
func removeAll(ctx context.Context, o Options) error {
	if err := ownsFolder(o.Dir); err != nil {
		return err
	}
	if err := endProcesses(ctx, o); err != nil {
		return err
	}
	// The mounts go with the last process; the kernel may need a moment.
	return Wait(ctx, 30*time.Second, "deletion of "+o.Dir, func(context.Context) error {
		return errors.Join(os.RemoveAll(o.Dir), os.RemoveAll(filepath.Join(privateRoot, o.Name)))
	})
}

// ownsFolder refuses a folder with something in it that no lab put there.
func ownsFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == "shared" || name == "hosts" || name == "lab.sh" {
			return nil
		}
	}
	return fmt.Errorf("folder %s has files that are no lab's; choose an empty one", dir)
}

// endProcesses kills every process of the lab and waits for its end.
func endProcesses(ctx context.Context, o Options) error {
	tree, err := cgroupTree()
	if err != nil {
		return err
	}
	group := filepath.Join(tree, "flotilla-lab-"+o.Name)
	if bootedBySystemd() {
		out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=ControlGroup", "--value", serviceName(o)).Output()
		if err != nil {
			return fmt.Errorf("ask systemd for %s: %w", serviceName(o), err)
		}
		path := strings.TrimSpace(string(out))
		if path == "" {
			return nil
		}
		group = filepath.Join(tree, path)
	}
	if err := killGroup(ctx, group); err != nil {
		return err
	}
	if !bootedBySystemd() {
		return removeGroup(group)
	}
	return Wait(ctx, 30*time.Second, "end of "+serviceName(o), func(ctx context.Context) error {
		out, _ := exec.CommandContext(ctx, "systemctl", "is-active", serviceName(o)).Output()
		if state := strings.TrimSpace(string(out)); state == "active" || state == "deactivating" {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
}

// processes lists the processes directly in a control group.
func processes(group string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("read processes of %s: %w", group, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// killGroup kills every process in a control group and below, at once, and
// waits until they are gone. A group that does not exist is done.
func killGroup(ctx context.Context, group string) error {
	err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill processes of %s: %w", group, err)
	}
	return Wait(ctx, 30*time.Second, "end of the processes in "+group, func(context.Context) error {
		return groupEvent(group, "populated 0")
	})
}

// groupEvent returns nil when the control group reports that state, or is gone.
func groupEvent(group, want string) error {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoDevice) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line == want {
			return nil
		}
	}
	return fmt.Errorf("control group reports %q, not %q", strings.Join(strings.Fields(string(data)), " "), want)
}

// removeGroup deletes an empty control group with all below it.
func removeGroup(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Crash ends every process of a lab at once and cleans nothing up: what a power cut
// of the machine leaves. [Open] and [Remove] must cope with it.
func Crash(ctx context.Context, o Options) error {
	l, err := Attach(ctx, o)
	if err != nil {
		return err
	}
	return killGroup(ctx, l.cgroup)
}
