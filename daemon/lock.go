package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockHost makes this process the only daemon of a host, until release or its end. A
// second one would take the first one's socket, lease and unit files.
func lockHost(runDir string) (release func() error, err error) {
	file := filepath.Join(runDir, "flotilla.lock")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock this host: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another flotilla runs on this host and holds %s: stop it first (systemctl stop flotilla-agent, or end flotilla dev)", file)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}
