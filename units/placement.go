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
	optReplaces
	optGlobal
	optFence // the first that fleet had not
	optMaxPerHost
	optSpread
	optPrefer
	optMemory
	optCPU
	optRuntime
	optImage
	optHandover
	optReschedule
	optMaxUnavailable
	optDrain
	optCount
)

// currentNames are the options of [X-Flotilla], indexed by option; those before optFence are also [X-Fleet]'s.
func currentNames() [optCount]string {
	return [optCount]string{
		"MachineID", "MachineOf", "MachineMetadata", "Conflicts", "Replaces", "Global", "Fence", "MaxPerHost", "Spread", "Prefer",
		"Memory", "CPU", "Runtime", "Image", "Handover", "Reschedule", "MaxUnavailable", "Drain",
	}
}

// bootID is what fleet called MachineID at first.
const bootID = "X-ConditionMachineBootID"

// deprecated returns the option that fleet's oldest names stand for.
func deprecated(name string) (option, bool) {
	switch name {
	case "X-ConditionMachineID", bootID:
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

// words reports whether the values of an option hold no blanks, so that several stand on a line without quotes.
func (o option) words() bool {
	switch o {
	case optMachineOf, optConflicts, optReplaces, optSpread, optImage:
		return true
	default:
		return false
	}
}

// literal reports whether the values of an option are numbers and fixed words, in which % is no specifier.
func (o option) literal() bool {
	switch o {
	case optMaxPerHost, optMemory, optCPU, optRuntime, optHandover, optReschedule, optMaxUnavailable, optDrain:
		return true
	default:
		return false
	}
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
	for _, o := range f.Options {
		if o.Section == p.section {
			p.collect(o)
		}
	}
	p.result = Requirements{
		MachineID: p.machineID(),
		MachineOf: p.machineOf(),
		Metadata:  p.metadata(),
		Prefer:    p.prefer(),
		Conflicts: p.globs(optConflicts),
		Replaces:  p.replaces(),
		Global:    p.boolean(optGlobal),
		Fence:     p.boolean(optFence),

		MaxPerHost: p.count(optMaxPerHost),
		Spread:     p.spread(),
		Memory:     p.memory(),
		CPU:        p.cpu(),

		Handover:       p.handover(),
		Reschedule:     p.choice(optReschedule, "no", "on-failure") == "on-failure",
		MaxUnavailable: p.maxUnavailable(),
		Drain:          p.drain(),
	}
	p.result.Images = p.images()
	p.result.Runtime = p.runtime(p.result.Images)
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
	name  string // of the option, as it was written
	open  bool   // holds what only an instance of this template settles
	plain bool   // was written without quotes
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
		if strings.HasPrefix(o.Section, "X-") || o.Section == unreadable || sectionMeant(o.Section) != "" {
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
	if p.full() {
		return
	}
	opt, ok := p.lookup(o)
	if !ok {
		return
	}
	if o.Value == "" {
		p.set[opt] = nil
		return
	}
	value := o.Value
	if !opt.literal() {
		var msg, hint string
		if value, msg, hint = specifiers(o.Value, o.Name+"=", p.file.Name); msg != "" {
			p.add(o.Line, hint, "%s", msg)
			return
		}
	}
	list, ok := words(value)
	if !ok {
		p.add(o.Line, `write one value without quotes, or "a" "b"`, "%s= has quotes that do not pair up around its values", o.Name)
		return
	}
	s := setting{
		line: o.Line, name: o.Name, plain: !strings.Contains(value, `"`),
		open: p.file.Name.IsTemplate() && !opt.literal() && strings.Contains(o.Value, "%"),
	}
	for _, word := range list {
		values := []string{strings.Trim(word, whitespace)}
		if opt.words() {
			values = strings.Fields(word)
		}
		if len(values) == 0 || values[0] == "" {
			p.add(o.Line, "remove it or write a value", "%s= has an empty value", o.Name)
			continue
		}
		for _, s.value = range values {
			p.store(opt, s)
		}
	}
}

// store adds one value to an option.
func (p *placement) store(opt option, s setting) {
	if len(p.set[opt]) == maxValues {
		p.tooMany(opt, s.line)
		return
	}
	p.set[opt] = append(p.set[opt], s)
}

func (p *placement) tooMany(opt option, line int) {
	p.add(line, "use a label or a glob that covers them", "%s= has more than %d values", currentNames()[opt], maxValues)
}

// lookup finds the option that an assignment sets, or explains why there is none.
func (p *placement) lookup(o Option) (option, bool) {
	all := currentNames()
	names := all[:]
	if p.section == OldSection {
		names = all[:optFence]
	}
	old, isOld := deprecated(o.Name)
	opt := option(slices.Index(all[:], o.Name))
	switch {
	case opt >= optFence && p.section == OldSection:
		p.add(o.Line, "rename the section to [X-Flotilla]", "%s= is not an option of [X-Fleet]", o.Name)
	case opt >= 0:
		return opt, true
	case isOld && p.section == OldSection:
		return old, true
	case isOld:
		p.add(o.Line, "write "+all[old]+"=", "%s= is an old name that only [X-Fleet] knows", o.Name)
	default:
		hint := "options of this section: " + strings.Join(names, ", ")
		if near := Suggest(o.Name, names); near != "" {
			hint = "did you mean " + near + "=?"
		}
		p.add(o.Line, hint, "unknown option %s in [%s]", printable(o.Name), p.section)
	}
	return 0, false
}
