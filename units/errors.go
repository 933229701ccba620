package units

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is one fault in something a user wrote: a unit file, a unit name or a
// pattern. It says where, what, and how to mend it.
type Error struct {
	File   string `json:"file,omitempty"`   // the unit name, or the text that was parsed
	Line   int    `json:"line,omitempty"`   // 1-based physical line; 0 when the fault is not in a line
	Column int    `json:"column,omitempty"` // 1-based byte; 0 when the fault is not at one place
	Msg    string `json:"message"`
	Hint   string `json:"hint,omitempty"`
}

// Error returns the fault in one line: "file:line: message (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(printable(e.File))
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Line == 0 && e.Column > 0 {
		fmt.Fprintf(&b, "column %d: ", e.Column)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Errors are all the faults of one file, in the order of its lines.
type Errors []*Error

// Error returns one line per fault.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults for errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// maxFaults bounds what one file can make us say about it.
const maxFaults = 50

// faults collects errors about one file.
type faults struct {
	file string
	list Errors
}

func (f *faults) add(line int, hint, format string, args ...any) {
	switch {
	case f.full():
		return
	case len(f.list) == maxFaults:
		f.list = append(f.list, &Error{File: f.file, Line: line, Msg: "more faults follow", Hint: "mend the ones above first"})
		return
	}
	f.list = append(f.list, &Error{File: f.file, Line: line, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// full reports whether nothing more will be said.
func (f *faults) full() bool { return len(f.list) > maxFaults }

// err returns the collected faults in the order of their lines, or nil without any.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list[:min(len(f.list), maxFaults)], func(a, b *Error) int { return a.Line - b.Line })
	return f.list
}

// maxShown is how much of a user's own text an error repeats.
const maxShown = 64

// printable returns s fit for a line of text: shortened when it is long, and
// quoted when it holds spaces or bytes that would break the line.
func printable(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	for _, r := range s {
		if r == ' ' || r == '\uFFFD' || !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// quoted returns s in double quotes, shortened when it is long.
func quoted(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	return strconv.Quote(s)
}

// visible returns s with escapes for what cannot be seen.
func visible(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strings.Trim(strconv.Quote(s), `"`)
	}
	return s
}
