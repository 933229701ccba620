package units

import (
	"path"
	"strings"
)

// IsGlob reports whether s holds a character that makes it a glob. No valid
// unit name does.
func IsGlob(s string) bool { return strings.ContainsAny(s, "*?[") }

// Match reports whether name matches glob: * stands for any run of characters,
// ? for one, [a-c] for one of a set and [!a] or [^a] for one outside it. A
// backslash stands for itself, because escaped unit names hold it. The error is
// an *Error and means that the glob is malformed.
func Match(glob, name string) (bool, error) {
	if !IsGlob(glob) {
		return glob == name, nil
	}
	pattern := glob
	if strings.Contains(pattern, `\`) {
		pattern = strings.ReplaceAll(pattern, `\`, `\\`)
	}
	if strings.Contains(pattern, "[!") {
		pattern = strings.ReplaceAll(pattern, "[!", "[^")
	}
	ok, err := path.Match(pattern, name)
	if err != nil {
		return false, &Error{
			File: glob, Column: strings.IndexByte(glob, '[') + 1, Msg: "glob is malformed",
			Hint: "close the set with ], as in [a-c]",
		}
	}
	return ok, nil
}
