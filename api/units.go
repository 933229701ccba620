package api

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"flotilla/cluster"
	"flotilla/units"
)

func (s *Server) complete() bool {
	ok := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { ok = c.Complete })
	return ok
}

// unit answers GET /v1/units/NAME.
func (s *Server) unit(w http.ResponseWriter, r *http.Request) {
	name := cluster.Unit(r.PathValue("name"))
	var v Unit
	found := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		v = unitView(c, name, s.plans.at(c, s.opt).waiting[name])
		found = c.Units[name] != nil || len(v.Instances) > 0
	})
	if !found {
		s.fail(w, noUnit(string(name)))
		return
	}
	s.answer(w, v)
}

func noUnit(name string) *Error {
	return Refuse(http.StatusNotFound, "flotilla list-unit-files shows what there is", "no unit %q in the cluster", name)
}

// listUnits answers GET /v1/units: ?match=GLOB filters, ?watch=REVISION with ?name= keeps it open.
func (s *Server) listUnits(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Has("watch") {
		s.watchUnits(w, r)
		return
	}
	var names []cluster.Unit
	var err error
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { names, err = match(c.UnitNames(), q["match"]) })
	if err != nil {
		s.fail(w, err)
		return
	}
	out := newStream(w)
	for page := range slices.Chunk(names, 500) {
		views := s.views(page)
		for _, v := range views {
			if out.send(v) != nil {
				return
			}
		}
	}
}

// views looks at some units at one revision.
func (s *Server) views(names []cluster.Unit) []Unit {
	views := make([]Unit, 0, len(names))
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		waiting := s.plans.at(c, s.opt).waiting
		for _, n := range names {
			views = append(views, unitView(c, n, waiting[n]))
		}
	})
	return views
}

// match keeps the names that fit any of the globs; without globs all fit.
func match(names []cluster.Unit, globs []string) ([]cluster.Unit, error) {
	if len(globs) == 0 {
		return names, nil
	}
	var out []cluster.Unit
	for _, n := range names {
		for _, g := range globs {
			ok, err := units.Match(g, string(n))
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, n)
				break
			}
		}
	}
	return out, nil
}

// watchUnits sends each named unit as it is once the mirror reached the revision asked
// for, then again whenever what it shows has changed.
func (s *Server) watchUnits(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err := strconv.ParseInt(q.Get("watch"), 10, 64)
	if err != nil || from < 0 {
		s.fail(w, Refuse(http.StatusBadRequest, "take the revision of an earlier answer", "watch=%q is no revision", q.Get("watch")))
		return
	}
	var names []cluster.Unit
	for _, n := range q["name"] {
		names = append(names, cluster.Unit(n))
	}
	wake, stop := s.opt.Mirror.Subscribe()
	defer stop()
	if err := s.opt.Mirror.WaitRevision(r.Context(), from); err != nil {
		s.fail(w, err)
		return
	}
	out := newStream(w)
	last := make([]Unit, len(names))
	for {
		for i, v := range s.views(names) {
			if last[i].Name != "" && reflect.DeepEqual(last[i], v) {
				continue
			}
			last[i] = v
			if out.send(v) != nil {
				return
			}
		}
		if out.flush() != nil {
			return
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
}

// content answers with the unit file as it was submitted.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	name := cluster.Unit(r.PathValue("name"))
	var head *cluster.UnitHead
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { head = c.Units[name] })
	if head == nil {
		s.fail(w, noUnit(string(name)))
		return
	}
	raw, err := s.opt.Store.Blob(r.Context(), head.Spec.Blob)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("ETag", strconv.FormatInt(head.Rev, 10))
	_, _ = w.Write(raw) // the client is gone if this fails
}
