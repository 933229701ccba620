package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// Simulation is the body of POST /v1/simulate: what is assumed of the cluster. A host is named as everywhere.
type Simulation struct {
	Lose   []string                      `json:"lose,omitempty"`   // these hosts die
	Drain  []string                      `json:"drain,omitempty"`  // give their units away and take none
	Cordon []string                      `json:"cordon,omitempty"` // take no more units
	Remove []string                      `json:"remove,omitempty"` // are gone for good
	Labels map[string]map[string]*string `json:"labels,omitempty"` // by host; null removes one
	Add    []Addition                    `json:"add,omitempty"`    // these units are started
	Resume bool                          `json:"resume,omitempty"` // failover goes on should the storm brake hold
}

// Addition are units to be started: those named, or with Count so many new ones like the only one named, under
// names that are free: web@1, web@2 for a template web@.service, web-1, web-2 for web.service.
type Addition struct {
	Units   []string `json:"units"`
	Count   int      `json:"count,omitempty"`
	Content *string  `json:"content,omitempty"` // absent = what the cluster has, or the template
	DropIns []DropIn `json:"dropins,omitempty"` // beside the content
	File    string   `json:"file,omitempty"`    // the name to cite in errors
}

// maxAdded is how many units a Simulation may add.
const maxAdded = 100_000

// Foretell answers a Simulation on a snapshot, which it does not change. Errors are those of the API.
func Foretell(c *cluster.Snapshot, opt plan.Options, s Simulation, now time.Time) (plan.Forecast, error) {
	a, err := s.assumptions(c)
	if err != nil {
		return plan.Forecast{}, err
	}
	return plan.WhatIf(c, opt, a, now), nil
}

func (s Simulation) assumptions(c *cluster.Snapshot) (plan.Assumptions, error) {
	a := plan.Assumptions{Resume: s.Resume, Labels: map[cluster.HostID]map[string]string{}}
	for _, list := range []struct {
		words []string
		into  *[]cluster.HostID
	}{{s.Lose, &a.Lose}, {s.Drain, &a.Drain}, {s.Cordon, &a.Cordon}, {s.Remove, &a.Remove}} {
		for _, word := range list.words {
			h, err := hostNamed(c, word)
			if err != nil {
				return a, err
			}
			*list.into = append(*list.into, h.ID)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(s.Labels)) {
		h, err := hostNamed(c, word)
		if err == nil {
			err = checkPatch(HostPatch{Labels: s.Labels[word]})
		}
		if err != nil {
			return a, err
		}
		a.Labels[h.ID] = map[string]string{}
		for k, v := range s.Labels[word] {
			if a.Labels[h.ID][k] = ""; v != nil {
				a.Labels[h.ID][k] = *v
			}
		}
	}
	taken := map[cluster.Unit]bool{}
	for _, add := range s.Add {
		heads, err := add.heads(c, taken)
		if err != nil {
			return a, err
		}
		if a.Add = append(a.Add, heads...); len(a.Add) > maxAdded {
			return a, tooManyAdded()
		}
	}
	return a, nil
}

func tooManyAdded() error {
	return Refuse(http.StatusBadRequest, "add fewer", "a simulation adds %d units at most", maxAdded)
}

// heads are the units to add. taken are names that were given away before.
func (add Addition) heads(c *cluster.Snapshot, taken map[cluster.Unit]bool) ([]cluster.UnitHead, error) {
	names, err := add.names(c, taken)
	if err != nil {
		return nil, err
	}
	out := make([]cluster.UnitHead, 0, len(names))
	for _, name := range names {
		if old := c.Units[name]; old != nil && old.File != nil && add.Content == nil {
			out = append(out, *old)
			continue
		}
		raw, err := add.raw(c, name)
		if err != nil {
			return nil, err
		}
		head, err := plan.NewHead(name, raw, listed(add.DropIns))
		if err != nil {
			return nil, cited(string(name), add.File, err)
		}
		if old := c.Units[name]; old != nil {
			head.Spec.DropIns = old.Spec.DropIns
		}
		out = append(out, head)
	}
	return out, nil
}

// names are those of the units to add, checked.
func (add Addition) names(c *cluster.Snapshot, taken map[cluster.Unit]bool) ([]cluster.Unit, error) {
	if add.Count < 0 || add.Count > maxAdded {
		return nil, tooManyAdded()
	}
	if add.Count > 0 && len(add.Units) != 1 {
		return nil, Refuse(http.StatusBadRequest, "name one unit or template", "count goes with one name, got %d", len(add.Units))
	}
	var out []cluster.Unit
	for _, word := range add.Units {
		name, err := units.ParseName(word)
		if err != nil {
			return nil, err
		}
		if add.Count > 0 {
			return add.free(c, name, taken), nil
		}
		if name.IsTemplate() {
			return nil, Refuse(http.StatusBadRequest, fmt.Sprintf("name instances, as in %s, or say how many", name.With("1")),
				"%s is a template, which runs nowhere", name)
		}
		taken[name] = true
		out = append(out, name)
	}
	return out, nil
}

// free are names for Count new units like the one of this name.
func (add Addition) free(c *cluster.Snapshot, like cluster.Unit, taken map[cluster.Unit]bool) []cluster.Unit {
	nth := func(i int) cluster.Unit { return cluster.Unit(fmt.Sprintf("%s-%d.%s", like.Prefix(), i, like.Type())) }
	if like.IsTemplate() || like.IsInstance() {
		nth = func(i int) cluster.Unit { return like.With(fmt.Sprint(i)) }
	}
	out := make([]cluster.Unit, 0, add.Count)
	for i := 1; len(out) < add.Count; i++ {
		if name := nth(i); !taken[name] && c.Units[name] == nil && len(c.Placed[name]) == 0 {
			taken[name] = true
			out = append(out, name)
		}
	}
	return out
}

// raw is the content of a unit to add.
func (add Addition) raw(c *cluster.Snapshot, name cluster.Unit) ([]byte, error) {
	if add.Content != nil {
		return []byte(*add.Content), cited(string(name), add.File, units.VerifyWith(name, []byte(*add.Content), listed(add.DropIns)))
	}
	from := []cluster.Unit{name, name.Template()}
	if add.Count > 0 {
		from = append(from, cluster.Unit(add.Units[0]))
	}
	for _, n := range from {
		if head := c.Units[n]; head != nil && head.File != nil {
			return head.File.Raw, nil
		}
	}
	return nil, noUnit(add.Units[0])
}

// simulate answers POST /v1/simulate. It changes nothing; one runs at a time.
func (s *Server) simulate(w http.ResponseWriter, r *http.Request) {
	var sim Simulation
	if err := decode(w, r, &sim); err != nil {
		s.fail(w, err)
		return
	}
	c, err := s.copyOf()
	if err != nil {
		s.fail(w, err)
		return
	}
	s.whatIf.Lock()
	defer s.whatIf.Unlock()
	if r.Context().Err() != nil {
		return // nobody waits for it any more
	}
	out, err := Foretell(c, s.opt.Plan, sim, s.opt.Now())
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, out)
}

// snapshot answers GET /v1/snapshot: all that the planner looks at.
func (s *Server) snapshot(w http.ResponseWriter, _ *http.Request) {
	c, err := s.copyOf()
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, plan.Save(c, s.opt.Plan, s.opt.Now().UTC()))
}

// copyOf is the cluster as it is now, of which the mirror changes nothing any more.
func (s *Server) copyOf() (out *cluster.Snapshot, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		out = c.Clone()
	})
	return out, err
}
