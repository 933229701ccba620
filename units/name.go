package units

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Name is the full name of a unit with its suffix, such as web@3.service. Its
// methods may be called on any string; only ParseName says whether it is valid.
type Name string

// maxName is the most that a unit name may have, in bytes: systemd allows 255, and so do file systems,
// and what flotilla adds to a unit lies in a folder NAME.d.
const maxName = 253

// managedTypes are the unit types that flotilla places on hosts, in the order
// in which error messages list them.
func managedTypes() []string {
	return []string{"service", "socket", "timer", "path", "mount", "automount", "target", "slice"}
}

// ParseName returns s as a Name if systemd accepts it as the name of a unit file
// of a type that flotilla manages. The error is an *Error.
func ParseName(s string) (Name, error) {
	fault := func(column int, hint, format string, args ...any) (Name, error) {
		return "", &Error{File: s, Column: column, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
	if s == "" {
		return fault(0, "write a full name such as web.service", "unit name is empty")
	}
	if len(s) > maxName {
		return fault(0, "shorten it", "unit name has %d bytes, %d is the most (its folder NAME.d has two more)", len(s), maxName)
	}
	if i := badNameByte(s); i >= 0 {
		return fault(i+1, `a unit name is made of letters, digits and : _ . - \ @`, "%s may not stand in a unit name", quoted(runeAt(s, i)))
	}
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 {
		return fault(0, "did you mean "+s+".service?", "unit name has no type")
	}
	if dot == 0 {
		return fault(0, "write a full name such as web.service", "unit name is only a suffix")
	}
	if msg, hint := typeFault(s[dot+1:], s[:dot]); msg != "" {
		return fault(0, hint, "%s", msg)
	}
	n := Name(s)
	if msg, hint := n.partsFault(); msg != "" {
		return fault(0, hint, "%s", msg)
	}
	return n, nil
}

// badNameByte returns the index of the first byte that a unit name may not hold, or -1.
func badNameByte(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(`:_.-\@`, c) >= 0:
		default:
			return i
		}
	}
	return -1
}

// runeAt returns the character of s that starts at byte i.
func runeAt(s string, i int) string {
	for _, r := range s[i:] {
		return string(r)
	}
	return ""
}

// typeFault says why a suffix is no type that flotilla manages, or "".
func typeFault(suffix, stem string) (msg, hint string) {
	if slices.Contains(managedTypes(), suffix) {
		return "", ""
	}
	managed := "flotilla manages " + strings.Join(managedTypes(), ", ")
	switch suffix {
	case "device":
		return "device units are made by the kernel and cannot be submitted", managed
	case "scope":
		return "scope units are made by running programs and cannot be submitted", managed
	case "swap":
		return "swap units belong to a host's own disks and are not managed", managed
	case "snapshot", "busname":
		return suffix + " units no longer exist in systemd", managed
	case "":
		return "unit name ends in a dot", "did you mean " + stem + ".service?"
	}
	if near := Suggest(suffix, managedTypes()); near != "" {
		return "unknown unit type " + quoted(suffix), "did you mean " + stem + "." + near + "?"
	}
	return "unknown unit type " + quoted(suffix), managed
}

// partsFault says what is wrong with the prefix and instance of n, or "". n has a managed type.
func (n Name) partsFault() (msg, hint string) {
	at := n.at()
	if at == 0 {
		return "unit name starts with @", "write the template's name before it, such as web@3.service"
	}
	switch n.Type() {
	case "mount", "automount":
		if at > 0 {
			return n.Type() + " units cannot be templates", "their name is the escaped path of the mount point; see systemd-escape --path"
		}
	case "slice":
		stem := n.stem()
		if at > 0 {
			return "slice units cannot be templates", "name each slice in full"
		}
		if stem != "-" && (stem[0] == '-' || stem[len(stem)-1] == '-' || strings.Contains(stem, "--")) {
			return "a slice name is a path of parts joined by single dashes", "remove the leading, trailing or double dash"
		}
	}
	if p := n.Prefix(); p[len(p)-1] == '-' && n != "-.mount" && n != "-.slice" {
		return "unit name has a dash before its type or @", "remove the dash: systemd would give what belongs to it to every unit whose name begins with " + printable(p)
	}
	return "", ""
}

// stem returns the name without its suffix.
func (n Name) stem() string {
	if dot := strings.LastIndexByte(string(n), '.'); dot >= 0 {
		return string(n[:dot])
	}
	return string(n)
}

// at returns the index of the @ that separates template and instance, or -1.
func (n Name) at() int { return strings.IndexByte(n.stem(), '@') }

// Type returns the suffix without its dot, such as "service".
func (n Name) Type() string {
	if dot := strings.LastIndexByte(string(n), '.'); dot >= 0 {
		return string(n[dot+1:])
	}
	return ""
}

// Prefix returns what stands before the first @, or before the suffix in a name without @.
func (n Name) Prefix() string {
	if at := n.at(); at >= 0 {
		return string(n[:at])
	}
	return n.stem()
}

// Instance returns what stands between the first @ and the suffix; "" for templates and plain names.
func (n Name) Instance() string {
	if at := n.at(); at >= 0 {
		return n.stem()[at+1:]
	}
	return ""
}

// IsTemplate reports whether n names a template unit, such as web@.service.
func (n Name) IsTemplate() bool { return n.at() >= 0 && n.Instance() == "" }

// IsInstance reports whether n names an instance of a template, such as web@3.service.
func (n Name) IsInstance() bool { return n.Instance() != "" }

// Template returns the template of an instance, and "" for any other name.
func (n Name) Template() Name {
	if !n.IsInstance() {
		return ""
	}
	return Name(n.Prefix() + "@." + n.Type())
}

// With returns the given instance of the template that n is, or is an instance
// of. A plain name is returned unchanged. The result is not validated.
func (n Name) With(instance string) Name {
	if n.at() < 0 {
		return n
	}
	return Name(n.Prefix() + "@" + instance + "." + n.Type())
}

// Mangle turns what a person typed on a command line into a unit name: the
// last element of a path, with .service appended when it has no suffix that
// systemd knows. Expand braces first. The result is not validated.
func Mangle(s string) string {
	if s == "" {
		return ""
	}
	s = path.Base(s)
	if slices.Contains(knownTypes(), Name(s).Type()) {
		return s
	}
	return s + ".service"
}

// MangleGlob does for a glob what Mangle does for a name: it appends .service, unless the
// glob ends in * or in something that matches the suffix of a type. Slashes stay: names
// have none, and so such a glob matches nothing.
func MangleGlob(glob string) string {
	suffix := Name(glob).Type()
	if strings.HasSuffix(glob, "*") || slices.ContainsFunc(knownTypes(), func(t string) bool {
		ok, err := Match(suffix, t)
		return err == nil && ok
	}) {
		return glob
	}
	return glob + ".service"
}

// knownTypes are the suffixes that systemd knows or once knew.
func knownTypes() []string {
	return append(managedTypes(), "device", "scope", "swap", "snapshot", "busname")
}
