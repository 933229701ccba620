package units

import (
	"path"
	"slices"
	"strings"
)

// ServiceType returns the Type= of a service as systemd settles it: the last
// assignment or, without one, dbus with BusName=, simple with ExecStart=, else
// oneshot. It is "" for units of other types.
func (f *File) ServiceType() string {
	if f.Name.Type() != "service" {
		return ""
	}
	types := slices.DeleteFunc(f.Values("Service", "Type"), func(t string) bool { return !slices.Contains(serviceTypes(), t) })
	switch { // systemd passes over values that it does not know
	case len(types) > 0:
		return types[len(types)-1]
	case len(f.Values("Service", "BusName")) > 0:
		return "dbus"
	case len(f.Values("Service", "ExecStart")) > 0:
		return "simple"
	}
	return "oneshot"
}

func serviceTypes() []string {
	return []string{"simple", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle", "exec"}
}

// Oneshot reports whether the unit is a service that runs to completion.
func (f *File) Oneshot() bool { return f.ServiceType() == "oneshot" }

// Restarts reports whether systemd restarts the service when it ends in at
// least one way: Restart= is set to anything but no.
func (f *File) Restarts() bool {
	v, ok := f.Value("Service", "Restart")
	return ok && v != "no" && f.Name.Type() == "service"
}

// execs returns the assignments to Exec options of the [Service] section that
// are in force.
func (f *File) execs() []Option {
	isExec := func(o Option) bool { return o.Section == "Service" && strings.HasPrefix(o.Name, "Exec") }
	reset := map[string]int{} // index of the last empty assignment, by name
	for i, o := range f.Options {
		if isExec(o) && o.Value == "" {
			reset[o.Name] = i
		}
	}
	var out []Option
	for i, o := range f.Options {
		if last, ok := reset[o.Name]; isExec(o) && (!ok || i > last) {
			out = append(out, o)
		}
	}
	return out
}

// command is one command of an Exec line.
type command struct {
	ignored bool     // prefixed with -: systemd passes over what it cannot run
	quoted  bool     // the program is written in quotes
	words   []string // without quotes; the first is the program
}

// commands splits an Exec line into its commands roughly as systemd does: well
// enough to find the programs, not to run them.
func commands(value string) []command {
	var out []command
	for _, part := range splitCommands(value) {
		list := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" \t\"'`;&|()", r) })
		if len(list) == 0 {
			continue
		}
		program := strings.TrimLeft(list[0], "@-:+!|")
		c := command{
			ignored: strings.Contains(list[0][:len(list[0])-len(program)], "-"),
			quoted:  strings.ContainsAny(part[:strings.Index(part, list[0])], `"'`),
			words:   list,
		}
		if program == "" { // a prefix that stands alone
			c.words = list[1:]
		} else {
			c.words[0] = program
		}
		if len(c.words) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// splitCommands cuts an Exec line at the semicolons that stand alone outside quotes.
func splitCommands(value string) []string {
	var out []string
	var quote byte
	start := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ';' && blankAt(value, i-1) && blankAt(value, i+1):
			out = append(out, value[start:i])
			start = i + 1
		}
	}
	return append(out, value[start:])
}

// blankAt reports whether s has a blank at i, or ends there.
func blankAt(s string, i int) bool {
	return i < 0 || i >= len(s) || s[i] == ' ' || s[i] == '\t'
}

// runs reports whether the command runs one of the programs, itself or through
// a shell or another program that starts its arguments.
func (c command) runs(programs ...string) bool {
	if slices.Contains(programs, path.Base(c.words[0])) {
		return true
	}
	if !startsOthers(path.Base(c.words[0])) {
		return false
	}
	return slices.ContainsFunc(c.words[1:], func(w string) bool {
		dir, base := path.Split(w)
		return slices.Contains(programs, base) && (dir == "" || strings.HasSuffix(dir, "bin/"))
	})
}

// startsContainer reports whether a podman command starts a container, instead of pulling an
// image or tidying up.
func (c command) startsContainer() bool {
	isPodman := func(w string) bool { return path.Base(w) == "podman" }
	return slices.ContainsFunc(c.words[slices.IndexFunc(c.words, isPodman)+1:], func(w string) bool {
		return slices.Contains([]string{"run", "start", "restart", "create", "play", "kube", "compose"}, w)
	})
}

// ownCgroup reports whether a podman command keeps the container in the cgroup of its unit.
func (c command) ownCgroup() bool {
	args := strings.ReplaceAll(strings.Join(c.words, " "), "--cgroups ", "--cgroups=") + " "
	return strings.Contains(args, "--cgroups=split ") || strings.Contains(args, "--cgroups=disabled ")
}

// startsOthers reports whether a program is known to start programs named in its arguments.
func startsOthers(program string) bool {
	switch program {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "env", "sudo", "su", "runuser", "nice", "ionice",
		"chrt", "taskset", "timeout", "nohup", "setsid", "stdbuf", "flock", "xargs", "systemd-run", "systemd-cat", "tini", "dumb-init":
		return true
	}
	return false
}
