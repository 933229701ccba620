package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// unknown is what is shown of a unit on a host whose word cannot be believed.
const unknown = "unknown"

// unreadable is the order of a placement that cannot be read.
const unreadable = "unreadable"

// unitView is a unit as the API shows it. was is what the planner thinks of it.
func unitView(s *cluster.Snapshot, name cluster.Unit, was verdict) Unit {
	u := Unit{Name: string(name), Instances: []Instance{}}
	head := s.Units[name]
	if head != nil {
		u.Target, u.Hash, u.Revision = head.Spec.Target, head.Spec.Blob, head.Rev
		u.Template, u.Global, u.Fence = string(head.Spec.Template), head.Req.Global, head.Req.Fence
		u.DropIns, u.Applied = head.Spec.DropIns, head.Spec.Applied
		if t := s.Units[head.Spec.Template]; t != nil {
			u.Outdated = head.Spec.Outdated(&t.Spec)
		}
		if head.File != nil {
			u.Description, _ = head.File.Value("Unit", "Description")
		}
	}
	for id, p := range s.Placed[name] {
		if tells(s.Hosts[id], p) {
			continue
		}
		u.Instances = append(u.Instances, instance(s.Hosts[id], name))
	}
	for _, h := range orphansOf(s, name) {
		if h.Placed[name] == nil {
			u.Instances = append(u.Instances, instance(h, name))
		}
	}
	slices.SortFunc(u.Instances, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.HostName, b.HostName), cmp.Compare(a.Host, b.Host))
	})
	u.State = reached(s, name)
	stands := settled(s, name, was)
	u.Settled, u.Failed, u.Ended, u.Failure, u.Reason = stands.settled, stands.failed, stands.ended, stands.failure, stands.why
	return u
}

// tells says that an order stands only to tell that the unit failed on the host: nothing is left of it there.
func tells(h *cluster.Host, p *cluster.Placed) bool {
	st, ok := h.StatusOf(p.Unit)
	return p.Tries > 0 && p.State == cluster.Gone && ok && st.Acknowledged(p.Placement)
}

// orphansOf are the hosts that said last that they run the unit without any order. Those that
// were removed and are away count no more.
func orphansOf(s *cluster.Snapshot, name cluster.Unit) []*cluster.Host {
	var out []*cluster.Host
	for id := range s.Orphans[name] {
		if h := s.Hosts[id]; !h.Departed() {
			out = append(out, h)
		}
	}
	return out
}

// instance is what is known of a unit on a host.
func instance(h *cluster.Host, name cluster.Unit) Instance {
	p := h.Placed[name]
	i := Instance{
		Unit: string(name), Host: string(h.ID), HostName: h.Name(), Address: hostAddress(h),
		Load: "-", Active: "-", Sub: "-",
	}
	if p != nil {
		i.Order, i.Generation, i.Why, i.Hash = p.State.String(), p.Generation, p.Reason, p.Blob
		i.DropIns = p.DropIns
		if p.Bad != "" {
			i.Order = unreadable
		}
	}
	if h.Alive == nil {
		i.Active, i.Sub = unknown, unknown
		i.Message = "host " + absence(h)
	}
	if st, ok := h.StatusOf(name); ok {
		i.Hash, i.DropIns, i.Since, i.Invocation = st.Blob, st.DropIns, st.Since, st.Invocation
		i.Load, i.Active, i.Sub, i.Result = st.State.Load, st.State.Active, st.State.Sub, st.State.Result
		i.Restarts, i.Orphan, i.Message, i.Tail = st.Restarts, st.Orphan, st.Message, st.Tail
	}
	return i
}

// hostAddress is the address of its API that a host registered, with the port; "" before it did.
func hostAddress(h *cluster.Host) string {
	switch {
	case h.Alive != nil:
		return h.Alive.Address
	case h.Info != nil:
		return h.Info.Address
	}
	return ""
}

// reached is how far the unit is, in the words of its target: launched once every
// placement of it was obeyed as launched, loaded once every placement was obeyed.
func reached(s *cluster.Snapshot, name cluster.Unit) units.Target {
	out, any := units.Launched, false
	for id, p := range s.Placed[name] {
		if p.State == cluster.Gone {
			continue
		}
		any = true
		st, ok := s.Hosts[id].StatusOf(name)
		switch {
		case !ok || st.Generation < p.Generation, p.Bad != "":
			return units.Inactive
		case p.State == cluster.Loaded:
			out = units.Loaded
		}
	}
	if !any {
		return units.Inactive
	}
	return out
}

// standing is how a unit stands against what its user wants of it.
type standing struct {
	settled bool
	failed  bool   // it will not come by itself
	ended   bool   // what was started has ended well
	behind  bool   // its order is not what is wanted, and is the leader's to change
	failure string // how it failed that systemd restarts now
	why     string // it is not settled, or what a settled global unit is not on
}

// settled says whether a unit is as wanted, and why it is not.
func settled(s *cluster.Snapshot, name cluster.Unit, was verdict) standing {
	head := s.Units[name]
	if head == nil {
		return goneEverywhere(s, name, was.why)
	}
	if head.Bad != "" {
		return standing{failed: true, why: head.Bad}
	}
	if bad := s.Unreadable(name); bad != nil {
		return standing{why: plan.Unreadable(s.Hosts[bad.Host], bad)}
	}
	live, leaving, ended := 0, "", standing{}
	for _, p := range inOrder(s, name) {
		h := s.Hosts[p.Host]
		if p.State == cluster.Gone {
			if tells(h, p) {
				continue
			}
			if head.Spec.Target == units.Inactive || h.Alive != nil {
				leaving = cmp.Or(leaving, fmt.Sprintf("waiting for %s to stop its copy%s", h.Name(), butAbsent(h)))
			}
			continue
		}
		live++
		switch at := lags(h, head, p); {
		case at.why != "" && h.Departed() && was.why != "": // it fits nowhere else
			return standing{why: was.why}
		case (at.behind || at.failed && head.Req.Reschedule) && was.why != "": // others go first, or it is tried elsewhere
			return standing{why: was.why, failed: was.stuck}
		case at.ended:
			ended = standing{ended: true, why: cmp.Or(ended.why, at.why)}
		case at.why != "":
			return at
		}
	}
	switch {
	case leaving != "":
		return standing{why: leaving}
	case head.Spec.Target == units.Inactive && live > 0:
		return standing{why: "waiting for the leader to take it off its host"}
	case ended.why != "":
		return ended
	case head.Spec.Target == units.Inactive, live > 0 && was.why == "" && !head.Req.Global:
		return standing{settled: true, ended: ended.ended}
	case head.Req.Global && !was.pending: // on every host that it fits, which may be none
		return standing{settled: true, ended: ended.ended, why: was.why}
	case was.why != "" && !head.Req.Global:
		return standing{why: was.why}
	}
	return standing{why: "waiting for the leader to place it"}
}

func goneEverywhere(s *cluster.Snapshot, name cluster.Unit, waiting string) standing {
	if bad := s.Unreadable(name); bad != nil {
		return standing{why: plan.Unreadable(s.Hosts[bad.Host], bad)}
	}
	if s.Destroyed[name] == 0 && waiting != "" {
		return standing{why: waiting}
	}
	for _, p := range inOrder(s, name) {
		h := s.Hosts[p.Host]
		return standing{why: fmt.Sprintf("waiting for %s to stop and remove it%s", h.Name(), butAbsent(h))}
	}
	return standing{settled: true}
}

// absence says since when a host is absent, or that nobody waits for it any more.
func absence(h *cluster.Host) string {
	if h.Departed() {
		return "removed from the cluster"
	}
	return "absent " + sinceWhen(h.Absent, h.AbsentRev == 0)
}

// sinceWhen is an instant, or that something began before it: this daemon did not see when.
func sinceWhen(t time.Time, earlier bool) string {
	if earlier {
		return "since before " + clock(t)
	}
	return "since " + clock(t)
}

// butAbsent is the end of a sentence on what a host is to do.
func butAbsent(h *cluster.Host) string {
	if h.Alive != nil {
		return ""
	}
	return ", which is " + absence(h)
}

// lags says why the unit on h is not yet as its head wants it; "" = it is.
func lags(h *cluster.Host, head *cluster.UnitHead, p *cluster.Placed) standing {
	spec := head.Spec
	want := cluster.Loaded
	if spec.Target == units.Launched {
		want = cluster.Launched
	}
	if h.Alive == nil {
		return standing{why: fmt.Sprintf("its host %s is %s", h.Name(), absence(h))}
	}
	if p.Blob != spec.Blob || p.DropIns != spec.DropIns || p.Run != spec.Run || p.Restart != spec.Restart || p.State != want {
		return standing{behind: true, why: "waiting for the leader to order it"}
	}
	st, ok := h.StatusOf(head.Name)
	switch {
	case ok && st.Generation >= p.Generation && spec.Target == units.Launched:
		return notRunning(h, head, st)
	case ok && st.Generation >= p.Generation && st.State.Running():
		return standing{why: fmt.Sprintf("stopping on %s", h.Name())}
	case ok && st.Generation >= p.Generation && st.Refused:
		return standing{failed: true, why: fmt.Sprintf("refused by %s: %s", h.Name(), st.Message)}
	case ok && st.Generation >= p.Generation:
		return standing{}
	case ok && st.Message != "":
		return standing{why: fmt.Sprintf("%s: %s", h.Name(), st.Message)}
	}
	return standing{why: fmt.Sprintf("waiting for %s to carry out the order", h.Name())}
}

// notRunning says why a unit does not run on h, which has carried out the order to start it.
func notRunning(h *cluster.Host, head *cluster.UnitHead, st *cluster.Status) standing {
	oneshot := head.File != nil && head.File.Oneshot()
	well := st.State.Active == "inactive" && st.State.Result == "success" && strings.HasPrefix(st.Message, cluster.Ended)
	out := standing{why: fmt.Sprintf("%s on %s: %s", st.State.Active, h.Name(), cmp.Or(st.Message, st.State.Sub))}
	how, restarts := strings.CutPrefix(st.Message, cluster.Restarting)
	switch {
	case st.Refused:
		return standing{failed: true, why: fmt.Sprintf("refused by %s: %s", h.Name(), st.Message)}
	case st.State.Failed():
		return standing{failed: true, why: fmt.Sprintf("failed on %s: %s", h.Name(), cmp.Or(st.Message, st.State.Result))}
	case st.State.Running():
		return standing{}
	case well && oneshot:
		return standing{ended: true}
	case well && st.State.Load == "loaded" && !head.Req.Fence: // a fence may have stopped it
		out.ended = true
	case restarts:
		out.failure = fmt.Sprintf("failed on %s: %s", h.Name(), how)
	}
	return out
}

// inOrder lists a unit's placements by host name, so that the same snapshot gives the same sentence.
func inOrder(s *cluster.Snapshot, name cluster.Unit) []*cluster.Placed {
	return slices.SortedFunc(maps.Values(s.Placed[name]), func(a, b *cluster.Placed) int {
		return cmp.Or(cmp.Compare(s.Hosts[a.Host].Name(), s.Hosts[b.Host].Name()), cmp.Compare(a.Host, b.Host))
	})
}

// hostState is a host's state in one word.
func hostState(h *cluster.Host) HostState {
	switch {
	case h.Spec.Removed != nil:
		return HostRemoved
	case h.Alive == nil:
		return HostAbsent
	}
	return HostAlive
}

// hostView is a host as the API shows it.
func hostView(s *cluster.Snapshot, h *cluster.Host) Host {
	v := Host{
		ID: string(h.ID), Name: h.Name(), Address: hostAddress(h), State: hostState(h),
		Labels: h.Labels(), Cordon: h.Spec.Cordon, Drain: h.Spec.Drain, Revision: h.SpecRev,
	}
	if h.Alive == nil {
		v.Since, v.Earlier = h.Absent, h.AbsentRev == 0
	}
	v.Reboot, v.Freeze = h.Spec.Reboot, h.Spec.Freeze
	if h.Grant != nil {
		v.Phase, v.Generation, v.Served = h.Grant.Phase, h.Grant.Generation, h.Grant.Wish
	}
	if i := h.Info; i != nil {
		v.Version, v.OS, v.Kernel, v.Systemd = i.Version, i.OS, i.Kernel, i.Systemd
		v.Runtimes, v.CPUs, v.Memory, v.Reserved, v.Boot = i.Runtimes, i.CPUs, i.Memory, i.Reserved, i.Boot
	}
	for name, p := range h.Placed {
		if p.State != cluster.Gone {
			v.Units++
		}
		st, ok := h.StatusOf(name)
		if head := s.Units[name]; ok && (st.State.Running() || head != nil && p.State == cluster.Launched && notRunning(h, head, st).why == "") {
			v.Active++
		}
	}
	for name := range h.Status {
		if isOrphan(h, name) {
			v.Orphans = append(v.Orphans, string(name))
		}
	}
	slices.Sort(v.Orphans)
	return v
}
