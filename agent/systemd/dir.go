package systemd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flotilla/units"
)

// DropIn is the file name of the drop-in that makes a unit ours.
const DropIn = "50-flotilla.conf"

// Header is the first line of every drop-in that we write. Dir adds it and takes
// it off again; callers never see it.
const Header = "# Written by flotilla; changes to this file are lost.\n"

// RuntimePath is the folder of the host's runtime units: it is empty after a boot.
const RuntimePath = "/run/systemd/system"

// tempMark begins the names of files that are not finished; systemd passes over them.
const tempMark = ".flotilla-"

// Dir is the folder of the unit files that we write. A unit is ours if its file
// stands there with our DropIn beside. It is used by one goroutine at a time.
type Dir struct {
	path      string
	elsewhere []string
}

// Entry is one unit of ours.
type Entry struct {
	Name   string
	Hash   string        // SHA-256 of the unit file, hexadecimal
	DropIn []byte        // content of our drop-in, as it was given to WriteDropIn
	Others units.DropIns // the other drop-ins that we wrote, by name
}

// NewDir uses the folder at path, which is made when the first file is written.
// elsewhere are the other folders in which the host may have a unit.
func NewDir(path string, elsewhere []string) *Dir {
	clean := filepath.Clean(path)
	others := slices.DeleteFunc(slices.Clone(elsewhere), func(p string) bool { return filepath.Clean(p) == clean })
	return &Dir{path: clean, elsewhere: others}
}

// SystemUnitPath is where systemd looks for the host's units, in its own order.
func SystemUnitPath() []string {
	return []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient",
		"/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached",
		RuntimePath, "/run/systemd/system.attached", "/run/systemd/generator",
		"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
	}
}

// UserRuntimePath is the folder of the calling user's runtime units.
func UserRuntimePath() string { return filepath.Join(RuntimeDir(), "systemd", "user") }

// UserUnitPath is where systemd looks for the calling user's units, in its own order.
func UserUnitPath() []string {
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(os.Getenv("HOME"), ".config")
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	run := filepath.Join(RuntimeDir(), "systemd")
	return []string{
		config + "/systemd/user.control", run + "/user.control", run + "/transient", run + "/generator.early",
		config + "/systemd/user", "/etc/systemd/user", run + "/user", "/run/systemd/user", run + "/generator",
		data + "/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user", run + "/generator.late",
	}
}

// Path is the folder.
func (d *Dir) Path() string { return d.path }

// Write puts a unit file in its place at once or not at all. WriteDropIn of DropIn
// comes before it: a file without would not be ours. Equal bytes are left alone,
// so that systemd sees no change. A file of that name that is not ours is ErrNotOurs.
func (d *Dir) Write(name string, data []byte) error {
	if err := CheckFileName(name); err != nil {
		return fmt.Errorf("write unit %s: %w", name, err)
	}
	if !d.marked(name) {
		return fmt.Errorf("write unit %s: %w: it has no %s yet", name, ErrNotOurs, DropIn)
	}
	if err := replace(filepath.Join(d.path, name), data); err != nil {
		return fmt.Errorf("write unit %s: %w", name, err)
	}
	return nil
}

// WriteDropIn puts a drop-in of a unit in its place. The first for a new unit is
// DropIn. It refuses a unit whose file stands there and is not ours, and to replace
// a drop-in by another hand.
func (d *Dir) WriteDropIn(unit, file string, data []byte) error {
	if err := errors.Join(CheckFileName(unit), CheckFileName(file)); err != nil {
		return fmt.Errorf("write drop-in of %s: %w", unit, err)
	}
	if !strings.HasSuffix(file, ".conf") {
		return fmt.Errorf("write drop-in of %s: %w: %s does not end in .conf", unit, ErrBadName, file)
	}
	if d.exists(unit) && !d.marked(unit) {
		return fmt.Errorf("write drop-in of %s: %w", unit, ErrNotOurs)
	}
	path := filepath.Join(d.folder(unit), file)
	if _, err := os.Lstat(path); err == nil && file != DropIn && !written(path) {
		return fmt.Errorf("write drop-in of %s: %s: %w", unit, path, ErrNotOurs)
	}
	if err := os.MkdirAll(d.folder(unit), 0o755); err != nil {
		return fmt.Errorf("write drop-in of %s: %w", unit, err)
	}
	if err := replace(path, append([]byte(Header), data...)); err != nil {
		return fmt.Errorf("write drop-in of %s: %w", unit, err)
	}
	return nil
}

// RemoveDropIn takes a drop-in of ours away, but never DropIn, which goes with its
// unit. One that is not there is no error; one by another hand is ErrNotOurs.
func (d *Dir) RemoveDropIn(unit, file string) error {
	if err := errors.Join(CheckFileName(unit), CheckFileName(file)); err != nil {
		return fmt.Errorf("remove drop-in of %s: %w", unit, err)
	}
	if file == DropIn {
		return fmt.Errorf("remove drop-in of %s: %w: %s goes with its unit", unit, ErrBadName, file)
	}
	path := filepath.Join(d.folder(unit), file)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !written(path) {
		return fmt.Errorf("remove drop-in of %s: %s: %w", unit, path, ErrNotOurs)
	}
	if err := ignore(os.Remove(path), fs.ErrNotExist); err != nil {
		return fmt.Errorf("remove drop-in of %s: %w", unit, err)
	}
	return nil
}

// Remove takes a unit of ours away: its file first, then what marks it as ours,
// then the folder. What others put there stays. Nothing there is no error.
func (d *Dir) Remove(unit string) error {
	if err := CheckFileName(unit); err != nil {
		return fmt.Errorf("remove unit %s: %w", unit, err)
	}
	if d.exists(unit) {
		if !d.marked(unit) {
			return fmt.Errorf("remove unit %s: %w", unit, ErrNotOurs)
		}
		if err := os.Remove(filepath.Join(d.path, unit)); err != nil {
			return fmt.Errorf("remove unit %s: %w", unit, err)
		}
	}
	return d.unmark(unit)
}

// unmark removes our drop-ins of a unit that has no file, DropIn last.
func (d *Dir) unmark(unit string) error {
	files, err := os.ReadDir(d.folder(unit))
	if err != nil {
		return ignore(err, fs.ErrNotExist)
	}
	slices.SortFunc(files, func(a, b fs.DirEntry) int { // DropIn last: until then the rest is ours
		return boolInt(a.Name() == DropIn) - boolInt(b.Name() == DropIn)
	})
	left := 0
	for _, f := range files {
		path := filepath.Join(d.folder(unit), f.Name())
		if !written(path) && !strings.HasPrefix(f.Name(), tempMark) {
			left++
			continue
		}
		if err := ignore(os.Remove(path), fs.ErrNotExist); err != nil {
			return fmt.Errorf("remove drop-ins of %s: %w", unit, err)
		}
	}
	if left > 0 {
		return nil
	}
	if err := ignore(os.Remove(d.folder(unit)), fs.ErrNotExist); err != nil {
		return fmt.Errorf("remove drop-ins of %s: %w", unit, err)
	}
	return nil
}

// List returns the units of ours, sorted by name.
func (d *Dir) List() ([]Entry, error) {
	files, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list unit files: %w", err)
	}
	var entries []Entry
	for _, f := range files {
		unit, ok := strings.CutSuffix(f.Name(), ".d")
		if !ok || !f.IsDir() || !d.exists(unit) {
			continue
		}
		dropIn, err := os.ReadFile(filepath.Join(d.folder(unit), DropIn))
		if err != nil || !bytes.HasPrefix(dropIn, []byte(Header)) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(d.path, unit))
		if err != nil {
			return nil, fmt.Errorf("read unit file: %w", err)
		}
		others, err := d.others(unit)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		entries = append(entries, Entry{Name: unit, Hash: hex.EncodeToString(sum[:]), DropIn: dropIn[len(Header):], Others: others})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// others reads the drop-ins of a unit that we wrote beside DropIn.
func (d *Dir) others(unit string) (units.DropIns, error) {
	files, err := os.ReadDir(d.folder(unit)) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list drop-ins: %w", err)
	}
	var out units.DropIns
	for _, f := range files {
		if f.Name() == DropIn || !strings.HasSuffix(f.Name(), ".conf") || !f.Type().IsRegular() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(d.folder(unit), f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read drop-in: %w", err)
		}
		if body, ours := bytes.CutPrefix(raw, []byte(Header)); ours {
			out = append(out, units.DropIn{Name: f.Name(), Raw: body})
		}
	}
	return out, nil
}

// Sweep removes what a death between two steps left: drop-ins of ours without a
// unit file, and unfinished files.
func (d *Dir) Sweep() error {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return ignore(err, fs.ErrNotExist)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), tempMark) {
			if err := ignore(os.Remove(filepath.Join(d.path, f.Name())), fs.ErrNotExist); err != nil {
				return fmt.Errorf("sweep unit files: %w", err)
			}
			continue
		}
		unit, ok := strings.CutSuffix(f.Name(), ".d")
		if !ok || !f.IsDir() || d.exists(unit) || !d.marked(unit) {
			continue
		}
		if err := d.unmark(unit); err != nil {
			return err
		}
	}
	return nil
}

// Elsewhere says whether the host has a unit of this name of its own, and where:
// the name itself or, for an instance, its template; in another folder of
// systemd's, or in ours by another hand. We touch no such unit.
func (d *Dir) Elsewhere(name string) (path string, ok bool) {
	names := []string{name}
	if template, instance := templateOf(name); instance {
		names = append(names, template)
	}
	for _, n := range names {
		if CheckFileName(n) != nil {
			continue
		}
		if d.exists(n) && !d.marked(n) {
			return filepath.Join(d.path, n), true
		}
		for _, folder := range d.elsewhere {
			path := filepath.Join(folder, n)
			if _, err := os.Lstat(path); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// templateOf returns web@.service for web@1.service.
func templateOf(name string) (template string, ok bool) {
	at, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.')
	if at < 1 || dot <= at+1 {
		return "", false
	}
	return name[:at+1] + name[dot:], true
}

// CheckFileName says whether name may be a file of a unit or drop-in.
func CheckFileName(name string) error {
	if name == "" || len(name) > 255 || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00\n") {
		return fmt.Errorf("%w: %q", ErrBadName, name)
	}
	return nil
}

func (d *Dir) folder(unit string) string { return filepath.Join(d.path, unit+".d") }

func (d *Dir) exists(unit string) bool {
	_, err := os.Lstat(filepath.Join(d.path, unit))
	return err == nil
}

func (d *Dir) marked(unit string) bool { return written(filepath.Join(d.folder(unit), DropIn)) }

// written says whether a file begins with our header.
func written(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(Header))
	n, _ := f.Read(head)
	return string(head[:n]) == Header
}

// replace writes a file beside and renames it over. Equal bytes are left alone.
// The folder is in memory, so nothing is synced.
func replace(path string, data []byte) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempMark)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
