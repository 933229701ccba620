package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/units"
)

// given is what the words of apply name.
type given struct {
	files []unitFile                          // by name
	sets  []string                            // of the folders: what --prune looks at
	there map[string]bool                     // names of all files in the folders of the given ones
	own   map[string]map[string]units.DropIns // by template and instance: folders of instances that have no file
	setOf func(unitFile) string
}

// has says whether a unit has a file among the given ones.
func (g given) has(name string) bool {
	_, found := slices.BinarySearchFunc(g.files, name, func(f unitFile, n string) int { return cmp.Compare(f.name, n) })
	return found
}

// readGiven reads files and folders of units. Everything that is wrong with any of them is told at once.
func readGiven(c *cli.Context) (given, error) {
	set := c.String("set")
	g := given{own: map[string]map[string]units.DropIns{}, setOf: func(f unitFile) string { return cmp.Or(set, setOf(f.dir())) }}
	list, err := words(c)
	if err != nil {
		return g, err
	}
	var faults []error
	for _, word := range list {
		if units.IsGlob(word) {
			return g, fmt.Errorf("apply takes files and folders, and %q is a glob (leave it to the shell, or name the folder)", word)
		}
		faults = append(faults, g.add(word))
	}
	slices.SortStableFunc(g.files, func(a, b unitFile) int { return cmp.Compare(a.name, b.name) })
	faults = append(faults, g.dropTwice())
	for i := range g.files {
		faults = append(faults, g.complete(&g.files[i]))
	}
	if err := errors.Join(faults...); err != nil {
		return g, err
	}
	return g, g.noteSets()
}

// setOf is what the files of a folder are called together.
func setOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return filepath.Clean(dir)
	}
	return abs
}

// noteSets notes the sets of the given files, and what else lies in their folders: one file of a folder that is
// named alone does not mean that the others are gone.
func (g *given) noteSets() error {
	g.there = map[string]bool{}
	seen := map[string]bool{}
	for _, f := range g.files {
		if set := g.setOf(f); !slices.Contains(g.sets, set) {
			g.sets = append(g.sets, set)
		}
		if seen[f.dir()] {
			continue
		}
		seen[f.dir()] = true
		entries, err := os.ReadDir(f.dir())
		if err != nil {
			return fmt.Errorf("look for other unit files: %w", err)
		}
		for _, e := range entries {
			g.there[e.Name()] = g.there[e.Name()] || !e.IsDir()
		}
	}
	return nil
}

// add reads a file or the files of a folder.
func (g *given) add(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such file or folder", path)
	}
	if err != nil {
		return fmt.Errorf("read unit files: %w", err)
	}
	if !info.IsDir() {
		return g.addFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("read unit files: %w", err)
	}
	var faults []error
	found, names := false, map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
		if !e.IsDir() && (isUnit(e.Name()) || isMisspelt(e.Name())) {
			found = true
			faults = append(faults, g.addFile(filepath.Join(path, e.Name())))
		}
	}
	if !found {
		return fmt.Errorf("%s holds no unit files (name a folder that does; flotilla destroy removes units)", path)
	}
	for _, e := range entries {
		if e.IsDir() {
			faults = append(faults, g.strayFolder(path, e.Name(), names))
		}
	}
	return errors.Join(faults...)
}

// strayFolder refuses drop-ins of a folder whose unit is not there.
func (g *given) strayFolder(dir, folder string, names map[string]bool) error {
	unit, isDropIns := strings.CutSuffix(folder, ".d")
	name, err := units.ParseName(unit)
	if !isDropIns || err != nil || names[unit] || names[string(name.Template())] {
		return nil
	}
	return fmt.Errorf("%s: its unit file %s is not beside it (put it there, or move the folder away)", filepath.Join(dir, folder), unit)
}

// addFile reads one unit file.
func (g *given) addFile(path string) error {
	name := filepath.Base(path)
	if _, err := units.ParseName(name); err != nil {
		var fault *units.Error
		if errors.As(err, &fault) {
			fault.File = path
		}
		return err
	}
	raw, err := readRegular(path)
	if err != nil {
		return err
	}
	g.files = append(g.files, unitFile{name: name, path: path, raw: raw})
	return nil
}

// dropTwice keeps one of a file that was named twice, and refuses two files of one unit.
func (g *given) dropTwice() error {
	var faults []error
	g.files = slices.CompactFunc(g.files, func(b, a unitFile) bool { // b comes after a
		if a.name == b.name && setOf(a.path) != setOf(b.path) {
			faults = append(faults, fmt.Errorf("%s is given twice: %s and %s (leave one of them out)", a.name, a.path, b.path))
		}
		return a.name == b.name
	})
	return errors.Join(faults...)
}

// complete reads the drop-ins of a unit, of a template also those of its instances that have no file, and
// says what is wrong with them.
func (g *given) complete(f *unitFile) error {
	if err := f.readDropIns(); err != nil {
		return err
	}
	if err := f.verify(); err != nil || !units.Name(f.name).IsTemplate() {
		return err
	}
	before, after, _ := strings.Cut(f.name, "@")
	entries, err := os.ReadDir(f.dir())
	if err != nil {
		return fmt.Errorf("read drop-ins: %w", err)
	}
	var faults []error
	for _, e := range entries {
		name, isDropIns := strings.CutSuffix(e.Name(), ".d")
		fits := isDropIns && strings.HasPrefix(name, before+"@") && strings.HasSuffix(name, after) && units.Name(name).Template() == units.Name(f.name)
		if !fits || g.has(name) {
			continue
		}
		instance := f.instance(name)
		if err := instance.readDropIns(); err != nil {
			faults = append(faults, err)
			continue
		}
		faults = append(faults, instance.verify())
		if g.own[f.name] == nil {
			g.own[f.name] = map[string]units.DropIns{}
		}
		g.own[f.name][name] = instance.own
	}
	return errors.Join(faults...)
}

// instance is an instance of a template's file.
func (u unitFile) instance(name string) unitFile {
	return unitFile{name: name, path: u.path, raw: u.raw, template: u.own}
}
