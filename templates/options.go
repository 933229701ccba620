package templates

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
)

var (
	environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	capability      = regexp.MustCompile(`^[A-Za-z][A-Za-z_]*$`)
)

// options are the arguments of the runtime's run or create that the Compose file asks for. Each is one
// word, so that a value that begins with a dash is no option of its own.
func (c *converter) options(s Service) []Word {
	v := c.service
	var out []Word
	add := func(name, value string) { out = append(out, Word("--"+name+"="+value)) }
	if v.StopSignal != "" {
		add("stop-signal", v.StopSignal)
	}
	add("stop-timeout", strconv.Itoa(s.StopSeconds))
	if v.NetworkMode != "" {
		if !slices.Contains([]string{"host", "none", "bridge"}, v.NetworkMode) {
			c.refuse("write host, none or bridge", "network_mode "+shown(v.NetworkMode)+" is not supported", "network_mode")
		}
		add("network", v.NetworkMode)
	}
	out = append(out, c.ports()...)
	out = append(out, c.volumes()...)
	out = append(out, c.environment()...)
	out = append(out, c.labels()...)
	if v.User != "" {
		add("user", v.User)
	}
	if v.WorkingDir != "" {
		if !strings.HasPrefix(v.WorkingDir, "/") {
			c.refuse("write an absolute path in the container", "working_dir "+shown(v.WorkingDir)+" is relative", "working_dir")
		}
		add("workdir", v.WorkingDir)
	}
	if v.ReadOnly {
		out = append(out, "--read-only")
		if c.runtime == Podman { // which else makes some folders writable
			out = append(out, "--read-only-tmpfs=false")
		}
	}
	out = append(out, c.capabilities("cap_drop", v.CapDrop)...)
	out = append(out, c.capabilities("cap_add", v.CapAdd)...)
	if c.runtime == Docker { // Podman's container is within the unit's own limits
		out = append(out, c.dockerLimits()...)
	}
	return append(out, c.health()...)
}

func (c *converter) dockerLimits() []Word {
	l := c.resource("limits")
	if l == nil {
		return nil
	}
	var out []Word
	if l.MemoryBytes > 0 {
		out = append(out, Word("--memory="+strconv.FormatInt(int64(l.MemoryBytes), 10)))
	}
	if cpus := cores(l.NanoCPUs); cpus > 0 {
		out = append(out, Word("--cpus="+strconv.FormatFloat(cpus, 'f', -1, 64)))
	}
	if l.Pids > 0 {
		out = append(out, Word("--pids-limit="+strconv.FormatInt(l.Pids, 10)))
	}
	return out
}

func (c *converter) image() Word {
	name := c.service.Image
	if name == "" {
		c.refuse("add image: and the name of one", "service "+shown(c.service.Name)+" has no image", "image")
		return ""
	}
	if _, err := reference.ParseNormalizedNamed(name); err != nil {
		c.refuse("write a name such as registry.example/app:1", "image "+shown(name)+" is no name of an image", "image")
	}
	return Word(name)
}

// command adds the entrypoint to the options and returns what follows the image.
func (c *converter) command(s *Service) []Word {
	v := c.service
	var out []Word
	if v.Entrypoint != nil {
		first := ""
		if len(v.Entrypoint) > 0 {
			first = v.Entrypoint[0]
		}
		if c.runtime == Podman && strings.HasPrefix(first, "[") {
			c.refuse("write the absolute path of the program", "entrypoint "+shown(first)+" begins with a bracket", "entrypoint")
		}
		s.Options = append(s.Options, Word("--entrypoint="+first))
		for _, w := range v.Entrypoint[min(1, len(v.Entrypoint)):] {
			out = append(out, Word(w))
		}
	}
	if v.Command != nil && len(v.Command) == 0 && v.Entrypoint == nil {
		c.refuse("remove it, or name the program with entrypoint", "command is empty", "command")
	}
	for _, w := range v.Command {
		out = append(out, Word(w))
	}
	return out
}

// environment are the variables, those without a value left out as Compose does.
func (c *converter) environment() []Word {
	var out []Word
	for _, name := range slices.Sorted(maps.Keys(c.service.Environment)) {
		value := c.service.Environment[name]
		if !environmentName.MatchString(name) {
			c.refuse("a name is made of letters, digits and _ . -", "environment has a variable named "+shown(name), "environment", name)
			continue
		}
		if value != nil {
			out = append(out, Word("--env="+name+"="+*value))
		}
	}
	return out
}

func (c *converter) labels() []Word {
	var out []Word
	for _, name := range slices.Sorted(maps.Keys(c.service.Labels)) {
		if name == "" || strings.ContainsAny(name, "= \t\n") {
			c.refuse("write name: value", "labels has a label named "+shown(name), "labels", name)
			continue
		}
		out = append(out, Word("--label="+name+"="+c.service.Labels[name]))
	}
	return out
}

func (c *converter) capabilities(key string, list []string) []Word {
	var out []Word
	for i, name := range list {
		if !capability.MatchString(name) {
			c.refuse("write a name such as NET_ADMIN", key+" "+shown(name)+" is no capability", key, strconv.Itoa(i))
			continue
		}
		out = append(out, Word("--"+strings.ReplaceAll(key, "_", "-")+"="+name))
	}
	return out
}
