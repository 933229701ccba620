package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// pass is one full round: observe, converge, act, report.
func (a *Agent) pass(ctx context.Context) error {
	begun := time.Now()
	a.metrics.passes.Inc()
	defer func() { a.metrics.passSeconds.Observe(time.Since(begun).Seconds()) }()
	a.passAt = begun
	a.land(ctx)
	o, p := a.keeper.orders(), a.presence.current()
	if err := a.observe(ctx, o.view); err != nil {
		if ctx.Err() == nil {
			a.log.Warn("cannot see the state of this host, trying again", "err", err)
			a.later("", time.Now())
		}
		return nil
	}
	a.succeed("")
	waiting, lone := a.mayAct(o, p)
	a.noteFence(o, p)
	a.mu.Lock()
	a.waiting = waiting
	a.mu.Unlock()
	a.metrics.frozen.Set(0)
	if waiting != "" {
		a.metrics.frozen.Set(1)
		a.publish(o)
		return nil
	}
	clear(a.said)
	thinking := time.Now()
	want, have := a.want(o, p, lone), a.have(o.view)
	actions := Converge(want, have)
	a.work += time.Since(thinking)
	if err := a.act(ctx, want, actions); err != nil {
		return err
	}
	a.forgetTroubles(actions)
	thinking = time.Now()
	a.publish(o)
	a.work += time.Since(thinking)
	return nil
}

// grace is how long a host that boots without a store waits before it starts what
// the last view launched.
func (a *Agent) grace() time.Duration { return 2*a.opt.Timing.TTL + 30*time.Second }

// mayAct says why no orders may be carried out now; "" = they may. lone means that
// they come from disk, in a boot in which the store was never reached.
func (a *Agent) mayAct(o orders, p presenceState) (waiting string, lone bool) {
	switch {
	case o.frozen != "":
		return o.frozen, false
	case p.taken != "":
		return p.taken, false
	case p.refused != "":
		return p.refused, false
	case !o.held:
		return "waiting for the first orders from the store", false
	case p.known:
		return "", false
	}
	if time.Since(a.began) < a.grace() {
		return "waiting for the store before units are started after the boot", false
	}
	return "", true
}

// nextDue is when a pass is due although nothing happens.
func (a *Agent) nextDue() time.Duration {
	due := a.opt.Tick
	for _, b := range a.retries {
		if b.until.After(a.passAt) {
			due = min(due, time.Until(b.until))
		}
	}
	due = a.images.next(a.passAt, time.Now(), due)
	if left := a.grace() - time.Since(a.began); left > 0 {
		due = min(due, left)
	}
	return max(due, time.Millisecond)
}

// forgetTroubles drops what went wrong once and is no longer wanted or went well.
func (a *Agent) forgetTroubles(actions []Action) {
	busy := map[cluster.Unit]bool{}
	for _, x := range actions {
		busy[x.Unit] = x.Kind != Record
	}
	for name, b := range a.retries {
		if !busy[name] && a.flying[name].verb == 0 && !b.until.After(a.passAt) {
			a.succeed(name)
		}
	}
}

// observe brings files and seen up to date. It asks systemd only for what changed.
func (a *Agent) observe(ctx context.Context, v cluster.View) error {
	if a.stale {
		if err := a.list(); err != nil {
			return err
		}
	}
	a.mu.Lock()
	all := a.all
	for _, n := range a.changed {
		a.dirty[cluster.Unit(n)] = true
	}
	a.all, a.changed = false, nil
	a.mu.Unlock()
	if all {
		clear(a.elsewhere)
	}
	a.sortNames(v)
	for n := range a.seen {
		if !a.names[n] {
			delete(a.seen, n)
			delete(a.refusals, n)
			delete(a.needed, n)
		}
	}
	err := a.ask(ctx, a.names, all)
	if err != nil {
		a.tellAll()
	}
	return err
}

// ask asks systemd for the units that may have changed.
func (a *Agent) ask(ctx context.Context, names map[cluster.Unit]bool, all bool) error {
	var want []cluster.Unit
	fresh := false
	for n := range names {
		_, known := a.seen[n]
		fresh = fresh || !known
		if all || a.dirty[n] || !known {
			want = append(want, n)
		}
	}
	clear(a.dirty)
	if fresh || a.watched != len(names) {
		told := make([]string, 0, len(names)+1)
		for n := range names {
			told = append(told, string(n))
		}
		slices.Sort(told)
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := a.doors.Changes.Watch(limited, told); err != nil {
			a.answered(err)
			return fmt.Errorf("watch units: %w", err)
		}
		a.watched = len(names)
	}
	if len(want) == 0 {
		return nil
	}
	slices.Sort(want)
	seen, err := a.doors.Systemd.Units(ctx, want)
	if err != nil {
		return fmt.Errorf("look at units: %w", err)
	}
	maps.Copy(a.seen, seen)
	return nil
}

// list reads the folder of our unit files, and puts the fence's there.
func (a *Agent) list() error {
	found, err := a.doors.Files.List()
	if err != nil {
		return err
	}
	files := map[cluster.Unit]UnitFile{}
	for _, f := range found {
		f.bundle = bundleOf(f.DropIns)
		files[f.Unit] = f
	}
	changed, err := writeFenceUnits(a.doors.Files, files, a.opt.Timing.StopBudget)
	a.owesLoad = a.owesLoad || changed
	if err != nil {
		return err
	}
	maps.DeleteFunc(files, func(n cluster.Unit, _ UnitFile) bool { return isFenceUnit(n) })
	a.files, a.stale = files, false
	clear(a.elsewhere)
	return nil
}

// sortNames finds the units that concern this host: ordered, ours, or remembered. A name that is
// none of systemd's is refused later and not looked at.
func (a *Agent) sortNames(v cluster.View) {
	a.names, a.improper = map[cluster.Unit]bool{}, map[cluster.Unit]bool{}
	ordered := func(n cluster.Unit) {
		if properName(n) {
			a.names[n] = true
		} else {
			a.improper[n] = true
		}
	}
	for n := range v.Place {
		ordered(n)
	}
	for n := range v.Bad {
		ordered(n)
	}
	for n := range a.files {
		a.names[n] = true
	}
	for n := range a.ledger.of {
		a.names[n] = true
	}
}

func properName(n cluster.Unit) bool {
	_, err := units.ParseName(string(n))
	return err == nil && !isFenceUnit(n)
}

// noteFence tells the switch whether it is needed, and lets fenced units that it
// stopped start again once fresh orders were read.
func (a *Agent) noteFence(o orders, p presenceState) {
	needed := false
	for _, p := range o.view.Place {
		needed = needed || p.Fence && p.State != cluster.Gone
	}
	var names []cluster.Unit
	for n, f := range a.files {
		if fencedDropIn(f.DropIn) {
			needed, names = true, append(names, n)
		}
	}
	if a.owesLoad && a.fence.wanted() {
		needed = true // the files say otherwise, but systemd has not read them yet
	}
	a.fence.guards(names)
	if a.fence.want(needed) && needed && p.settled {
		a.presence.kick.ring() // a confirmation now, not at the next renewal
	}
	st := a.fence.current()
	if st.fired == a.firedSeen {
		return
	}
	a.firedSeen = st.fired
	a.reread = a.keeper.ask()
	for name, applied := range a.ledger.of {
		if f, ours := a.files[name]; !ours || !fencedDropIn(f.DropIn) || !applied.Launched || a.endedBefore(name, st.last) || a.oneshot(f.Blob, f.bundle, name) {
			continue
		}
		applied.Launched = false
		if err := a.ledger.set(name, applied); err != nil {
			a.log.Error("cannot note that the fence stopped a unit", "unit", name, "err", err)
		}
	}
}

// endedBefore reports whether a unit had ended by itself before the switch fired.
func (a *Agent) endedBefore(name cluster.Unit, fired time.Duration) bool {
	o := a.seen[name]
	if !o.Stopped() || o.Changed == 0 {
		return false
	}
	ago := a.doors.Clock.Monotonic() - o.Changed
	return a.doors.Clock.Boottime()-ago < fired-cluster.Accuracy
}

// oneshot reports whether a unit runs to completion. Content that is not at hand
// counts as such: what is unknown is not started twice.
func (a *Agent) oneshot(h, dropIns units.Hash, name cluster.Unit) bool {
	raw, err := a.keeper.content(h)
	if err != nil {
		return true
	}
	f, err := units.Parse(name, raw)
	if err != nil || dropIns == "" {
		return err != nil || f.Oneshot()
	}
	d, err := a.keeper.dropIns(dropIns)
	if err == nil {
		f, err = f.With(d)
	}
	return err != nil || f.Oneshot()
}

// want makes the orders ready for Converge.
func (a *Agent) want(o orders, p presenceState, lone bool) Want {
	w := Want{Units: map[cluster.Unit]Wanted{}}
	for name, order := range o.view.Place {
		if a.improper[name] {
			a.said[name] = "refused: not the name of a unit that flotilla manages"
			continue
		}
		one := Wanted{Placement: order}
		if order.State != cluster.Gone {
			one.DropIn = DropIn(a.opt.Host, name, order, a.opt.Timing.StopBudget)
			one.Ready = a.keeper.isReady(order.Blob) && (order.DropIns == "" || a.keeper.isReady(order.DropIns))
			one.Hold = a.hold(name, order, o, p, lone)
			if one.Ready && a.doors.Images != nil {
				one.Images = a.needs(name, order)
			}
		}
		w.Units[name] = one
	}
	for name, why := range o.view.Bad {
		w.Units[name] = Wanted{Refused: "refused: its order cannot be read by this version of flotilla: " + why}
	}
	return w
}

// hold says why a unit must not be started now.
func (a *Agent) hold(name cluster.Unit, order cluster.Placement, o orders, p presenceState, lone bool) string {
	switch {
	case order.Fence:
		return a.holdFenced(o, p)
	case lone && a.oneshot(order.Blob, order.DropIns, name):
		return "waiting for the store: one-shots are not started from the last orders after a boot"
	}
	return ""
}

// holdFenced says why no fenced unit may be started: it takes a confirmed lease, an armed
// switch, and orders read in this life of the host. While the key alive/<host> of this
// life stands, the leader moves no unit away from here without our acknowledgement.
func (a *Agent) holdFenced(o orders, p presenceState) string {
	switch {
	case !p.settled || p.lease.ID == 0:
		return "waiting for the store: a fenced unit starts only under a confirmed lease"
	case a.doors.Clock.Boottime() >= a.fence.current().until:
		return "waiting for the fence: the lease is not confirmed, or the switch is not armed yet"
	case o.view.Revision < p.lease.AliveRev || o.read < a.reread:
		return "waiting for orders read after this host's lease began and the fence was raised"
	}
	return ""
}

// have is what is there, for Converge.
func (a *Agent) have(v cluster.View) Have {
	h := Have{Boot: a.boot, Dir: a.opt.UnitDir, Units: map[cluster.Unit]Found{}, Images: a.images.there()}
	now := time.Now()
	for name := range a.names {
		f := Found{Observed: a.seen[name], Applied: a.ledger.of[name], Flying: a.flying[name].verb}
		if own, ok := a.files[name]; ok {
			f.Ours, f.Blob, f.DropIn, f.DropIns = true, own.Blob, own.DropIn, own.bundle
		}
		if _, ordered := v.Place[name]; ordered {
			f.Elsewhere = a.hosts(name)
		}
		if b := a.retries[name]; b != nil && now.Before(b.until) {
			f.Later = true
		}
		h.Units[name] = f
	}
	return h
}

// hosts is where the host has a unit of this name of its own, "" if nowhere. That takes a look
// into each of systemd's folders: once for a name, until the files are listed again or
// systemd says that anything may have changed.
func (a *Agent) hosts(name cluster.Unit) string {
	path, known := a.elsewhere[name]
	if !known {
		path, _ = a.doors.Files.Elsewhere(string(name))
		a.elsewhere[name] = path
	}
	return path
}
