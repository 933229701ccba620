package units

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	whitespace = " \t\r\n"
	bom        = "\uFEFF"
)

// Parse reads a unit file by the rules of systemd.syntax(7), with lines of any
// length. It keeps raw, which must not be changed afterwards. It is stricter
// than systemd where systemd would only log and go on: text outside a section
// and lines that are no assignment are errors. The error is of type Errors and
// holds every fault. Parse does not validate the name.
func Parse(name Name, raw []byte) (*File, error) {
	return parse(name, string(name), raw)
}

// parse is Parse of a file that faults call label.
func parse(name Name, label string, raw []byte) (*File, error) {
	p := parser{
		file:   &File{Name: name, Raw: raw},
		faults: faults{file: label},
		rest:   strings.TrimPrefix(string(raw), bom),
	}
	p.checkBytes()
	if p.faults.err() == nil {
		p.logicalLines()
	}
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return p.file, nil
}

type parser struct {
	faults
	file    *File
	rest    string // what is not read yet
	line    int    // number of the physical line last read
	section string
	trailed int // line that ended in a backslash and then blanks, else 0
}

// checkBytes refuses what cannot travel unchanged through JSON and D-Bus.
func (p *parser) checkBytes() {
	if utf8.ValidString(p.rest) && strings.IndexByte(p.rest, 0) < 0 {
		return
	}
	q := parser{rest: p.rest}
	for {
		text, ok := q.physicalLine()
		switch {
		case !ok:
			return
		case strings.IndexByte(text, 0) >= 0:
			p.add(q.line, "remove it; a unit file is plain text", "NUL byte")
		case !utf8.ValidString(text):
			p.add(q.line, "save the file as UTF-8", "text is not valid UTF-8")
		}
	}
}

// physicalLine returns the next line without its end: \n, \r, or both in any order.
func (p *parser) physicalLine() (string, bool) {
	if p.rest == "" {
		return "", false
	}
	p.line++
	end := strings.IndexAny(p.rest, "\n\r")
	if end < 0 {
		text := p.rest
		p.rest = ""
		return text, true
	}
	text, next := p.rest[:end], end+1
	if next < len(p.rest) && p.rest[next] != p.rest[end] && (p.rest[next] == '\n' || p.rest[next] == '\r') {
		next++
	}
	p.rest = p.rest[next:]
	return text, true
}

// logicalLines joins continuation lines, skips comments (also between
// continuation lines), and hands every logical line on with its first line number.
func (p *parser) logicalLines() {
	var joined strings.Builder
	first := 0
	for {
		text, ok := p.physicalLine()
		if !ok {
			break
		}
		if isComment(text) {
			continue
		}
		if first == 0 {
			first = p.line
		} else if name := headerName(text); name != "" && sectionMeant(name) != "" {
			p.add(p.line, "remove the backslash at the end of the line before", "section [%s] is part of the line before", name)
		}
		if continues(text) {
			joined.WriteString(text[:len(text)-1])
			joined.WriteByte(' ')
			continue
		}
		ended := p.line
		if joined.Len() > 0 {
			joined.WriteString(text)
			text = joined.String()
			joined.Reset()
		}
		p.logicalLine(text, first)
		p.trailed = 0
		if blank := strings.TrimRight(text, whitespace); len(blank) < len(text) && continues(blank) {
			p.trailed = ended
		}
		first = 0
	}
	if joined.Len() > 0 {
		p.logicalLine(joined.String(), first)
	}
}

// headerName is the name in a line that would be a section header if it began a logical line, or "".
func headerName(text string) string {
	text = strings.Trim(text, whitespace)
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return ""
	}
	return text[1 : len(text)-1]
}

func isComment(text string) bool {
	text = strings.TrimLeft(text, whitespace)
	return text != "" && (text[0] == '#' || text[0] == ';')
}

// continues reports whether text ends in a backslash that is not itself escaped.
func continues(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

// logicalLine reads a section header or an assignment that begins on the given line.
func (p *parser) logicalLine(text string, line int) {
	text = strings.Trim(text, whitespace)
	switch {
	case text == "":
	case text[0] == '[':
		p.header(text, line)
	case strings.HasPrefix(text, ".include "):
		p.add(line, "copy the text of that file into this one", ".include no longer exists in systemd")
	default:
		p.assignment(text, line)
	}
}

func (p *parser) header(text string, line int) {
	if text[len(text)-1] != ']' {
		hint := "write [Service] alone on its line"
		if end := strings.IndexByte(text, ']'); end > 0 {
			hint = "nothing may follow the ], not even a comment"
		}
		p.add(line, hint, "section header %s does not end in ]", quoted(text))
		p.section = "?"
		return
	}
	name := text[1 : len(text)-1]
	p.section = name
	switch {
	case strings.Trim(name, whitespace) == "":
		p.add(line, "write a section such as [Service]", "section name is empty")
		p.section = "?"
	case !safeSection(name):
		p.add(line, "remove quotes, backslashes and control characters", "section name %s holds a character that systemd refuses", quoted(name))
	}
	p.file.sections = append(p.file.sections, header{name: name, line: line})
}

func safeSection(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\' {
			return false
		}
	}
	return true
}

func (p *parser) assignment(text string, line int) {
	name, value, ok := strings.Cut(text, "=")
	name = strings.TrimRight(name, whitespace)
	switch {
	case p.section == "":
		p.add(line, "put a header such as [Service] above it", "text before the first section")
	case !ok && p.trailed > 0:
		p.add(line, "remove the blanks after the backslash on line "+strconv.Itoa(p.trailed), "no = in this line")
	case !ok:
		p.add(line, "write Name=value, or # before a comment", "no = in this line")
	case name == "":
		p.add(line, "write Name=value", "no option name before the =")
	default:
		p.file.Options = append(p.file.Options, Option{
			Section: p.section, Name: name, Value: strings.TrimLeft(value, whitespace), Line: line,
		})
	}
}
