package api

import (
	"net/http"
	"slices"

	"flotilla/cluster"
)

// stopOrphan answers POST /v1/hosts/HOST/orphans/UNIT/stop.
func (s *Server) stopOrphan(w http.ResponseWriter, r *http.Request) {
	h, err := s.findHost(r.Context(), r.PathValue("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	unit := r.PathValue("unit")
	if !slices.Contains(h.Orphans, unit) {
		s.fail(w, Refuse(http.StatusNotFound, "flotilla explain "+h.Name+" lists them", "%s is no orphan on %s", unit, h.Name))
		return
	}
	where := cluster.Where{Host: cluster.HostID(h.ID), Unit: cluster.Unit(unit)}
	if _, err := s.opt.Store.StopOrphan(r.Context(), where, s.note(r, "")); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, struct{}{})
}

// resumeFailover answers POST /v1/failover/resume. The word is noted also when nothing is paused: it
// holds for the hosts that are absent now.
func (s *Server) resumeFailover(w http.ResponseWriter, r *http.Request) {
	paused := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { paused = s.plans.at(c, s.opt).storm != nil })
	if err := s.opt.Store.ResumeFailover(r.Context(), s.note(r, "")); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, Resumed{Paused: paused})
}

// acceptStore answers POST /v1/store/accept; it needs no mirror, for a foreign store has none.
func (s *Server) acceptStore(w http.ResponseWriter, r *http.Request) {
	note, err := s.opt.Store.AcceptStore(r.Context(), s.note(r, ""))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, Accepted{Note: note})
}
