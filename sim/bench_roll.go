package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// RollResult is what a rolling reboot of a whole simulated cluster came to.
type RollResult struct {
	Took    time.Duration // from the wish until every host is back and well
	Away    time.Duration // that one host was without power
	Most    int           // hosts that took a slot at once
	Reboots int           // by a grant
	Units   int           // that ran before and after
}

// BenchRoll has a user ask for the reboot of all hosts, of which max may be away at a time, and waits until all are
// back. Call it in a synctest bubble: the judge watches, and whatever it finds broken is the error.
func BenchRoll(opt BenchOptions, most cluster.Slots) (RollResult, error) {
	r := RollResult{Away: smoothAway, Units: opt.Units}
	w, err := NewWorld(Options{
		Hosts: opt.Hosts, Kind: true, Dir: opt.Dir, Timing: opt.Timing,
		Reboots: &Reboots{Smooth: true, Delay: 5 * time.Second, Look: 10 * time.Minute, Etcd: true},
	})
	if err != nil {
		return r, err
	}
	defer w.Close()
	if err := w.Start(); err != nil {
		return r, err
	}
	b := &bench{World: w, opt: opt}
	for i := range opt.Units {
		b.names = append(b.names, cluster.Unit(fmt.Sprintf("%s-%d.service", plain, i+1)))
	}
	pauseFor(5 * time.Second)
	w.expect(+1)
	err = b.submit(context.Background())
	w.expect(-1)
	if err != nil {
		return r, err
	}
	if err := w.rests(10 * time.Minute); err != nil {
		return r, err
	}
	w.EditGroup("all", func(g *cluster.Group) { g.Max, g.Times = most, cluster.Times{} })
	pauseFor(time.Second)
	began := time.Now()
	if err := w.wishAll(); err != nil {
		return r, err
	}
	if err := w.rests(24 * time.Hour); err != nil {
		return r, err
	}
	r.Took = time.Since(began)
	r.Most, r.Reboots = w.Judge.most(), w.Judge.Count()["coordinated"]
	return r, nil
}

// wishAll asks for the reboot of all hosts at once.
func (w *World) wishAll() error {
	wish := cluster.RebootWish{ID: w.Judge.revision(), By: me()}
	for _, h := range w.Hosts {
		_, _, err := w.User().EditHostSpec(context.Background(), h.id, 0, func(s *cluster.HostSpec) error {
			s.Reboot = &wish
			return nil
		})
		if err != nil {
			return fmt.Errorf("bench: ask for the reboot of %s: %w", h.name, err)
		}
	}
	return nil
}

// rests waits until all is as its user wants it.
func (w *World) rests(limit time.Duration) error {
	var problems []string
	for began := time.Now(); time.Since(began) < limit; pauseFor(5 * time.Second) {
		if broken := w.Judge.Broken(); len(broken) > 0 {
			return errors.New("bench: broken: " + strings.Join(broken, "; "))
		}
		if problems = w.Problems(); len(problems) == 0 {
			return nil
		}
	}
	return fmt.Errorf("bench: not done after %s: %d problems, the first: %s", limit, len(problems), problems[0])
}

// most is how many hosts took a slot at once.
func (j *Judge) most() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.peak
}
