package install

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Binary is where the service units expect flotilla.
const Binary = "/opt/bin/flotilla"

// UnitDir is where the service units go.
const UnitDir = "/etc/systemd/system"

//go:embed *.service *.conf
var files embed.FS

// logindConf is the file with our word on logind.
const logindConf = "50-flotilla.conf"

// ShutdownDelay is how long logind holds shutdowns up by that file.
const ShutdownDelay = 30 * time.Second

// Logind is logind's service. SIGHUP has it read its files anew.
const Logind = "systemd-logind.service"

// target says where a file of this package goes on a host.
func target(name string) string {
	switch name {
	case "10-member.conf":
		return filepath.Join(UnitDir, "flotilla-agent.service.d", name)
	case logindConf:
		return filepath.Join("/etc/systemd/logind.conf.d", name)
	}
	return filepath.Join(UnitDir, name)
}

// DelaysShutdowns says whether this host's logind was told to hold shutdowns up for ShutdownDelay.
func DelaysShutdowns(root string) bool {
	_, err := os.Lstat(filepath.Join(root, target(logindConf)))
	return err == nil
}

// Units writes the service units of a host, those of an etcd member or of a client, and the file for
// logind. It says whether anything changed, and takes away what an earlier role left.
func Units(root string, member bool) (changed bool, err error) {
	want := map[string]bool{"flotilla-agent.service": true, "flotilla-etcd.service": member, "10-member.conf": member, logindConf: true}
	for _, name := range []string{"flotilla-agent.service", "flotilla-etcd.service", "10-member.conf", logindConf} {
		to := filepath.Join(root, target(name))
		did := false
		if want[name] {
			did, err = writeUnit(name, to)
		} else {
			did, err = remove(to)
		}
		if err != nil {
			return changed, fmt.Errorf("install %s: %w", name, err)
		}
		changed = changed || did
	}
	return changed, nil
}

// Remove takes all service units and the file for logind away.
func Remove(root string) error {
	for _, name := range []string{"flotilla-join.service", "10-member.conf", "flotilla-etcd.service", "flotilla-agent.service", logindConf} {
		if _, err := remove(filepath.Join(root, target(name))); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// writeUnit writes a file unless it is the same already.
func writeUnit(name, to string) (bool, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return false, err
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	return true, replace(to, bytes.NewReader(text), 0o644)
}

// remove deletes a file, if it is there.
func remove(file string) (bool, error) {
	err := os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Self copies the running program to Binary unless it is that file already, and says
// whether it did. A flotilla that runs from there goes on with the old bytes until it restarts.
func Self(root, program string) (bool, error) {
	to := filepath.Join(root, Binary)
	from, err := os.Open(program)
	if err != nil {
		return false, fmt.Errorf("install %s: %w", to, err)
	}
	defer from.Close()
	if same(from, to) {
		return false, nil
	}
	if err := replace(to, from, 0o755); err != nil {
		return false, fmt.Errorf("install %s: %w", to, err)
	}
	return true, nil
}

// same says whether an open file is the one with this name.
func same(f *os.File, name string) bool {
	a, aerr := f.Stat()
	b, berr := os.Stat(name)
	return aerr == nil && berr == nil && os.SameFile(a, b)
}

// replace writes a file whole or not at all.
func replace(to string, from io.Reader, mode fs.FileMode) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, cerr := io.Copy(f, from)
	if mode&0o100 != 0 {
		label(f.Name())
	}
	if err := errors.Join(cerr, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}

// label gives a program the SELinux label of other programs, without which systemd would
// not run it from /opt on Fedora CoreOS. Hosts without SELinux have none to give.
func label(file string) {
	const name = "security.selinux"
	var b [256]byte
	if n, err := syscall.Getxattr("/usr/bin/env", name, b[:]); err == nil {
		_ = syscall.Setxattr(file, name, b[:n], 0) // refused where labels are not used
	}
}
