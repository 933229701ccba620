package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"flotilla/cluster"
	"flotilla/leader/plan"
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
		v = unitView(c, name, s.plans.at(c, s.opt).verdict(c.Units[name], name))
		found = c.Units[name] != nil || len(v.Instances) > 0
	})
	if !found {
		s.fail(w, noUnit(string(name)))
		return
	}
	if v.Revision > 0 {
		w.Header().Set("ETag", etag(v.Revision))
	}
	s.answer(w, v)
}

func noUnit(name string) *Error {
	return Refuse(http.StatusNotFound, "flotilla list-unit-files shows what there is", "no unit %q in the cluster", name)
}

// pageSize is how many units are looked at under one read lock, and held in memory.
const pageSize = 500

// listUnits answers GET /v1/units: ?match=GLOB, ?name=NAME and ?host=HOST choose, ?after=NAME and ?limit=N page,
// ?watch=REVISION keeps it open.
func (s *Server) listUnits(w http.ResponseWriter, r *http.Request) {
	q, err := readListQuery(r.URL.Query(), "match", "name", "host")
	if err != nil {
		s.fail(w, err)
		return
	}
	if q.watch {
		s.watchUnits(w, r, q)
		return
	}
	names, rev, err := s.chooseUnits(q)
	if err != nil {
		s.fail(w, err)
		return
	}
	if i, found := slices.BinarySearch(names, cluster.Unit(q.after)); q.after != "" {
		if found {
			i++
		}
		names = names[i:]
	}
	if q.limit > 0 && len(names) > q.limit {
		names = names[:q.limit]
	}
	w.Header().Set(revisionHeader, strconv.FormatInt(rev, 10))
	s.sendUnits(w, names)
}

// sendUnits writes units, each page of them in one piece.
func (s *Server) sendUnits(w http.ResponseWriter, names []cluster.Unit) {
	out := newStream(w)
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	verdicts := s.quickVerdicts
	for page := range slices.Chunk(names, pageSize) {
		views, err := s.viewsBy(page, verdicts)
		if err != nil {
			out.end(s.asError(err))
			return
		}
		verdicts = s.verdicts
		lines.Reset()
		for _, v := range views {
			if err := enc.Encode(v); err != nil {
				out.end(s.asError(err))
				return
			}
		}
		if out.page(lines.Bytes()) != nil {
			return // the client is gone
		}
	}
}

// incomplete is the answer while the mirror has not seen the whole store: what it lacks must not look
// like what is gone.
func incomplete() *Error {
	return Refuse(http.StatusServiceUnavailable, "flotilla status says what to do", "the cluster cannot be read whole any more")
}

// chooseUnits are the names that a query asks for, sorted, and the revision at which they
// were found. Names that are named need not exist, but on a host.
func (s *Server) chooseUnits(q listQuery) (names []cluster.Unit, rev int64, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		rev = c.Revision
		if !c.Complete {
			err = incomplete()
			return
		}
		names, err = q.choose(c)
	})
	return names, rev, err
}

// choose are the names that the query asks for, sorted.
func (q listQuery) choose(c *cluster.Snapshot) ([]cluster.Unit, error) {
	var on *cluster.Host
	if q.host != "" {
		var err error
		if on, err = hostNamed(c, q.host); err != nil {
			return nil, err
		}
	}
	var names []cluster.Unit
	if len(q.names) == 0 || len(q.match) > 0 {
		all := shownUnits
		if on != nil {
			all = func(*cluster.Snapshot) []cluster.Unit { return unitsOn(on) }
		}
		var err error
		if names, err = match(all(c), q.match); err != nil {
			return nil, err
		}
	}
	for _, n := range q.names {
		if on == nil || on.Placed[cluster.Unit(n)] != nil || isOrphan(on, cluster.Unit(n)) {
			names = append(names, cluster.Unit(n))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// unitsOn are the units that a host has an order for or runs without one.
func unitsOn(h *cluster.Host) []cluster.Unit {
	names := make([]cluster.Unit, 0, len(h.Placed))
	for n := range h.Placed {
		names = append(names, n)
	}
	for n := range h.Status {
		if h.Placed[n] == nil && isOrphan(h, n) {
			names = append(names, n)
		}
	}
	return names
}

func isOrphan(h *cluster.Host, name cluster.Unit) bool {
	st := h.Status[name]
	return st != nil && st.Orphan && !h.Departed()
}

// shownUnits are the units of the cluster and the orphans that are none of its units, sorted.
func shownUnits(c *cluster.Snapshot) []cluster.Unit {
	names := c.UnitNames()
	if len(c.Orphans) == 0 {
		return names
	}
	for n := range c.Orphans {
		if len(orphansOf(c, n)) > 0 {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// views looks at some units at one revision.
func (s *Server) views(names []cluster.Unit) ([]Unit, error) { return s.viewsBy(names, s.verdicts) }

func (s *Server) viewsBy(names []cluster.Unit, verdicts func(*cluster.Snapshot) func(cluster.Unit) verdict) (views []Unit, err error) {
	views = make([]Unit, 0, len(names))
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		of := verdicts(c)
		for _, n := range names {
			views = append(views, unitView(c, n, of(n)))
		}
	})
	return views, err
}

// verdicts tells what the planner thinks of units of c, whose read lock the caller holds as long as it asks.
func (s *Server) verdicts(c *cluster.Snapshot) func(cluster.Unit) verdict {
	was := s.plans.at(c, s.opt)
	return func(u cluster.Unit) verdict { return was.verdict(c.Units[u], u) }
}

// quickVerdicts are verdicts for which the cluster is planned only when a unit comes that is not evidently as it
// should be: the first row of a long list does not wait for a plan.
func (s *Server) quickVerdicts(c *cluster.Snapshot) func(cluster.Unit) verdict {
	calm := plan.Calm(c, s.opt.Plan, s.opt.Now())
	planned := sync.OnceValue(func() func(cluster.Unit) verdict { return s.verdicts(c) })
	return func(u cluster.Unit) verdict {
		if calm(u) {
			return verdict{}
		}
		return planned()(u)
	}
}

// match keeps the names that fit any of the globs; without globs all fit.
func match(names []cluster.Unit, globs []string) ([]cluster.Unit, error) {
	for _, g := range globs {
		if _, err := units.Match(g, ""); err != nil {
			return nil, err
		}
	}
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

// watchUnits sends each chosen unit as it is once the mirror reached the revision asked
// for, then again whenever what it shows has changed. A unit that is gone is sent once more,
// with revision 0.
func (s *Server) watchUnits(w http.ResponseWriter, r *http.Request, q listQuery) {
	if _, err := match(nil, q.match); err != nil {
		s.fail(w, err)
		return
	}
	s.watch(w, r, q.from, func(sent []string, send func(name string, v any) error) (open bool, err error) {
		names, _, err := s.chooseUnits(q)
		if err != nil {
			return false, err
		}
		for page := range slices.Chunk(withGone(names, sent), pageSize) {
			views, err := s.views(page)
			if err != nil {
				return false, err
			}
			for _, v := range views {
				open = open || !v.Settled
				if err := send(v.Name, v); err != nil {
					return false, err
				}
			}
		}
		return open, nil
	})
}

// withGone are names, which are sorted, and those sent before that are no more among them.
func withGone(names []cluster.Unit, sent []string) []cluster.Unit {
	var gone []cluster.Unit
	for _, n := range sent {
		if _, found := slices.BinarySearch(names, cluster.Unit(n)); !found {
			gone = append(gone, cluster.Unit(n))
		}
	}
	return slices.Concat(names, gone)
}

// content answers with the unit file as it was submitted.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	head := s.head(r.PathValue("name"))
	if head == nil {
		s.fail(w, noUnit(r.PathValue("name")))
		return
	}
	raw, err := s.opt.Store.Blob(r.Context(), head.Spec.Blob)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("ETag", etag(head.Rev))
	_, _ = w.Write(raw) // the client is gone if this fails
}
