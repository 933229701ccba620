package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// world is a cluster without a store: it checks and applies orders as the store
// would, and its agents obey when they are told to.
type world struct {
	t    testing.TB
	snap *cluster.Snapshot
	now  time.Time
	opt  plan.Options
	boot int

	broken map[units.Hash]map[cluster.HostID]string // how content comes up on a host, or on all (""): failed, loop or hang
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, snap: cluster.NewSnapshot(), now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	w.snap.Complete, w.snap.Watched, w.snap.Revision, w.snap.Loaded = true, w.now, 1, 1
	return w
}

func (w *world) rev() int64 {
	w.snap.Revision++
	return w.snap.Revision
}

// hostID makes a machine id that sorts as the name does.
func hostID(name string) cluster.HostID {
	return cluster.HostID((fmt.Sprintf("%x", name) + strings.Repeat("0", 32))[:32])
}

func labels(args []string) map[string]string {
	out := map[string]string{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		out[k] = v
	}
	return out
}

// addHost adds a living host; its agent says these labels.
func (w *world) addHost(name string, args ...string) {
	w.snap.SetHostInfo(hostID(name), &cluster.HostInfo{Name: name, Labels: labels(args), Reboot: &cluster.RebootReport{}}, w.now)
	w.revive(name, true)
}

// revive gives the host a new lease, after a boot in which the units died or not.
func (w *world) revive(name string, booted bool) {
	h := w.snap.Hosts[hostID(name)]
	info := *h.Info
	if booted {
		w.boot++
		info.Boot = fmt.Sprintf("boot-%d", w.boot)
		info.Reboot = afterBoot(info.Reboot)
	}
	w.snap.SetHostInfo(h.ID, &info, w.now)
	w.snap.SetAlive(h.ID, &cluster.Alive{Boot: info.Run().Name()}, w.rev())
}

func (w *world) kill(name string) { w.snap.DeleteAlive(hostID(name), w.rev(), w.now) }

func (w *world) spec(name string, change func(*cluster.HostSpec)) {
	spec := w.snap.Hosts[hostID(name)].Spec
	change(&spec)
	rev := w.rev()
	w.snap.SetHostSpec(hostID(name), spec, rev, w.now)
	w.snap.HostsEpoch = rev
}

// unit submits content with these options of [X-Flotilla].
func (w *world) unit(name, target string, options ...string) {
	raw := "[Service]\nExecStart=/bin/true\n[X-Flotilla]\n"
	for _, o := range options {
		if strings.HasPrefix(o, "v=") { // only makes the content another one
			o = "# " + o
		}
		raw += o + "\n"
	}
	file, err := units.Parse(units.Name(name), []byte(raw))
	if err != nil {
		w.t.Fatalf("parse %s: %v", name, err)
	}
	req, err := file.Requirements()
	if err != nil {
		w.t.Fatalf("requirements of %s: %v", name, err)
	}
	head := &cluster.UnitHead{Name: units.Name(name), File: file, Req: req, Rev: w.rev()}
	head.Spec.Blob = units.HashOf([]byte(raw))
	if head.Spec.Target, err = units.ParseTarget(target); err != nil {
		w.t.Fatal(err)
	}
	w.snap.SetUnit(head)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// megabytes reads 512M.
func megabytes(s string) int64 { return int64(number(strings.TrimSuffix(s, "M"))) << 20 }

// info changes what a host says of itself: memory=2048M cpus=2 podman=5.0, or memory= for nothing.
func (w *world) info(name string, args ...string) {
	h := w.snap.Hosts[hostID(name)]
	info := *h.Info
	info.Runtimes = maps.Clone(info.Runtimes)
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch {
		case k == "memory" && v == "":
			info.Memory = 0
		case k == "memory":
			info.Memory = megabytes(v)
		case k == "reserved":
			info.Reserved = megabytes(v)
		case k == "cpus":
			info.CPUs = number(v)
		case v == "":
			delete(info.Runtimes, k)
		default:
			if info.Runtimes == nil {
				info.Runtimes = map[string]string{}
			}
			info.Runtimes[k] = v
		}
	}
	w.snap.SetHostInfo(h.ID, &info, w.now)
	w.rev()
}

func (w *world) change(name string, change func(*cluster.UnitSpec)) {
	head := *w.snap.Units[units.Name(name)]
	change(&head.Spec)
	head.Rev = w.rev()
	w.snap.SetUnit(&head)
}

// obey lets the agent of a living host carry out its orders.
func (w *world) obey(h *cluster.Host) {
	if h.Alive == nil {
		return
	}
	for u, st := range h.Status {
		if h.Placed[u] == nil && !st.Orphan {
			w.snap.DeleteStatus(cluster.Where{Host: h.ID, Unit: u})
		}
	}
	for u, pl := range h.Placed {
		if pl.Bad == "" {
			w.snap.SetStatus(cluster.Where{Host: h.ID, Unit: u}, w.status(h, pl))
		}
	}
}

// status is what an agent says of a unit when it has carried out its order.
func (w *world) status(h *cluster.Host, pl *cluster.Placed) *cluster.Status {
	st := &cluster.Status{
		Generation: pl.Generation, Order: pl.State, Blob: pl.Blob, Boot: h.Alive.Boot, Seen: w.now,
		State: units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"},
	}
	if pl.State != cluster.Launched {
		return st
	}
	st.Invocation = fmt.Sprint(pl.Blob, pl.Run, pl.Restart)
	how := w.broken[pl.Blob][h.ID]
	if how == "" {
		how = w.broken[pl.Blob][""]
	}
	switch how {
	case "failed":
		st.State.Active, st.State.Sub, st.State.Result, st.Message = "failed", "failed", "exit-code", "exit status 1"
	case "loop":
		st.State.Active, st.State.Sub, st.State.Result = "activating", "auto-restart", "exit-code"
		st.Message, st.Restarts = cluster.Restarting+"exit status 1", 3
	case "hang":
		st.State.Active, st.State.Sub, st.Message = "activating", "start", "activating"
	default:
		st.State.Active, st.State.Sub = "active", "running"
	}
	return st
}

func (w *world) obeyAll() {
	for _, h := range w.snap.Hosts {
		w.obey(h)
	}
}

func (w *world) plan() plan.Result { return plan.Plan(w.snap, w.opt, w.now) }

// apply checks the conditions and writes, as one transaction.
func (w *world) apply(o cluster.Orders) error {
	for _, c := range o.If {
		if got := w.revisionOf(c); got != c.Revision {
			return fmt.Errorf("condition %+v: revision is %d", c, got)
		}
	}
	seen := map[cluster.Where]bool{}
	for _, pl := range o.Put {
		if bad := w.snap.Unreadable(pl.Unit); bad != nil {
			return fmt.Errorf("%s is ordered although its order on %s cannot be read", pl.Unit, bad.Host.Short())
		}
		seen[cluster.Where{Host: pl.Host, Unit: pl.Unit}] = true
	}
	for _, d := range o.Delete {
		if bad := w.snap.Unreadable(d.Unit); bad != nil {
			return fmt.Errorf("an order of %s is deleted although that on %s cannot be read", d.Unit, bad.Host.Short())
		}
		seen[d] = true
	}
	if len(seen) != len(o.Put)+len(o.Delete) {
		return fmt.Errorf("orders write a key twice: %+v", o)
	}
	rev := w.rev()
	for _, pl := range o.Put {
		if old := w.snap.Placed[pl.Unit][pl.Host]; old != nil && old.Generation >= pl.Generation {
			return fmt.Errorf("generation of %s on %s does not grow: %d, then %d", pl.Unit, pl.Host, old.Generation, pl.Generation)
		}
		pl.Rev = rev
		w.snap.SetPlaced(&pl)
		if pl.State == cluster.Gone {
			w.snap.DeleteOrphanStop(cluster.Where{Host: pl.Host, Unit: pl.Unit})
		}
	}
	for _, d := range o.Delete {
		w.snap.DeletePlaced(d)
	}
	for _, d := range o.Drop {
		w.snap.DeleteOrphanStop(d)
	}
	for _, u := range o.Forget {
		w.snap.DeleteDestroyed(u)
	}
	return w.applyReboots(o, rev)
}

func (w *world) revisionOf(c cluster.Condition) int64 {
	switch c.Kind {
	case cluster.UnitAt:
		if head := w.snap.Units[c.Unit]; head != nil {
			return head.Rev
		}
	case cluster.AliveAt:
		if h := w.snap.Hosts[c.Host]; h != nil {
			return h.AliveRev
		}
	case cluster.PlacedAt:
		if pl := w.snap.Placed[c.Unit][c.Host]; pl != nil {
			return pl.Rev
		}
	case cluster.HostsAt:
		return w.snap.HostsEpoch
	case cluster.OrphanAt:
		return w.snap.OrphanStops[cluster.Where{Host: c.Host, Unit: c.Unit}]
	case cluster.GrantAt:
		if h := w.snap.Hosts[c.Host]; h != nil {
			return h.GrantRev
		}
	case cluster.BootingAt:
		if h := w.snap.Hosts[c.Host]; h != nil {
			return h.BootingRev
		}
	}
	return 0
}

// step plans once and applies all of it.
func (w *world) step() plan.Result {
	res := w.plan()
	for _, d := range res.Decisions {
		if err := w.apply(d.Orders); err != nil {
			w.t.Fatalf("apply %s %s: %v", d.Kind, d.Unit, err)
		}
	}
	return res
}

// invariants of every state between decisions.
func (w *world) check() error {
	for u, at := range w.snap.Placed {
		if w.snap.Unreadable(u) != nil {
			continue // it stays as it was found
		}
		head := w.snap.Units[u]
		var living []string
		for id, pl := range at {
			if pl.State != cluster.Gone && w.snap.Hosts[id].Alive != nil {
				living = append(living, string(id))
			}
		}
		if head != nil && !head.Req.Global && len(living) > 1 && !(len(living) == 2 && moves(at)) {
			slices.Sort(living)
			return fmt.Errorf("%s is ordered on several living hosts: %v", u, living)
		}
	}
	return nil
}

// moves says that one of a unit's placements takes over from another.
func moves(at map[cluster.HostID]*cluster.Placed) bool {
	for id, pl := range at {
		from := at[pl.Shift.From]
		if pl.State != cluster.Gone && from != nil && pl.Shift.From != id && from.State != cluster.Gone && from.Generation == pl.Shift.Generation {
			return true
		}
	}
	return false
}

func (w *world) nameOf(id cluster.HostID) string {
	if h := w.snap.Hosts[id]; h != nil {
		return h.Name()
	}
	return id.Short()
}
