package systemd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Groups are the control groups of the host's units. They are reached through the
// kernel alone: it works while systemd is busy.
type Groups struct {
	root string
}

// HostGroups finds the tree in which this host's systemd keeps its units.
func HostGroups() (Groups, error) {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(root, "system.slice")); err == nil {
			return Groups{root}, nil
		}
	}
	return Groups{}, errors.New("find the control groups of units: no system.slice below /sys/fs/cgroup")
}

// Kill ends every process of these units with SIGKILL, those in groups below included. A
// unit without a group has none.
func (g Groups) Kill(names []string) error {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n], wanted["_"+n] = true, true // systemd puts a line before names that the kernel uses itself
	}
	var errs []error
	err := filepath.WalkDir(g.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it ended meanwhile
		case err != nil:
			return err
		case !d.IsDir() || path == g.root:
			return nil
		case strings.HasSuffix(d.Name(), ".slice"):
			return nil // units and more slices are in it
		case wanted[d.Name()]:
			errs = append(errs, killGroup(path))
		}
		return fs.SkipDir
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("kill the processes of %d units: %w", len(names), err)
	}
	return nil
}

// killGroup asks the kernel for all at once, or, before Linux 5.14, goes through the
// processes until it meets no new one: what was forked while we looked is met in the next round.
func killGroup(path string) error {
	file, err := os.OpenFile(filepath.Join(path, "cgroup.kill"), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString("1")
		return errors.Join(err, file.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	met := map[int]bool{}
	for {
		before := len(met)
		if err := killProcesses(path, met); err != nil || len(met) == before {
			return err
		}
	}
}

// killProcesses kills whoever is in a group or below and was not met before.
func killProcesses(path string, met map[int]bool) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
				return nil
			}
			return err
		}
		for _, word := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			if met[pid] {
				continue
			}
			met[pid] = true
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		return nil
	})
}
