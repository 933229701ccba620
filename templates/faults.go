package templates

import (
	"slices"
	"strconv"
	"strings"

	"flotilla/units"
)

// faults collects what is wrong with one file.
type faults struct{ list units.Errors }

// maxFaults bounds what one file can make us say about it.
const maxFaults = 50

// add notes a fault, once.
func (f *faults) add(e *units.Error) {
	same := slices.ContainsFunc(f.list, func(o *units.Error) bool { return *o == *e })
	if !same && len(f.list) < maxFaults {
		f.list = append(f.list, e)
	}
}

// err returns the faults in the order of their lines, or nil without any.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b *units.Error) int { return a.Line - b.Line })
	return f.list
}

// maxShown is how much of a user's own text an error repeats.
const maxShown = 64

// shown is s fit for a line of text: shortened when it is long, quoted when it holds what would break the line.
func shown(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == '\uFFFD' || !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
