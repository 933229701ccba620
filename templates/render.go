package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"text/template"

	"github.com/compose-spec/compose-go/v2/types"

	"flotilla/units"
)

// The runtimes that units can be rendered for.
const (
	Docker = "docker"
	Podman = "podman"
)

//go:embed podman.service docker.service
var builtin embed.FS

// Options say how to render.
type Options struct {
	Runtime  string // Docker or Podman
	Template string // text of a template to use instead of the runtime's own; "" = that
	File     string // name of Template, for errors
}

// Unit is one rendered unit file.
type Unit struct {
	Name     units.Name // a template unit: app.web@.service
	Service  string     // as the Compose file names it
	Replicas int        // how many instances the Compose file asks for
	Content  []byte
}

// Render makes a template unit of each service of a project, in the order of their names. The project is
// what the Compose library made of the document's tree, with its env files read. The error are units.Errors
// about the Compose file, or an *units.Error about the template.
func Render(d *Document, p *types.Project, o Options) ([]Unit, error) {
	t, err := o.parse()
	if err != nil {
		return nil, err
	}
	found := &faults{}
	var out []Unit
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		c := &converter{faults: found, doc: d, project: p, service: p.Services[name], at: []string{"services", name}, runtime: o.Runtime}
		data, ok := c.data()
		if !ok {
			continue
		}
		content, err := execute(t, data, o)
		if err != nil {
			return nil, err
		}
		if err := c.verify(data, content, o); err != nil {
			return nil, err
		}
		out = append(out, Unit{Name: data.Unit, Service: name, Replicas: c.replicas(), Content: content})
	}
	return out, found.err()
}

// parse reads the template.
func (o Options) parse() (*template.Template, error) {
	text := o.Template
	if text == "" {
		own, err := builtin.ReadFile(o.Runtime + ".service")
		if err != nil {
			return nil, fmt.Errorf("there is no template for the runtime %q: %w", o.Runtime, err)
		}
		text = string(own)
	}
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, o.templateFault(err)
	}
	return t, nil
}

func execute(t *template.Template, data Service, o Options) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, o.templateFault(err)
	}
	return b.Bytes(), nil
}

var templatePlace = regexp.MustCompile(`^template: :(\d+)(?::\d+)?: (?:executing "" at )?(.*)$`)

// templateFault is what text/template says, with file and line in our place.
func (o Options) templateFault(err error) error {
	e := &units.Error{File: o.File, Line: 1, Msg: oneLine(err.Error()), Hint: "docs/templates.md lists what a template may use"}
	if m := templatePlace.FindStringSubmatch(e.Msg); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Msg = m[2]
	}
	return e
}

// verify holds what was rendered against the rules for unit files, and its constraints against the ones
// that were meant.
func (c *converter) verify(data Service, content []byte, o Options) error {
	err := units.Verify(data.Unit, content)
	if err == nil {
		return nil
	}
	var named *units.Error
	if errors.As(err, &named) && named.Line == 0 { // the name is at fault
		c.refuse("rename the service, or the project with name:", named.Msg)
		return nil
	}
	from := o.File
	if from == "" {
		from = o.Runtime + " template"
	}
	return fmt.Errorf("rendered with %s: %w", from, err)
}
