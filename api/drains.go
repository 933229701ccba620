package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// CordonAsk closes a host to new units, in a HostPatch.
type CordonAsk struct {
	Reason string `json:"reason,omitempty"`
}

// DrainAsk has a host's units go elsewhere, in a HostPatch.
type DrainAsk struct {
	Reason    string            `json:"reason,omitempty"`
	OnBlocked cluster.OnBlocked `json:"on_blocked,omitempty"` // abort (the default), skip or stop
	Timeout   string            `json:"timeout,omitempty"`    // a Go duration, after which on_blocked applies; default 15m
}

// Drains is the body of POST /v1/drains. A host is named as everywhere.
type Drains struct {
	Hosts []string `json:"hosts"`
}

// DrainPlan is its answer: what draining the hosts all at once comes to.
type DrainPlan struct {
	Steps []plan.DrainStep `json:"steps"`
}

// planDrains answers POST /v1/drains, and changes nothing.
func (s *Server) planDrains(w http.ResponseWriter, r *http.Request) {
	var d Drains
	if err := decode(w, r, &d); err != nil {
		s.fail(w, err)
		return
	}
	if len(d.Hosts) == 0 {
		s.fail(w, Refuse(http.StatusBadRequest, `name some, as in {"hosts": ["h1"]}`, "no hosts"))
		return
	}
	c, err := s.copyOf()
	if err != nil {
		s.fail(w, err)
		return
	}
	var ids []cluster.HostID
	for _, word := range d.Hosts {
		h, err := hostNamed(c, word)
		if err != nil {
			s.fail(w, err)
			return
		}
		ids = append(ids, h.ID)
	}
	slices.Sort(ids)
	s.answer(w, DrainPlan{Steps: s.rehearse(c, slices.Compact(ids))})
}

// rehearse plans drains, one request after the other.
func (s *Server) rehearse(c *cluster.Snapshot, hosts []cluster.HostID) []plan.DrainStep {
	s.whatIf.Lock()
	defer s.whatIf.Unlock()
	steps := plan.DrainPlan(c, s.opt.Plan, s.opt.Now(), hosts)
	if steps == nil {
		steps = []plan.DrainStep{}
	}
	return steps
}

// checkDrain refuses to cordon or drain a host that cannot be, or a drain that would be blocked and is to do
// nothing then.
func (s *Server) checkDrain(h Host, p HostPatch) error {
	ask := p.Drain.Value
	switch {
	case p.Cordon.Value == nil && ask == nil:
		return nil
	case h.State == HostRemoved:
		return Refuse(http.StatusConflict, "flotilla host restore "+h.Name+" takes it back", "%s was removed from the cluster", h.Name)
	case ask == nil:
		return nil
	}
	if _, err := drainTimeout(*ask); err != nil {
		return err
	}
	switch ask.OnBlocked {
	case "", cluster.AbortDrain:
		return s.checkPlaces(h)
	case cluster.SkipUnit, cluster.StopUnit:
		return nil
	}
	return Refuse(http.StatusBadRequest, "write abort, skip or stop", "on_blocked=%q is not known", ask.OnBlocked)
}

// drainTimeout is how long a drain may be blocked; 0 = as long as the planner lets it.
func drainTimeout(ask DrainAsk) (time.Duration, error) {
	if ask.Timeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(ask.Timeout)
	if err != nil || d <= 0 {
		return 0, Refuse(http.StatusBadRequest, "write a positive duration such as 30s or 15m", "timeout=%q is none", ask.Timeout)
	}
	return d, nil
}

// checkPlaces refuses a drain with units that could move and have no place.
func (s *Server) checkPlaces(h Host) error {
	c, err := s.copyOf()
	if err != nil {
		return err
	}
	var without []plan.DrainStep
	for _, step := range s.rehearse(c, []cluster.HostID{cluster.HostID(h.ID)}) {
		if step.Kind == plan.DrainBlocked {
			without = append(without, step)
		}
	}
	if len(without) == 0 {
		return nil
	}
	return Refuse(http.StatusConflict, "on_blocked skip drains the others, stop stops them too", "%s is not drained: %s", h.Name, Homeless(without))
}

// Homeless says of steps that are blocked which units have no place, and of the first why.
func Homeless(steps []plan.DrainStep) string {
	first := steps[0]
	out := fmt.Sprintf("%s has no other place: %s", first.Unit, strings.TrimPrefix(first.Reason, "no other host takes it: "))
	if more := len(steps) - 1; more > 0 {
		out += fmt.Sprintf("; nor have %d more", more)
	}
	return out
}

// applyDrain changes what the operator says of new and present units of a host.
func applyDrain(spec *cluster.HostSpec, p HostPatch, by cluster.Note) {
	if p.Cordon.Given {
		spec.Cordon = nil
		if ask := p.Cordon.Value; ask != nil {
			note := by
			note.Why = cmp.Or(ask.Reason, by.Why)
			spec.Cordon = &note
		}
	}
	if p.Drain.Given {
		spec.Drain = nil
		if ask := p.Drain.Value; ask != nil {
			note := by
			note.Why = cmp.Or(ask.Reason, by.Why)
			timeout, _ := drainTimeout(*ask) // it was checked
			spec.Drain = &cluster.DrainWish{By: note, OnBlocked: cmp.Or(ask.OnBlocked, cluster.AbortDrain), Timeout: timeout}
		}
	}
}

// Draining says how far a host is drained, by a person or for a reboot.
type Draining struct {
	Left  []plan.Left `json:"left"`            // units that still have to leave it, by name
	Stays []plan.Left `json:"stays,omitempty"` // units that do not, by name
	Over  bool        `json:"over,omitempty"`  // its time is over
}

// Blocked are the units that have no place.
func (d *Draining) Blocked() (out []plan.Left) {
	for _, l := range d.Left {
		if l.Blocked {
			out = append(out, l)
		}
	}
	return out
}

// drainings says how far hosts are drained, by id. Where none is nothing is planned for it.
func (s *Server) drainings(c *cluster.Snapshot, hosts ...*cluster.Host) map[cluster.HostID]*Draining {
	if !slices.ContainsFunc(hosts, plan.Leaves) {
		return nil
	}
	was := s.plans.at(c, s.opt)
	out := map[cluster.HostID]*Draining{}
	for _, h := range hosts {
		if was.rev >= h.SpecRev { // else what was planned is of an earlier wish
			out[h.ID] = was.drains[h.ID]
		}
	}
	return out
}

func drainsOf(r plan.Result) map[cluster.HostID]*Draining {
	if len(r.Drains) == 0 {
		return nil
	}
	out := make(map[cluster.HostID]*Draining, len(r.Drains))
	for _, d := range r.Drains {
		v := &Draining{Left: d.Left, Stays: d.Stays, Over: d.Over}
		if v.Left == nil {
			v.Left = []plan.Left{}
		}
		out[d.Host] = v
	}
	return out
}

// addDrain tells of a host that is drained what that comes to.
func (e *Explanation) addDrain(h Host) {
	if d := h.Drain; d != nil {
		e.add("drained by %s at %s: %s", d.By.Who, clock(d.By.When), cmp.Or(d.By.Why, "no reason given"))
	}
	if h.Draining == nil {
		return
	}
	if n := len(h.Draining.Left); n == 0 {
		e.add("nothing that can move is left on it")
	} else {
		e.add("%s to leave it:", has(n, "unit"))
	}
	for i, l := range h.Draining.Left {
		if i == mostNamed {
			e.add("and %d more", len(h.Draining.Left)-i)
			break
		}
		word := ""
		if l.Blocked {
			word = "blocked: "
		}
		e.add("  %s: %s%s", l.Unit, word, l.Reason)
	}
	for i, l := range h.Draining.Stays {
		if i == mostNamed {
			e.add("and %d more stay", len(h.Draining.Stays)-i)
			break
		}
		e.add("  %s stays: %s", l.Unit, l.Reason)
	}
}

func has(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " has"
	}
	return fmt.Sprintf("%d %ss have", n, noun)
}

// closedNotices remind of a cordon or drain, which lasts until somebody ends it.
func closedNotices(h Host) []string {
	word, note := "cordoned", h.Cordon
	if h.Drain != nil {
		word, note = "drained", &h.Drain.By
	}
	if note == nil || h.State == HostRemoved {
		return nil
	}
	out := fmt.Sprintf("%s is %s by %s since %s", h.Name, word, cmp.Or(note.Who, "somebody"), clock(note.When))
	if note.Why != "" {
		out += ": " + note.Why
	}
	return []string{out + ": flotilla uncordon " + h.Name + " ends it"}
}
