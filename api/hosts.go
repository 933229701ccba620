package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// listHosts answers GET /v1/hosts, by id; ?watch=REVISION keeps it open. A host that is gone is
// sent once more, with the state "gone".
func (s *Server) listHosts(w http.ResponseWriter, r *http.Request) {
	q, err := readListQuery(r.URL.Query())
	if err != nil {
		s.fail(w, err)
		return
	}
	if q.watch {
		s.watch(w, r, q.from, func(sent []string, send func(string, any) error) (bool, error) {
			list, _ := s.hostViews(r.Context(), false)
			for _, id := range sent {
				if !slices.ContainsFunc(list, func(h Host) bool { return h.ID == id }) {
					list = append(list, Host{ID: id, State: "gone"})
				}
			}
			for _, h := range list {
				if err := send(h.ID, h); err != nil {
					return false, err
				}
			}
			return false, nil
		})
		return
	}
	list, rev := s.hostViews(r.Context(), false)
	list = slices.DeleteFunc(list, func(h Host) bool { return h.ID <= q.after })
	if q.limit > 0 && len(list) > q.limit {
		list = list[:q.limit]
	}
	w.Header().Set(revisionHeader, strconv.FormatInt(rev, 10))
	out := newStream(w)
	for _, h := range list {
		if out.send(h) != nil {
			return
		}
	}
}

// hostViews are the hosts of the cluster by id, with removed ones that are alive all the same;
// with all also the other removed ones.
func (s *Server) hostViews(ctx context.Context, all bool) ([]Host, int64) {
	leader, _ := s.opt.Peers.Leader(ctx)
	var out []Host
	var rev int64
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		rev = c.Revision
		for _, h := range c.Hosts {
			known := h.Info != nil || h.Alive != nil
			if !known || h.Spec.Removed != nil && h.Alive == nil && !all {
				continue
			}
			v := hostView(c, h)
			v.Leader = h.ID == leader
			out = append(out, v)
		}
	})
	slices.SortFunc(out, func(a, b Host) int { return cmp.Compare(a.ID, b.ID) })
	return out, rev
}

// host answers GET /v1/hosts/HOST.
func (s *Server) host(w http.ResponseWriter, r *http.Request) {
	h, err := s.findHost(r.Context(), r.PathValue("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	if h.Revision > 0 {
		w.Header().Set("ETag", etag(h.Revision))
	}
	s.answer(w, h)
}

// findHost knows a host by its id, its name, or a prefix of the id; it must be one host only.
func (s *Server) findHost(ctx context.Context, word string) (Host, error) {
	list, _ := s.hostViews(ctx, true)
	var named, begun []Host
	for _, h := range list {
		switch {
		case h.ID == word:
			return h, nil
		case h.Name == word:
			named = append(named, h)
		case word != "" && strings.HasPrefix(h.ID, word):
			begun = append(begun, h)
		}
	}
	found := named
	if len(found) == 0 {
		found = begun
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Host{}, Refuse(http.StatusNotFound, "flotilla list-machines shows them", "no host %q in the cluster", word)
	}
	return Host{}, Refuse(http.StatusConflict, "write more digits of the id", "%q fits %d hosts", word, len(found))
}

// patchHost answers PATCH /v1/hosts/HOST.
func (s *Server) patchHost(w http.ResponseWriter, r *http.Request) {
	var p HostPatch
	if err := decode(w, r, &p); err != nil {
		s.fail(w, err)
		return
	}
	match, err := ifMatch(r)
	if err == nil {
		err = checkPatch(p)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	h, err := s.findHost(r.Context(), r.PathValue("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	if p.Remove != nil && *p.Remove {
		if h.State == "alive" {
			s.fail(w, Refuse(http.StatusConflict, "run flotilla leave there, or stop its flotilla-agent first", "%s is alive: only an absent host can be removed", h.Name))
			return
		}
		if err := s.leaveEtcd(r.Context(), cluster.HostID(h.ID)); err != nil {
			s.fail(w, err)
			return
		}
	}
	v, err := s.editHost(r, cluster.HostID(h.ID), match, func(spec *cluster.HostSpec) {
		applyPatch(spec, p, s.note(r, p.Why))
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("ETag", etag(v.Revision))
	s.answer(w, v)
}

func checkPatch(p HostPatch) error {
	for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
		err := units.CheckLabelKey(k)
		if v := p.Labels[k]; v != nil {
			err = units.CheckLabel(k, *v)
		}
		var bad *units.Error
		if errors.As(err, &bad) {
			return Refuse(http.StatusBadRequest, bad.Hint, "%s: %s", bad.File, bad.Msg)
		}
	}
	return nil
}

// editHost makes a change durable and shows the host as the mirror has it then.
func (s *Server) editHost(r *http.Request, id cluster.HostID, match int64, edit func(*cluster.HostSpec)) (Host, error) {
	ctx, cancel := context.WithTimeout(r.Context(), storeWait)
	defer cancel()
	rev, err := s.opt.Store.EditHost(ctx, id, match, func(spec *cluster.HostSpec) error {
		edit(spec)
		return nil
	})
	if err != nil {
		return Host{}, err
	}
	if err := s.await(ctx, rev); err != nil {
		return Host{}, err
	}
	list, _ := s.hostViews(ctx, true)
	for _, h := range list {
		if h.ID == string(id) {
			return h, nil
		}
	}
	return Host{}, noHostAnyMore(id)
}

func noHostAnyMore(id cluster.HostID) error {
	return Refuse(http.StatusNotFound, "flotilla list-machines shows them", "host %s is gone from the cluster", id.Short())
}

func (s *Server) leaveEtcd(ctx context.Context, id cluster.HostID) error {
	if s.opt.Leave == nil {
		return nil
	}
	return s.opt.Leave(ctx, id)
}

// someOf names the first few of a list.
func someOf(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
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
	hosts, _ := s.hostViews(r.Context(), false)
	v := Cluster{Hosts: hosts, Local: s.opt.Local(), Notices: s.health()}
	for i, h := range hosts {
		if !v.Local.StoreOut.IsZero() {
			hosts[i].Leader = false // nobody leads without etcd, whoever did before
		}
		if hosts[i].Leader {
			v.Leader = h.Name
		}
		if len(h.Orphans) > 0 {
			v.Notices = append(v.Notices, fmt.Sprintf("%s runs %s without any order: flotilla start UNIT takes it back, flotilla orphan stop %s UNIT ends it", h.Name, someOf(h.Orphans), h.Name))
		}
		if h.State == "removed" {
			v.Notices = append(v.Notices, fmt.Sprintf("%s was removed and is alive: flotilla host restore %s takes it back", h.Name, h.Name))
		}
	}
	if v.Leader == "" && v.Local.StoreOut.IsZero() {
		v.Notices = append(v.Notices, "no leader: nothing is placed or moved until one is elected")
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { s.summarise(c, &v) })
	s.answer(w, v)
}

// mostWaiting is how many waiting units a summary names.
const mostWaiting = 1000

// summarise counts units and collects the reasons of those that wait.
func (s *Server) summarise(c *cluster.Snapshot, v *Cluster) {
	v.Revision, v.Store, v.Schema = c.Revision, c.Store.ID, c.Store.Schema
	was := s.plans.at(c, s.opt)
	for _, n := range c.UnitNames() {
		head := c.Units[n]
		launched := head != nil && head.Spec.Target == units.Launched
		ok, _, reason := settled(c, n, was.verdict(c.Units[n], n))
		if launched {
			v.Units++
		}
		if ok && launched {
			v.Running++
		}
		if ok {
			continue
		}
		if v.WaitingUnits++; v.WaitingUnits <= mostWaiting {
			v.Waiting = append(v.Waiting, Waiting{Unit: string(n), Reason: reason})
		}
	}
	if was.storm != nil {
		v.Notices = append(v.Notices, was.storm.String())
	}
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
	s.answer(w, Accepted{Note: note})
}
