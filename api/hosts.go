package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"flotilla/cluster"
)

// listHosts answers GET /v1/hosts, by id.
func (s *Server) listHosts(w http.ResponseWriter, r *http.Request) {
	out := newStream(w)
	for _, h := range s.hostViews(r.Context()) {
		if out.send(h) != nil {
			return
		}
	}
}

func (s *Server) hostViews(ctx context.Context) []Host {
	leader, _ := s.opt.Peers.Leader(ctx)
	var out []Host
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		for _, h := range c.KnownHosts() {
			v := hostView(c, h)
			v.Leader = h.ID == leader
			out = append(out, v)
		}
	})
	return out
}

// host answers GET /v1/hosts/HOST.
func (s *Server) host(w http.ResponseWriter, r *http.Request) {
	h, err := s.findHost(r.Context(), r.PathValue("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, h)
}

// findHost knows a host by its id, a prefix of the id, or its name; it must be one host only.
func (s *Server) findHost(ctx context.Context, word string) (Host, error) {
	var found []Host
	for _, h := range s.hostViews(ctx) {
		if h.ID == word || h.Name == word {
			return h, nil
		}
		if word != "" && strings.HasPrefix(h.ID, word) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Host{}, Refuse(http.StatusNotFound, "flotilla list-machines shows them", "no host %q in the cluster", word)
	}
	return Host{}, Refuse(http.StatusConflict, "write more digits of the id", "%q fits %d hosts", word, len(found))
}

var labelKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// patchHost answers PATCH /v1/hosts/HOST.
func (s *Server) patchHost(w http.ResponseWriter, r *http.Request) {
	var p HostPatch
	if err := decode(w, r, &p); err != nil {
		s.fail(w, err)
		return
	}
	for k, v := range p.Labels {
		if !labelKey.MatchString(k) || (v != nil && (*v == "" || strings.ContainsAny(*v, "\n\x00"))) {
			s.fail(w, Refuse(http.StatusBadRequest, "write key=value, or key- to remove it", "label %q: not a label", k))
			return
		}
	}
	h, err := s.findHost(r.Context(), r.PathValue("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	if p.Remove != nil && *p.Remove && h.State == "alive" {
		s.fail(w, Refuse(http.StatusConflict, "stop its flotilla-agent first", "%s is alive: only an absent host can be removed", h.Name))
		return
	}
	rev, err := s.opt.Store.EditHost(r.Context(), cluster.HostID(h.ID), func(spec *cluster.HostSpec) error {
		applyPatch(spec, p, s.note(r, p.Why))
		return nil
	})
	if err == nil {
		err = s.opt.Mirror.WaitRevision(r.Context(), rev)
	}
	if err == nil {
		var v Host
		s.opt.Mirror.Read(func(c *cluster.Snapshot) {
			if known := c.Hosts[cluster.HostID(h.ID)]; known != nil {
				v = hostView(c, known)
			}
		})
		s.answer(w, v)
		return
	}
	s.fail(w, err)
}

func applyPatch(spec *cluster.HostSpec, p HostPatch, by cluster.Note) {
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	for k, v := range p.Labels {
		spec.Labels[k] = ""
		if v != nil {
			spec.Labels[k] = *v
		}
	}
	if p.Remove != nil {
		spec.Removed = nil
		if *p.Remove {
			spec.Removed = &by
		}
	}
}

// cluster answers GET /v1/cluster.
func (s *Server) cluster(w http.ResponseWriter, r *http.Request) {
	hosts := s.hostViews(r.Context())
	v := Cluster{Hosts: hosts, Local: s.opt.Local()}
	for _, h := range hosts {
		if h.Leader {
			v.Leader = h.Name
		}
		if len(h.Orphans) > 0 {
			v.Notices = append(v.Notices, fmt.Sprintf("%s runs %s without any order: flotilla start or orphan stop decides", h.Name, strings.Join(h.Orphans, ", ")))
		}
	}
	if v.Leader == "" {
		v.Notices = append(v.Notices, "no leader: nothing is placed or moved until one is elected")
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { s.summarise(c, &v) })
	if v.Local.Frozen != "" {
		v.Notices = append(v.Notices, v.Local.Name+" is frozen: "+v.Local.Frozen)
	}
	s.answer(w, v)
}

// summarise counts units and collects the reasons of those that wait.
func (s *Server) summarise(c *cluster.Snapshot, v *Cluster) {
	v.Revision, v.Store, v.Schema = c.Revision, c.Store.ID, c.Store.Schema
	was := s.plans.at(c, s.opt)
	for _, n := range c.UnitNames() {
		head := c.Units[n]
		if head != nil && head.Spec.Target.String() == "launched" {
			v.Units++
		}
		ok, _, reason := settled(c, n, was.waiting[n])
		if ok && head != nil && head.Spec.Target.String() == "launched" {
			v.Running++
		}
		if !ok {
			v.Waiting = append(v.Waiting, Waiting{Unit: string(n), Reason: reason})
		}
	}
	if storm := was.result.Storm; storm != nil {
		v.Notices = append(v.Notices, storm.String())
	}
	slices.Sort(v.Notices)
}

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

// resumeFailover answers POST /v1/failover/resume.
func (s *Server) resumeFailover(w http.ResponseWriter, r *http.Request) {
	if err := s.opt.Store.ResumeFailover(r.Context(), s.note(r, "")); err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, struct{}{})
}

// acceptStore answers POST /v1/store/accept; it needs no mirror, for a foreign store has none.
func (s *Server) acceptStore(w http.ResponseWriter, r *http.Request) {
	note, err := s.opt.Store.AcceptStore(r.Context(), s.note(r, ""))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, map[string]string{"Note": note})
}
