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

// checkGlob says why no unit name can match glob. The error is an *Error; it is nil for a glob that
// may match something.
func checkGlob(glob string) error {
	if !IsGlob(glob) {
		n, err := ParseName(glob)
		switch {
		case err != nil && badNameByte(glob) >= 0:
			i := badNameByte(glob)
			return &Error{File: glob, Msg: quoted(runeAt(glob, i)) + " may not stand in a unit name", Hint: globHint(glob[i])}
		case err != nil:
			return err
		case n.IsTemplate():
			return &Error{File: glob, Msg: "this is a template, which runs nowhere", Hint: "write " + string(n.With("*")) + " for its instances"}
		}
		return nil
	}
	if _, err := Match(glob, ""); err != nil {
		return err
	}
	if i := badGlobByte(glob); i >= 0 {
		return &Error{File: glob, Msg: quoted(runeAt(glob, i)) + " may not stand in a unit name or here in a glob", Hint: globHint(glob[i])}
	}
	if endsInType(glob) {
		return nil
	}
	if dot := strings.LastIndexByte(glob, '.'); dot >= 0 && !strings.ContainsAny(glob[dot:], "*?[]") {
		msg, hint := typeFault(glob[dot+1:], glob[:dot])
		return &Error{File: glob, Msg: msg, Hint: hint}
	}
	return &Error{File: glob, Msg: "no unit name ends like this", Hint: "add the type, as in " + glob + ".service"}
}

// endsInType reports whether what glob matches can end in a type that flotilla manages.
func endsInType(glob string) bool {
	star := strings.LastIndexByte(glob, '*')
	tail := places(glob[star+1:])
	for _, t := range managedTypes() {
		end := "." + t
		n := min(len(tail), len(end))
		if star < 0 && len(tail) <= len(end) {
			continue // nothing would be left for the name
		}
		if ok, _ := Match(strings.Join(tail[len(tail)-n:], ""), end[len(end)-n:]); ok {
			return true
		}
	}
	return false
}

// places cuts a glob without * into what stands for one byte each.
func places(glob string) []string {
	var out []string
	for glob != "" {
		n := 1
		if glob[0] == '[' {
			n = strings.IndexByte(glob, ']') + 1
		}
		out, glob = append(out, glob[:n]), glob[n:]
	}
	return out
}

// badGlobByte returns the index of the first byte of a glob that is neither part of its syntax nor may
// stand in a unit name, or -1.
func badGlobByte(glob string) int {
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '*', c == '?':
		case c == '[':
			end := i + strings.IndexByte(glob[i:], ']')
			i++
			if glob[i] == '!' || glob[i] == '^' {
				i++
			}
			if bad := badNameByte(glob[i:end]); bad >= 0 {
				return i + bad
			}
			i = end
		case badNameByte(glob[i:i+1]) >= 0:
			return i
		}
	}
	return -1
}

// globHint is what the writer of a byte that no glob holds most likely meant.
func globHint(c byte) string {
	switch c {
	case ',', ';':
		return "put a blank between two values"
	case '{', '}':
		return "write web@*.service; braces are for the command line"
	case '!', '^':
		return "only a set can be negated, as in [!a]"
	case '/':
		return "write the name of the unit without its folder"
	}
	return `a unit name is made of letters, digits and : _ . - \ @`
}
