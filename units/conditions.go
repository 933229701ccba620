package units

import (
	"cmp"
	"slices"
	"strings"
)

// condition is an expression in its place.
type condition struct {
	Requirement
	eq   bool // written with =
	open bool // only an instance settles what it says
	line int
}

// expressions reads all values of MachineMetadata= or Prefer=.
func (p *placement) expressions(opt option) []condition {
	var out []condition
	total := 0
	for _, s := range p.set[opt] {
		r, eq, hint := expression(s.value)
		hint = cmp.Or(s.looksWrong(), hint)
		if hint == "" && !eq && p.section == OldSection {
			hint = "write key=value; comparisons are for the section [X-Flotilla]"
		}
		if hint != "" {
			p.add(s.line, hint, "%s=%s is malformed", currentNames()[opt], printable(s.value))
			continue
		}
		if total += len(r.Values); total > maxValues {
			p.tooMany(opt, s.line)
			return nil
		}
		out = append(out, condition{r, eq, s.open, s.line})
	}
	return out
}

// metadata reads MachineMetadata=: what is written with = for one key is a choice, all else must hold.
func (p *placement) metadata() []Requirement {
	var joined []condition
	for _, c := range p.expressions(optMetadata) {
		i := slices.IndexFunc(joined, func(o condition) bool {
			return o.Key == c.Key && o.Op == c.Op && o.eq == c.eq && (c.eq || c.Op == NotIn)
		})
		if i < 0 {
			joined = append(joined, c)
			continue
		}
		joined[i].Values, joined[i].line = append(joined[i].Values, c.Values...), c.line
		joined[i].open = joined[i].open || c.open
	}
	p.possible(joined)
	out := make([]Requirement, 0, len(joined))
	for _, c := range joined {
		c.Values = sortedSet(c.Values)
		out = append(out, c.Requirement)
	}
	return sortRequirements(out)
}

// possible refuses two conditions that no label can meet. Those that each instance of a template has for itself are left to it.
func (p *placement) possible(list []condition) {
	for i, c := range list {
		for j, o := range list {
			if i == j || c.Key != o.Key || c.open || o.open || o.Op == In && j < i || !c.excludes(o.Requirement) {
				continue
			}
			p.add(max(c.line, o.line), "remove one of them, or write the values of a choice in one key in (a,b)",
				"MachineMetadata= asks for %s and for %s, which no host has", shown(c.Requirement), shown(o.Requirement))
			break
		}
	}
}

// excludes reports whether a label that meets r, a choice, an absence or a lower bound, never meets o.
func (r Requirement) excludes(o Requirement) bool {
	switch r.Op {
	case In:
		return !slices.ContainsFunc(r.Values, func(v string) bool { return o.Match(map[string]string{r.Key: v}) })
	case NotExists:
		return o.Op != In && !o.Match(nil)
	case Greater, GreaterEqual:
		if o.Op != Less && o.Op != LessEqual {
			return false
		}
		c, ok := compareNumbers(r.Values[0], o.Values[0])
		return ok && (c > 0 || c == 0 && (r.Op == Greater || o.Op == Less))
	default:
		return false
	}
}

// shown is a requirement in a message.
func shown(r Requirement) string { return printable(r.String()) }

// maxPrefer is how many preferences a unit may have: each is asked of every host.
const maxPrefer = 64

// prefer reads Prefer=: each value counts by itself.
func (p *placement) prefer() []Requirement {
	list := p.expressions(optPrefer)
	if len(list) > maxPrefer {
		p.add(p.lastLine(optPrefer), "use key in (a,b)", "Prefer= has %d values, %d is the most", len(list), maxPrefer)
		return nil
	}
	out := make([]Requirement, 0, len(list))
	for _, c := range list {
		out = append(out, c.Requirement)
	}
	return sortRequirements(out)
}

// sortRequirements orders requirements by key, comparison and values, and drops repetitions.
func sortRequirements(list []Requirement) []Requirement {
	order := func(a, b Requirement) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Op, b.Op), slices.Compare(a.Values, b.Values))
	}
	slices.SortFunc(list, order)
	return slices.CompactFunc(list, func(a, b Requirement) bool { return order(a, b) == 0 })
}

// looksWrong is the hint for a label written in a way that other languages read otherwise, and that
// no host's label would ever match; "" for any other.
func (s setting) looksWrong() string {
	switch {
	case !s.plain:
	case strings.HasPrefix(s.value, "'"), strings.Contains(s.value, "='"):
		return `write key=value or "key=value"; single quotes would be part of it`
	case strings.Contains(s.value, "=!"):
		return `write key!=value; a value that begins with ! stands in double quotes`
	case strings.Contains(s.value, "=~"):
		return `no patterns here; write key in (a,b). A value that begins with ~ stands in double quotes`
	case strings.Contains(s.value, "=>"), strings.Contains(s.value, "=<"):
		return `write >= or <=. A value that begins with > or < stands in double quotes`
	case strings.Contains(s.value, " #"), strings.Contains(s.value, "\t#"), strings.Contains(s.value, " ; "):
		return "put the comment on a line of its own, or the value in double quotes"
	}
	return ""
}
