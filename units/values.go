package units

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// machineID is the machine that the unit is pinned to. As in fleet, a newer name of the option beats an older one in
// [X-Fleet], and of several values of one name the first counts; [X-Flotilla] refuses two that differ.
func (p *placement) machineID() string {
	var chosen *setting
	for _, s := range p.set[optMachineID] {
		if !s.open && !isMachineID(s.value) {
			p.add(s.line, "write the 32 hexadecimal digits of /etc/machine-id, or the first 8", "%s=%s is not a machine id", s.name, printable(s.value))
		}
		switch {
		case chosen == nil, idRank(s.name) < idRank(chosen.name):
			chosen = &s
		case p.section == Section && s.value != chosen.value:
			p.add(s.line, "keep one of them, or use MachineMetadata=", "MachineID= is set to another machine on line %d", chosen.line)
			return chosen.value
		}
	}
	if chosen == nil {
		return ""
	}
	return chosen.value
}

// idRank orders the names that MachineID has had, the one that counts most first.
func idRank(name string) int {
	return slices.Index([]string{"MachineID", "X-ConditionMachineID", bootID}, name)
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
		return nil
	}
	return out
}

// globs reads Conflicts= or Replaces=.
func (p *placement) globs(opt option) []string {
	var out []string
	for _, s := range p.set[opt] {
		if p.fault(currentNames()[opt], s, checkGlob(s.value)) {
			continue
		}
		out = append(out, s.value)
	}
	return sortedSet(out)
}

// replaces reads Replaces=. A glob may match the unit's own name, which is not meant then.
func (p *placement) replaces() []string {
	for _, s := range p.set[optReplaces] {
		if p.itself(Name(s.value)) {
			p.add(s.line, "name the units that should leave its host", "Replaces= names the unit itself")
		}
	}
	return p.globs(optReplaces)
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
		switch {
		case !ok:
			p.add(s.line, "write yes or no", "%s=%s is not a boolean", currentNames()[opt], printable(s.value))
		case value && p.section == OldSection && strings.EqualFold(s.value, "y"):
			p.add(s.line, "write yes or no", "%s=%s was no for fleet", currentNames()[opt], s.value)
		default:
			result = value
		}
	}
	return result
}

// choice reads an option that has one of a few values; the last assignment wins, but every one must be valid.
func (p *placement) choice(opt option, known ...string) string {
	result := ""
	for _, s := range p.set[opt] {
		if !slices.Contains(known, s.value) {
			last := len(known) - 1
			hint := "write " + strings.Join(known[:last], ", ") + " or " + known[last]
			if near := Suggest(s.value, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			p.add(s.line, hint, "%s=%s is not known", currentNames()[opt], printable(s.value))
			continue
		}
		result = s.value
	}
	return result
}

// handover reads Handover=.
func (p *placement) handover() Handover {
	if p.choice(optHandover, StopFirst.String(), StartFirst.String()) == StartFirst.String() {
		return StartFirst
	}
	return StopFirst
}

// drain reads Drain=.
func (p *placement) drain() Drain {
	switch p.choice(optDrain, DrainMove.String(), DrainStay.String(), DrainStop.String()) {
	case DrainStay.String():
		return DrainStay
	case DrainStop.String():
		return DrainStop
	}
	return DrainMove
}

// maxSpread is how many labels a family may be spread over.
const maxSpread = 8

// spread reads Spread=label and Spread=label:hard.
func (p *placement) spread() []Spread {
	var out []Spread
	for _, s := range p.set[optSpread] {
		label, kind, marked := strings.Cut(s.value, ":")
		switch i := slices.IndexFunc(out, func(o Spread) bool { return o.Label == label }); {
		case marked && kind != "hard":
			p.add(s.line, "write Spread="+cmp.Or(label, "zone")+":hard, or without :hard where a host may be taken all the same", "Spread=%s is malformed", printable(s.value))
		case !labelKey(label):
			p.add(s.line, cmp.Or(keyHint(label), "write the key of a label, as in Spread=zone or Spread=zone:hard"), "Spread=%s is malformed", printable(s.value))
		case i >= 0 && out[i].Hard != marked:
			p.add(s.line, "keep one of them", "Spread= names %s twice, with and without :hard", label)
		case i < 0:
			out = append(out, Spread{Label: label, Hard: marked})
		}
	}
	if len(out) > maxSpread {
		p.add(p.lastLine(optSpread), "keep those that matter", "Spread= names %d labels, %d is the most", len(out), maxSpread)
	}
	return out
}
