package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// explain answers GET /v1/explain/THING: why a unit or host is as it is, in sentences.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	thing := r.PathValue("thing")
	var out Explanation
	var silent []Instance
	found := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		name := cluster.Unit(thing)
		if c.Units[name] == nil && len(c.Placed[name]) == 0 && len(orphansOf(c, name)) == 0 {
			return
		}
		found = true
		out, silent = s.explainUnit(c, name)
	})
	if !found {
		h, err := s.findHost(r.Context(), thing)
		if err != nil {
			s.fail(w, nothing(err, thing))
			return
		}
		out = s.explainHost(h)
		for _, m := range s.etcdMembers(r.Context(), []Host{h}) {
			if m.Host == h.ID && !m.Healthy {
				out.add("etcd: %s since %s at least", m.trouble(), clock(m.Since))
			}
		}
	}
	for _, i := range silent {
		out.addTail(i.HostName, s.lastLines(r.Context(), i))
	}
	out.Lines = append(out.Lines, s.health()...)
	s.answer(w, out)
}

// nothing turns "no such host" into "neither unit nor host"; other refusals stay.
func nothing(err error, thing string) error {
	var e *Error
	if errors.As(err, &e) && e.Code == CodeNotFound {
		return Refuse(http.StatusNotFound, "flotilla status shows what there is", "no unit and no host %q", thing)
	}
	return err
}

// explainUnit also returns the instances that failed whose last log lines are still to be asked for.
func (s *Server) explainUnit(c *cluster.Snapshot, name cluster.Unit) (Explanation, []Instance) {
	head := c.Units[name]
	was := s.plans.at(c, s.opt).verdict(head, name)
	v := unitView(c, name, was)
	out := Explanation{Thing: string(name), Summary: "as wanted: " + v.Target.String()}
	switch {
	case head == nil && v.Reason != "":
		out.Summary = v.Reason
		if c.Destroyed[name] != 0 {
			out.Summary = "destroyed; " + v.Reason
		}
	case head == nil:
		out.Summary = "no unit of the cluster, and yet a host runs it (orphan)"
	case v.Reason != "": // a global unit's may stand beside what is as wanted
		out.Summary = fmt.Sprintf("wanted %s, but: %s", v.Target, v.Reason)
	}
	if head != nil {
		by := head.Spec.By
		out.add("%s wanted it %s at %s", cmp.Or(by.Who, "somebody"), v.Target, clock(by.When))
		if v.Outdated {
			out.add("outdated: its template changed; flotilla apply %s", v.Template)
		}
	}
	var silent []Instance
	for _, i := range v.Instances {
		out.addInstance(i)
		if (i.Active == "failed" || strings.HasPrefix(i.Sub, "auto-restart")) && len(i.Tail) == 0 {
			silent = append(silent, i)
		}
	}
	if head != nil {
		x := plan.Explain(c, s.opt.Plan, name, s.opt.Now())
		if !v.Settled && !v.Failed && !v.Ended && (was.why != "" || seeks(v)) {
			out.addPlan(x)
		}
		out.Hosts = verdictsOf(c, x)
	}
	return out, silent
}

// seeks says that a unit may have to be placed yet: it has no living host, or belongs on each.
func seeks(v Unit) bool {
	return v.Global || !slices.ContainsFunc(v.Instances, func(i Instance) bool { return i.Order != cluster.Gone.String() && i.Active != unknown })
}

// tailLines and tailWait bound what explain asks a host's journal for.
const (
	tailLines = 10
	tailWait  = 3 * time.Second
)

// lastLines asks the instance's host for its last log lines, when its agent told none.
func (s *Server) lastLines(ctx context.Context, i Instance) []string {
	ctx, cancel := context.WithTimeout(ctx, tailWait)
	defer cancel()
	var out []string
	src := source{id: cluster.HostID(i.Host), name: i.HostName, address: i.Address}
	err := s.readFrom(ctx, src, logQuery{unit: i.Unit, lines: tailLines}, func(e LogEntry) error {
		out = append(out, e.Message)
		return nil
	})
	if err != nil {
		out = append(out, "flotilla: its log cannot be read: "+oneLine(err.Error()))
	}
	return out
}

func (e *Explanation) add(format string, args ...any) {
	e.Lines = append(e.Lines, fmt.Sprintf(format, args...))
}

// addInstance tells of one host. The leader's reason is that of the time of its order.
func (e *Explanation) addInstance(i Instance) {
	e.add("on %s: ordered %s (then: %s), systemd says %s/%s", i.HostName, cmp.Or(i.Order, "nothing"), cmp.Or(i.Why, "no reason given"), i.Active, i.Sub)
	if i.Message != "" {
		e.add("on %s: %s", i.HostName, i.Message)
	}
	if i.Restarts > 0 {
		e.add("on %s: systemd restarted it %s", i.HostName, count(i.Restarts, "time"))
	}
	e.addTail(i.HostName, i.Tail)
}

func (e *Explanation) addTail(host string, lines []string) {
	for _, line := range lines {
		e.add("on %s | %s", host, line)
	}
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// mostNamed is how many units an explanation names.
const mostNamed = 50

// addPlan tells what the planner thinks of a unit that waits.
func (e *Explanation) addPlan(x plan.Explanation) {
	if x.Reason != "" {
		e.add("the planner says: %s", x.Reason)
	}
	if x.Storm != nil {
		e.add("%s", x.Storm)
	}
}

// verdictsOf says of each host, by name, whether the unit is there and whether it could be.
func verdictsOf(c *cluster.Snapshot, x plan.Explanation) []HostVerdict {
	out := make([]HostVerdict, 0, len(x.Hosts))
	for _, h := range x.Hosts {
		v := HostVerdict{Host: string(h.Host), Name: h.Name, Fits: h.Fits, Units: h.Units, Reason: h.Reason}
		here := ""
		if p := c.Placed[x.Unit][h.Host]; p != nil && p.State != cluster.Gone {
			v.Placed, here = true, "is placed here"
			if st, ok := c.Hosts[h.Host].StatusOf(x.Unit); ok && st.State.Running() {
				here = "runs here"
			}
		}
		switch {
		case v.Placed && h.Fits:
			v.Reason = here
		case v.Placed:
			v.Reason = here + ", but the host " + strings.TrimPrefix(h.Reason, "has the unit, and ")
		case h.Fits:
			v.Reason = fmt.Sprintf("fits (%s)", count(h.Units, "unit"))
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b HostVerdict) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host)) })
	return out
}

func (s *Server) explainHost(h Host) Explanation {
	out := Explanation{Thing: h.Name, Summary: string(h.State)}
	switch h.State {
	case HostAbsent:
		out.Summary = fmt.Sprintf("absent %s: its agent does not renew its lease; systemctl status flotilla-agent there tells more", sinceWhen(h.Since, h.Earlier))
	case HostRemoved:
		out.Summary = "removed from the cluster: flotilla host restore " + h.Name + " takes it back"
	}
	if h.Cordon != nil {
		out.add("cordoned by %s at %s: %s", h.Cordon.Who, clock(h.Cordon.When), cmp.Or(h.Cordon.Why, "no reason given"))
	}
	out.addDrain(h)
	s.addReboot(&out, h)
	if h.Version != "" {
		out.add("id %s, %s, systemd %d, flotilla %s", h.ID, cmp.Or(h.OS, "an unknown system"), h.Systemd, h.Version)
	}
	placed := "units are placed"
	if h.Units == 1 {
		placed = "unit is placed"
	}
	out.add("%d %s here, %d active", h.Units, placed, h.Active)
	if len(h.Orphans) > 0 {
		out.add("it runs without any order: %s", strings.Join(h.Orphans, ", "))
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { out.addOpen(c, s.plans.at(c, s.opt), c.Hosts[cluster.HostID(h.ID)]) })
	return out
}

// addOpen tells of the units of a host that are not as wanted.
func (e *Explanation) addOpen(c *cluster.Snapshot, was planned, h *cluster.Host) {
	if h == nil {
		return
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(h.Placed)) {
		stands := settled(c, name, was.verdict(c.Units[name], name))
		if p, head := h.Placed[name], c.Units[name]; head != nil && head.Req.Global && p.State != cluster.Gone {
			stands = lags(h, head, p) // what it lacks on other hosts is not this one's
			stands.settled = stands.why == ""
		}
		if stands.settled {
			continue
		}
		if n++; n <= mostNamed {
			e.add("%s: %s", name, stands.why)
		}
	}
	if n > mostNamed {
		e.add("and %d more units", n-mostNamed)
	}
	if was.storm != nil && h.Alive == nil {
		e.add("%s", was.storm)
	}
}
