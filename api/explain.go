package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// explain answers GET /v1/explain/THING: why a unit or host is as it is, in sentences.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	thing := r.PathValue("thing")
	var out Explanation
	found := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		name := cluster.Unit(thing)
		if c.Units[name] == nil && len(c.Placed[name]) == 0 {
			return
		}
		found = true
		out = s.explainUnit(c, name)
	})
	if found {
		s.answer(w, out)
		return
	}
	h, err := s.findHost(r.Context(), thing)
	if err != nil {
		s.fail(w, Refuse(http.StatusNotFound, "flotilla status shows what there is", "no unit and no single host %q", thing))
		return
	}
	s.answer(w, explainHost(h))
}

func (s *Server) explainUnit(c *cluster.Snapshot, name cluster.Unit) Explanation {
	now := s.opt.Now()
	v := unitView(c, name, s.plans.at(c, s.opt).waiting[name])
	out := Explanation{Thing: string(name), Summary: "as wanted: " + v.Target.String()}
	switch {
	case c.Units[name] == nil:
		out.Summary = "destroyed; " + v.Reason
	case !v.Settled:
		out.Summary = fmt.Sprintf("wanted %s, but: %s", v.Target, v.Reason)
	}
	if head := c.Units[name]; head != nil {
		by := head.Spec.By
		out.add("%s wanted it %s at %s", by.Who, v.Target, by.When.Format(time.DateTime))
	}
	for _, i := range v.Instances {
		out.addInstance(i)
	}
	if c.Units[name] != nil && !v.Settled {
		out.addVerdicts(plan.Explain(c, s.opt.Plan, name, now))
	}
	return out
}

func (e *Explanation) add(format string, args ...any) {
	e.Lines = append(e.Lines, fmt.Sprintf(format, args...))
}

func (e *Explanation) addInstance(i Instance) {
	e.add("on %s: ordered %s (%s), systemd says %s/%s", i.HostName, cmp.Or(i.Order, "nothing"), cmp.Or(i.Why, "no reason given"), i.Active, i.Sub)
	if i.Message != "" {
		e.add("on %s: %s", i.HostName, i.Message)
	}
	if i.Restarts > 0 {
		e.add("on %s: systemd restarted it %d times", i.HostName, i.Restarts)
	}
	for _, line := range i.Tail {
		e.add("on %s | %s", i.HostName, line)
	}
}

// addVerdicts says of each host whether it could take the unit.
func (e *Explanation) addVerdicts(x plan.Explanation) {
	if x.Reason != "" {
		e.add("the planner says: %s", x.Reason)
	}
	for _, h := range x.Hosts {
		if h.Fits {
			e.add("%s could take it (%d units there)", h.Name, h.Units)
			continue
		}
		e.add("%s cannot: %s", h.Name, h.Reason)
	}
	if x.Storm != nil {
		e.add("%s", x.Storm)
	}
}

func explainHost(h Host) Explanation {
	out := Explanation{Thing: h.Name, Summary: h.State}
	if h.State == "absent" {
		out.Summary = fmt.Sprintf("absent since %s: its agent does not renew its lease", h.Since.Format(time.DateTime))
	}
	if h.Cordon != nil {
		out.add("cordoned by %s at %s: %s", h.Cordon.Who, h.Cordon.When.Format(time.DateTime), h.Cordon.Why)
	}
	out.add("%d units are placed here, %d of them are active", h.Units, h.Active)
	if len(h.Orphans) > 0 {
		out.add("it runs without any order: %s", strings.Join(h.Orphans, ", "))
	}
	return out
}
