package api

import (
	"cmp"
	"fmt"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// unknown is what is shown of a unit on a host whose word cannot be believed.
const unknown = "unknown"

// unitView is a unit as the API shows it. was is what the planner thinks of it.
func unitView(s *cluster.Snapshot, name cluster.Unit, was verdict) Unit {
	u := Unit{Name: string(name), Instances: []Instance{}}
	head := s.Units[name]
	if head != nil {
		u.Target, u.Hash, u.Revision = head.Spec.Target, head.Spec.Blob, head.Rev
		u.Template, u.Global, u.Fence = string(head.Spec.Template), head.Req.Global, head.Req.Fence
		if head.File != nil {
			u.Description, _ = head.File.Value("Unit", "Description")
		}
	}
	for id := range s.Placed[name] {
		u.Instances = append(u.Instances, instance(s.Hosts[id], name))
	}
	for id := range s.Orphans[name] {
		if s.Placed[name][id] == nil {
			u.Instances = append(u.Instances, instance(s.Hosts[id], name))
		}
	}
	slices.SortFunc(u.Instances, func(a, b Instance) int { return cmp.Compare(a.Host, b.Host) })
	u.State = reached(s, name)
	u.Settled, u.Failed, u.Reason = settled(s, name, was)
	return u
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
	}
	if h.Alive == nil {
		i.Active, i.Sub = unknown, unknown
		i.Message = fmt.Sprintf("host absent since %s", clock(h.Absent))
	}
	if st, ok := h.StatusOf(name); ok {
		i.Hash, i.Since, i.Invocation = st.Blob, st.Since, st.Invocation
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
		case !ok || st.Generation < p.Generation:
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

// settled says whether a unit is as wanted, whether it failed, and why it is not settled.
func settled(s *cluster.Snapshot, name cluster.Unit, was verdict) (ok, failed bool, reason string) {
	head := s.Units[name]
	if head == nil {
		return goneEverywhere(s, name, was.why)
	}
	if head.Bad != "" {
		return false, true, head.Bad
	}
	live := 0
	for _, p := range inOrder(s.Placed[name]) {
		if p.State == cluster.Gone {
			if head.Spec.Target == units.Inactive || s.Hosts[p.Host].Alive != nil {
				reason = cmp.Or(reason, fmt.Sprintf("waiting for %s to stop its copy", s.Hosts[p.Host].Name()))
			}
			continue
		}
		live++
		if failed, why := lags(s.Hosts[p.Host], head, p); why != "" {
			return false, failed, why
		}
	}
	switch {
	case reason != "":
		return false, false, reason
	case head.Spec.Target == units.Inactive && live > 0:
		return false, false, "waiting for the leader to take it off its host"
	case head.Spec.Target == units.Inactive:
		return true, false, ""
	case head.Req.Global && !was.pending: // on every host that it fits, which may be none
		return true, false, ""
	case live > 0 && was.why == "" && !head.Req.Global:
		return true, false, ""
	case was.why != "" && !head.Req.Global:
		return false, false, was.why
	}
	return false, false, "waiting for the leader to place it"
}

func goneEverywhere(s *cluster.Snapshot, name cluster.Unit, waiting string) (ok, failed bool, reason string) {
	if s.Destroyed[name] == 0 && waiting != "" {
		return false, false, waiting
	}
	for _, p := range inOrder(s.Placed[name]) {
		return false, false, fmt.Sprintf("waiting for %s to stop and remove it", s.Hosts[p.Host].Name())
	}
	return true, false, ""
}

// lags says why the unit on h is not yet as its head wants it.
func lags(h *cluster.Host, head *cluster.UnitHead, p *cluster.Placed) (failed bool, why string) {
	spec := head.Spec
	want := cluster.Loaded
	if spec.Target == units.Launched {
		want = cluster.Launched
	}
	if p.Blob != spec.Blob || p.Run != spec.Run || p.Restart != spec.Restart || p.State != want {
		return false, "waiting for the leader to order it"
	}
	st, ok := h.StatusOf(head.Name)
	switch {
	case h.Alive == nil:
		return false, fmt.Sprintf("its host %s is absent", h.Name())
	case !ok || st.Generation < p.Generation:
		if ok && st.Message != "" {
			return false, fmt.Sprintf("%s: %s", h.Name(), st.Message)
		}
		return false, fmt.Sprintf("waiting for %s to carry out the order", h.Name())
	case st.State.Active == "failed" && spec.Target == units.Launched:
		return true, fmt.Sprintf("failed on %s: %s", h.Name(), cmp.Or(st.Message, st.State.Result))
	case spec.Target == units.Launched && !running(head, st):
		return false, fmt.Sprintf("%s on %s: %s", st.State.Active, h.Name(), cmp.Or(st.Message, st.State.Sub))
	case spec.Target != units.Launched && st.State.Running():
		return false, fmt.Sprintf("stopping on %s", h.Name())
	}
	return false, ""
}

// running says whether a launched unit did what it is for: it is active, or it is a
// one-shot that ended well.
func running(head *cluster.UnitHead, st *cluster.Status) bool {
	if st.State.Running() {
		return true
	}
	return head.File != nil && head.File.Oneshot() && st.State.Active == "inactive" && st.State.Result == "success"
}

// inOrder lists placements by host, so that the same snapshot gives the same sentence.
func inOrder(m map[cluster.HostID]*cluster.Placed) []*cluster.Placed {
	out := make([]*cluster.Placed, 0, len(m))
	for _, p := range m {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *cluster.Placed) int { return cmp.Compare(a.Host, b.Host) })
	return out
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
		Labels: h.Labels(), Cordon: h.Spec.Cordon, Revision: h.SpecRev,
	}
	if h.Alive == nil {
		v.Since = h.Absent
	}
	if i := h.Info; i != nil {
		v.Version, v.OS, v.Kernel, v.Systemd = i.Version, i.OS, i.Kernel, i.Systemd
		v.Runtimes, v.CPUs, v.Memory, v.Boot = i.Runtimes, i.CPUs, i.Memory, i.Boot
	}
	for name, p := range h.Placed {
		if p.State != cluster.Gone {
			v.Units++
		}
		if st, ok := h.StatusOf(name); ok && st.State.Running() {
			v.Active++
		}
	}
	for name, st := range h.Status {
		if st.Orphan {
			v.Orphans = append(v.Orphans, string(name))
		}
	}
	slices.Sort(v.Orphans)
	return v
}
