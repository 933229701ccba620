package templates

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"flotilla/units"
)

// Service is what a template is given: one service of a Compose file. docs/templates.md documents it.
type Service struct {
	File    Text       // the Compose file
	Project Text       // its name
	Name    Text       // of the service
	Unit    units.Name // of the unit that is made: project.name@.service
	Runtime string     // docker or podman

	Image   Word
	Options []Word // of the runtime's run and create, one word each
	Command []Word // what follows the image
	Slice   string // for a slice at the root of the control groups: the unit's prefix without dashes

	Restart      string // for Restart=
	RestartLimit int    // starts within ten minutes after which systemd gives up; 0 = never
	StopSeconds  int    // grace period
	StartSeconds int    // how long a start may take; 0 = as systemd has it
	Check        bool   // it has a health check

	MemoryMax string // limits as systemd writes them; "" = none
	CPUQuota  string
	TasksMax  string

	Requirements []string // lines for [X-Flotilla]
}

// converter makes a Service of a service of the Compose library.
type converter struct {
	*faults
	doc     *Document
	project *types.Project
	service types.ServiceConfig
	at      []string // path of the service
	runtime string
	failed  bool
}

// refuse adds a fault at a path below the service.
func (c *converter) refuse(hint, msg string, path ...string) {
	c.failed = true
	c.add(c.doc.Fault(append(c.at[:2:2], path...), hint, msg))
}

// data converts the whole service. ok is false when something was refused.
func (c *converter) data() (s Service, ok bool) {
	s = Service{
		File: Text(c.doc.File), Project: Text(c.project.Name), Name: Text(c.service.Name), Runtime: c.runtime,
		Unit: units.Name(c.project.Name + "." + c.service.Name + "@.service"), Check: c.check(),
	}
	s.Slice = strings.ReplaceAll(s.Unit.Prefix(), "-", "_")
	s.Image = c.image()
	c.restart(&s)
	c.stop(&s)
	s.StartSeconds = c.startSeconds()
	c.limits(&s)
	s.Options = c.options(s)
	s.Command = c.command(&s)
	s.Requirements = c.requirements(s)
	for _, list := range [][]Word{s.Options, s.Command} {
		for _, w := range list {
			if msg, hint := wordFault(string(w)); msg != "" {
				c.refuse(hint, shown(string(w))+" "+msg)
			}
		}
	}
	c.replicas()
	return s, !c.failed
}

func (c *converter) replicas() int {
	d := c.service.Deploy
	if d == nil {
		return 1
	}
	if d.Mode != "" && d.Mode != "replicated" {
		c.refuse("write a template of your own with Global=yes (--template)", "deploy.mode "+shown(d.Mode)+" is not supported", "deploy", "mode")
	}
	if d.Replicas == nil {
		return 1
	}
	if *d.Replicas < 0 || *d.Replicas > maxReplicas {
		c.refuse("write a number of instances", "deploy.replicas is not between 0 and "+strconv.Itoa(maxReplicas), "deploy", "replicas")
	}
	return *d.Replicas
}

// maxReplicas is how many instances web@{1..N} can name.
const maxReplicas = 10000

// restart is Compose's policy in systemd's words.
func (c *converter) restart(s *Service) {
	policy, count, limited := strings.Cut(c.service.Restart, ":")
	switch policy {
	case "", "no":
		s.Restart = "no"
	case "always", "unless-stopped": // systemd restarts nothing that was stopped
		s.Restart = "always"
	case "on-failure":
		s.Restart = "on-failure"
	default:
		c.refuse("write no, always, on-failure, on-failure:3 or unless-stopped", "restart "+shown(c.service.Restart)+" is not known", "restart")
	}
	if !limited {
		return
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1000 || policy != "on-failure" {
		c.refuse("write on-failure:3", "restart "+shown(c.service.Restart)+" has no number of attempts", "restart")
		return
	}
	s.RestartLimit = n + 1
}

// stop sets the grace period; Compose's is 10 s.
func (c *converter) stop(s *Service) {
	s.StopSeconds = 10
	if p := c.service.StopGracePeriod; p != nil {
		s.StopSeconds = c.seconds(*p, "stop_grace_period")
	}
	if sig := c.service.StopSignal; sig != "" && !signal(sig) {
		c.refuse("write a name such as SIGTERM, or its number", "stop_signal "+shown(sig)+" is no signal", "stop_signal")
	}
}

// signal reports whether s is written as a signal is: SIGTERM, TERM, SIGRTMIN+3, 15.
func signal(s string) bool {
	if n, err := strconv.Atoi(s); err == nil {
		return 1 <= n && n <= 64
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if rest, ok := strings.CutPrefix(name, "RTM"); ok {
		name = strings.TrimRight(rest, "0123456789")
		return name == "IN" || name == "AX" || name == "IN+" || name == "AX-"
	}
	switch name {
	case "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
		"CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "POLL", "PWR", "SYS":
		return true
	}
	return false
}

// seconds rounds a duration up to whole seconds.
func (c *converter) seconds(d types.Duration, path ...string) int {
	if d < 0 || time.Duration(d) > 24*time.Hour {
		c.refuse("write a duration such as 30s or 2m", strings.Join(path, ".")+" is not between 0 and 24 hours", path...)
		return 0
	}
	return int(math.Ceil(time.Duration(d).Seconds()))
}

// limits are the service's limits as systemd writes them.
func (c *converter) limits(s *Service) {
	l := c.resource("limits")
	if l == nil {
		return
	}
	if l.MemoryBytes > 0 {
		s.MemoryMax = bytesOf(int64(l.MemoryBytes))
	}
	if cpus := cores(l.NanoCPUs); cpus > 0 {
		s.CPUQuota = strconv.FormatFloat(math.Ceil(cpus*1e4)/100, 'f', -1, 64) + "%"
	}
	if l.Pids > 0 {
		s.TasksMax = strconv.FormatInt(l.Pids, 10)
	}
}

// resource returns deploy.resources.limits or .reservations, checked, or nil.
func (c *converter) resource(kind string) *types.Resource {
	d := c.service.Deploy
	if d == nil {
		return nil
	}
	r := d.Resources.Limits
	if kind == "reservations" {
		r = d.Resources.Reservations
	}
	if r == nil {
		return nil
	}
	path := func(key string) []string { return []string{"deploy", "resources", kind, key} }
	for _, v := range []struct {
		key string
		bad bool
	}{
		{"memory", r.MemoryBytes < 0 || c.doc.Has(append(c.at[:2:2], path("memory")...)...) && r.MemoryBytes == 0},
		{"cpus", !(cores(r.NanoCPUs) >= 0 && cores(r.NanoCPUs) <= 1e5) || c.doc.Has(append(c.at[:2:2], path("cpus")...)...) && cores(r.NanoCPUs) < 0.001},
		{"pids", r.Pids < -1},
	} {
		if v.bad {
			c.refuse("write an amount such as 0.5 for cpus, 512m for memory", fmt.Sprintf("deploy.resources.%s.%s is no amount", kind, v.key), path(v.key)...)
		}
	}
	return r
}

// cores is a number of cores as it was written: a float32 says 0.1 worse than its text.
func cores(n types.NanoCPUs) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(float64(n), 'f', -1, 32), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

// bytesOf writes an amount of memory with the greatest suffix that keeps it whole.
func bytesOf(n int64) string {
	suffix := ""
	for _, s := range []string{"K", "M", "G", "T"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, suffix = n/1024, s
	}
	return strconv.FormatInt(n, 10) + suffix
}
