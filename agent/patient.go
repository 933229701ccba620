package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
)

// patience is how long systemd may take to answer a question or to read its unit files. A
// daemon-reload with slow generators takes tens of seconds. Jobs take as long as they take.
const patience = 90 * time.Second

// patient is systemd with an end to each wait for it: a manager that hangs must not leave a
// host alive that obeys nothing and says nothing.
type patient struct {
	Systemd
	answered func(error) // hears the end of each call
}

func (p patient) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]Observed, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := p.Systemd.Units(limited, names)
	p.answered(err)
	return seen, err
}

func (p patient) Reload(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := p.Systemd.Reload(limited)
	p.answered(err)
	return err
}

func (p patient) ResetFailed(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.Systemd.ResetFailed(limited, name)
}

// answered notes whether systemd answers.
func (a *Agent) answered(err error) {
	hung := ""
	if errors.Is(err, context.DeadlineExceeded) {
		hung = fmt.Sprintf("systemd does not answer for %s: units go on, orders wait; look at PID 1 of this host", patience)
	}
	a.mu.Lock()
	was := a.hung
	a.hung = hung
	a.mu.Unlock()
	if hung != "" && was == "" {
		a.log.Error(hung)
	}
}
