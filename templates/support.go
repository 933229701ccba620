package templates

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/mattn/go-shellwords"
	"go.yaml.in/yaml/v4"

	"flotilla/units"
)

// shape says which keys a mapping of a Compose file may have, and what may stand below them. "*" is
// any key; a nil shape is not looked into. A list has the shape of its items.
type shape map[string]shape

// supported is what Render understands.
func supported() shape {
	service := shape{"healthcheck": keys("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")}
	for _, k := range []string{
		"image", "command", "entrypoint", "environment", "restart", "stop_grace_period", "stop_signal",
		"labels", "user", "working_dir", "read_only", "cap_add", "cap_drop", "network_mode",
	} {
		service[k] = nil
	}
	service["env_file"] = keys("path", "required")
	service["ports"] = keys("target", "published", "protocol", "mode", "host_ip", "name", "app_protocol")
	service["volumes"] = shape{
		"type": nil, "source": nil, "target": nil, "read_only": nil,
		"bind": keys("propagation", "selinux", "create_host_path"), "volume": keys("nocopy"), "tmpfs": keys("size", "mode"),
	}
	service["deploy"] = shape{
		"mode": nil, "replicas": nil, "placement": keys("constraints"),
		"resources": {"limits": keys("cpus", "memory", "pids"), "reservations": keys("cpus", "memory")},
	}
	return shape{"name": nil, "services": {"*": service}, "volumes": {"*": keys("name")}}
}

func keys(names ...string) shape {
	s := shape{}
	for _, n := range names {
		s[n] = nil
	}
	return s
}

// harmless are keys that are passed over with a warning, by the last of their path, and why.
func harmless() map[string]string {
	return map[string]string{
		"version":        "it has no meaning any more",
		"container_name": "containers are named after their unit",
		"expose":         "ports of a container need no exposing",
		"attach":         "logs go to the journal",
		"develop":        "it is for development",
		"logging":        "logs go to the journal",
		"pull_policy":    "an image is pulled when its unit is loaded",
	}
}

// remedies say what to write instead of what is not supported.
func remedies() map[string]string {
	return map[string]string{
		"build":                 "build the image, push it to a registry, and name it with image",
		"configs":               "put the files on the hosts and mount them with volumes",
		"cpus":                  "use deploy.resources.limits.cpus",
		"depends_on":            "remove the condition: units start in any order; let the service try again",
		"devices":               "remove it",
		"extends":               "copy the other service into this one, or use a YAML anchor",
		"extra_hosts":           "put the names into DNS",
		"include":               "copy the other file into this one",
		"links":                 "remove it: services reach one another over the hosts' addresses",
		"max_replicas_per_node": "write MaxPerHost= in a template of your own (--template)",
		"mem_limit":             "use deploy.resources.limits.memory",
		"mem_reservation":       "use deploy.resources.reservations.memory",
		"networks":              "use network_mode, or ports",
		"pids_limit":            "use deploy.resources.limits.pids",
		"privileged":            "name what it needs with cap_add",
		"profiles":              "write a file for each",
		"restart_policy":        "use restart",
		"scale":                 "use deploy.replicas",
		"secrets":               "put the files on the hosts and mount them with volumes",
		"tmpfs":                 "use volumes with type: tmpfs",
	}
}

// Check says what of a Compose file cannot be rendered (Errors of units) and what is passed over.
// lookup knows the variables that ${…} may name.
func (d *Document) Check(lookup func(string) (string, bool)) (warnings []*units.Error, err error) {
	c := &checker{doc: d, lookup: lookup}
	c.mapping(d.root, supported(), nil)
	if services := d.at("services"); services == nil || len(entries(services)) == 0 {
		c.refuse(d.Line("services"), "write services: and a service with an image", "file has no service")
	}
	c.scalars(d.root)
	return c.warnings, c.err()
}

// checker walks a document.
type checker struct {
	faults
	doc      *Document
	lookup   func(string) (string, bool)
	warnings []*units.Error
}

func (c *checker) refuse(line int, hint, msg string) { c.add(c.doc.fault(line, hint, msg)) }

// mapping looks at the keys of a mapping, or of the mappings in a list.
func (c *checker) mapping(n *yaml.Node, s shape, path []string) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			c.mapping(resolve(item), s, path)
		}
		return
	}
	for _, e := range entries(n) {
		below, ok := s[e.name]
		if !ok {
			below, ok = s["*"]
		}
		where := append(slices.Clone(path), e.name)
		switch {
		case strings.HasPrefix(e.name, "x-"):
		case !ok:
			c.unknown(e, s, where)
		case len(path) == 2 && (e.name == "command" || e.name == "entrypoint"):
			c.commandLine(e)
		case below != nil:
			c.mapping(e.value, below, where)
		case (e.name == "path" || e.name == "host_ip") && e.value.ShortTag() != "!!str": // the library takes it for granted
			c.refuse(e.line, "write it in quotes", shown(strings.Join(where, "."))+" is no text")
		}
	}
}

// unknown warns about a key that is not supported where that is harmless, else refuses it.
func (c *checker) unknown(e entry, s shape, path []string) {
	dotted := strings.Join(path, ".")
	service := len(path) == 3 && path[0] == "services"
	if why, ok := harmless()[e.name]; ok && (service || len(path) == 1) {
		c.warnings = append(c.warnings, c.doc.fault(e.line, why, shown(dotted)+" is passed over"))
		return
	}
	if service && e.name == "depends_on" && onlyStarted(e.value) {
		c.warnings = append(c.warnings, c.doc.fault(e.line, "units start in any order; let the service try again", shown(dotted)+" is passed over"))
		return
	}
	hint, ok := remedies()[e.name]
	if !ok {
		hint = "remove it"
		if near := units.Suggest(e.name, slices.Sorted(maps.Keys(s))); near != "" && near != "*" {
			hint = "did you mean " + near + "?"
		}
	}
	c.refuse(e.line, hint, shown(dotted)+" is not supported")
}

// commandLine refuses a command in text that goes on after what separates commands for a shell. There is no
// shell, and the library, which splits the text into words, would end it there in silence.
func (c *checker) commandLine(e entry) {
	if e.value.Kind != yaml.ScalarNode {
		return
	}
	text, err := template.Substitute(e.value.Value, c.lookup)
	if err != nil {
		return // the library tells it
	}
	p := shellwords.NewParser()
	if _, err := p.Parse(text); err == nil && p.Position >= 0 {
		rest := string([]rune(text)[p.Position:])
		c.refuse(e.line, `write ["/bin/sh", "-c", "..."] for a shell, or quotes around what is one word`, e.name+" needs a shell from "+shown(rest)+" on")
	}
}

// onlyStarted reports whether depends_on asks for no more than an order of starts.
func onlyStarted(n *yaml.Node) bool {
	for _, e := range entries(n) {
		cond, _ := child(e.value, "condition")
		if cond != nil && cond.Value != "service_started" {
			return false
		}
	}
	return true
}

// scalars looks at every text of the file.
func (c *checker) scalars(n *yaml.Node) {
	for i, child := range n.Content { // an alias has none: what it names is seen where it stands
		if msg, hint := wordFault(child.Value); msg != "" {
			c.refuse(child.Line, hint, shown(child.Value)+" "+msg)
		}
		var number float64
		if child.ShortTag() == "!!float" && child.Decode(&number) == nil && (math.IsInf(number, 0) || math.IsNaN(number)) {
			c.refuse(child.Line, "write a number, or quote a text", shown(child.Value)+" is no number to reckon with")
		}
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			c.variables(child)
		}
		c.scalars(child)
	}
}

// variables refuses ${…} of variables that are not set and have no default: an empty text in their
// place would run something that nobody wrote.
func (c *checker) variables(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "$") {
		return
	}
	found := template.ExtractVariables(map[string]any{"": n.Value}, nil)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		v := found[name]
		_, set := c.lookup(name)
		if set || v.Required || !variable.MatchString(name) || hasDefault(n.Value, name) {
			continue
		}
		c.refuse(n.Line, "set it, write ${"+name+":-default}, or $$ for a dollar", "variable "+shown(name)+" is not set")
	}
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// hasDefault reports whether a value says what to take for a variable that is not set.
func hasDefault(value, name string) bool {
	return regexp.MustCompile(`\$\{` + regexp.QuoteMeta(name) + `:?[-+]`).MatchString(value)
}
