package units

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// The limits of one unit's drop-ins. Their bundle must fit into one transaction of etcd's together with
// the unit file.
const (
	MaxDropIns       = 64        // files
	MaxDropInContent = 256 << 10 // bytes of all of them
)

// ownDropIn is the drop-in that holds what flotilla adds to a unit.
const ownDropIn = "50-flotilla.conf"

// maxFileName is the most bytes that a file system gives the name of a file.
const maxFileName = 255

// VerifyDropIns says everything that can be said about a user's drop-ins without the unit file that they
// belong to: their names, number, size and syntax, and options that no drop-in may hold. The error is of type
// Errors; its File is UNIT.d/NAME.
func VerifyDropIns(name Name, d DropIns) error {
	files, err := d.parse(name)
	var out Errors
	errors.As(err, &out)
	for _, f := range files {
		v := verifier{faults: faults{file: f.label()}, file: f}
		if name.Type() == "service" {
			v.choices()
			v.limits()
			v.programs()
		}
		out = append(out, v.list...)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// VerifyWith is Verify for a unit file together with its drop-ins, in the order in which systemd reads them:
// an option that one of them sets or takes back counts as if the file did.
func VerifyWith(name Name, raw []byte, d DropIns) error {
	if len(d) == 0 {
		return Verify(name, raw)
	}
	f, err := verifyText(name, raw)
	if err == nil {
		var whole *File
		if whole, err = f.With(d); err == nil {
			return whole.verify()
		}
		_, err = f.Requirements()
	}
	var out, more Errors
	if !errors.As(err, &out) && err != nil {
		return err // the name: nothing else makes sense without it
	}
	errors.As(VerifyDropIns(name, d), &more)
	return slices.Concat(out, more)
}

// With returns the unit file together with its drop-ins, as systemd reads it. Raw stays the file's; the lines of a
// drop-in are counted on from those before it, and every fault that is found in one names it. The error is of type
// Errors.
func (f *File) With(d DropIns) (*File, error) {
	if len(d) == 0 {
		return f, nil
	}
	files, err := d.parse(f.Name)
	if err != nil {
		return nil, err
	}
	whole := &File{Name: f.Name, Raw: f.Raw, Options: slices.Clone(f.Options), sections: slices.Clone(f.sections)}
	before := lines(f.Raw)
	for _, drop := range files {
		whole.parts = append(whole.parts, part{file: drop.label(), before: before})
		for _, o := range drop.Options {
			o.Line += before
			whole.Options = append(whole.Options, o)
		}
		for _, h := range drop.sections {
			h.line += before
			whole.sections = append(whole.sections, h)
		}
		before += lines(drop.Raw)
	}
	return whole, nil
}

// RequirementsWith is Requirements of the file together with its drop-ins: what they say in systemd's sections
// counts (MemoryMax=, CPUQuota=, KillMode=).
func (f *File) RequirementsWith(d DropIns) (Requirements, error) {
	whole, err := f.With(d)
	if err != nil {
		return Requirements{}, err
	}
	return whole.Requirements()
}

// lines is how many physical lines raw has, at least.
func lines(raw []byte) int {
	return bytes.Count(raw, []byte("\n")) + bytes.Count(raw, []byte("\r")) + 1
}

// parse reads the drop-ins of a unit in the order of their names. What cannot be read is left out.
func (d DropIns) parse(name Name) ([]*File, error) {
	folder := string(name) + ".d"
	if len(d) > MaxDropIns {
		return nil, Errors{{File: folder, Msg: "more than 64 drop-ins", Hint: "put what belongs together into one"}}
	}
	sorted := slices.Clone(d)
	slices.SortStableFunc(sorted, func(a, b DropIn) int { return strings.Compare(a.Name, b.Name) })
	var files []*File
	var out Errors
	size := 0
	for i, drop := range sorted {
		label := folder + "/" + drop.Name
		msg, hint := dropInName(drop.Name)
		if i > 0 && drop.Name == sorted[i-1].Name {
			msg, hint = "drop-in is given twice", "keep one of them"
		}
		if size += len(drop.Raw); msg == "" && size > MaxDropInContent {
			msg, hint = "drop-ins of a unit have more than 262144 bytes", "put large text into a file of its own"
		}
		if msg != "" {
			out = append(out, &Error{File: label, Msg: msg, Hint: hint})
			continue
		}
		f, faults := parseDropIn(name, label, drop.Raw)
		if files = append(files, f); faults != nil {
			files, out = files[:len(files)-1], append(out, faults...)
		}
	}
	if len(out) > 0 {
		return files, out
	}
	return files, nil
}

// dropInName says what is wrong with the file name of a drop-in.
func dropInName(name string) (msg, hint string) {
	switch stem, ok := strings.CutSuffix(name, ".conf"); {
	case name == ownDropIn:
		return "this name is that of flotilla's own drop-in", "choose another, such as 40-flotilla.conf"
	case strings.Contains(name, "/"):
		return "name of a drop-in has a slash", "give the name of the file without its folder"
	case !ok:
		return "name of a drop-in does not end in .conf, and systemd would pass over it", "name it " + printable(name+".conf")
	case stem == "" || stem[0] == '.':
		return "name of a drop-in begins with a dot, and systemd would pass over it", "name it as in 10-limits.conf"
	case len(name) > maxFileName:
		return "name of a drop-in is longer than 255 bytes", "shorten it"
	case printable(stem) != stem && len(stem) <= maxShown, visible(stem) != stem:
		return "name of a drop-in has a blank or a character that cannot be seen", "use letters, digits, - and _"
	}
	return "", ""
}

// parseDropIn reads one drop-in.
func parseDropIn(name Name, label string, raw []byte) (*File, Errors) {
	f, err := parse(name, label, raw)
	var out Errors
	if errors.As(err, &out) {
		return nil, out
	}
	f.parts = []part{{file: label}}
	v := verifier{faults: faults{file: label}, file: f}
	for _, h := range f.sections {
		if h.name == Section || h.name == OldSection {
			v.add(h.line, "write it in the unit file", "[%s] in a drop-in does nothing", h.name)
		}
	}
	v.sections()
	p := placement{faults: faults{file: label}, file: f}
	p.findSection()
	p.misplaced()
	v.list = append(v.list, p.list...)
	if err := v.err(); err != nil {
		return nil, v.list
	}
	return f, nil
}

// part says where the lines of a drop-in begin among those of a File.
type part struct {
	file   string
	before int // lines
}

// label is what faults of the file call it.
func (f *File) label() string {
	if len(f.parts) > 0 && f.parts[0].before == 0 {
		return f.parts[0].file
	}
	return string(f.Name)
}

// locate lets faults name the drop-in that they are in, by its own lines.
func (f *File) locate(err error) {
	var list Errors
	errors.As(err, &list)
	for _, e := range list {
		for _, p := range slices.Backward(f.parts) {
			if e.Line > p.before {
				e.File, e.Line = p.file, e.Line-p.before
				break
			}
		}
	}
}
