package agent

import (
	"context"
	"fmt"
	"time"

	"flotilla/cluster"
)

// undo runs the host's hook after a reboot when the reboot does not come although the hook before it ran, well or not: what
// the one took down the other brings back. One that fails is told as the host's problem, and run again.
// undo says when to look again.
func (r *reboots) undo(ctx context.Context) time.Duration {
	if wait := r.retry - r.clock.Boottime(); wait > 0 && r.stays != "" {
		return wait
	}
	name := hookUnit(after, r.work.Generation)
	why := r.undoWith(ctx, name)
	if ctx.Err() != nil {
		return recheck
	}
	if why != "" {
		r.retry = r.clock.Boottime() + hookRetry
		r.log.Error("what the hook before a reboot did is not undone", "unit", name, "reason", why)
	} else {
		r.work.Hooks = 0
	}
	r.stuck(why)
	if err := r.save(); err != nil {
		r.log.Warn("a restart of the agent will run the hook again", "unit", name, "err", err)
	}
	if why != "" {
		return hookRetry
	}
	return restLength
}

// undoWith runs a hook where the host has it, and returns why it did not end well.
func (r *reboots) undoWith(ctx context.Context, name cluster.Unit) string {
	seen, err := r.systemd.Units(ctx, []cluster.Unit{name})
	if err != nil {
		return fmt.Sprintf("cannot ask systemd for %s: %v", name, err)
	}
	if load := seen[name].State.Load; load == "not-found" || load == "masked" {
		return ""
	}
	return r.runHook(ctx, name, r.work.Hooks)
}

// stuck reports what was not undone, beside what the sources of needs say; "" = nothing.
func (r *reboots) stuck(why string) {
	if why != "" {
		why = "the reboot did not come, and the hook after it did not undo the one before: " + why
	}
	r.mu.Lock()
	was := r.stays
	r.stays = why
	r.mu.Unlock()
	if why != was {
		r.relook.ring()
	}
}

// undoes undoes what the hook before a reboot did, once that grant has ended in the boot that was to end, and says whether that
// comes before all else. g is the grant that holds by now, nil = none. It waits for a view that this process has read: the one on
// disk has no grants.
func (r *reboots) undoes(ctx context.Context, o orders, g *cluster.Granting) (wait time.Duration, first bool) {
	if r.work.Hooks == 0 || g != nil && g.Generation == r.work.Generation {
		return 0, false
	}
	if !o.taken {
		return recheck, true
	}
	wait = r.undo(ctx)
	return wait, g == nil || r.work.Hooks != 0 && g.Phase == cluster.PhaseDraining
}
