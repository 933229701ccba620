package templates

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// port is what the service publishes on its host.
type port struct {
	ip       string
	number   string
	protocol string
}

// overlaps reports whether two ports cannot both be published on one host.
func (p port) overlaps(q port) bool {
	anywhere := func(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
	return p.number == q.number && p.protocol == q.protocol && (p.ip == q.ip || anywhere(p.ip) || anywhere(q.ip))
}

// published are the ports of a service that are fixed.
func published(s types.ServiceConfig) []port {
	var out []port
	for _, p := range s.Ports {
		if p.Published != "" && p.Published != "0" {
			out = append(out, port{p.HostIP, p.Published, p.Protocol})
		}
	}
	return out
}

func (c *converter) ports() []Word {
	var out []Word
	for _, p := range c.service.Ports {
		path := c.portPath(p)
		if c.service.NetworkMode == "host" || c.service.NetworkMode == "none" {
			c.refuse("remove one of them", "ports do nothing with network_mode "+c.service.NetworkMode, path...)
			return nil
		}
		if n, err := strconv.ParseUint(p.Published, 10, 16); p.Published != "" && (err != nil || n == 0 && p.Published != "0") {
			c.refuse("write one port of the host for one of the container", "ports: host port "+shown(p.Published)+" is no port", path...)
		}
		if p.Target < 1 || p.Target > 65535 {
			c.refuse("write a number from 1 to 65535", fmt.Sprintf("ports: container port %d is no port", p.Target), path...)
		}
		if !slices.Contains([]string{"", "tcp", "udp", "sctp"}, p.Protocol) {
			c.refuse("write tcp, udp or sctp", "ports: protocol "+shown(p.Protocol)+" is not known", path...)
		}
		word := ""
		if p.HostIP != "" {
			ip := p.HostIP
			if strings.Contains(ip, ":") {
				ip = "[" + ip + "]"
			}
			word = ip + ":" + p.Published + ":"
		} else if p.Published != "" {
			word = p.Published + ":"
		}
		word += strconv.FormatUint(uint64(p.Target), 10)
		if p.Protocol != "" && p.Protocol != "tcp" {
			word += "/" + p.Protocol
		}
		out = append(out, Word("--publish="+word))
	}
	return out
}

// portPath finds a port in the document, where one entry may stand for several.
func (c *converter) portPath(p types.ServicePortConfig) []string {
	list := c.doc.at(append(c.at[:2:2], "ports")...)
	if list == nil {
		return []string{"ports"}
	}
	for _, i := range names(list) {
		item, _ := child(list, i)
		text := item.Value
		if target, _ := child(item, "target"); target != nil {
			text = target.Value
		}
		text, _, _ = strings.Cut(text[strings.LastIndexByte(text, ':')+1:], "/")
		low, high, ranged := strings.Cut(text, "-")
		if !ranged {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 32)
		to, err2 := strconv.ParseUint(high, 10, 32)
		if err == nil && err2 == nil && from <= uint64(p.Target) && uint64(p.Target) <= to {
			return []string{"ports", i}
		}
	}
	return []string{"ports"}
}

func (c *converter) volumes() []Word {
	var out []Word
	for i, v := range c.service.Volumes {
		at := []string{"volumes", strconv.Itoa(i)}
		if !path.IsAbs(v.Target) || strings.ContainsAny(v.Target, ":,") {
			c.refuse("write an absolute path without : and ,", "volumes: "+shown(v.Target)+" is no path in a container", at...)
			continue
		}
		if option := c.strangeOption(i); option != "" {
			c.refuse("write ro, rw, z, Z or nocopy", "volumes: option "+shown(option)+" is not supported", at...)
		}
		switch v.Type {
		case types.VolumeTypeBind, types.VolumeTypeVolume:
			out = append(out, Word("--volume="+c.source(v, at)+v.Target+volumeFlags(v)))
		case types.VolumeTypeTmpfs:
			out = append(out, Word("--tmpfs="+v.Target+tmpfsFlags(v)))
		default:
			c.refuse("write bind, volume or tmpfs", "volumes: type "+shown(v.Type)+" is not supported", at...)
		}
	}
	return out
}

var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// source is the part before the path in the container: a path of the host, or a volume of the runtime's
// named as Compose does; "" for a volume without a name.
func (c *converter) source(v types.ServiceVolumeConfig, at []string) string {
	if v.Type == types.VolumeTypeBind {
		if !path.IsAbs(v.Source) || strings.ContainsAny(v.Source, ":,") {
			c.refuse("write an absolute path of the hosts, or use a named volume", "volumes: "+shown(v.Source)+" is no path that every host has", at...)
		}
		return v.Source + ":"
	}
	if v.Source == "" {
		return ""
	}
	declared, ok := c.project.Volumes[v.Source]
	if !ok {
		c.refuse("declare it under the volumes of the file", "volumes: there is no volume "+shown(v.Source), at...)
	}
	name := c.project.Name + "_" + v.Source
	if declared.Name != "" {
		name = declared.Name
	}
	if !volumeName.MatchString(name) {
		c.refuse("use letters, digits and _ . -", "volumes: "+shown(name)+" is no name of a volume", at...)
	}
	return name + ":"
}

// volumeFlags are the options after the path in the container.
func volumeFlags(v types.ServiceVolumeConfig) string {
	var flags []string
	if v.ReadOnly {
		flags = append(flags, "ro")
	}
	if v.Bind != nil && slices.Contains([]string{"z", "Z"}, v.Bind.SELinux) {
		flags = append(flags, v.Bind.SELinux)
	}
	if v.Bind != nil && slices.Contains([]string{"private", "rprivate", "shared", "rshared", "slave", "rslave"}, v.Bind.Propagation) {
		flags = append(flags, v.Bind.Propagation)
	}
	if v.Volume != nil && v.Volume.NoCopy {
		flags = append(flags, "nocopy")
	}
	if len(flags) == 0 {
		return ""
	}
	return ":" + strings.Join(flags, ",")
}

func tmpfsFlags(v types.ServiceVolumeConfig) string {
	var flags []string
	if v.ReadOnly {
		flags = append(flags, "ro")
	}
	if v.Tmpfs != nil && v.Tmpfs.Size > 0 {
		flags = append(flags, "size="+strconv.FormatInt(int64(v.Tmpfs.Size), 10))
	}
	if v.Tmpfs != nil && v.Tmpfs.Mode > 0 {
		flags = append(flags, "mode="+strconv.FormatUint(uint64(v.Tmpfs.Mode), 8))
	}
	if len(flags) == 0 {
		return ""
	}
	return ":" + strings.Join(flags, ",")
}

// strangeOption is an option of a volume in its short form that the Compose library passes over in silence.
func (c *converter) strangeOption(i int) string {
	item := c.doc.at(append(c.at[:2:2], "volumes", strconv.Itoa(i))...)
	if item == nil || strings.Count(item.Value, ":") != 2 || strings.Contains(item.Value, "$") {
		return ""
	}
	known := []string{"ro", "rw", "nocopy", "z", "Z", "private", "rprivate", "shared", "rshared", "slave", "rslave"}
	for _, o := range strings.Split(item.Value[strings.LastIndexByte(item.Value, ':')+1:], ",") {
		if !slices.Contains(known, o) {
			return o
		}
	}
	return ""
}
