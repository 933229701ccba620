package calendar

import "fmt"

// Error says what is wrong with an expression, where, and how to mend it.
type Error struct {
	Text   string // the expression
	Column int    // 1-based byte of Text
	Msg    string
	Hint   string
}

// Error is one line.
func (e *Error) Error() string {
	return fmt.Sprintf("calendar %q, column %d: %s (%s)", e.Text, e.Column, e.Msg, e.Hint)
}
