package plan

import (
	"flotilla/cluster"
)

// closure is why a host takes no new units. The units that it has are another matter: see leaves.
type closure int

const (
	open       closure = iota
	isDrained          // a person has its units go elsewhere
	isEmptied          // the same, for its reboot
	isGranted          // it may reboot any moment, or does just now
	isBack             // from its reboot, and not yet well
	isDoubtful         // nobody can read what was decided of its reboot
	isDown             // somebody else is shutting it down
	isCordoned         // a person closed it
	isNoTaker          // it is here for reboots alone
)

// closed says whether a host takes new units. What ends it last is named first.
func closed(h *cluster.Host) closure {
	switch {
	case h.Spec.Drain != nil:
		return isDrained
	case h.GrantBad != "":
		return isDoubtful
	case h.Grant != nil && h.Grant.Phase.Holds():
		return closedBy(h.Grant.Phase)
	case goesDown(h):
		return isDown
	case h.Spec.Cordon != nil:
		return isCordoned
	case h.Info != nil && h.Info.Reboot != nil && h.Info.Reboot.Only:
		return isNoTaker
	}
	return open
}

// closedBy is what a phase that holds a slot means for new units.
func closedBy(p cluster.Phase) closure {
	switch p {
	case cluster.PhaseDraining, cluster.PhaseDrained:
		return isEmptied
	case cluster.PhaseReturning, cluster.PhaseSettling:
		return isBack
	default:
		return isGranted
	}
}

// goesDown says that a living host reports that somebody else is shutting it down.
func goesDown(h *cluster.Host) bool {
	_, up := h.Boot()
	return up && h.Info.Reboot != nil && h.Info.Reboot.Down != nil
}

// Leaves says that a host's units are to go elsewhere: a person or a reboot drains it, or it is going down.
func Leaves(h *cluster.Host) bool { return leaves(h) && h.Spec.Removed == nil }

// leaves says that a host's units are to go elsewhere, but for those that stay wherever they are.
func leaves(h *cluster.Host) bool {
	switch {
	case h.Spec.Drain != nil, goesDown(h):
		return true
	case h.Grant != nil:
		return h.Grant.Phase == cluster.PhaseDraining || h.Grant.Phase == cluster.PhaseDrained
	}
	return false
}

// excused says that a host's absence is no sign of a fault on our side: it was drained, or reboots.
func excused(h *cluster.Host) bool {
	return h.Spec.Drain != nil || h.GrantBad != "" || h.Grant != nil && h.Grant.Phase.Holds()
}

// phrases say why a host is shut, of one host and of several. said is by whom, and why.
func (c closure) phrases(said string) (one, many string) {
	const is, are = "is ", "are "
	both := func(text string) (string, string) { return is + text + said, are + text + said }
	switch c {
	case open:
		return "takes new units", "take new units"
	case isDrained:
		return both("being drained")
	case isEmptied:
		return both("being drained for a reboot")
	case isGranted:
		return both("about to reboot")
	case isBack:
		return both("back from a reboot and not yet known to be well")
	case isDown:
		return both("going down")
	case isCordoned:
		return both("cordoned")
	case isNoTaker:
		return "takes no units: flotilla only reboots it", "take no units: flotilla only reboots them"
	default:
		return "has a reboot grant that cannot be read", "have a reboot grant that cannot be read"
	}
}

// shutBy says by whom a host was shut, and why, where a person did it: " by root@h1: new disk".
func (h *host) shutBy() string {
	switch h.shut {
	case isDrained:
		return saidBy(&h.Spec.Drain.By)
	case isCordoned:
		return saidBy(h.Spec.Cordon)
	default:
		return ""
	}
}

func saidBy(n *cluster.Note) string {
	switch {
	case n.Who == "":
		return ""
	case n.Why == "":
		return " by " + n.Who
	}
	return " by " + n.Who + ": " + n.Why
}
