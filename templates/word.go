package templates

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Word is one argument of a command. Printed, as templates do, it is written so that systemd takes it
// for just that argument on an Exec line: specifiers and variables doubled, quoted where that is needed.
type Word string

// plainPunctuation are the characters beside letters and digits that need no quotes on an Exec line.
const plainPunctuation = "_-./:=,@+%$~^*?!&|<>(){}[]"

// String is the word as an Exec line holds it (systemd.service(5), Command lines).
func (w Word) String() string {
	s := strings.NewReplacer("%", "%%", "$", "$$").Replace(string(w))
	if s != "" && !strings.ContainsFunc(s, needsQuotes) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r != utf8.RuneError && strconv.IsPrint(r):
			b.WriteRune(r)
		default: // byte by byte: systemd refuses some characters that it is told by number
			for i := range n {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}

func needsQuotes(r rune) bool {
	plain := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(plainPunctuation, r)
	return !plain
}

// maxWord is the most that one argument may hold in bytes: Linux takes 128 KiB with the zero behind it, of which
// an option's name needs some.
const maxWord = 120 << 10

// wordFault says why no command can have the argument s, and what to do; "" when one can.
func wordFault(s string) (msg, hint string) {
	switch {
	case len(s) > maxWord:
		return fmt.Sprintf("has %d bytes, %d is the most that fits into an argument", len(s), maxWord), "put it into a file"
	case strings.ContainsRune(s, 0):
		return "holds a zero byte", "remove it"
	case !utf8.ValidString(s):
		return "holds bytes that are no UTF-8", "remove it"
	case strings.ContainsFunc(s, noncharacter):
		return "holds a code that is no character", "remove it"
	}
	return "", ""
}

// noncharacter reports whether r is one of the codes that Unicode keeps free. A unit that has one in an
// argument runs, but D-Bus refuses to tell anything of it.
func noncharacter(r rune) bool { return r&0xFFFE == 0xFFFE || 0xFDD0 <= r && r <= 0xFDEF }

// Text is a value for a comment or for an option that takes the rest of its line, such as Description=.
// Printed, it stays on that line and holds no specifier.
type Text string

// String is the text as a unit file holds it. What cannot be seen, and backslashes, become other characters.
func (t Text) String() string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r == '\\':
			return '/'
		case r == utf8.RuneError || !strconv.IsPrint(r):
			return '?'
		}
		return r
	}, string(t))
	return strings.ReplaceAll(s, "%", "%%")
}

// shellQuoted is words as a POSIX shell reads them back.
func shellQuoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}
