package units

import (
	"bytes"
	"slices"
)

// Overlay is d with the drop-ins over it: one of the same name takes the place of d's, as the folder of an
// instance does with that of its template.
func (d DropIns) Overlay(over DropIns) DropIns {
	out := slices.Clone(over)
	for _, one := range d {
		if over.find(one.Name) < 0 {
			out = append(out, one)
		}
	}
	return out
}

// Beyond are the drop-ins that base does not have, or has otherwise: base.Overlay(d.Beyond(base)) is d, if d was
// laid over base.
func (d DropIns) Beyond(base DropIns) DropIns {
	var out DropIns
	for _, one := range d {
		if i := base.find(one.Name); i < 0 || !bytes.Equal(base[i].Raw, one.Raw) {
			out = append(out, one)
		}
	}
	return out
}

// find is where the drop-in of that name is, -1 if it is not there.
func (d DropIns) find(name string) int {
	return slices.IndexFunc(d, func(one DropIn) bool { return one.Name == name })
}
