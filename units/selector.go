package units

import (
	"strings"
)

// Selector is a choice of hosts by their labels: all of its requirements must hold. The empty one takes all hosts.
type Selector []Requirement

// ParseSelector reads the expressions of MachineMetadata=, with commas between them: "role=web,zone!=a,rack in (1,2)".
// An *Error says what is wrong and how to mend it; it names no file.
func ParseSelector(text string) (Selector, error) {
	var out Selector
	for _, word := range selectorWords(text) {
		word = strings.Trim(word, whitespace)
		r, _, hint := expression(word)
		if hint != "" {
			if word = printable(word); word == "" {
				word = "an empty word"
			}
			return nil, &Error{Msg: "selector " + printable(text) + ": " + word + " is no expression over labels", Hint: hint}
		}
		out = append(out, r)
	}
	return out, nil
}

// selectorWords splits at the commas that stand in no parentheses.
func selectorWords(text string) (out []string) {
	if strings.Trim(text, whitespace) == "" {
		return nil
	}
	depth, begin := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, text[begin:i])
			begin = i + 1
		}
	}
	return append(out, text[begin:])
}

// Match reports whether a host with these labels is chosen.
func (s Selector) Match(labels map[string]string) bool {
	for _, r := range s {
		if !r.Match(labels) {
			return false
		}
	}
	return true
}
