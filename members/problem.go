package members

import (
	"fmt"
	"strings"
)

// Problem is something a person must mend: where, what, how. It prints as one line.
type Problem struct {
	File string // "" when it is not about a file
	Line int    // 0 when it is about the whole file
	What string
	Hint string // how to mend it
	Err  error  // the cause, for errors.Is
}

// Error is "file:line: what (how to mend it)".
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(oneLine(p.What))
	if p.Hint != "" {
		b.WriteString(" (" + oneLine(p.Hint) + ")")
	}
	return b.String()
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

// oneLine folds a text of several lines into one.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\n\r") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}
