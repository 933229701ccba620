package plan

import (
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// steady is how long a unit has to be up before another may go down for it: to systemd a plain service
// is active as soon as its process was forked, whether or not it stays.
const steady = 2 * time.Second

// health is how a placement stands against its order, the better the smaller.
type health int

const (
	well     health = iota // available: it runs as ordered, or has ended as it should
	fresh                  // it came up just now
	starting               // or stopping
	changing               // its host has not carried the order out yet
	absent                 // its host is
	homeless               // it has no host
	idle                   // it does not run, and nothing says that it failed
	falling                // it fell, and systemd restarts it
	refused                // its host does not start it
	failed                 // systemd gave it up
)

// stuck says that it takes a person to make it well.
func (h health) stuck() bool { return h == refused || h == failed }

// word is what a sentence says of a unit in this state.
func (h health) word() string {
	switch h {
	case well:
		return "well"
	case fresh:
		return "came up just now"
	case starting:
		return "starting or stopping"
	case changing:
		return "its order is not yet carried out"
	case absent:
		return "its host is absent"
	case homeless:
		return "no host"
	case idle:
		return "does not run"
	case falling:
		return "falls and is restarted"
	case refused:
		return "refused"
	default:
		return "failed"
	}
}

// healthAt is how the unit stands on a host where it is ordered to be. What this plan touches is
// unavailable from the order on.
func (p *planner) healthAt(u cluster.Unit, h *host) health {
	pl := h.Placed[u]
	switch _, touched := h.changed[u]; {
	case h.Alive == nil:
		return absent
	case touched || pl == nil, h.Grant != nil && h.Grant.Phase.Away(): // it may go down any moment
		return changing
	}
	st, ok := h.StatusOf(u)
	if !ok || st.Generation < pl.Generation || st.Order != pl.State {
		return changing
	}
	return p.healthOf(st)
}

// healthOf is how a unit stands by what its host says of it.
func (p *planner) healthOf(st *cluster.Status) health {
	switch {
	case st.State.Failed():
		return failed
	case st.Refused && strings.HasPrefix(st.Message, "waiting for"):
		return changing
	case st.Refused:
		return refused
	case strings.HasPrefix(st.Message, cluster.Restarting):
		return falling
	case st.State.Running(), endedWell(st):
		if until := st.Seen.Add(steady); p.now.Before(until) {
			p.wake(until)
			return fresh
		}
		return well
	case st.State.Active == "activating", st.State.Active == "deactivating":
		return starting
	default:
		return idle
	}
}

// endedWell says that the unit did what it was started for.
func endedWell(st *cluster.Status) bool {
	return st.State.Active == "inactive" && st.State.Result == "success" && strings.HasPrefix(st.Message, cluster.Ended)
}

// wake has the plan made anew at t.
func (p *planner) wake(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}

// how says in a few words how a unit failed.
func how(st *cluster.Status) string {
	switch {
	case st == nil:
		return "failed"
	case st.Message != "":
		return strings.TrimPrefix(st.Message, cluster.Restarting)
	case st.State.Result != "" && st.State.Result != "success":
		return st.State.Result
	}
	return "failed"
}

// runs says that the unit is ordered to run and its user wants that still.
func runs(head *cluster.UnitHead, pl *cluster.Placed) bool {
	return pl.State == cluster.Launched && head.Spec.Target == units.Launched
}
