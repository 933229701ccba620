package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flotilla/cluster"
)

// MarshalText writes the kind's word; 0 is empty.
func (k Kind) MarshalText() ([]byte, error) {
	if k == 0 {
		return nil, nil
	}
	if k < Stop || k > Refuse {
		return nil, fmt.Errorf("unknown kind %d", int(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads a kind's word.
func (k *Kind) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*k = 0
		return nil
	}
	for one := Stop; one <= Refuse; one++ {
		if one.String() == string(b) {
			*k = one
			return nil
		}
	}
	return fmt.Errorf("unknown kind %q", b)
}

// ledger keeps the applied records: one small file each in /run, because they are
// worth as much as the unit files and processes of this boot. Acknowledged
// tombstones are kept in memory only. One goroutine owns it.
type ledger struct {
	dir string
	of  map[cluster.Unit]Applied
}

// openLedger reads the records of this boot. A record that cannot be read is taken
// away and told: its unit then counts as found running, or as not started yet.
func openLedger(dir, boot string) (*ledger, error) {
	l := &ledger{dir: dir, of: map[cluster.Unit]Applied{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of applied records: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the applied records: %w", err)
	}
	var bad []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var a Applied
		_, err := readJSON(path, &a)
		if err == nil && a.Boot == boot {
			l.of[cluster.Unit(e.Name())] = a
			continue
		}
		bad = append(bad, err, ignoreAbsent(os.Remove(path)))
	}
	return l, errors.Join(bad...)
}

// set keeps a record, on disk first.
func (l *ledger) set(name cluster.Unit, a Applied) error {
	if l.of[name] == a {
		return nil
	}
	if err := writeJSON(filepath.Join(l.dir, string(name)), a, false); err != nil {
		return err
	}
	l.of[name] = a
	return nil
}

// forget drops a record.
func (l *ledger) forget(name cluster.Unit) error {
	if err := os.Remove(filepath.Join(l.dir, string(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget unit %s: %w", name, err)
	}
	delete(l.of, name)
	return nil
}

// acknowledge keeps in memory that a tombstone was carried out.
func (l *ledger) acknowledge(name cluster.Unit, boot string, generation int64) error {
	if err := l.forget(name); err != nil {
		return err
	}
	l.of[name] = Applied{Boot: boot, Generation: generation, Order: cluster.Gone}
	return nil
}
