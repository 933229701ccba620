package units

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most that a label may hold, in bytes.
const (
	maxLabelKey   = 128
	maxLabelValue = 1024
)

// CheckLabel says whether key=value may be a label of a host. It is the one rule for what
// a host says of itself, what an operator says of it, and what unit files ask for.
// The error is an *Error.
func CheckLabel(key, value string) error {
	if err := CheckLabelKey(key); err != nil {
		return err
	}
	fault := func(msg string) error {
		return &Error{File: "label " + printable(key), Msg: msg, Hint: "write key=value on one line, without another ="}
	}
	switch {
	case value == "":
		return fault("has no value")
	case len(value) > maxLabelValue:
		return fault("has a value of more than 1024 bytes")
	case strings.Contains(value, "="), strings.ContainsFunc(value, unicode.IsControl), !utf8.ValidString(value):
		return fault("has a value with an = or a control character")
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault("has a value with a character that cannot be seen")
	case strings.Trim(value, " ") != value:
		return fault("has a value that begins or ends with a blank")
	}
	return nil
}

// CheckLabelKey says whether a host may have a label of that name. The error is an *Error.
func CheckLabelKey(key string) error {
	if !labelKey(key) {
		return &Error{File: "label " + printable(key), Msg: "is no name of a label", Hint: "a key is made of letters, digits and _ . - /, at most 128, and does not end in -"}
	}
	return nil
}

// labelKey reports whether s may be the key of a host label. A dash at its end is how the
// command line writes that a label goes.
func labelKey(s string) bool {
	for i := range len(s) {
		if !labelByte(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxLabelKey && s[len(s)-1] != '-'
}

// labelByte reports whether c may stand in the key of a label.
func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_.-/", c) >= 0
}
