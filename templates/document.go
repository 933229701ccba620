package templates

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"flotilla/units"
)

// Document is the text of a Compose file: what it holds, and in which lines. The Compose library's
// project knows no lines.
type Document struct {
	File string // as errors name it
	root *yaml.Node
	tree map[string]any
}

// entry is one key of a mapping.
type entry struct {
	name  string
	line  int
	value *yaml.Node
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+)`)
	yamlPlace  = regexp.MustCompile(` at line \d+(, column \d+)?|: line \d+(, column \d+)?`)
	yamlPrefix = regexp.MustCompile(`^(yaml: )?(construct errors: )?(line \d+(, column \d+)?: )?`)
)

// Parse reads the YAML of a Compose file. The error is an *units.Error.
func Parse(file string, content []byte) (*Document, error) {
	d := &Document{File: file}
	if i := invalidUTF8(content); i >= 0 {
		return nil, d.fault(1+bytes.Count(content[:i], []byte("\n")), "save the file as UTF-8", "file holds bytes that are no UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var root yaml.Node
	switch err := dec.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, d.fault(1, "write at least services: with one service in it", "file is empty")
	case err != nil:
		return nil, d.syntax(err, content)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, d.syntax(err, content)
		}
		return nil, d.fault(1, "write one file for each", "file holds more than one YAML document")
	}
	d.root = resolve(&root)
	if d.root.Kind != yaml.MappingNode {
		return nil, d.fault(d.root.Line, "write services: and the services below it", "file is no mapping")
	}
	if err := d.plainKeys(d.root, 0); err != nil {
		return nil, err
	}
	if err := d.root.Decode(&d.tree); err != nil {
		return nil, d.syntax(err, content)
	}
	return d, nil
}

// Tree is the content for the Compose library, without what flotilla has no use for and the library
// would talk about.
func (d *Document) Tree() map[string]any {
	delete(d.tree, "version")
	return d.tree
}

// Line is the line of what stands at a path of keys and list indexes, or of the last thing on the
// way there that exists; 1 for nothing.
func (d *Document) Line(path ...string) int {
	line, n := 1, d.root
	for _, key := range path {
		next, at := child(n, key)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return line
}

// Has reports whether something stands at a path.
func (d *Document) Has(path ...string) bool { return d.at(path...) != nil }

func (d *Document) at(path ...string) *yaml.Node {
	n := d.root
	for _, key := range path {
		if n, _ = child(n, key); n == nil {
			return nil
		}
	}
	return n
}

// Fault is an error about what stands at a path.
func (d *Document) Fault(path []string, hint, msg string) *units.Error {
	return d.fault(d.Line(path...), hint, msg)
}

func (d *Document) fault(line int, hint, msg string) *units.Error {
	return &units.Error{File: d.File, Line: line, Msg: msg, Hint: hint}
}

// syntax is what the YAML library says, with its line in our place: the last that it names, which is where
// it stopped. Its parser, unlike its scanner, counts from 0.
func (d *Document) syntax(err error, content []byte) *units.Error {
	msg := oneLine(err.Error())
	head, tail, twice := strings.Cut(msg, "already defined") // then the last line is that of the first key
	line := 1
	if found := yamlLine.FindAllStringSubmatch(head, -1); found != nil {
		line, _ = strconv.Atoi(found[len(found)-1][1])
	}
	if strings.HasPrefix(msg, "yaml: while parsing") {
		line++
	}
	line = min(line, 1+bytes.Count(bytes.TrimRight(content, " \t\r\n"), []byte("\n")))
	if msg = yamlPlace.ReplaceAllString(yamlPrefix.ReplaceAllString(head, ""), ""); twice {
		msg += "already defined" + tail
	}
	return d.fault(line, "mend the YAML", msg)
}

// plainKeys refuses keys that are no strings. Aliases are not followed: what they name is seen where it stands.
func (d *Document) plainKeys(n *yaml.Node, depth int) error {
	if depth > 100 {
		return d.fault(n.Line, "flatten it", "is nested too deep")
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && resolve(c).Kind != yaml.ScalarNode {
			return d.fault(c.Line, "write name: value", "a key is no word")
		}
		if err := d.plainKeys(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// resolve follows a document to its content and an alias to what it names.
func resolve(n *yaml.Node) *yaml.Node {
	for {
		switch {
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.AliasNode && n.Alias != nil:
			n = n.Alias
		default:
			return n
		}
	}
}

// entries are the keys of a mapping in the order of the file; those that are merged (<<) come after
// its own, and only where it has none of that name.
func entries(n *yaml.Node) []entry {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if key.Value != "<<" || key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			own = append(own, entry{key.Value, n.Content[i].Line, value})
			continue
		}
		from := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			from = value.Content
		}
		for _, f := range from {
			merged = append(merged, entries(f)...)
		}
	}
	for _, m := range merged {
		if !slices.ContainsFunc(own, func(e entry) bool { return e.name == m.name }) {
			own = append(own, m)
		}
	}
	return own
}

// names are the keys of a mapping, or the indexes of a list.
func names(n *yaml.Node) []string {
	var out []string
	if n = resolve(n); n.Kind == yaml.SequenceNode {
		for i := range n.Content {
			out = append(out, strconv.Itoa(i))
		}
		return out
	}
	for _, e := range entries(n) {
		out = append(out, e.name)
	}
	return out
}

// child is what a mapping has under a key, or a list at an index, and its line; nil for neither.
func child(n *yaml.Node, key string) (*yaml.Node, int) {
	n = resolve(n)
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(key); err == nil && 0 <= i && i < len(n.Content) {
			return resolve(n.Content[i]), n.Content[i].Line
		}
		return nil, 0
	}
	for _, e := range entries(n) {
		if e.name == key {
			return e.value, e.line
		}
	}
	return nil, 0
}

// invalidUTF8 is the index of the first byte that is no UTF-8, or -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
