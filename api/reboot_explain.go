package api

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// addReboot tells where a host stands on its way through a reboot, why, and what a person can type.
func (s *Server) addReboot(e *Explanation, h Host) {
	var view rebootsView
	var groups []string
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if c.Complete {
			view = s.plans.at(c, s.opt).reboots
		}
	})
	for _, r := range view.hosts {
		if string(r.Host) == h.ID {
			e.addPhase(r, s.opt.Now())
			groups = r.Groups
		}
	}
	for _, g := range view.groups {
		if g.Halted == "" {
			continue
		}
		for _, name := range groups {
			if name == g.Name {
				e.add("group %s begins no reboot: %s", g.Name, g.Halted)
			}
		}
	}
}

// addPhase tells of one host.
func (e *Explanation) addPhase(r HostReboot, now time.Time) {
	if r.Phase != cluster.PhaseNone {
		line := fmt.Sprintf("reboot: %s", r.Phase)
		if !r.Since.IsZero() {
			line += " since " + clock(r.Since)
		}
		if r.Cause != "" {
			line += " (" + r.Cause + ")"
		}
		e.add("%s: %s", line, cmp.Or(r.Reason, "no reason given"))
	}
	if r.Place > 0 {
		e.add("it is number %d in the queue of %s", r.Place, strings.Join(r.Groups, ", "))
	}
	if r.Next.After(now) {
		e.add("it goes on by itself at %s", clock(r.Next))
	}
	if r.ETA.After(now) {
		e.add("it may be done at %s, if it takes as long as the last ones", clock(r.ETA))
	}
	if r.Need == cluster.NeedYes {
		e.add("it needs a reboot: %s", cmp.Or(strings.Join(r.Needs, "; "), "no reason given"))
	}
	if r.Freeze.Holds(now) {
		e.add("frozen by %s at %s: %s; flotilla reboot thaw --host %s ends that", r.Freeze.By.Who, clock(r.Freeze.By.When), cmp.Or(r.Freeze.By.Why, "no reason given"), r.Name)
	}
	for _, rival := range r.Rivals {
		e.add("%s may reboot it without asking: %s; %s ends that", rival.Name, rival.Why, rival.Mend)
	}
	if remedy := rebootRemedy(r); remedy != "" && !strings.Contains(r.Reason, "flotilla reboot ") {
		e.add("%s", remedy)
	}
}

// rebootRemedy is what a person can type, "" where there is nothing.
func rebootRemedy(r HostReboot) string {
	switch r.Phase {
	case cluster.PhaseWanted:
		return fmt.Sprintf("flotilla reboot %s reboots it; a window of its groups lets it reboot by itself", r.Name)
	case cluster.PhaseQueued, cluster.PhaseFrozen:
		if r.Wish > r.Served {
			return fmt.Sprintf("flotilla reboot %s --now does not wait for windows and freezes; flotilla reboot cancel %s takes the request back", r.Name, r.Name)
		}
		return fmt.Sprintf("flotilla reboot %s --now does not wait for windows and freezes", r.Name)
	case cluster.PhaseDraining, cluster.PhaseDrained:
		if r.Wish > 0 && r.Wish == r.Served {
			return fmt.Sprintf("flotilla reboot cancel %s takes the request back", r.Name)
		}
		return fmt.Sprintf("flotilla reboot unlock %s --reason … ends it", r.Name)
	case cluster.PhaseOverdue:
		return fmt.Sprintf("start it; when it is given up, flotilla reboot unlock %s --reason … lets the others go on", r.Name)
	case cluster.PhaseReturning, cluster.PhaseSettling:
		return fmt.Sprintf("it goes on when all is well there; flotilla reboot unlock %s --reason … lets the others go on before", r.Name)
	case cluster.PhaseBlocked, cluster.PhaseFailed, cluster.PhaseAbandoned:
		return fmt.Sprintf("flotilla reboot %s tries again", r.Name)
	case cluster.PhaseLoop:
		return fmt.Sprintf("mend what needs the reboot; then flotilla reboot %s, or flotilla reboot unlock %s --reason …", r.Name, r.Name)
	}
	return ""
}
