package plan

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// cause is what keeps a unit off a host: a filter, and which label or peer it is about.
type cause struct {
	filter filter
	nth    int    // in Metadata, MachineOf or Spread; the closure of a host that is shut
	said   string // by whom a host was shut and why; "" once hosts differ in it
}

// cause says more of what a filter found on a host. free is the room that the host has, where it has too little.
func (p *planner) cause(c *candidate, h *host, f filter) (x cause, free int64) {
	x.filter = f
	switch f {
	case lacksLabel:
		x.nth = slices.IndexFunc(c.req.Metadata, func(r units.Requirement) bool { return !r.Match(h.label()) })
	case lacksPeer:
		x.nth = slices.IndexFunc(c.req.MachineOf, func(u cluster.Unit) bool { return !p.live(u, h) })
	case lacksSpread, isUneven:
		_, x.nth = p.uneven(c, h)
	case isShut:
		x.nth, x.said = int(h.shut), h.shutBy()
	case lacksMemory:
		free = p.free(c, h).memory
	case lacksCPU:
		free = p.free(c, h).cpu
	}
	return x, free
}

// phrase says what a filter found on a host.
func (p *planner) phrase(c *candidate, h *host, f filter) string {
	x, free := p.cause(c, h, f)
	one, _ := p.phrases(c, x, free)
	return one
}

// phrases say a cause of one host, or of several.
func (p *planner) phrases(c *candidate, x cause, free int64) (one, many string) {
	switch x.filter {
	case isRemoved:
		return "was removed", "were removed"
	case isAbsent:
		return "is absent", "are absent"
	case isSilent:
		return "has not reported since it booted", "have not reported since they booted"
	case isShut:
		return closure(x.nth).phrases(x.said)
	case isOtherMachine:
		return "is not machine " + c.req.MachineID, "are not machine " + c.req.MachineID
	case lacksLabel:
		r := c.req.Metadata[x.nth]
		if r.Negative() {
			return "has label " + r.Opposite().String(), "have label " + r.Opposite().String()
		}
		return either("lack%s label %s", r)
	case lacksRuntime:
		return "has no " + c.req.Runtime, "have no " + c.req.Runtime
	case lacksPeer:
		peer := c.req.MachineOf[x.nth]
		return fmt.Sprintf("does not hold %s (MachineOf)", peer), fmt.Sprintf("do not hold %s (MachineOf)", peer)
	case hasConflict:
		return "holds a unit that conflicts with it", "hold units that conflict with it"
	case isReplaced:
		return "holds a unit that replaces it", "hold units that replace it"
	case isCrowded:
		return either("hold%s as many of %s as MaxPerHost=%d allows", c.family.name, c.req.MaxPerHost)
	case isLeft:
		return "is the one that it leaves", "are those that it leaves"
	case failedIt:
		return "failed it lately", "failed it lately"
	default:
		return p.roomPhrases(c, x, free)
	}
}

func (p *planner) roomPhrases(c *candidate, x cause, free int64) (one, many string) {
	switch x.filter {
	case lacksSpread:
		return either("lack%s label %s (Spread=%[2]s:hard)", c.req.Spread[x.nth].Label)
	case isUneven:
		label, fewest := c.req.Spread[x.nth].Label, p.fewestOf(c)[x.nth]
		than := fmt.Sprintf("%s than the emptiest, with %d (Spread=%s:hard)", label, fewest, label)
		return fmt.Sprintf("has more of %s in its %s", c.family.name, than), fmt.Sprintf("have more of %s in their %s", c.family.name, than)
	case hidesRoom:
		return "does not say how much memory and how many cores it has", "do not say how much memory and how many cores they have"
	case lacksMemory:
		return figures("memory", size(c.demand.memory), size(free))
	case lacksCPU:
		return figures("CPU", cores(c.demand.cpu), cores(free))
	default:
		return "fits", "fit"
	}
}

// either fills a sentence in twice: with the s of the singular, and without.
func either(format string, args ...any) (one, many string) {
	return fmt.Sprintf(format, append([]any{"s"}, args...)...), fmt.Sprintf(format, append([]any{""}, args...)...)
}

func figures(what, wanted, free string) (one, many string) {
	return fmt.Sprintf("lacks %s (%s wanted, %s free)", what, wanted, free),
		fmt.Sprintf("lack %s (%s wanted, most free is %s)", what, wanted, free)
}

// found is how many hosts a filter removed, for one cause.
type found struct {
	cause
	n    int
	most int64 // room that one of them has
}

// whyNot counts what removed the hosts, in the order of the filters.
func (p *planner) whyNot(c *candidate) string {
	if p.ambiguous(c.req.MachineID) {
		return fmt.Sprintf("MachineID=%s is the beginning of more than one host's id: write it in full", c.req.MachineID)
	}
	parts := p.against(c, func(h *host) bool { return h.known && !h.removed })
	if len(parts) == 0 {
		return "no host: none has joined yet"
	}
	return "no host: " + strings.Join(parts, ", ")
}

// against says what is against these hosts, the last filter first.
func (p *planner) against(c *candidate, ask func(*host) bool) []string {
	var all []found
	for _, h := range p.hosts {
		if !ask(h) {
			continue
		}
		x, free := p.cause(c, h, p.check(c, h))
		i := slices.IndexFunc(all, func(y found) bool { return y.filter == x.filter && y.nth == x.nth })
		if i < 0 {
			i, all = len(all), append(all, found{cause: x})
		}
		if all[i].said != x.said {
			all[i].said = ""
		}
		all[i].n++
		all[i].most = max(all[i].most, free)
	}
	return p.counted(c, all)
}

func (p *planner) counted(c *candidate, all []found) []string {
	texts := map[cause]string{}
	for _, x := range all {
		one, many := p.phrases(c, x.cause, x.most)
		if texts[x.cause] = fmt.Sprintf("%d %s", x.n, many); x.n == 1 {
			texts[x.cause] = "1 " + one
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.filter, a.filter), cmp.Compare(a.nth, b.nth))
	})
	parts := make([]string, len(all))
	for i, x := range all {
		parts[i] = texts[x.cause]
	}
	return parts
}

// refusal is why no host takes a unit; it holds for all units that ask for the same until
// something leaves a host.
type refusal struct {
	why      string
	released int
}

// alike is what all units have in common that the same hosts refuse for the same reasons: what
// they ask of a host, the globs on both sides of their conflicts, and their family where it counts.
// ok is false for a unit that looks at where others are, or that stands somewhere itself.
func (p *planner) alike(c *candidate) (key string, ok bool) {
	if len(c.req.MachineOf) > 0 || c.stands || c.yields {
		return "", false
	}
	hard := slices.ContainsFunc(c.spreads(), func(s units.Spread) bool { return s.Hard })
	family := c.family != nil && (hard || c.req.MaxPerHost > 0)
	if len(c.party.own) == 0 && len(c.party.against) == 0 && !family {
		return c.signature, true
	}
	b := appendText(nil, c.signature)
	for _, globs := range [][]*glob{c.party.own, c.party.against} {
		b = binary.AppendUvarint(b, uint64(len(globs)))
		for _, g := range globs {
			b = binary.AppendUvarint(b, uint64(g.id))
		}
	}
	if !family {
		return string(b), true
	}
	b = appendText(b, string(c.family.name))
	b = binary.AppendVarint(b, int64(c.req.MaxPerHost))
	if hard { // where an instance comes, another one may come elsewhere
		b = binary.AppendUvarint(b, uint64(c.family.changes))
	}
	for _, s := range c.spreads() {
		if s.Hard {
			b = appendText(b, s.Label)
		}
	}
	return string(b), true
}

// spread finds the best host for a unit that is bound to no other. One refusal speaks for all
// units alike: at 60,000 units with a mistyped label and 6,000 hosts the plan would take minutes otherwise.
func (p *planner) spread(c *candidate) (to *host, reason, why string) {
	var key string
	var ok bool
	if len(p.refusals) > 0 {
		key, ok = p.alike(c)
		if r, known := p.refusals[key]; ok && known && r.released == p.released {
			return nil, "", r.why
		}
	}
	if !p.ambiguous(c.req.MachineID) {
		q := p.queueOf(c)
		if to = p.best(c, q); to != nil {
			return to, p.reason(c, q, to), ""
		}
	}
	why = p.whyNot(c)
	if key, ok = p.alike(c); ok {
		p.refusals[key] = refusal{why, p.released}
	}
	return nil, "", why
}
