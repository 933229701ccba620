package units

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// MaxExpand is how many names one pattern may stand for: more is a slip of the fingers,
	// and every name becomes a unit.
	MaxExpand = 1000
	// maxPattern bounds the text of a pattern; no result is longer than its pattern.
	maxPattern = 1024
)

// Expand returns the strings that a pattern with braces stands for, in the
// order of the pattern: web@{1..3}.service, {a,b}.socket, several and nested.
// Numbers keep the leading zeros of the pattern and may count down. A text
// without braces stands for itself. The error is an *Error with a column.
func Expand(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, "{}") {
		return []string{pattern}, nil
	}
	p := braces{pattern: pattern}
	if len(pattern) > maxPattern {
		return nil, p.fault(maxPattern, "split it", "pattern is longer than %d bytes", maxPattern)
	}
	list, err := p.sequence(false)
	if err != nil {
		return nil, err
	}
	if list.count > MaxExpand {
		return nil, p.fault(strings.IndexByte(pattern, '{'), "narrow a range", "pattern stands for more than %d names", MaxExpand)
	}
	return list.results(), nil
}

// braces reads one pattern from left to right.
type braces struct {
	pattern string
	pos     int
}

// node is a part of a pattern. Exactly one of its forms is used: a text, a
// range of numbers, a choice (any of parts) or a sequence (all of parts, joined).
type node struct {
	count  int // results, at most MaxExpand+1
	text   string
	parts  []*node
	choice bool
	span   *span
}

// span is a range of numbers, both ends included.
type span struct {
	from, to int
	width    int // pad with zeros to this width
}

func (p *braces) fault(at int, hint, format string, args ...any) error {
	return &Error{File: p.pattern, Column: at + 1, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// sequence reads up to the end of the pattern or, inside braces, up to the next comma or closing brace.
func (p *braces) sequence(inside bool) (*node, error) {
	seq := &node{count: 1}
	for p.pos < len(p.pattern) {
		rest := p.pattern[p.pos:]
		switch c := rest[0]; {
		case c == '{':
			group, err := p.group()
			if err != nil {
				return nil, err
			}
			seq.parts = append(seq.parts, group)
			seq.count = min(seq.count*group.count, MaxExpand+1)
		case inside && (c == ',' || c == '}'):
			return seq, nil
		case c == '}':
			return nil, p.fault(p.pos, "add { before it or remove it", `"}" closes nothing`)
		default:
			end := strings.IndexAny(rest, "{},")
			if c == ',' {
				end = 1
			}
			if end < 0 {
				end = len(rest)
			}
			seq.parts = append(seq.parts, &node{count: 1, text: rest[:end]})
			p.pos += end
		}
	}
	return seq, nil
}

// group reads one pair of braces; pos stands on the opening one.
func (p *braces) group() (*node, error) {
	open := p.pos
	p.pos++
	choice := &node{choice: true}
	for {
		part, err := p.sequence(true)
		if err != nil {
			return nil, err
		}
		if p.pos == len(p.pattern) {
			return nil, p.fault(open, "add the closing }", `"{" is never closed`)
		}
		choice.parts = append(choice.parts, part)
		choice.count = min(choice.count+part.count, MaxExpand+1)
		p.pos++
		if p.pattern[p.pos-1] == '}' {
			break
		}
	}
	if len(choice.parts) > 1 {
		return choice, nil
	}
	return p.numbers(open)
}

// numbers reads braces without a comma, which ended before pos: they must be a range.
func (p *braces) numbers(open int) (*node, error) {
	body := p.pattern[open+1 : p.pos-1]
	first, last, ok := strings.Cut(body, "..")
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	if !ok || errFrom != nil || errTo != nil || !digits(first) || !digits(last) {
		return nil, p.fault(open, "write {1..3} or {a,b}", "%s is neither a range of numbers nor a list", quoted("{"+body+"}"))
	}
	s := &span{from: from, to: to}
	if padded(first) || padded(last) {
		s.width = max(len(first), len(last))
	}
	return &node{count: min(max(from, to)-min(from, to), MaxExpand) + 1, span: s}, nil
}

func padded(s string) bool { return len(s) > 1 && s[0] == '0' }

// digits reports whether s is made of 1 to 9 decimal digits.
func digits(s string) bool {
	return s != "" && len(s) <= 9 && strings.Trim(s, "0123456789") == ""
}

// results returns all strings that n stands for.
func (n *node) results() []string {
	switch {
	case n.span != nil:
		return n.span.results(n.count)
	case n.choice:
		out := make([]string, 0, n.count)
		for _, part := range n.parts {
			out = append(out, part.results()...)
		}
		return out
	case n.parts == nil:
		return []string{n.text}
	}
	out := []string{""}
	for _, part := range n.parts {
		tails := part.results()
		next := make([]string, 0, len(out)*len(tails))
		for _, head := range out {
			for _, tail := range tails {
				next = append(next, head+tail)
			}
		}
		out = next
	}
	return out
}

func (s *span) results(count int) []string {
	step := 1
	if s.to < s.from {
		step = -1
	}
	out := make([]string, 0, count)
	for i, v := 0, s.from; i < count; i, v = i+1, v+step {
		out = append(out, fmt.Sprintf("%0*d", s.width, v))
	}
	return out
}
