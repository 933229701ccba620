package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Running says, as an error, that a daemon runs on this host. It writes nothing.
func Running(runDir string) error {
	f, err := os.Open(lockFile(runDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a daemon: %w", err)
	}
	return errors.Join(lock(f, unix.LOCK_SH), f.Close())
}

func lockFile(runDir string) string { return filepath.Join(runDir, "flotilla.lock") }

// lockHost makes this process the only daemon of a host, until release or its end. A
// second one would take the first one's socket, lease and unit files.
func lockHost(runDir string) (release func() error, err error) {
	f, err := os.OpenFile(lockFile(runDir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock this host: %w", err)
	}
	if err := lock(f, unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// lock takes a lock of flock(2) at once, or says who has it.
func lock(f *os.File, how int) error {
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("another flotilla runs on this host and holds %s: stop it first (systemctl stop flotilla-agent, or end flotilla dev)", f.Name())
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}
