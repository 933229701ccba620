package leader

import (
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// watched is what the newest plan of a term said of reboots, to tell what is new of the next one. The zero value
// has seen nothing.
type watched struct {
	halts map[cluster.HostID]bool
	waits map[cluster.HostID]time.Time // since when this leader sees the host wait
}

// watch logs which hosts begin or cease to halt their groups, and keeps the gauges.
func (l *Loop) watch(reboots []plan.HostReboot) {
	next := watched{halts: map[cluster.HostID]bool{}, waits: map[cluster.HostID]time.Time{}}
	now, held, oldest := l.clock(), 0, time.Duration(0)
	for _, r := range reboots {
		if r.Phase.Holds() {
			held++
		}
		if r.Phase == cluster.PhaseQueued || r.Phase == cluster.PhaseFrozen {
			since, known := l.reboots.waits[r.Host]
			if !known {
				since = now
			}
			next.waits[r.Host] = since
			oldest = max(oldest, now.Sub(since))
		}
		if !r.Halts {
			continue
		}
		if next.halts[r.Host] = true; !l.reboots.halts[r.Host] {
			l.log.Error("host halts the reboots of its groups", "host", r.Host, "name", r.Name, "groups", r.Groups, "phase", r.Phase.String(), "reason", r.Reason)
		}
	}
	for _, r := range reboots {
		if l.reboots.halts[r.Host] && !r.Halts {
			l.log.Info("host halts the reboots of its groups no longer", "host", r.Host, "name", r.Name, "phase", r.Phase.String())
		}
	}
	l.reboots = next
	l.metrics.slots.Set(float64(held))
	l.metrics.oldestWait.Set(oldest.Seconds())
}

// logReboot says and counts what a decision made of a host's reboot, once it is written.
func (l *Loop) logReboot(d plan.Decision) {
	for _, g := range d.Orders.Grants {
		if g.Grant == nil {
			l.log.Info("grant deleted", "host", g.Host, "reason", d.Reason)
			continue
		}
		say := l.log.Info
		if p := g.Grant.Phase; p == cluster.PhaseOverdue || p == cluster.PhaseLoop {
			say = l.log.Error
		}
		say("reboot", "host", g.Host, "phase", g.Grant.Phase.String(), "groups", g.Grant.Groups, "cause", g.Grant.Cause, "reason", g.Grant.Reason)
	}
	for _, r := range d.Orders.Records {
		outcome := r.Outcome.String()
		if r.Unasked {
			outcome = "unasked"
			l.log.Warn("host rebooted unasked", "host", r.Host, "name", r.Name, "how", r.Cause)
		}
		l.metrics.reboots.WithLabelValues(outcome).Inc()
	}
}
