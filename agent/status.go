package agent

import (
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// publish makes the statuses of this pass and hands them on.
func (a *Agent) publish(o orders) {
	out := map[cluster.Unit]cluster.Status{}
	counts := map[string]int{}
	for name, order := range o.view.Place {
		out[name] = a.statusOf(name, &order)
		counts[a.seen[name].Active]++
	}
	for name := range o.view.Bad {
		out[name] = a.statusOf(name, &cluster.Placement{})
		counts[a.seen[name].Active]++
	}
	for name := range a.files {
		if _, told := out[name]; !told && !a.seen[name].Stopped() {
			out[name] = a.statusOf(name, nil)
			counts[a.seen[name].Active]++
		}
	}
	a.metrics.units.Reset()
	for state, n := range counts {
		a.metrics.units.WithLabelValues(state).Set(float64(n))
	}
	a.tails.keep(out)
	a.mu.Lock()
	a.status = out
	waiting := a.waiting
	a.mu.Unlock()
	if waiting == "" {
		a.reporter.set(out)
	}
}

// statusOf is what is true of one unit. order is nil for an orphan, and empty where it
// cannot be read: then what was obeyed before stands.
func (a *Agent) statusOf(name cluster.Unit, order *cluster.Placement) cluster.Status {
	seen, applied := a.seen[name], a.ledger.of[name]
	st := cluster.Status{
		Generation: applied.Generation, Order: applied.Order, Boot: a.boot, State: seen.State,
		Invocation: seen.Invocation, Since: seen.Since.UTC(), Restarts: seen.Restarts,
	}
	if st.State.Load == "" {
		st.State = units.State{Load: "not-found", Active: "inactive", Sub: "dead"}
	}
	if f, ok := a.files[name]; ok {
		st.Blob, st.DropIn, st.DropIns = f.Blob, units.HashOf(f.DropIn), f.bundle
	}
	if order == nil {
		st.Generation, st.Order, st.Orphan = 0, 0, true
		st.Message = "runs without an order: kept; stop it with flotilla orphan stop, or submit it again"
		return st
	}
	st.Message = a.said[name]
	st.Refused = st.Message != ""
	if b := a.retries[name]; b != nil && st.Message == "" {
		st.Message = b.why
	}
	if _, ours := a.files[name]; !ours && st.Message != "" && order.State != cluster.Gone && order.State != 0 {
		// The order is answered: not here. What runs under this name is not ours.
		st.Generation, st.Order = order.Generation, order.State
		st.State, st.Invocation, st.Restarts = units.State{Load: "not-found", Active: "inactive", Sub: "dead"}, "", 0
	}
	if st.Message == "" {
		st.Message = a.images.why(a.awaits[name], time.Now())
	}
	if seen.Failed() && order.State != cluster.Gone {
		st.Tail = a.tails.of(name, seen.Invocation)
	}
	if outcome, refused := a.refusal(name, *order, seen); refused && st.Message == "" {
		st.Refused, st.Message = true, fmt.Sprintf("systemd refuses to start it: its job ended with %q", outcome)
		st.Tail = a.tails.of(name, "")
	}
	if st.Message == "" {
		st.Message = a.explain(name, *order, seen)
	}
	return st
}

// refusal is how the job ended with which systemd did not even try to start a unit: a timer without
// the unit that it starts, say, which stays inactive and never fails.
func (a *Agent) refusal(name cluster.Unit, order cluster.Placement, o Observed) (outcome string, refused bool) {
	last, known := a.refusals[name]
	untried := known && o.Active == "inactive" && o.Invocation == last.before && a.flying[name].verb == 0
	return last.outcome, untried && order.State == cluster.Launched
}

// explain says in one sentence why a unit is not as ordered.
func (a *Agent) explain(name cluster.Unit, order cluster.Placement, o Observed) string {
	flying := a.flying[name].verb
	switch {
	case order.State == cluster.Gone || order.State == cluster.Loaded:
		if !o.Stopped() && flying == Stop {
			return "stopping"
		}
		return badLoad(o)
	case o.Failed():
		return failure(o)
	case o.Running():
		return ""
	case badLoad(o) != "":
		return badLoad(o)
	case o.Active == "activating" && strings.HasPrefix(o.Sub, "auto-restart"): // -queued since systemd 254
		return cluster.Restarting + failure(o)
	case o.Active == "activating" || o.Active == "deactivating":
		return o.Active
	case flying != 0:
		return flying.String() + " is queued"
	case order.Fence && a.doors.Clock.Boottime() >= a.fence.current().until:
		return "stopped by the fence, or not started yet: this host's lease is not confirmed"
	}
	return cluster.Ended + withStatus(o)
}

func withStatus(o Observed) string {
	if o.ExitStatus != 0 {
		return fmt.Sprintf(" with exit status %d", o.ExitStatus)
	}
	return ""
}

// badLoad says why systemd does not take a unit's file.
func badLoad(o Observed) string {
	switch o.Load {
	case "bad-setting":
		return "systemd refuses the unit file: a setting is bad; see the journal of this host"
	case "error":
		return "systemd cannot read the unit file; see the journal of this host"
	case "masked":
		return "the unit is masked on this host"
	}
	return ""
}

// failure puts systemd's result into words.
func failure(o Observed) string {
	switch o.Result {
	case "exit-code":
		return fmt.Sprintf("exit status %d", o.ExitStatus)
	case "signal", "core-dump":
		return fmt.Sprintf("killed by signal %d", o.ExitStatus)
	case "start-limit-hit":
		return fmt.Sprintf("start limit hit: exit status %d", o.ExitStatus)
	case "timeout":
		return "a start or stop took too long and was killed"
	case "watchdog":
		return "its watchdog was not fed"
	case "oom-kill":
		return "killed for lack of memory"
	case "resources":
		return "systemd could not start it: resources or files are missing"
	case "", "success": // of a run that began after the state was read
		if o.ExitStatus != 0 {
			return fmt.Sprintf("exit status %d", o.ExitStatus)
		}
		return "failed"
	}
	return "failed: " + o.Result
}
