package units

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode"
)

func (p *placement) machineID() string {
	id := ""
	for i, s := range p.set[optMachineID] {
		if !s.open && !isMachineID(s.value) {
			p.add(s.line, "write the 32 hexadecimal digits of /etc/machine-id, or the first 8", "MachineID=%s is not a machine id", printable(s.value))
		}
		if i > 0 && s.value != id {
			p.add(s.line, "keep one of them, or use MachineMetadata=", "MachineID= is set to another machine on line %d", p.set[optMachineID][0].line)
			return id
		}
		id = s.value
	}
	return id
}

// maxPeers is how many units MachineOf may name: an order rests on each of them, and one
// write of the store holds 128 conditions.
const maxPeers = 64

func (p *placement) machineOf() []Name {
	var out []Name
	for _, s := range p.set[optMachineOf] {
		if IsGlob(s.value) {
			p.add(s.line, "name each unit in full", "MachineOf= takes no globs")
			continue
		}
		n, err := ParseName(s.value)
		if p.fault("MachineOf", s, err) {
			continue
		}
		switch {
		case n.IsTemplate():
			p.add(s.line, "name an instance such as "+string(n.With("1")), "MachineOf=%s is a template, which runs nowhere", n)
		case p.itself(n):
			p.add(s.line, "name the unit whose host it should share", "MachineOf= names the unit itself")
		default:
			out = append(out, n)
		}
	}
	out = sortedSet(out)
	if len(out) > maxPeers {
		p.add(p.lastLine(optMachineOf), "name one unit that is with the others already", "MachineOf= names %d units, %d is the most", len(out), maxPeers)
	}
	return out
}

func (p *placement) metadata() []Requirement {
	var out []Requirement
	for _, s := range p.set[optMetadata] {
		key, value, ok := strings.Cut(s.value, "=")
		looks := s.looksWrong()
		if !ok || looks != "" || CheckLabel(key, value) != nil {
			p.add(s.line, cmp.Or(looks, metadataHint(s.value)), "MachineMetadata=%s is malformed", printable(s.value))
			continue
		}
		i := slices.IndexFunc(out, func(r Requirement) bool { return r.Key == key })
		if i < 0 {
			out = append(out, Requirement{Key: key})
			i = len(out) - 1
		}
		out[i].Values = append(out[i].Values, value)
	}
	slices.SortFunc(out, compareKeys)
	for i := range out {
		out[i].Values = sortedSet(out[i].Values)
	}
	return out
}

// looksWrong is the hint for a label written in a way that other languages read otherwise, and that
// no host's label would ever match; "" for any other.
func (s setting) looksWrong() string {
	switch {
	case !s.plain:
	case strings.HasPrefix(s.value, "'"), strings.Contains(s.value, "='"):
		return `write key=value or "key=value"; single quotes would be part of it`
	case strings.Contains(s.value, "=!"):
		return `write key=value; other comparisons are not known, and a value that begins with ! stands in double quotes`
	case strings.Contains(s.value, " #"), strings.Contains(s.value, "\t#"), strings.Contains(s.value, " ; "):
		return "put the comment on a line of its own, or the value in double quotes"
	}
	return ""
}

func metadataHint(value string) string {
	switch {
	case strings.Count(value, "=") > 1:
		return `write key=value, and several as "a=1" "b=2"`
	case strings.ContainsAny(value, "!<>~"):
		return "write key=value; other comparisons are not known"
	case strings.Contains(value, " =") || strings.Contains(value, "= "):
		return "remove the blanks around the ="
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "remove the character that cannot be seen"
	}
	return "write key=value"
}

func (p *placement) conflicts() []string {
	var out []string
	for _, s := range p.set[optConflicts] {
		if p.fault("Conflicts", s, checkGlob(s.value)) {
			continue
		}
		out = append(out, s.value)
	}
	return sortedSet(out)
}

// itself reports whether n is the unit of the file or, of a template, what its instances are checked as.
func (p *placement) itself(n Name) bool {
	own := p.file.Name
	return n == own || own.IsTemplate() && n == own.With(templateInstance)
}

// fault adds what is wrong with one value of an option, if anything.
func (p *placement) fault(name string, s setting, err error) bool {
	if err == nil {
		return false
	}
	bad := &Error{Msg: err.Error()}
	errors.As(err, &bad)
	p.add(s.line, bad.Hint, "%s=%s: %s", name, printable(s.value), bad.Msg)
	return true
}

// boolean reads a yes-or-no option; the last assignment wins, but every one must be valid.
func (p *placement) boolean(opt option) bool {
	result := false
	for _, s := range p.set[opt] {
		value, ok := parseBool(s.value)
		if !ok {
			p.add(s.line, "write yes or no", "%s=%s is not a boolean", currentNames()[opt], printable(s.value))
			continue
		}
		result = value
	}
	return result
}
