package units

import "slices"

// combinations refuses options that each make sense but not together.
// MachineID with Conflicts is allowed, unlike in fleet: a pinned unit may well
// forbid neighbours.
func (p *placement) combinations(r Requirements) {
	type clash struct {
		on       bool
		opt      option // its last line is the place of the fault
		msg, why string
	}
	for _, c := range []clash{
		{r.MachineID != "" && len(r.MachineOf) > 0, optMachineOf, "MachineOf= cannot go with MachineID=", "the machine is already chosen; remove one of them"},
		{r.Global && r.MachineID != "", optGlobal, "Global=yes cannot go with MachineID=", "a global unit runs on every host that fits; remove one of them"},
		{r.Global && len(r.MachineOf) > 0, optGlobal, "Global=yes cannot go with MachineOf=", "a global unit runs on every host that fits; remove one of them"},
		{r.Global && r.Fence, optFence, "Fence=yes cannot go with Global=yes", "a fenced unit runs at most once in the cluster; remove one of them"},
	} {
		if c.on {
			p.add(p.lastLine(c.opt), c.why, "%s", c.msg)
		}
	}
	for _, s := range p.set[optMachineOf] {
		for _, glob := range r.Conflicts {
			if ok, _ := Match(glob, s.value); ok && slices.Contains(r.MachineOf, Name(s.value)) {
				p.add(s.line, "the unit could run nowhere; change one of them", "MachineOf=%s matches Conflicts=%s", s.value, printable(glob))
			}
		}
	}
	if r.Fence {
		p.fence()
	}
}

func (p *placement) lastLine(opt option) int {
	set := p.set[opt]
	return set[len(set)-1].line
}

// fence refuses Fence=yes where killing the unit's own cgroup would leave
// something of it running.
func (p *placement) fence() {
	line := p.lastLine(optFence)
	if t := p.file.Name.Type(); t != "service" {
		p.add(line, "fence the service that it belongs to", "Fence=yes needs processes of the unit's own, and a %s has none", t)
		return
	}
	if o, ok := p.file.last("Service", "KillMode"); ok && (o.Value == "process" || o.Value == "none") {
		p.add(o.Line, "remove it", "KillMode=%s cannot go with Fence=yes: processes would be left running", o.Value)
	}
	if o, ok := p.file.last("Service", "SendSIGKILL"); ok {
		if kill, valid := parseBool(o.Value); valid && !kill {
			p.add(o.Line, "remove it", "SendSIGKILL=no cannot go with Fence=yes: a process that ignores SIGTERM would be left running")
		}
	}
	for _, o := range p.file.execs() {
		for _, c := range commands(o.Value) {
			switch {
			case c.runs("docker", "docker-compose"):
				p.add(o.Line, "use Podman with --cgroups=split, or a plain process", "Docker with Fence=yes is refused: its processes live outside the unit's cgroup")
			case c.runs("systemd-run"):
				p.add(o.Line, "run the program itself", "systemd-run with Fence=yes is refused: what it starts lives outside the unit's cgroup")
			case c.runs("podman") && (o.Name == "ExecStart" || c.startsContainer()) && !c.ownCgroup():
				p.add(o.Line, "add --cgroups=split", "Podman with Fence=yes keeps its processes outside the unit's cgroup")
			default:
				continue
			}
			break
		}
	}
}
