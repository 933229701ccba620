package agent

import (
	"context"
	"fmt"
	"time"

	"flotilla/cluster"
)

// countsSoft is the first systemd that counts its soft reboots.
const countsSoft = 256

// defaultWithin is how long a grant may be used that does not say so.
const defaultWithin = time.Minute

func within(g cluster.Granting) time.Duration {
	if g.Within > 0 {
		return g.Within
	}
	return defaultWithin
}

// use commits this host to reboot and asks logind. Whether it is committed is known only from the store: after an error it
// asks there, by a quorum, and so does an agent that was started anew in between. One that is committed reboots within the grant's time, or gives the grant back with the reason.
func (r *reboots) use(ctx context.Context, g cluster.Granting) time.Duration {
	if g.External {
		return r.again(ctx, g)
	}
	lease, ok := r.lease()
	if !ok {
		return restLength // a lease rings
	}
	if why, done := r.outcome(g); done {
		if why != "" {
			return r.refuse(ctx, lease, g, why)
		}
		return restLength
	}
	left, err := r.left(g)
	if err != nil {
		r.log.Error("cannot note in /run when the grant was seen, so it is not used", "err", err)
		return useRetry
	}
	committed, refused, err := r.committed(ctx, g)
	switch {
	case err != nil:
		r.log.Warn("cannot tell whether the grant is used, trying again", "err", err)
		return useRetry
	case refused, !committed && (g.Phase != cluster.PhaseGranted || left <= 0):
		return restLength // the leader takes it back
	case committed && left <= 0 && !r.under(ctx):
		return r.refuse(ctx, lease, g, "the host had committed itself, and could not ask for the reboot "+inTime(g))
	case committed:
		return r.carryOut(ctx, lease, g)
	}
	if why := r.check(ctx, g, "before"); why != "" {
		r.verdict(before, cluster.Verdict{Generation: g.Generation, Reason: why})
		return recheck
	}
	limited, cancel := context.WithTimeout(ctx, min(r.limit, left))
	defer cancel()
	r.commit()
	err = r.door.UseGrant(limited, lease, g, r.boot)
	if err != nil {
		r.log.Warn("the grant could not be used: no reboot", "generation", g.Generation, "err", err)
		return useRetry
	}
	if left, err = r.left(g); err == nil && left <= 0 {
		return r.refuse(ctx, lease, g, "the store did not answer "+inTime(g))
	}
	return r.carryOut(ctx, lease, g)
}

// again makes the checks again on a host that somebody else may reboot any moment: what is red takes its grant back.
func (r *reboots) again(ctx context.Context, g cluster.Granting) time.Duration {
	if g.Phase != cluster.PhaseGranted {
		return restLength
	}
	v := cluster.Verdict{Generation: g.Generation, Reason: r.check(ctx, g, before)}
	v.Well = v.Reason == ""
	return r.tell(ctx, before, v, recheck)
}

// outcome is what became of a reboot that logind took on: why it did not come, or that it is under way.
func (r *reboots) outcome(g cluster.Granting) (why string, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.undone, r.used == g.Generation
}

// left is how much of the grant's time is left, from when this boot first saw it. A grant that was taken back and given
// anew has its time anew.
func (r *reboots) left(g cluster.Granting) (time.Duration, error) {
	now, was := r.clock.Boottime(), r.work
	if anew := g.Phase == cluster.PhaseGranted && !r.work.Since.Equal(g.Since); r.work.Seen == 0 || anew {
		r.work.Seen, r.work.Since = now, g.Since
		if err := r.save(); err != nil {
			r.work = was
			return 0, err
		}
	}
	return within(g) - (now - r.work.Seen), nil
}

// inTime is how long a grant may be used, as the end of a sentence.
func inTime(g cluster.Granting) string { return fmt.Sprintf("within %s", within(g)) }

// committed asks the store whether this boot has committed itself to the grant.
func (r *reboots) committed(ctx context.Context, g cluster.Granting) (committed, refused bool, err error) {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	b, err := r.door.Booting(limited, r.host)
	if err != nil || b == nil || b.Generation != g.Generation || b.Boot != r.boot {
		return false, false, err
	}
	return b.Refused == "", b.Refused != "", nil
}

// carryOut asks logind for the reboot to which the host is committed. What logind does not answer is asked again; then
// a shutdown that is under way counts as ours.
func (r *reboots) carryOut(ctx context.Context, l cluster.Lease, g cluster.Granting) time.Duration {
	r.ends(func(l *life) { l.Granted = g.Generation })
	r.commit()
	r.mark(g.Generation, "")
	if r.under(ctx) {
		return recheck
	}
	if g.Soft && r.version != 0 && r.version < countsSoft {
		return r.refuse(ctx, l, g, fmt.Sprintf("systemd %d does not count soft reboots, so nobody could tell that the host is back: it takes systemd %d, or a full reboot", r.version, countsSoft))
	}
	r.log.Info("asking for a reboot", "generation", g.Generation, "soft", g.Soft, "cause", g.Cause)
	r.hold.letGo() // our own lock would delay it
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	refused, err := r.logind.Reboot(limited, g.Soft)
	switch {
	case ctx.Err() != nil: // whoever goes on asks the store, and then logind
		r.mark(0, "")
		return useRetry
	case err == nil && refused == "", r.under(ctx):
		return recheck
	case err != nil:
		r.mark(0, "")
		r.log.Warn("logind did not answer, asking again", "err", err)
		return useRetry
	}
	return r.refuse(ctx, l, g, refused)
}

// under says whether the host is going down, or may be: a logind that does not answer may do what it was asked for later. Then
// the grant is kept, and the leader tells people when the host does not come back.
func (r *reboots) under(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	now, err := r.logind.Logins(limited)
	if err != nil {
		r.log.Warn("logind does not tell whether the host goes down", "err", err)
	}
	return err != nil || now.Shutdown != ""
}

// commit lets what is being done go on when the leader says that the host reboots: it may hear that the grant is used
// before logind was asked.
func (r *reboots) commit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doing != nil {
		r.doing.committed = true
	}
}

// mark notes that the grant is being carried out (0 = none is), and why that did not come to its end.
func (r *reboots) mark(generation int64, undone string) {
	r.mu.Lock()
	r.used, r.undone = generation, undone
	r.mu.Unlock()
}

// refuse gives a grant back that could not be carried out, and says why.
func (r *reboots) refuse(ctx context.Context, l cluster.Lease, g cluster.Granting, why string) time.Duration {
	r.mark(g.Generation, why) // not asked again, whatever becomes of the report
	r.log.Error("the reboot could not be carried out", "generation", g.Generation, "reason", why)
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	if err := r.door.RefuseGrant(limited, l, g, r.boot, why); err != nil {
		r.log.Warn("cannot give the grant back, trying again", "err", err)
		return useRetry
	}
	r.mark(g.Generation, "")
	r.ends(func(l *life) { l.Granted = 0 })
	r.moved.ring() // the lock is taken again
	return restLength
}
