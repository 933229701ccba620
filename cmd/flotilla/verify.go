package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/units"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", ArgsUsage: "FILE|DIR...", Category: groupUnits,
		Usage: "check unit files and their drop-ins, without a cluster", Action: runVerify,
	}
}

// runVerify prints one line for each fault: file:line: message. What cannot be read is told on stderr.
func runVerify(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("verify needs unit files or folders of them: flotilla verify web.service units/")
	}
	k := checker{out: c.App.Writer, done: map[string]bool{}}
	for _, path := range c.Args().Slice() {
		if err := k.path(path); err != nil {
			k.bad = true
			sayErrors(c.App.ErrWriter, err)
		}
	}
	if k.bad {
		return exitCode(1)
	}
	return nil
}

// checker verifies files, each once.
type checker struct {
	out  io.Writer
	done map[string]bool // by clean path
	bad  bool
}

// path verifies what a word of the command line names: a unit file, a folder of them, a folder of drop-ins or
// one drop-in.
func (k *checker) path(path string) error {
	info, err := os.Stat(path)
	if name := units.Mangle(path); errors.Is(err, os.ErrNotExist) && name != filepath.Base(path) {
		if other := filepath.Join(filepath.Dir(path), name); exists(other) {
			return k.unit(other)
		}
	}
	switch folder := filepath.Base(filepath.Dir(path)); {
	case err != nil:
		return fmt.Errorf("read unit file: %w", err)
	case info.IsDir() && dropInsOf(filepath.Clean(path)) != "":
		return k.dropIns(filepath.Clean(path))
	case info.IsDir():
		return k.folder(path)
	case strings.HasSuffix(path, ".conf") && dropInsOf(folder) != "":
		return k.dropIn(path)
	case isCompose(path):
		return fmt.Errorf("%s is a Compose file, not a unit file (flotilla render -f %s checks it and makes unit files of it)", path, path)
	}
	return k.unit(path)
}

// isCompose says that a file is a Compose file by its name: units have other suffixes.
func isCompose(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".yaml" || ext == ".yml"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// dropInsOf is the unit whose drop-ins a folder holds by its name, "" for any other folder.
func dropInsOf(folder string) units.Name {
	name, ok := strings.CutSuffix(filepath.Base(folder), ".d")
	if !ok || !isUnit(name) {
		return ""
	}
	return units.Name(name)
}

// isUnit reports whether a file is a unit file by its name.
func isUnit(base string) bool {
	return base != "" && base[0] != '.' && units.Mangle(base) == base
}

// folder verifies the unit files of a folder, and the drop-ins of units that are not in it.
func (k *checker) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	var errs []error
	found := false
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("read unit file: %w", err))
		case info.IsDir() && dropInsOf(e.Name()) != "" && !exists(strings.TrimSuffix(path, ".d")):
			errs = append(errs, k.dropIns(path))
		case info.Mode().IsRegular() && isUnit(e.Name()):
			errs = append(errs, k.unit(path))
		case info.Mode().IsRegular() && isMisspelt(e.Name()):
			k.say(dir, units.Verify(units.Name(e.Name()), nil))
		default:
			continue
		}
		found = true
	}
	if !found {
		return fmt.Errorf("%s holds no unit file (their names end in .service, .timer and the like)", dir)
	}
	return errors.Join(errs...)
}

// isMisspelt reports whether the name of a file ends in what can only be meant for the type of a unit.
func isMisspelt(base string) bool {
	suffix := strings.TrimPrefix(filepath.Ext(base), ".")
	return base[0] != '.' && units.Typo(suffix, []string{"service", "socket", "timer", "mount", "automount", "target", "slice"}) != ""
}

// unit verifies one unit file with its drop-ins.
func (k *checker) unit(path string) error {
	if !k.first(path) {
		return nil
	}
	raw, err := readRegular(path)
	if err != nil {
		return err
	}
	var drops units.DropIns
	if folder := path + ".d"; exists(folder) {
		k.first(folder)
		if drops, err = readDropIns(folder); err != nil {
			return err
		}
	}
	k.say(filepath.Dir(path), units.VerifyWith(units.Name(filepath.Base(path)), raw, drops))
	return nil
}

// dropIns verifies a folder of drop-ins; with the unit file, if that lies beside it.
func (k *checker) dropIns(folder string) error {
	if unit := strings.TrimSuffix(folder, ".d"); exists(unit) {
		return k.unit(unit)
	}
	if !k.first(folder) {
		return nil
	}
	drops, err := readDropIns(folder)
	if err != nil {
		return err
	}
	k.say(filepath.Dir(folder), units.VerifyDropIns(dropInsOf(folder), drops))
	return nil
}

// dropIn verifies a single drop-in.
func (k *checker) dropIn(path string) error {
	if !k.first(path) {
		return nil
	}
	raw, err := readRegular(path)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	k.say(filepath.Dir(folder), units.VerifyDropIns(dropInsOf(folder), units.DropIns{{Name: filepath.Base(path), Raw: raw}}))
	return nil
}

// first reports whether a path comes up for the first time.
func (k *checker) first(path string) bool {
	path = filepath.Clean(path)
	before := k.done[path]
	k.done[path] = true
	return !before
}

// readDropIns reads the files of a drop-in folder. Hidden files and an editor's backups are none.
func readDropIns(folder string) (units.DropIns, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read drop-ins: %w", err)
	}
	var out units.DropIns
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		raw, err := readRegular(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, units.DropIn{Name: e.Name(), Raw: raw})
	}
	return out, nil
}

// say prints the faults of a unit in dir. A fault of the whole file stands at its first line.
func (k *checker) say(dir string, err error) {
	if err == nil {
		return
	}
	k.bad = true
	var list units.Errors
	var one *units.Error
	if !errors.As(err, &list) && errors.As(err, &one) {
		list = units.Errors{one}
	}
	for _, f := range list {
		path, what := filepath.Join(dir, f.File), *f
		if strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }) {
			path = strconv.Quote(path)
		}
		what.File, what.Line = "", cmp.Or(f.Line, 1)
		fmt.Fprintf(k.out, "%s:%d: %s\n", path, what.Line, what.Error())
	}
}
