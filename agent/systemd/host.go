package systemd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BootID is the kernel's id of this boot, without dashes as systemd writes it.
func BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "-", ""), nil
}

// MachineID is systemd's id of this host.
func MachineID() (string, error) { return machineID("/etc/machine-id") }

func machineID(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the machine id: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
		return "", fmt.Errorf("read the machine id: %s holds %q, not 32 hexadecimal digits; systemd-machine-id-setup writes one", path, id)
	}
	return id, nil
}

// Boottime is CLOCK_BOOTTIME: since the boot, time in suspend included.
func Boottime() (time.Duration, error) { return clock(unix.CLOCK_BOOTTIME) }

// Monotonic is CLOCK_MONOTONIC, which systemd's timers count on (see
// Manager.UserspaceTimestamp): since the boot without time in suspend.
func Monotonic() (time.Duration, error) { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Facts are what a host says of itself.
type Facts struct {
	Hostname string
	OS       string // PRETTY_NAME of os-release
	Kernel   string
	Arch     string // as in GOARCH
	CPUs     int
	Memory   uint64            // bytes in all
	Runtimes map[string]string // docker, podman → version, of those that are installed
}

// ReadFacts gathers what it can; what it cannot learn stays empty and is said in
// the error, beside facts that hold.
func ReadFacts(ctx context.Context) (Facts, error) {
	f := Facts{Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var errs [4]error
	f.Hostname, errs[0] = os.Hostname()
	f.OS, errs[1] = prettyName()
	f.Kernel, f.Memory, errs[2] = kernel()
	f.CPUs, f.Memory = limited("/sys/fs/cgroup", f.CPUs, f.Memory)
	f.Runtimes, errs[3] = Runtimes(ctx)
	return f, errors.Join(errs[:]...)
}

// limited is what is left of a machine for a host that is itself a container of it: its root control group
// then has limits, which the one of a machine cannot have.
func limited(root string, cpus int, memory uint64) (int, uint64) {
	read := func(file string) []string {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil
		}
		return strings.Fields(string(data))
	}
	if words := read("memory.max"); len(words) == 1 {
		if most, err := strconv.ParseUint(words[0], 10, 64); err == nil && most > 0 {
			memory = min(memory, most)
		}
	}
	if words := read("cpu.max"); len(words) == 2 {
		quota, err := strconv.Atoi(words[0])
		period, bad := strconv.Atoi(words[1])
		if err == nil && bad == nil && period > 0 {
			cpus = min(cpus, max(quota/period, 1))
		}
	}
	return cpus, memory
}

func prettyName() (string, error) {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read os-release: %w", err)
		}
		return pretty(string(data)), nil
	}
	return "", errors.New("read os-release: neither /etc nor /usr/lib has it")
}

// pretty finds PRETTY_NAME, or NAME.
func pretty(release string) string {
	values := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(release))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if plain, err := strconv.Unquote(value); err == nil && len(value) > 0 && value[0] == '"' {
			value = plain
		}
		values[key] = strings.Trim(value, "'")
	}
	if name := values["PRETTY_NAME"]; name != "" {
		return name
	}
	return values["NAME"]
}

func kernel() (release string, memory uint64, err error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", 0, fmt.Errorf("read the kernel's name: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "", 0, fmt.Errorf("read the memory: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), uint64(info.Totalram) * uint64(info.Unit), nil
}

// runtimes are the programs of the container engines that are known.
func runtimes() []string { return []string{"docker", "podman"} }

// Runtimes are the container engines that are installed, with their versions. One that does not tell
// its version is an error, beside those that do.
func Runtimes(ctx context.Context) (map[string]string, error) {
	out, errs := map[string]string{}, []error(nil)
	for _, program := range runtimes() {
		v, err := engine(ctx, program)
		if err == nil && v != "" {
			out[program] = v
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// RuntimesMark changes when the program of a container engine is installed, replaced or removed. It
// starts no process.
func RuntimesMark() string {
	var out strings.Builder
	for _, program := range runtimes() {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintln(&out, path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return out.String()
}

// engine asks a container engine's program for its version. It talks to no
// service: an engine that is installed counts, running or not.
func engine(ctx context.Context, program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", nil // none installed is a fact, not an error
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return version(string(out)), nil
}

// version finds the first word that begins with a digit, as in "podman version 5.4.2".
func version(said string) string {
	for _, word := range strings.Fields(said) {
		if word[0] >= '0' && word[0] <= '9' {
			return strings.TrimRight(word, ",")
		}
	}
	return strings.TrimSpace(said)
}
