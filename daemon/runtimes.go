package daemon

import (
	"context"
	"errors"
	"maps"
	"time"

	"flotilla/agent/systemd"
	"flotilla/cluster"
)

// runtimesTick is how often the container runtimes are looked at although nothing was heard.
const runtimesTick = 5 * time.Minute

// runtimes keeps what this host says of its container runtimes true. Packages that bring or take
// away a service have systemd reload, and that is heard; a look reads a few file names and starts no
// process unless one of the programs is another than before.
type runtimes struct {
	heard <-chan []string // of systemd: nil = it has reloaded
	mark  func() string
	probe func(context.Context) (map[string]string, error)
	tell  func(map[string]string)
	fail  func(error)

	known string // mark of what was told last
	told  map[string]string
}

// run looks at each reload and at each tick.
func (r *runtimes) run(ctx context.Context) error {
	tick := time.NewTicker(runtimesTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case names, ok := <-r.heard:
			if !ok {
				return errors.New("systemd's changes ended")
			}
			if names != nil {
				continue
			}
		case <-tick.C:
		}
		r.look(ctx)
	}
}

// look asks the programs for their versions if they changed. A program that does not answer, because
// it is only half installed, is asked again at the next look.
func (r *runtimes) look(ctx context.Context) {
	mark := r.mark()
	if mark == r.known {
		return
	}
	now, err := r.probe(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.fail(err)
		}
		return
	}
	r.known = mark
	if !maps.Equal(now, r.told) {
		r.told = now
		r.tell(now)
	}
}

// watchRuntimes is the part of a daemon that keeps its host's runtimes true.
func (d *Daemon) watchRuntimes(ctx context.Context) error {
	heard, err := d.manager.Changes(ctx)
	if err != nil {
		return err
	}
	r := runtimes{
		heard: heard, mark: systemd.RuntimesMark, probe: systemd.Runtimes, told: d.info.Runtimes,
		tell: func(now map[string]string) {
			d.log.Info("the container runtimes of this host changed", "runtimes", now)
			d.agent.ChangeInfo(func(info *cluster.HostInfo) { info.Runtimes = now })
		},
		fail: func(err error) { d.log.Warn("cannot tell the container runtimes of this host", "err", err) },
	}
	return r.run(ctx)
}
