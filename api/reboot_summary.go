package api

import (
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// summary is what is going on or stuck, in one sentence; "" = nothing is.
func (v rebootsView) summary(now time.Time) string {
	var under, stuck, waits, wanted []string
	for _, h := range v.hosts {
		said := fmt.Sprintf("%s %s", h.Name, h.Phase)
		switch {
		case h.Phase == cluster.PhaseOverdue, h.Phase == cluster.PhaseLoop, h.Halts:
			stuck = append(stuck, said)
		case h.Phase.Holds():
			under = append(under, said)
		case h.Phase == cluster.PhaseQueued || h.Phase == cluster.PhaseFrozen:
			waits = append(waits, h.Name)
		case h.Phase == cluster.PhaseWanted:
			wanted = append(wanted, h.Name)
		case h.Phase == cluster.PhaseBlocked || h.Phase == cluster.PhaseFailed:
			stuck = append(stuck, said)
		}
	}
	var out []string
	if len(stuck) > 0 {
		out = append(out, "stuck: "+someOf(stuck))
	}
	for _, g := range v.groups {
		if g.Halted != "" {
			out = append(out, "group "+g.Name+" halted")
		}
	}
	if len(under) > 0 {
		out = append(out, someOf(under))
	}
	if len(waits) > 0 {
		out = append(out, waiting(waits))
	}
	if len(wanted) > 0 {
		out = append(out, fmt.Sprintf("%s %s a reboot and %s no window", someOf(wanted), verbFor(wanted, "needs", "need"), verbFor(wanted, "has", "have")))
	}
	if v.policy.Freeze.Holds(now) && len(under)+len(waits)+len(wanted) > 0 {
		out = append(out, "all frozen by "+v.policy.Freeze.By.Who)
	}
	return strings.Join(out, "; ")
}

// waiting names hosts that wait.
func waiting(names []string) string {
	return fmt.Sprintf("%s %s", someOf(names), verbFor(names, "waits", "wait"))
}

func verbFor(names []string, one, several string) string {
	if len(names) == 1 {
		return one
	}
	return several
}
