package templates

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"flotilla/units"
)

// requirements are the lines of [X-Flotilla]: the runtime and the image, where it may run, what it reserves,
// and whom its ports keep away, and whether it stays with its data.
func (c *converter) requirements(s Service) []string {
	out := []string{"Runtime=" + c.runtime, "Image=" + strings.ReplaceAll(string(s.Image), "%", "%%")}
	out = append(out, c.constraints()...)
	out = append(out, c.reservations()...)
	if c.keepsData() {
		out = append(out, "Drain=stay")
	}
	for _, other := range c.portRivals() {
		out = append(out, "Conflicts="+other)
	}
	return out
}

// keepsData says that the service has a named volume, which is on its host alone: elsewhere it would find another one.
func (c *converter) keepsData() bool {
	return slices.ContainsFunc(c.service.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeVolume && v.Source != ""
	})
}

// constraints are deploy.placement.constraints, which must all hold.
func (c *converter) constraints() []string {
	if c.service.Deploy == nil {
		return nil
	}
	var out []string
	equal := map[string]string{} // values that a label must have: several lines would mean any of them
	for i, text := range c.service.Deploy.Placement.Constraints {
		at := []string{"deploy", "placement", "constraints", strconv.Itoa(i)}
		key, value, not, ok := constraint(text)
		if !ok {
			c.refuse("write node.labels.disk == ssd or node.labels.disk != hdd", "constraint "+shown(text)+" has no == or !=", at...)
			continue
		}
		line, hint := placementLine(key, value, not)
		if line == "" {
			c.refuse(hint, "constraint "+shown(text)+" is not supported", at...)
			continue
		}
		if was, ok := equal[key]; ok && !not && was != value {
			c.refuse("remove one of them", "constraint "+shown(text)+" cannot hold together with "+shown(key+" == "+was), at...)
		}
		if opposite, _ := placementLine(key, value, !not); opposite != "" && slices.Contains(out, opposite) {
			c.refuse("remove one of them", "constraint "+shown(text)+" cannot hold together with its opposite", at...)
		}
		if !not {
			equal[key] = value
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// constraint splits key == value and key != value.
func constraint(text string) (key, value string, not, ok bool) {
	eq, ne := strings.Index(text, "=="), strings.Index(text, "!=")
	at := eq
	if ne >= 0 && (eq < 0 || ne < eq) {
		at, not = ne, true
	}
	if at < 0 {
		return "", "", false, false
	}
	key, value = strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+2:])
	return key, value, not, key != "" && value != ""
}

// placementLine writes a constraint as an option of [X-Flotilla], or says what to write instead.
func placementLine(key, value string, not bool) (line, hint string) {
	if key == "node.id" {
		if not || !machineID(value) {
			return "", "write node.id == and the digits of a machine id"
		}
		return "MachineID=" + value, ""
	}
	label, ok := strings.CutPrefix(key, "node.labels.")
	if !ok {
		label, ok = strings.CutPrefix(key, "engine.labels.")
	}
	switch {
	case key == "node.hostname":
		return "", "label the hosts (flotilla host label H name=H) and write node.labels.name"
	case !ok:
		return "", "label the hosts (flotilla host label) and write node.labels.KEY"
	case units.CheckLabel(label, value) != nil || strings.ContainsAny(value, `"'\<>!(),`):
		return "", "a label has a key of letters, digits and _ . - /, and a value without = and quotes"
	}
	op := "="
	if not {
		op = "!="
	}
	line = label + op + strings.ReplaceAll(value, "%", "%%")
	if strings.ContainsAny(line, " #") {
		line = `"` + line + `"`
	}
	return "MachineMetadata=" + line, ""
}

func machineID(s string) bool {
	return (len(s) == 32 || len(s) == 8) && strings.Trim(s, "0123456789abcdef") == ""
}

// reservations are what the planner sets aside: what is reserved, else the limit.
func (c *converter) reservations() []string {
	var memory, cpu string
	for _, kind := range []string{"limits", "reservations"} {
		r := c.resource(kind)
		if r == nil {
			continue
		}
		if r.MemoryBytes > 0 {
			memory = "Memory=" + bytesOf(int64(r.MemoryBytes))
		}
		if cpus := cores(r.NanoCPUs); cpus > 0 {
			cpu = "CPU=" + strconv.FormatFloat(cpus, 'f', -1, 64)
		}
	}
	return slices.DeleteFunc([]string{memory, cpu}, func(s string) bool { return s == "" })
}

// portRivals are globs of the units of this project that publish a port of the host that this service
// publishes too; its own other instances are such.
func (c *converter) portRivals() []string {
	var out []string
	mine := published(c.service)
	for _, name := range slices.Sorted(maps.Keys(c.project.Services)) {
		for _, theirs := range published(c.project.Services[name]) {
			if slices.ContainsFunc(mine, theirs.overlaps) {
				out = append(out, c.project.Name+"."+name+"@*.service")
				break
			}
		}
	}
	return out
}
