package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"flotilla/api"
	"flotilla/units"
)

// applying is the way from what the cluster has to what the files say.
type applying struct {
	cl    *api.Client
	given given
	steps []step
	notes []string // for a person, beside the steps

	has     map[string]api.Unit // units of the cluster
	texts   map[units.Hash][]byte
	bundles map[units.Hash]units.DropIns
}

// make finds the steps: the files by name, each template followed by its instances, then what is pruned.
func (p *applying) make(ctx context.Context, prune bool) error {
	if err := p.look(ctx, prune); err != nil {
		return err
	}
	for _, f := range p.given.files {
		if err := p.file(ctx, f); err != nil {
			return err
		}
		if !units.Name(f.name).IsTemplate() {
			continue
		}
		if err := p.instances(ctx, f); err != nil {
			return err
		}
	}
	if prune {
		p.prune()
	}
	return nil
}

// look reads the units that the files may be about; with prune, all.
func (p *applying) look(ctx context.Context, all bool) error {
	var globs []string
	for _, f := range p.given.files {
		all = all || units.IsGlob(f.name) || strings.Contains(f.name, `\`)
		globs = append(globs, f.name)
		if units.Name(f.name).IsTemplate() {
			globs = append(globs, strings.Replace(f.name, "@", "@*", 1))
		}
	}
	if all {
		globs = nil
	}
	p.has = map[string]api.Unit{}
	return p.cl.Units(ctx, globs, func(u api.Unit) error {
		if u.Revision > 0 {
			p.has[u.Name] = u
		}
		return nil
	})
}

// mustNotExist as an IfMatch demands that there is no such unit yet.
const mustNotExist = -1

// file brings one unit to what its file says. A new one is started, if it is no template; what is there keeps its
// target.
func (p *applying) file(ctx context.Context, f unitFile) error {
	text := string(f.raw)
	ch := api.Change{Name: f.name, Content: &text, DropIns: asked(f.dropIns()), File: f.path, Applied: p.given.setOf(f), Replace: true}
	u, there := p.has[f.name]
	if !there {
		s := step{change: ch, told: []string{f.name + ": new"}}
		if !units.Name(f.name).IsTemplate() {
			s.target = units.Launched
			s.told[0] += ", starts"
		}
		s.change.Target, s.change.IfMatch = &s.target, mustNotExist
		p.steps = append(p.steps, s)
		return nil
	}
	ch.IfMatch = u.Revision
	told, err := p.differences(ctx, u, f)
	if err != nil {
		return err
	}
	if len(told) > 0 || u.Applied != ch.Applied {
		p.steps = append(p.steps, step{change: ch, told: told, target: u.Target})
	}
	return nil
}

// instances brings those that were made of the template to what it is now. One that was started from a file is
// left alone, unless its drop-ins lie beside the template's.
func (p *applying) instances(ctx context.Context, f unitFile) error {
	own := p.given.own[f.name]
	for _, name := range slices.Sorted(maps.Keys(p.has)) {
		u := p.has[name]
		_, named := own[name]
		if p.given.has(name) || u.Template != f.name && !named {
			continue
		}
		made := f.instance(name)
		made.own = own[name]
		told, err := p.differences(ctx, u, made)
		if err != nil {
			return err
		}
		if len(told) == 0 && !u.Outdated {
			continue
		}
		ch := api.Change{Name: name, DropIns: asked(made.own), Replace: true, IfMatch: u.Revision}
		p.steps = append(p.steps, step{change: ch, told: told, target: u.Target})
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if _, there := p.has[name]; !there {
			p.notes = append(p.notes, fmt.Sprintf("%s.d: %s is not in the cluster; flotilla start %s, typed beside it, makes it with them", name, name, name))
		}
	}
	return nil
}

// prune destroys what was applied from the same folders before and has no file any more, and the instances of
// such templates.
func (p *applying) prune() {
	gone := map[string]bool{}
	for name, u := range p.has {
		gone[name] = u.Applied != "" && slices.Contains(p.given.sets, u.Applied) && !p.given.there[name]
	}
	for _, name := range slices.Sorted(maps.Keys(p.has)) {
		u := p.has[name]
		why := ""
		switch {
		case p.given.has(name):
		case gone[name]:
			why = "not in the files any more"
		case gone[u.Template]:
			why = "its template " + u.Template + " is not in the files any more"
		}
		if why != "" {
			ch := api.Change{Name: name, Delete: true, IfMatch: u.Revision}
			p.steps = append(p.steps, step{change: ch, told: []string{name + ": " + why + ", destroyed"}})
		}
	}
}
