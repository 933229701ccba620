package api

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// rebootFact is what events tell of a host's reboots and of what operators said about them, in comparable form.
type rebootFact struct {
	phase      cluster.Phase
	generation int64
	reason     string
	wish       int64 // that somebody made
	who, why   string
	unlock     int64
	unlockWho  string
	unlockWhy  string
	frozen     frozenFact
	cordon     noteFact
	drain      noteFact
	down       bool // somebody else is rebooting it
	downKind   string
	unasked    string // how the present boot came about, if not by a grant
	boot       cluster.Boot
	need       string // why it needs a reboot, by its own word
}

// noteFact is a Note; who is empty without one.
type noteFact struct{ who, why string }

// frozenFact is a Freeze.
type frozenFact struct {
	noteFact
	until time.Time
}

func noteFactOf(n *cluster.Note) noteFact {
	if n == nil {
		return noteFact{}
	}
	return noteFact{cmp.Or(n.Who, "somebody"), n.Why}
}

// text is "by alice: why".
func (n noteFact) text() string {
	if n.why == "" {
		return "by " + n.who
	}
	return fmt.Sprintf("by %s: %s", n.who, n.why)
}

func frozenFactOf(f *cluster.Freeze) frozenFact {
	if f == nil {
		return frozenFact{}
	}
	return frozenFact{noteFactOf(&f.By), f.Until.UTC()}
}

func rebootFactOf(h *cluster.Host) rebootFact {
	f := rebootFact{frozen: frozenFactOf(h.Spec.Freeze), cordon: noteFactOf(h.Spec.Cordon)}
	if g := h.Grant; g != nil {
		f.phase, f.generation, f.reason = g.Phase, g.Generation, g.Reason
	}
	if w := h.Spec.Reboot; w != nil {
		f.wish, f.who, f.why = w.ID, w.By.Who, w.By.Why
	}
	if d := h.Spec.Drain; d != nil {
		f.drain = noteFactOf(&d.By)
	}
	if u := h.Spec.Unlock; u != nil {
		f.unlock, f.unlockWho, f.unlockWhy = u.Generation, u.By.Who, u.By.Why
	}
	if h.Info == nil || h.Info.Reboot == nil {
		return f
	}
	if n := h.Info.Reboot.Need; n.State == cluster.NeedYes {
		f.need = cmp.Or(strings.Join(n.Reasons, "; "), "no reason given")
	}
	if d := h.Info.Reboot.Down; d != nil {
		f.down, f.downKind = true, d.Kind
	}
	if l := h.Info.Reboot.Last; l != nil && l.How != "granted" {
		f.unasked, f.boot = l.How, cluster.Boot{ID: h.Info.Boot, Soft: h.Info.Reboot.Soft}
	}
	return f
}

// diff tells what changed of one host.
func (old rebootFact) diff(f rebootFact, name string, add adder) {
	tell := func(format string, args ...any) { add(EventReboot, name, "", format, args...) }
	switch {
	case f.wish > old.wish:
		tell("asked for by %s", strings.TrimPrefix(noteFact{f.who, f.why}.text(), "by "))
	case f.wish == 0 && old.wish != 0:
		tell("not asked for any more")
	}
	if f.unlock != old.unlock && f.unlock != 0 {
		tell("slot taken away %s", noteFact{f.unlockWho, f.unlockWhy}.text())
	}
	if f.phase != old.phase || f.generation != old.generation {
		if f.phase != cluster.PhaseNone {
			tell("%s: %s", f.phase, f.reason)
		}
	}
	if f.need != "" && f.need != old.need {
		tell("needed: %s", f.need)
	}
	if f.down && !old.down {
		tell("somebody else began a %s there", cmp.Or(f.downKind, "shutdown"))
	}
	if f.unasked != "" && (f.unasked != old.unasked || f.boot != old.boot) {
		tell("booted without a grant: %s", f.unasked)
	}
	diffFrozen(old.frozen, f.frozen, tell)
	diffNote(old.cordon, f.cordon, "cordoned", "not cordoned any more", func(format string, args ...any) { add(EventHost, name, "", format, args...) })
	diffNote(old.drain, f.drain, "to be drained", "not to be drained any more", func(format string, args ...any) { add(EventHost, name, "", format, args...) })
}

func diffNote(old, now noteFact, is, isNot string, tell func(string, ...any)) {
	switch {
	case now == old:
	case now.who == "":
		tell("%s", isNot)
	default:
		tell("%s %s", is, now.text())
	}
}

func diffFrozen(old, now frozenFact, tell func(string, ...any)) {
	switch {
	case now == old:
	case now.who == "":
		tell("thawed")
	case now.until.IsZero():
		tell("frozen %s", now.text())
	default:
		tell("frozen until %s %s", clock(now.until), now.text())
	}
}

// diffFreezes tells of groups by name, and of all hosts.
func (f *facts) diffFreezes(next *facts, add adder) {
	for _, name := range changed(f.groups, next.groups, cmp.Compare[cluster.GroupName]) {
		diffFrozen(f.groups[name], next.groups[name], func(format string, args ...any) { add(EventReboot, "group "+name, "", format, args...) })
	}
	diffFrozen(f.frozen, next.frozen, func(format string, args ...any) { add(EventReboot, allHosts, "", format, args...) })
}
