package units

import (
	"slices"
	"strings"
	"unicode"
)

// The sections that hold placement options.
const (
	Section    = "X-Flotilla"
	OldSection = "X-Fleet" // files written for fleet, with fleet's option names
)

// maxValues bounds one option of one file: every value costs the planner time.
const maxValues = 1000

// option is a placement option, by whatever name it was written.
type option int

const (
	optMachineID option = iota
	optMachineOf
	optMetadata
	optConflicts
	optGlobal
	optFence
	optCount
)

// currentNames are the options of [X-Flotilla], indexed by option.
func currentNames() [optCount]string {
	return [optCount]string{"MachineID", "MachineOf", "MachineMetadata", "Conflicts", "Global", "Fence"}
}

// deprecated returns the option that fleet's oldest names stand for.
func deprecated(name string) (option, bool) {
	switch name {
	case "X-ConditionMachineID":
		return optMachineID, true
	case "X-ConditionMachineOf":
		return optMachineOf, true
	case "X-ConditionMachineMetadata":
		return optMetadata, true
	case "X-Conflicts":
		return optConflicts, true
	}
	return 0, false
}

// Requirements reads the placement options of the file's [X-Flotilla] or
// [X-Fleet] section. %n %N %p %i and %% are replaced for f.Name. For a template
// the result only tells whether the options are sound: each instance has its
// own. The error is of type Errors.
func (f *File) Requirements() (Requirements, error) {
	p := f.requirements()
	if err := p.err(); err != nil {
		f.locate(err)
		return Requirements{}, err
	}
	return p.result, nil
}

// requirements reads the placement options, and collects what is wrong with them.
func (f *File) requirements() *placement {
	p := &placement{faults: faults{file: string(f.Name)}, file: f}
	p.findSection()
	p.misplaced()
	if p.section == "" {
		return p
	}
	for _, o := range f.Options {
		if o.Section == p.section {
			p.collect(o)
		}
	}
	p.result = Requirements{
		MachineID: p.machineID(),
		MachineOf: p.machineOf(),
		Metadata:  p.metadata(),
		Conflicts: p.conflicts(),
		Global:    p.boolean(optGlobal),
		Fence:     p.boolean(optFence),
	}
	p.combinations(p.result)
	return p
}

// placement reads the placement options of one file.
type placement struct {
	faults
	file    *File
	section string
	result  Requirements
	set     [optCount][]setting
}

// setting is one value of a placement option, after specifiers and quotes.
type setting struct {
	value string
	line  int
	open  bool // holds what only an instance of this template settles
	plain bool // was written without quotes
}

// findSection settles which section counts and refuses misspelt ones, which
// systemd would ignore in silence.
func (p *placement) findSection() {
	for _, h := range p.file.sections {
		if h.name != Section && h.name != OldSection {
			if meant := sectionMeant(h.name); meant != "" {
				p.add(h.line, "write ["+meant+"]", "unknown section [%s]", visible(h.name))
			}
		}
	}
	current, old := p.file.sectionLine(Section), p.file.sectionLine(OldSection)
	switch {
	case current > 0 && old > 0:
		p.add(max(current, old), "move all options into [X-Flotilla]",
			"[X-Flotilla] on line %d and [X-Fleet] on line %d cannot stand in one file", current, old)
	case current > 0:
		p.section = Section
	case old > 0:
		p.section = OldSection
	}
}

// sectionMeant returns the placement section that a misspelt header stands for, or "". Sections of
// others ([X-Fleece], [X-Sleet]) pass: only one slip of the keyboard in "fleet" counts, behind its f.
func sectionMeant(name string) string {
	if len(name) > maxShown {
		return ""
	}
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	const joints = "-_. \t‐‑–—"
	stem := strings.Trim(strings.ToLower(name), joints)
	if rest, ok := strings.CutPrefix(stem, "x"); ok {
		stem = strings.TrimLeft(rest, joints)
	}
	switch {
	case stem == "fleet", strings.HasPrefix(stem, "f") && oneSlip(stem, "fleet"):
		return OldSection
	case len(stem) > 5 && distance(stem, "flotilla") <= 2:
		return Section
	}
	return ""
}

// misplaced refuses placement options in sections of systemd's, which would pass over them with a line in
// the journal of the host.
func (p *placement) misplaced() {
	names := currentNames()
	for _, o := range p.file.Options {
		if strings.HasPrefix(o.Section, "X-") || sectionMeant(o.Section) != "" {
			continue
		}
		_, old := deprecated(o.Name)
		switch {
		case o.Name == names[optConflicts] && o.Section == "Unit" && slices.ContainsFunc(strings.Fields(o.Value), IsGlob):
			p.add(o.Line, "write it in [X-Flotilla]", "systemd knows no globs in Conflicts=")
		case o.Name != names[optConflicts] && (old || slices.Contains(names[:], o.Name)):
			p.add(o.Line, "write it in [X-Flotilla]", "%s= in [%s] does nothing", o.Name, o.Section)
		}
	}
}

// collect adds the values of one assignment; an empty one resets the option.
func (p *placement) collect(o Option) {
	opt, ok := p.lookup(o)
	if !ok {
		return
	}
	if o.Value == "" {
		p.set[opt] = nil
		return
	}
	value, msg, hint := specifiers(o.Value, o.Name+"=", p.file.Name)
	if msg != "" {
		p.add(o.Line, hint, "%s", msg)
		return
	}
	list, ok := words(value)
	if !ok {
		p.add(o.Line, `write one value without quotes, or "a" "b"`, "%s= has quotes that do not pair up around its values", o.Name)
		return
	}
	for _, word := range list {
		values := []string{strings.Trim(word, whitespace)}
		if opt == optMachineOf || opt == optConflicts { // unit names hold no blanks
			values = strings.Fields(word)
		}
		if len(values) == 0 || values[0] == "" {
			p.add(o.Line, "remove it or write a value", "%s= has an empty value", o.Name)
			continue
		}
		for _, v := range values {
			p.store(opt, setting{
				value: v, line: o.Line, plain: !strings.Contains(value, `"`),
				open: p.file.Name.IsTemplate() && strings.Contains(o.Value, "%"),
			})
		}
	}
}

// store adds one value to an option.
func (p *placement) store(opt option, s setting) {
	if len(p.set[opt]) == maxValues {
		p.add(s.line, "use a label or a glob that covers them", "%s= has more than %d values", currentNames()[opt], maxValues)
		return
	}
	p.set[opt] = append(p.set[opt], s)
}

// lookup finds the option that an assignment sets, or explains why there is none.
func (p *placement) lookup(o Option) (option, bool) {
	names := currentNames()
	old, isOld := deprecated(o.Name)
	opt := option(slices.Index(names[:], o.Name))
	switch {
	case opt == optFence && p.section == OldSection:
		p.add(o.Line, "rename the section to [X-Flotilla]", "Fence= is not an option of [X-Fleet]")
	case opt >= 0:
		return opt, true
	case isOld && p.section == OldSection:
		return old, true
	case isOld:
		p.add(o.Line, "write "+names[old]+"=", "%s= is an old name that only [X-Fleet] knows", o.Name)
	case o.Name == "X-ConditionMachineBootID":
		p.add(o.Line, "pin the unit with MachineID=", "X-ConditionMachineBootID= is not supported: a boot id changes at every boot")
	case o.Name == "Replaces":
		p.add(o.Line, "use Conflicts=, and stop the other unit by hand", "Replaces= is not supported: no unit may push another off its host")
	default:
		hint := "options of this section: " + strings.Join(names[:], ", ")
		if near := Suggest(o.Name, names[:]); near != "" {
			hint = "did you mean " + near + "=?"
		}
		p.add(o.Line, hint, "unknown option %s in [%s]", printable(o.Name), p.section)
	}
	return 0, false
}
