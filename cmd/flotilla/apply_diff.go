package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"flotilla/api"
	"flotilla/units"
)

// differences tells, a line each, how a unit of the cluster differs from its file, and whether it restarts.
func (p *applying) differences(ctx context.Context, u api.Unit, f unitFile) ([]string, error) {
	bundle, err := f.dropIns().Bundle()
	if err != nil {
		return nil, err
	}
	sameFile := u.Hash == units.HashOf(f.raw)
	if sameFile && (u.DropIns == "" && bundle == nil || bundle != nil && u.DropIns == units.HashOf(bundle)) {
		return nil, nil
	}
	var told []string
	if !sameFile {
		old, err := p.text(ctx, u)
		if err != nil {
			return nil, err
		}
		told = diffTexts("", old, f.raw)
	}
	old, err := p.dropIns(ctx, u)
	if err != nil {
		return nil, err
	}
	told = append(told, diffDropIns(old, f.dropIns())...)
	after := ", no restart"
	if u.Target == units.Launched {
		after = ", restarts"
	}
	for i, line := range told {
		told[i] = plain(u.Name + ": " + line + after)
	}
	return told, nil
}

// text is the unit's file as the cluster has it; each is asked for once.
func (p *applying) text(ctx context.Context, u api.Unit) ([]byte, error) {
	if raw, known := p.texts[u.Hash]; known {
		return raw, nil
	}
	raw, err := p.cl.Content(ctx, u.Name)
	if err == nil {
		p.texts[u.Hash] = raw
	}
	return raw, err
}

// dropIns are the unit's drop-ins as the cluster has them; each bundle is asked for once.
func (p *applying) dropIns(ctx context.Context, u api.Unit) (units.DropIns, error) {
	if known, ok := p.bundles[u.DropIns]; ok || u.DropIns == "" {
		return known, nil
	}
	list, err := p.cl.DropIns(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	var out units.DropIns
	for _, d := range list {
		out = append(out, units.DropIn{Name: d.Name, Raw: []byte(d.Content)})
	}
	p.bundles[u.DropIns] = out
	return out, nil
}

// diffDropIns tells how drop-ins differ, file by file.
func diffDropIns(old, now units.DropIns) []string {
	text := map[string][2][]byte{}
	var names []string
	for i, list := range []units.DropIns{old, now} {
		for _, d := range list {
			both := text[d.Name]
			both[i] = d.Raw
			text[d.Name] = both
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	var out []string
	for _, name := range slices.Compact(names) {
		both := text[name]
		switch prefix := "drop-in " + name + ": "; {
		case string(both[0]) != string(both[1]):
			out = append(out, diffTexts(prefix, both[0], both[1])...)
		case !has(old, name):
			out = append(out, prefix+"new and empty")
		case !has(now, name):
			out = append(out, prefix+"removed, it was empty")
		}
	}
	return out
}

// diffTexts tells which options differ between two texts of a unit: a line each.
func diffTexts(prefix string, old, now []byte) []string {
	was, before := optionsOf(old)
	is, after := optionsOf(now)
	var out []string
	for _, o := range slices.Concat(before, after) {
		a, b := was[o], is[o]
		if slices.Equal(a, b) {
			continue
		}
		delete(was, o)
		delete(is, o)
		from, to := shortened(values(a), values(b))
		out = append(out, fmt.Sprintf("%s[%s] %s: %s → %s", prefix, o.section, o.name, from, to))
	}
	if len(out) == 0 {
		return []string{prefix + "only comments, blanks or the order of options differ"}
	}
	return out
}

// optionName is where an option stands.
type optionName struct{ section, name string }

// optionsOf are the values of each option of a text, and the options in the order of the text.
func optionsOf(raw []byte) (map[optionName][]string, []optionName) {
	f, err := units.Parse("text.service", raw)
	if err != nil {
		return map[optionName][]string{{"", "text"}: {string(raw)}}, []optionName{{"", "text"}}
	}
	out := map[optionName][]string{}
	var order []optionName
	for _, o := range f.Options {
		at := optionName{o.Section, o.Name}
		if out[at] == nil {
			order = append(order, at)
		}
		out[at] = append(out[at], o.Value)
	}
	return out, order
}

// values shows all values of an option.
func values(list []string) string {
	if len(list) == 0 {
		return "(none)"
	}
	shown := make([]string, len(list))
	for i, v := range list {
		if shown[i] = v; v == "" {
			shown[i] = "(empty)"
		}
	}
	return strings.Join(shown, " | ")
}

// mostShown is how much of a value a line of differences shows, in characters.
const mostShown = 120

// shortened cuts two long values down to the part where they begin to differ.
func shortened(a, b string) (string, string) {
	left, right := []rune(a), []rune(b)
	if len(left) <= mostShown && len(right) <= mostShown {
		return a, b
	}
	same := 0
	for same < min(len(left), len(right)) && left[same] == right[same] {
		same++
	}
	from := max(0, same-mostShown/4)
	return window(left, from), window(right, from)
}

// window is what is shown of a value from a character on.
func window(r []rune, from int) string {
	out, end := "", min(len(r), from+mostShown)
	if from > 0 {
		out = "…"
	}
	if out += string(r[min(from, end):end]); end < len(r) {
		out += "…"
	}
	return out
}
