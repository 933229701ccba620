package units

import (
	"path"
	"slices"
)

// clash is two options that each make sense but not together.
type clash struct {
	on       bool
	opt      option // its last line is the place of the fault
	msg, why string
}

// combinations refuses options that do not go together. MachineID with Conflicts is allowed, unlike in fleet: a
// pinned unit may well forbid neighbours.
func (p *placement) combinations(r Requirements) {
	for _, c := range slices.Concat(p.clashes(r), p.familyClashes(r)) {
		if c.on {
			p.add(p.lastLine(c.opt), c.why, "%s", c.msg)
		}
	}
	for _, s := range p.set[optMachineOf] {
		p.meets(r, s, "Conflicts", r.Conflicts)
		p.meets(r, s, "Replaces", r.Replaces)
	}
	if r.Fence {
		p.fence()
	}
}

// clashes are the options that contradict where a unit is, or how many of it.
func (p *placement) clashes(r Requirements) []clash {
	const (
		everywhere = "a global unit runs on every host that fits; remove one of them"
		pinned     = "the machine is already chosen; remove one of them"
		stays      = "a copy of a global unit does not move; remove one of them"
		once       = "a fenced unit runs at most once in the cluster; remove one of them"
	)
	has := func(opt option) bool { return len(p.set[opt]) > 0 }
	return []clash{
		{r.MachineID != "" && len(r.MachineOf) > 0, optMachineOf, "MachineOf= cannot go with MachineID=", pinned},
		{r.MachineID != "" && len(r.Prefer) > 0, optPrefer, "Prefer= cannot go with MachineID=", pinned},
		{r.MachineID != "" && len(r.Replaces) > 0, optReplaces, "Replaces= cannot go with MachineID=", pinned},
		{r.MachineID != "" && r.Reschedule, optReschedule, "Reschedule=on-failure cannot go with MachineID=", pinned},
		{len(r.MachineOf) > 0 && r.Reschedule, optReschedule, "Reschedule=on-failure cannot go with MachineOf=", "the unit is bound to the host of the other; remove one of them"},
		{r.Global && r.MachineID != "", optGlobal, "Global=yes cannot go with MachineID=", everywhere},
		{r.Global && len(r.MachineOf) > 0, optGlobal, "Global=yes cannot go with MachineOf=", everywhere},
		{r.Global && len(r.Replaces) > 0, optReplaces, "Replaces= cannot go with Global=yes", everywhere},
		{r.Global && r.MaxPerHost > 0, optMaxPerHost, "MaxPerHost= cannot go with Global=yes", everywhere},
		{r.Global && len(r.Spread) > 0, optSpread, "Spread= cannot go with Global=yes", everywhere},
		{r.Global && len(r.Prefer) > 0, optPrefer, "Prefer= cannot go with Global=yes", everywhere},
		{r.Global && has(optHandover), optHandover, "Handover= cannot go with Global=yes", stays},
		{r.Global && r.Reschedule, optReschedule, "Reschedule=on-failure cannot go with Global=yes", stays},
		{r.Global && has(optDrain) && r.Drain != DrainStay, optDrain, "Drain=" + r.Drain.String() + " cannot go with Global=yes", stays},
		{r.MachineID != "" && has(optDrain) && r.Drain != DrainStay, optDrain, "Drain=" + r.Drain.String() + " cannot go with MachineID=", pinned},
		{r.Global && r.Fence, optFence, "Fence=yes cannot go with Global=yes", once},
		{r.Fence && r.Handover == StartFirst, optHandover, "Handover=start-first cannot go with Fence=yes", once},
		{r.Fence && len(r.Replaces) > 0, optReplaces, "Replaces= cannot go with Fence=yes", "a fenced unit may have to wait, and what it pushed off would be gone; remove one of them"},
		{r.Fence && r.Runtime == "docker" && has(optRuntime), optRuntime, "Runtime=docker cannot go with Fence=yes", "use Podman with --cgroups=split: Docker's processes live outside the unit's cgroup"},
		{len(r.Conflicts) > 0 && len(r.Replaces) > 0, optReplaces, "Replaces= cannot go with Conflicts=", "one gives way where the other pushes; MaxPerHost=1 keeps the instances of a template apart"},
	}
}

// familyClashes are the options that speak of instances, where there are none.
func (p *placement) familyClashes(r Requirements) []clash {
	own := p.file.Name
	alone := !own.IsTemplate() && !own.IsInstance() && !r.Global
	template := "name the file " + printable(own.Prefix()) + "@." + own.Type() + " and start instances of it"
	msg := "= is for the instances of a template, and " + printable(string(own)) + " is none"
	return []clash{
		{alone && r.MaxPerHost > 0, optMaxPerHost, "MaxPerHost" + msg, template},
		{alone && len(r.Spread) > 0, optSpread, "Spread" + msg, template},
		{alone && r.MaxUnavailable.N > 0, optMaxUnavailable, "MaxUnavailable= is for global units and the instances of a template, and " + printable(string(own)) + " is neither", template},
	}
}

// meets refuses a peer that the unit itself keeps off its host.
func (p *placement) meets(r Requirements, s setting, name string, globs []string) {
	if !slices.Contains(r.MachineOf, Name(s.value)) {
		return
	}
	for _, glob := range globs {
		if ok, _ := Match(glob, s.value); ok {
			p.add(s.line, "the unit could run nowhere; change one of them", "MachineOf=%s matches %s=%s", s.value, name, printable(glob))
		}
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
	p.lateDropIns()
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

// lateDropIns refuses drop-ins that undo what ours does for a fenced unit: of two that set the same, the later
// name wins.
func (p *placement) lateDropIns() {
	for _, o := range p.file.Options {
		if o.Section != "Service" || o.Name != "TimeoutStopSec" && o.Name != "TimeoutSec" {
			continue
		}
		for _, d := range slices.Backward(p.file.parts) {
			if o.Line <= d.before {
				continue
			}
			if path.Base(d.file) > ownDropIn {
				p.add(o.Line, "give the file a name that comes before, such as 10-stop.conf", "%s= behind %s cannot go with Fence=yes: it would undo the stop budget", o.Name, ownDropIn)
			}
			break
		}
	}
}
