package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"flotilla/cluster"
)

// leaseFile is what /run/flotilla/lease.json holds. The nonce is in it before it is in the
// store, so that a restarted agent knows its own life again.
type leaseFile struct {
	cluster.Lease
	Boot string `json:"boot"`
}

// presence keeps the host's sign of life. One goroutine runs it; the others read state.
type presence struct {
	door    Presence
	check   func(context.Context) (frozen string, err error)
	clock   Clock
	timing  cluster.Timing
	host    cluster.HostID
	me      cluster.Alive // with our nonce
	path    string
	link    *link
	log     *slog.Logger
	metrics *metrics
	fenced  func() bool              // fenced units are ordered here
	tell    func()                   // the state changed
	renewed func(fire time.Duration) // a renewal was confirmed: the switch must fire at fire
	began   func()                   // a life began: orders must be read again
	kick    bell                     // renew now

	watch watch
	asked time.Duration // when the store refused this version last, on CLOCK_BOOTTIME

	mu    sync.Mutex
	state presenceState
}

// presenceState is what others may know of it.
type presenceState struct {
	lease   cluster.Lease // of the life that is ours; zero while there is none
	known   bool          // a life of this boot was ours, in this process or the one before
	settled bool          // the store itself said so to this process
	taken   string        // why another life is respected: nothing is touched
	refused string        // why this version may not write: nothing is touched or reported
}

// watch is the observation of another life.
type watch struct {
	lease cluster.Lease
	left  time.Duration // newest reading; -1 before the first
	first time.Duration // reading with which the observation began
	since time.Duration // when it began, on CLOCK_BOOTTIME
	rose  bool          // somebody renews it
}

// readings says how much two readings may mislead: each is in whole seconds.
const readings = 1250 * time.Millisecond

// read takes a reading in and says whether it shows that somebody renews the lease: it rose,
// or fell by less than the time that passed. A reading alone may hide a renewal, because
// it is in whole seconds and comes about as often as they do.
func (w *watch) read(left, now time.Duration, long time.Duration) (renewed, over bool) {
	if w.left < 0 {
		w.left, w.first, w.since = left, left, now
		return false, false
	}
	rose := left > w.left
	w.left = left
	elapsed := now - w.since
	fell := w.first-left >= elapsed-readings
	return rose || elapsed >= long && !fell, elapsed >= long && fell
}

// longEnough is how long another life is watched: two renewal intervals, and long enough
// for the readings to tell. Where fenced units are ordered it is as long as they may run on a
// twin that was cut off just before: who ends its life lets them be placed elsewhere.
func longEnough(timing cluster.Timing, fenced bool) time.Duration {
	long := max(2*timing.Renewal(), timing.Renewal()+2*readings)
	if fenced {
		long = max(long, timing.Switch+cluster.Accuracy+timing.StopBudget)
	}
	return long
}

func (p *presence) current() presenceState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *presence) set(change func(*presenceState)) {
	p.mu.Lock()
	was := p.state
	change(&p.state)
	same := p.state == was
	p.mu.Unlock()
	if !same {
		p.tell()
	}
}

// load reads the lease of the process before. A file of another boot counts for
// nothing: then the old life is watched before it is taken over.
func (p *presence) load(nonce string) error {
	var f leaseFile
	ok, err := readJSON(p.path, &f)
	if err == nil && ok && f.Boot == p.me.Boot && f.Nonce != "" {
		p.me.Nonce, f.Host = f.Nonce, p.host // the agent before may not have written the host
		p.state = presenceState{lease: f.Lease, known: f.ID != 0}
		return nil
	}
	p.me.Nonce = nonce
	return errors.Join(err, p.save(cluster.Lease{Nonce: nonce}))
}

func (p *presence) save(l cluster.Lease) error {
	return writeJSON(p.path, leaseFile{l, p.me.Boot}, false)
}

// doubt has the life announced again: a report found the key gone or another's.
func (p *presence) doubt() {
	p.set(func(s *presenceState) { s.settled = false })
	p.kick.ring()
}

// run renews the lease each TTL/5 until ctx ends. It does not give it back: a restart of
// the agent is shorter than the lease.
func (p *presence) run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		case <-p.kick:
		}
		begun := p.clock.Boottime()
		wait := p.step(ctx)
		next.Reset(max(0, wait-(p.clock.Boottime()-begun)))
	}
}

// leaveLimit bounds how long the end of a life may hold up the end of the agent.
const leaveLimit = 2 * time.Second

// leave ends this host's life because the host goes down: the next boot then need not watch it before it begins its own.
// If that fails it lapses by itself. What is fenced may run here until the switch fires, so then it has to.
func (p *presence) leave() {
	st := p.current()
	if st.lease.ID == 0 || !st.settled || st.taken != "" || p.fenced() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	if err := p.door.End(ctx, st.lease); err != nil {
		p.log.Info("this host's lease lapses by itself", "err", err)
	}
}

// refusedPause is how many TTLs after a refusal the store is asked again.
const refusedPause = 3

// step does one round and says how long after its begin the next is due.
func (p *presence) step(ctx context.Context) time.Duration {
	st := p.current()
	resting := st.refused != "" && p.clock.Boottime() < p.asked+refusedPause*p.timing.TTL
	if (st.settled || resting) && st.lease.ID != 0 {
		if wait, lives := p.renew(ctx, st.lease); lives {
			return wait
		}
	}
	return p.announce(ctx)
}

// renew sends one renewal, and says how long after it the next is due: soon, when this
// one went wrong, so that one refusal costs neither the fence nor the lease much. Lives
// is false when the life is over.
func (p *presence) renew(ctx context.Context, l cluster.Lease) (wait time.Duration, lives bool) {
	limited, cancel := context.WithTimeout(ctx, p.timing.Renewal())
	defer cancel()
	sent := p.clock.Boottime()
	_, err := p.door.Renew(limited, l)
	now := p.clock.Boottime()
	switch {
	case err == nil:
		p.link.up()
		p.metrics.renewals.WithLabelValues("confirmed").Inc()
		if fire, ok := p.timing.Confirm(sent, now); ok {
			p.renewed(fire)
		}
	case errors.Is(err, cluster.ErrLapsed):
		p.metrics.renewals.WithLabelValues("lost").Inc()
		p.log.Warn("the lease has ended, announcing this host again")
		p.set(func(s *presenceState) { s.lease, s.settled = cluster.Lease{}, false })
		return 0, false
	case ctx.Err() == nil:
		p.link.down()
		p.metrics.renewals.WithLabelValues("unanswered").Inc()
		p.log.Debug("renewal was not answered", "err", err)
		return p.timing.Renewal() / 4, true
	}
	return p.timing.Renewal(), true
}

// announce makes this host alive in a store that may be followed, unless another life
// is seen.
func (p *presence) announce(ctx context.Context) time.Duration {
	frozen, err := p.check(ctx)
	if err != nil || frozen != "" {
		return p.timing.Renewal()
	}
	old := p.current().lease
	if p.watch.lease.ID != 0 {
		next, over := p.observe(ctx)
		if !over {
			return next
		}
		old = p.watch.lease
	}
	limited, cancel := context.WithTimeout(ctx, p.timing.TTL)
	defer cancel()
	lease, err := cluster.Lease{}, p.door.CheckVersion(limited, p.me.Version, p.host)
	if err == nil {
		lease, err = p.door.Announce(limited, p.host, p.me, old)
	}
	var other *cluster.TakenError
	switch {
	case err == nil:
		return p.live(lease)
	case errors.As(err, &other):
		p.respect(other)
		return p.timing.Renewal() / 2
	case errors.Is(err, cluster.ErrSchema):
		return p.refuse(ctx, fmt.Errorf("this version of flotilla writes nothing to the store: %w", err))
	case errors.Is(err, cluster.ErrLapsed):
		p.watch = watch{}
		p.set(func(s *presenceState) { s.lease = cluster.Lease{} })
		return p.timing.Renewal() / 8 // a store may keep the key of an ended lease for a moment
	}
	if ctx.Err() == nil {
		p.link.down()
		p.log.Warn("cannot announce this host, trying again", "err", err)
	}
	return p.timing.Renewal()
}

// refuse notes that this version may not write. A life that is ours goes on: what runs here
// runs as it was ordered, and nobody shall take the host for dead because of an upgrade.
func (p *presence) refuse(ctx context.Context, err error) time.Duration {
	st := p.current()
	if st.refused != err.Error() {
		p.log.Error("refused; the units go on, and no order is carried out", "err", err)
	}
	p.asked = p.clock.Boottime()
	p.set(func(s *presenceState) { s.refused = err.Error() })
	if st.lease.ID == 0 {
		return refusedPause * p.timing.TTL
	}
	wait, _ := p.renew(ctx, st.lease)
	return wait
}

// live notes that a life is ours. It is confirmed by a renewal, which follows at once.
func (p *presence) live(l cluster.Lease) time.Duration {
	p.watch = watch{}
	p.link.up()
	if err := p.save(l); err != nil {
		p.log.Error("cannot keep the lease in /run: a restart of the agent will wait", "err", err)
	}
	p.log.Info("this host is alive in the store", "lease", fmt.Sprintf("%x", l.ID), "revision", l.AliveRev)
	p.began()
	p.set(func(s *presenceState) { *s = presenceState{lease: l, known: true, settled: true} })
	return 0
}

// respect begins to watch another life.
func (p *presence) respect(other *cluster.TakenError) {
	if p.watch.lease != other.Lease {
		p.watch = watch{lease: other.Lease, left: -1}
	}
	if err := p.save(cluster.Lease{Nonce: p.me.Nonce}); err != nil {
		p.log.Error("cannot note in /run that another life was seen", "err", err)
	}
	why := "watching whether " + other.Error()
	if other.Alive.Address == p.me.Address {
		why = fmt.Sprintf("started before its old lease ended; waits up to %s", p.timing.TTL)
		if other.Alive.Boot != p.me.Boot {
			why = fmt.Sprintf("booted before its old lease ended; waits up to %s", p.timing.TTL)
		}
	}
	p.set(func(s *presenceState) {
		s.lease, s.settled, s.refused = cluster.Lease{}, false, ""
		if s.taken == "" {
			s.taken = why
		}
	})
}

// observe asks how long the other life still has. Over means that it ended, or that
// nobody renewed it for two renewal intervals. A life that was once seen to be renewed is
// another host's: only its end counts, because one lost renewal looks the same as none.
func (p *presence) observe(ctx context.Context) (next time.Duration, over bool) {
	limited, cancel := context.WithTimeout(ctx, p.timing.Renewal())
	defer cancel()
	left, err := p.door.Remaining(limited, p.watch.lease)
	now := p.clock.Boottime()
	if errors.Is(err, cluster.ErrLapsed) {
		p.watch = watch{}
		return 0, true
	}
	if err != nil {
		if ctx.Err() == nil {
			p.link.down()
		}
		p.watch.left = -1 // what was not seen counts for nothing
		return p.timing.Renewal(), false
	}
	w := &p.watch
	renewed, over := w.read(left, now, longEnough(p.timing, p.fenced()))
	if renewed {
		if !w.rose {
			w.rose = true
			p.log.Error("another host lives with this machine id; nothing is touched here", "lease", fmt.Sprintf("%x", w.lease.ID))
		}
		p.set(func(s *presenceState) {
			s.taken = "refused: another host lives with this machine id; give this host its own (rm /etc/machine-id; systemd-machine-id-setup) and start the agent again; nothing is touched here"
		})
	}
	return p.timing.Renewal() / 2, over && !w.rose
}
