package reboots

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
)

// UpdateEngine is Flatcar's update service: systemd.UpdateEngine, or a test's.
type UpdateEngine interface {
	// Status is its current operation and the new version; present is false where there is none.
	Status(ctx context.Context) (operation, version string, present bool, err error)
	// Changed tells when its status may be another one.
	Changed(ctx context.Context) <-chan struct{}
}

// Units are the states of the host's units.
type Units interface {
	// Active says which of these units run.
	Active(ctx context.Context, names []string) (map[string]bool, error)
}

// Options make a Needs.
type Options struct {
	Root    string // of the host's files; "" = /
	Sources []Source
	Engine  UpdateEngine
	Units   Units
	Uptime  func() time.Duration // CLOCK_BOOTTIME
}

// Needs asks the sources of one host. It is safe for use by one goroutine at a time.
type Needs struct {
	opt  Options
	last map[int]remembered // answers of commands, by the source's place
}

type remembered struct {
	answer
	at time.Duration
}

// NewNeeds makes it; nothing is asked yet.
func NewNeeds(opt Options) *Needs {
	return &Needs{opt: opt, last: map[int]remembered{}}
}

// at is where a file of the host is.
func (n *Needs) at(path string) string { return filepath.Join(n.opt.Root, path) }

// Changed tells when update_engine has another status.
func (n *Needs) Changed(ctx context.Context) <-chan struct{} {
	if n.opt.Engine == nil {
		return nil
	}
	return n.opt.Engine.Changed(ctx)
}

// Look asks all sources at once. One yes is a yes; without one, a source that gives no answer makes the
// whole unknown, which never reboots a host. Problem names the sources without an answer.
func (n *Needs) Look(ctx context.Context) (need cluster.Need, rivals []cluster.Rival, problem string) {
	answers := make([]answer, len(n.opt.Sources))
	var all sync.WaitGroup
	for i, s := range n.opt.Sources {
		if q, ok := s.question(); ok {
			if was, ok := n.last[i]; ok && n.opt.Uptime() < was.at+every(s) {
				answers[i] = was.answer
				continue
			}
			all.Go(func() { answers[i] = q.run(ctx) })
			continue
		}
		all.Go(func() { answers[i] = n.ask(ctx, s) })
	}
	rivals, err := n.rivals(ctx)
	all.Wait()
	for i, s := range n.opt.Sources {
		if _, ok := s.question(); ok && ctx.Err() == nil {
			if was, ok := n.last[i]; !ok || n.opt.Uptime() >= was.at+every(s) {
				n.last[i] = remembered{answers[i], n.opt.Uptime()}
			}
		}
	}
	need, problem = sum(answers)
	if err != nil && problem == "" {
		problem = fmt.Sprintf("cannot tell who else may reboot this host: %v", err)
	}
	return need, rivals, problem
}

func every(s Source) time.Duration {
	if s.Every > 0 {
		return s.Every
	}
	return defaultEvery
}

// ask asks a source that is no command.
func (n *Needs) ask(ctx context.Context, s Source) answer {
	switch {
	case s.File != "":
		return n.file(s.File)
	case s.OlderThan > 0 && n.opt.Uptime() >= s.OlderThan:
		return answer{cluster.NeedYes, fmt.Sprintf("it has been up for more than %d days", int(s.OlderThan/(24*time.Hour)))}
	case s.OlderThan > 0:
		return answer{state: cluster.NeedNo}
	case s.UpdateEngine:
		return n.engine(ctx, s.optional)
	}
	return unknown("a source that asks for nothing")
}

// needsReboot is update_engine's word for an update that waits for a reboot.
const needsReboot = "UPDATE_STATUS_UPDATED_NEED_REBOOT"

func (n *Needs) engine(ctx context.Context, optional bool) answer {
	if n.opt.Engine == nil {
		return unknown("update_engine is not asked on this host")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	operation, version, present, err := n.opt.Engine.Status(ctx)
	switch {
	case err != nil:
		return unknown("update_engine: %v", err)
	case !present && optional:
		return answer{state: cluster.NeedNo}
	case !present:
		return unknown("update_engine is not on the bus")
	case operation == needsReboot:
		return answer{cluster.NeedYes, strings.TrimRight("update_engine has installed "+version, " ")}
	case !strings.HasPrefix(operation, "UPDATE_STATUS_"):
		return unknown("update_engine says %q, which is no status of its", operation)
	}
	return answer{state: cluster.NeedNo}
}

// sum is what all answers say together.
func sum(answers []answer) (need cluster.Need, problem string) {
	var yes, none []string
	for _, a := range answers {
		switch a.state {
		case cluster.NeedYes:
			yes = append(yes, a.why)
		case cluster.NeedUnknown:
			none = append(none, a.why)
		}
	}
	if len(none) > 0 {
		problem = "whether it needs a reboot: " + strings.Join(none, "; ")
	}
	switch {
	case len(yes) > 0:
		return cluster.Need{State: cluster.NeedYes, Reasons: yes}, problem
	case len(none) > 0:
		return cluster.Need{State: cluster.NeedUnknown, Reasons: none}, problem
	}
	return cluster.Need{State: cluster.NeedNo}, ""
}
