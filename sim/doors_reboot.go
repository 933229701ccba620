package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/agent"
	"flotilla/cluster"
	"flotilla/daemon/doors"
)

// logind is a host's login manager, through the process' gate.
type logind struct {
	doors.Logind
	h    *Host
	p    *process
	gate *gate
}

// Reboot asks for a reboot. The judge hears of one that begins.
func (l logind) Reboot(ctx context.Context, soft bool) (string, error) {
	asked := time.Now()
	if err := l.gate.pass(); err != nil {
		return "", err
	}
	refused, err := l.Logind.Reboot(ctx, soft)
	if now, silent := l.Logind.Logins(ctx); refused == "" && silent == nil && now.Shutdown != "" && l.h.w.Judge != nil {
		l.h.w.Judge.rebooting(l.h.truth, l.p.answered(), asked)
	}
	return refused, errors.Join(err, l.gate.pass())
}

// Hold delays shutdowns, for as long as the process lives.
func (l logind) Hold(ctx context.Context) (func(), error) {
	if err := l.gate.pass(); err != nil {
		return nil, err
	}
	release, err := l.Logind.Hold(ctx)
	if err != nil {
		return nil, err
	}
	l.p.keep(release)
	return release, l.gate.pass()
}

// Shutdowns tells what logind tells. What a frozen process is told waits for it.
func (l logind) Shutdowns(ctx context.Context) (<-chan string, error) {
	if err := l.gate.pass(); err != nil {
		return nil, err
	}
	in, err := l.Logind.Shutdowns(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan string)
	go func() {
		defer close(out)
		for kind := range in {
			if l.gate.pass() != nil {
				return
			}
			select {
			case out <- kind:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Logins is what logind says of people and of the host's end.
func (l logind) Logins(ctx context.Context) (agent.Logins, error) {
	if err := l.gate.pass(); err != nil {
		return agent.Logins{}, err
	}
	now, err := l.Logind.Logins(ctx)
	return now, errors.Join(err, l.gate.pass())
}

// Wall writes to those who are logged in.
func (l logind) Wall(ctx context.Context, text string) error {
	if err := l.gate.pass(); err != nil {
		return err
	}
	return l.Logind.Wall(ctx, text)
}

// keep remembers a lock that ends with the process.
func (p *process) keep(release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.locks = append(p.locks, release)
}

// drop gives back the locks of a process that died.
func (p *process) drop() {
	p.mu.Lock()
	locks := p.locks
	p.locks = nil
	p.mu.Unlock()
	for _, release := range locks {
		release()
	}
}

// hears notes that the store answered.
func (p *process) hears() {
	p.mu.Lock()
	p.heard = time.Now()
	p.mu.Unlock()
}

// answered is when the store answered last.
func (p *process) answered() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// State is systemd's word on the whole machine.
func (m machine) State(ctx context.Context) (string, []string, error) {
	if err := m.gate.pass(); err != nil {
		return "", nil, err
	}
	if m.host != nil && m.host.sick() {
		return "degraded", []string{"sick.service"}, nil
	}
	state, failed, err := m.Host.State(ctx)
	return state, failed, errors.Join(err, m.gate.pass())
}

// needs is what asks for the host's reboot.
type needs struct{ h *Host }

// Look says whether something does.
func (n needs) Look(context.Context) (cluster.Need, []cluster.Rival, string) {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	if n.h.need == "" {
		return cluster.Need{State: cluster.NeedNo}, nil, ""
	}
	return cluster.Need{State: cluster.NeedYes, Reasons: []string{n.h.need}}, nil, ""
}

// Changed tells nothing: the next look is never far.
func (n needs) Changed(context.Context) <-chan struct{} { return nil }

// checks are those of a group, which ask for something outside the host.
type checks struct{ w *World }

// Check says what is not well.
func (c checks) Check(_ context.Context, check cluster.Check) error {
	if c.w.outside.Load() {
		return fmt.Errorf("%s does not answer", check.TCP)
	}
	return nil
}
