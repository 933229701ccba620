package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
)

// side is before or after a reboot, in the word of Check.When and of the hooks' names.
type side string

const (
	before side = "before"
	after  side = "after"
)

// bootComplete is reached when what a host's owner wants to see well after a boot is well.
const bootComplete = "boot-complete.target"

// hookUnit is the unit of the host's own that runs before or after its reboots, where it has one.
func hookUnit(when side, generation int64) cluster.Unit {
	return cluster.Unit(fmt.Sprintf("flotilla-%s-reboot@%d.service", when, generation))
}

// verdict reports what became of hooks and checks.
func (r *reboots) verdict(when side, v cluster.Verdict) {
	r.change(func(report *cluster.RebootReport) {
		if when == before {
			report.Before = &v
			return
		}
		report.After = &v
	})
}

// before does on a drained host what belongs before its reboot: people are warned, the hook runs, the checks
// are made, and made again for as long as the host waits.
func (r *reboots) before(ctx context.Context, g cluster.Granting) time.Duration {
	if why := r.warn(ctx, g); why != "" {
		r.verdict(before, cluster.Verdict{Generation: g.Generation, Busy: true, Reason: why})
		return recheck
	}
	if v, wait := r.hook(ctx, g, before, &r.work.Before); !v.Well {
		return r.tell(ctx, before, v, wait)
	}
	v := cluster.Verdict{Generation: g.Generation, Reason: r.check(ctx, g, before)}
	v.Well = v.Reason == ""
	return r.tell(ctx, before, v, recheck)
}

// after says whether the host is well since its reboot: it booted to the end, nothing failed, the hook ran, the
// checks are made. It looks again for as long as the grant stands.
func (r *reboots) after(ctx context.Context, g cluster.Granting) time.Duration {
	busy, why := r.booted(ctx)
	if why != "" {
		return r.tell(ctx, after, cluster.Verdict{Generation: g.Generation, Busy: busy, Reason: why}, recheck)
	}
	if v, wait := r.hook(ctx, g, after, &r.work.After); !v.Well {
		return r.tell(ctx, after, v, wait)
	}
	v := cluster.Verdict{Generation: g.Generation, Reason: r.check(ctx, g, after)}
	v.Well = v.Reason == ""
	return r.tell(ctx, after, v, recheck)
}

// tell reports a verdict, unless the grant is another one by now, and says when to look again.
func (r *reboots) tell(ctx context.Context, when side, v cluster.Verdict, wait time.Duration) time.Duration {
	if ctx.Err() == nil {
		r.verdict(when, v)
	}
	return wait
}

// hook runs the host's own unit for this side of the reboot once, where it has one. done is set when it went well. One that
// failed is run again after hookRetry.
func (r *reboots) hook(ctx context.Context, g cluster.Granting, when side, done *bool) (cluster.Verdict, time.Duration) {
	v := cluster.Verdict{Generation: g.Generation}
	if *done {
		v.Well = true
		return v, 0
	}
	name := hookUnit(when, g.Generation)
	seen, err := r.systemd.Units(ctx, []cluster.Unit{name})
	if err != nil {
		v.Reason = fmt.Sprintf("cannot ask systemd for %s: %v", name, err)
		return v, recheck
	}
	if load := seen[name].State.Load; load == "not-found" || load == "masked" {
		v.Well = true
		return v, 0
	}
	if wait := r.retry - r.clock.Boottime(); wait > 0 {
		v.Reason = r.why
		return v, wait
	}
	if when == before && r.work.Hooks == 0 {
		r.work.Hooks = hooksLimit(g)
		if err := r.save(); err != nil { // what nobody would undo is not done
			r.work.Hooks = 0
			v.Reason = fmt.Sprintf("cannot note in /run that %s runs: %v", name, err)
			return v, recheck
		}
	}
	r.verdict(when, cluster.Verdict{Generation: g.Generation, Busy: true, Reason: string(name) + " runs"})
	if v.Reason = r.runHook(ctx, name, hooksLimit(g)); v.Reason != "" {
		r.retry, r.why = r.clock.Boottime()+hookRetry, v.Reason
		return v, hookRetry
	}
	*done, v.Well = true, true
	if err := r.save(); err != nil {
		r.log.Warn("a restart of the agent will run the hook again", "unit", name, "err", err)
	}
	return v, 0
}

// defaultHooks is how long a hook may take if the grant does not say.
const defaultHooks = 5 * time.Minute

func hooksLimit(g cluster.Granting) time.Duration {
	if g.Hooks > 0 {
		return g.Hooks
	}
	return defaultHooks
}

// runHook starts a unit and waits for its end. It returns why it did not end well.
func (r *reboots) runHook(ctx context.Context, name cluster.Unit, limit time.Duration) string {
	if err := r.systemd.ResetFailed(ctx, string(name)); err != nil {
		return fmt.Sprintf("cannot reset %s: %v", name, err)
	}
	r.log.Info("running the host's hook", "unit", name, "limit", limit)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	end := r.systemd.Jobs(limited, []Job{{name, Start}})[0]
	switch {
	case end.Err == nil && end.Outcome == "done":
		return ""
	case ctx.Err() != nil:
		return fmt.Sprintf("%s is no longer waited for", name)
	case limited.Err() != nil:
		stopped, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit)
		defer cancel()
		r.systemd.Jobs(stopped, []Job{{name, Stop}})
		return fmt.Sprintf("%s did not end within %s and was stopped%s", name, limit, r.lastLines(ctx, name))
	case end.Err != nil:
		return fmt.Sprintf("%s could not be started: %v", name, end.Err)
	}
	return fmt.Sprintf("%s ended with %s%s", name, end.Outcome, r.lastLines(ctx, name))
}

// lastLines are the last things that a hook's run said, as the end of a sentence.
func (r *reboots) lastLines(ctx context.Context, name cluster.Unit) string {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	seen, err := r.systemd.Units(limited, []cluster.Unit{name})
	if err != nil {
		return ""
	}
	lines, err := r.journal.LastLines(limited, string(name), seen[name].Invocation, 3)
	if err != nil || len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines, " / ")
}

// warn tells people who are logged in that the host will reboot, once, and gives them the grant's time. It says what it waits
// for; "" = for nobody.
func (r *reboots) warn(ctx context.Context, g cluster.Granting) string {
	if g.External || g.Wall == "" && g.Grace <= 0 {
		return ""
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if r.work.Warned == 0 {
		r.work.Warned = r.clock.Boottime()
		if err := r.save(); err != nil {
			r.log.Warn("a restart of the agent will warn people again", "err", err)
		}
		if g.Wall != "" {
			if err := r.logind.Wall(limited, g.Wall); err != nil {
				r.log.Warn("cannot write to those who are logged in", "err", err)
			}
		}
	}
	if r.clock.Boottime() >= r.work.Warned+g.Grace {
		return ""
	}
	now, err := r.logind.Logins(limited)
	switch {
	case err != nil:
		return fmt.Sprintf("cannot tell who is logged in, so all have %s: %v", g.Grace, err)
	case now.Users == 0:
		return ""
	}
	return fmt.Sprintf("people are logged in (%d) and have %s after the warning", now.Users, g.Grace)
}

// check makes the grant's checks of one side, all at once. It returns what is not well.
func (r *reboots) check(ctx context.Context, g cluster.Granting, when side) string {
	said := make([]string, len(g.Checks))
	var all sync.WaitGroup
	for i, c := range g.Checks {
		if c.When != "" && c.When != string(when) {
			continue
		}
		all.Go(func() {
			if r.checks == nil {
				said[i] = "this agent makes no checks"
			} else if err := r.checks.Check(ctx, c); err != nil {
				said[i] = err.Error()
			}
		})
	}
	all.Wait()
	return joined(said)
}

// joined are those of the sentences that say anything.
func joined(said []string) string {
	var out []string
	for _, s := range said {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

// booted says whether the boot has come to its end and nothing failed. Busy is not known yet.
func (r *reboots) booted(ctx context.Context) (busy bool, why string) {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	state, failed, err := r.machine.State(limited)
	if err != nil {
		return false, fmt.Sprintf("cannot ask systemd for its state: %v", err)
	}
	switch state {
	case "running":
		return r.complete(limited)
	case "initializing", "starting":
		return true, "systemd still starts units"
	case "degraded":
		if len(failed) > 0 {
			return false, "systemd is degraded: failed " + strings.Join(failed, ", ")
		}
	}
	return false, "systemd is " + state
}

// complete says whether boot-complete.target is reached, where the host has it. Nothing pulls it in on most hosts, so it is
// asked for: its start is the start of the host's own checks, and no more where there are none.
func (r *reboots) complete(ctx context.Context) (busy bool, why string) {
	seen, err := r.systemd.Units(ctx, []cluster.Unit{bootComplete})
	if err != nil {
		return false, fmt.Sprintf("cannot ask systemd for %s: %v", bootComplete, err)
	}
	u := seen[bootComplete]
	if u.State.Load == "not-found" || u.State.Load == "masked" || u.State.Active == "active" {
		return false, ""
	}
	if now := r.clock.Boottime(); r.tried == 0 || now >= r.tried+hookRetry {
		r.tried = now
		end := r.systemd.Jobs(ctx, []Job{{bootComplete, Start}})[0]
		switch {
		case end.Err == nil && end.Outcome == "done":
			return false, ""
		case ctx.Err() != nil:
			return true, bootComplete + " is not reached yet"
		case end.Err != nil:
			return false, fmt.Sprintf("cannot start %s: %v", bootComplete, end.Err)
		}
	}
	return false, bootComplete + " is not reached: a check that it requires failed (systemctl list-dependencies " + bootComplete + ")"
}
