package units

import "strings"

// MaxContent is how many bytes a unit file may have: one must fit into a transaction of etcd's, beside
// other keys.
const MaxContent = 512 << 10

// File is a unit file: its bytes and a parsed view beside them. Neither may be
// changed after Parse.
type File struct {
	Name    Name
	Raw     []byte   // the truth, exactly as submitted
	Options []Option // every assignment in the order of the file, empty ones included

	sections []header
	parts    []part // the drop-ins that it was read with
}

// Option is one assignment of a unit file.
type Option struct {
	Section string
	Name    string
	Value   string // continuation lines joined as systemd joins them, outer whitespace removed
	Line    int    // 1-based physical line on which the assignment begins
}

// header is a section header; the same section may occur several times.
type header struct {
	name string
	line int
}

// Values returns the values of a list option: everything assigned since the
// last empty assignment, which resets the list. Names are case sensitive.
func (f *File) Values(section, name string) []string {
	var out []string
	for _, o := range f.Options {
		switch {
		case o.Name != name || o.Section != section:
		case o.Value == "":
			out = nil
		default:
			out = append(out, o.Value)
		}
	}
	return out
}

// Value returns the value of a scalar option: the last assignment wins. It is
// "" and false when the option is not set or when its last assignment is empty.
func (f *File) Value(section, name string) (string, bool) {
	o, ok := f.last(section, name)
	return o.Value, ok
}

// last returns the assignment that wins for a scalar option.
func (f *File) last(section, name string) (Option, bool) {
	for i := len(f.Options) - 1; i >= 0; i-- {
		if o := f.Options[i]; o.Name == name && o.Section == section {
			return o, o.Value != ""
		}
	}
	return Option{}, false
}

// sectionLine returns the line of the first header of a section, or 0.
func (f *File) sectionLine(name string) int {
	for _, h := range f.sections {
		if h.name == name {
			return h.line
		}
	}
	return 0
}

// parseBool reads a boolean as systemd does.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}
