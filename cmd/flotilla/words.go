package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// words are the arguments of a command with their braces expanded and their globs complete. They
// are no more than one pattern may stand for: the shell expands braces too.
func words(c *cli.Context) ([]string, error) {
	var out []string
	for _, arg := range c.Args().Slice() {
		expanded, err := units.Expand(arg)
		if err != nil {
			return nil, err
		}
		if n := max(c.NArg(), len(out)+len(expanded)); n > units.MaxExpand {
			return nil, fmt.Errorf("%d names or more: one command takes %d (is a range too long? give the others in a command of their own, or a quoted glob such as 'web@*')", n, units.MaxExpand)
		}
		for _, word := range expanded {
			if units.IsGlob(word) {
				if _, err := units.Match(word, ""); err != nil {
					return nil, err // with the glob as it was typed
				}
				word = units.MangleGlob(word)
			}
			out = append(out, word)
		}
	}
	return out, nil
}

// names are the units that the arguments name, each once: globs are matched against the units
// of that kind; other words stay as they are, for they may be hosts.
func names(c *cli.Context, cl *api.Client, of kind) ([]string, error) {
	list, err := words(c)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if full := units.Mangle(name); !seen[full] {
			seen[full] = true
			out = append(out, name)
		}
	}
	for _, word := range list {
		if !units.IsGlob(word) {
			add(word)
			continue
		}
		found := false
		err := cl.Units(c.Context, []string{word}, func(u api.Unit) error {
			if of.has(u) {
				add(u.Name)
				found = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, noMatch(of, word)
		}
	}
	return out, nil
}

// kind is which units a glob can find.
type kind string

const (
	known     kind = "unit in the cluster or on a host" // orphans too
	submitted kind = "unit in the cluster"
	placed    kind = "unit on a host"
)

func (k kind) has(u api.Unit) bool {
	switch k {
	case submitted:
		return u.Revision > 0
	case placed:
		return len(u.Instances) > 0
	}
	return true
}

func noMatch(of kind, glob string) error {
	return fmt.Errorf("no %s matches %q (flotilla list-unit-files shows the units; a glob never looks at files)", of, glob)
}
