package main

import (
	"errors"
	"path/filepath"
	"strings"

	"flotilla/api"
	"flotilla/units"
)

// unitFile is a unit as it lies in a folder: its file, or that of its template, and the drop-ins beside it.
type unitFile struct {
	name     string
	path     string // of the file that was read
	raw      []byte
	template units.DropIns // of an instance: those in its template's folder
	own      units.DropIns // those in NAME.d
}

// dir is the folder of the file.
func (u unitFile) dir() string { return filepath.Dir(u.path) }

// ofTemplate says that the file is the template's of an instance.
func (u unitFile) ofTemplate() bool { return filepath.Base(u.path) != u.name }

// dropIns are all drop-ins of the unit: its own take the place of the template's.
func (u unitFile) dropIns() units.DropIns { return u.template.Overlay(u.own) }

// readDropIns reads the drop-ins beside the file: those of an instance's template, too.
func (u *unitFile) readDropIns() error {
	name, err := units.ParseName(u.name)
	if err != nil {
		return err
	}
	if u.own, err = dropInFolder(filepath.Join(u.dir(), u.name+".d")); err != nil {
		return err
	}
	if name.IsInstance() {
		u.template, err = dropInFolder(filepath.Join(u.dir(), string(name.Template())+".d"))
	}
	return err
}

// dropInFolder reads a folder of drop-ins; one that is not there holds none.
func dropInFolder(path string) (units.DropIns, error) {
	if !exists(path) {
		return nil, nil
	}
	return readDropIns(path)
}

// verify says what is wrong with the unit, with the paths at which its files lie.
func (u unitFile) verify() error {
	err := units.VerifyWith(units.Name(u.name), u.raw, u.dropIns())
	var faults units.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			f.File = u.pathOf(f.File)
		}
	}
	return err
}

// pathOf is where the file lies that a fault names as UNIT or UNIT.d/NAME.
func (u unitFile) pathOf(file string) string {
	drop, isDropIn := strings.CutPrefix(file, u.name+".d/")
	switch {
	case !isDropIn && file != u.name+".d":
		return u.path
	case isDropIn && !has(u.own, drop) && has(u.template, drop):
		return filepath.Join(u.dir(), string(units.Name(u.name).Template())+".d", drop)
	}
	return filepath.Join(u.dir(), file)
}

func has(list units.DropIns, name string) bool {
	for _, d := range list {
		if d.Name == name {
			return true
		}
	}
	return false
}

// asked are drop-ins in the words of the API.
func asked(list units.DropIns) *[]api.DropIn {
	out := make([]api.DropIn, len(list))
	for i, d := range list {
		out[i] = api.DropIn{Name: d.Name, Content: string(d.Raw)}
	}
	return &out
}
