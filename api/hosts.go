package api

import (
	"cmp"
	"context"
	"errors"
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
		s.watch(w, r, q.from, s.scanHosts(r.Context()))
		return
	}
	list, rev, err := s.hostViews(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
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

// scanHosts sends the hosts as they are, and of those that were sent before the ones that are gone.
func (s *Server) scanHosts(ctx context.Context) scan {
	return func(sent []string, send func(string, any) error) (bool, error) {
		list, _, err := s.hostViews(ctx)
		if err != nil {
			return false, err
		}
		open := false // what is said of a drain depends on the time
		var gone []Host
		for _, id := range sent {
			if _, found := slices.BinarySearchFunc(list, id, func(h Host, id string) int { return cmp.Compare(h.ID, id) }); !found {
				gone = append(gone, Host{ID: id, State: HostGone})
			}
		}
		for _, h := range slices.Concat(list, gone) {
			open = open || h.Draining != nil || h.Drain != nil
			if err := send(h.ID, h); err != nil {
				return false, err
			}
		}
		return open, nil
	}
}

// hostViews are the hosts of the cluster by id, with removed ones that are alive all the same,
// and the revision at which they were seen.
func (s *Server) hostViews(ctx context.Context) (out []Host, rev int64, err error) {
	leader, _ := s.opt.Peers.Leader(ctx)
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		rev = c.Revision
		drains := s.drainings(c, slices.Collect(maps.Values(c.Hosts))...)
		for _, h := range c.Hosts {
			if !known(h) || h.Spec.Removed != nil && h.Alive == nil {
				continue
			}
			v := hostView(c, h)
			v.Leader, v.Draining = h.ID == leader, drains[h.ID]
			out = append(out, v)
		}
	})
	slices.SortFunc(out, func(a, b Host) int { return cmp.Compare(a.ID, b.ID) })
	return out, rev, err
}

// known says whether a host ever said anything of itself.
func known(h *cluster.Host) bool { return h != nil && (h.Info != nil || h.Alive != nil) }

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

// findHost is the host that word names, removed ones included.
func (s *Server) findHost(ctx context.Context, word string) (v Host, err error) {
	leader, _ := s.opt.Peers.Leader(ctx)
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		var h *cluster.Host
		if h, err = hostNamed(c, word); err == nil {
			v = hostView(c, h)
			v.Leader, v.Draining = h.ID == leader, s.drainings(c, h)[h.ID]
		}
	})
	return v, err
}

// hostNamed knows a host by its id, its name, or a prefix of the id; it must be one host only.
func hostNamed(c *cluster.Snapshot, word string) (*cluster.Host, error) {
	if h := c.Hosts[cluster.HostID(word)]; known(h) {
		return h, nil
	}
	var named, begun []*cluster.Host
	for id, h := range c.Hosts {
		switch {
		case !known(h):
		case h.Name() == word:
			named = append(named, h)
		case word != "" && strings.HasPrefix(string(id), word):
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
		return nil, Refuse(http.StatusNotFound, "flotilla list-machines shows them", "no host %q in the cluster", word)
	}
	return nil, Refuse(http.StatusConflict, "write more digits of the id", "%q fits %d hosts", word, len(found))
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
	if err := s.checkDrain(h, p); err != nil {
		s.fail(w, err)
		return
	}
	seen, err := s.seeReboots(cluster.HostID(h.ID), p)
	if err != nil {
		s.fail(w, err)
		return
	}
	if p.Remove != nil && *p.Remove {
		if h.State == HostAlive {
			s.fail(w, Refuse(http.StatusConflict, "run flotilla leave there, or stop its flotilla-agent first", "%s is alive: only an absent host can be removed", h.Name))
			return
		}
		if err := s.leaveEtcd(r.Context(), cluster.HostID(h.ID)); err != nil {
			s.fail(w, err)
			return
		}
	}
	v, err := s.editHost(r, cluster.HostID(h.ID), match, func(spec *cluster.HostSpec) {
		by := s.note(r, p.Why)
		applyPatch(spec, p, by)
		applyDrain(spec, p, by)
		applyReboots(spec, p, seen, by)
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("ETag", etag(v.Revision))
	s.answer(w, v)
}

// seeReboots checks what a patch asks of a host's reboots against what the mirror shows.
func (s *Server) seeReboots(id cluster.HostID, p HostPatch) (seen grantSeen, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		h := c.Hosts[id]
		if h == nil {
			err = noHostAnyMore(id)
			return
		}
		seen = grantSeen{Grant: h.Grant, rev: c.Revision, grantRev: h.GrantRev}
		err = checkReboots(h, p, c.Revision, s.opt.Now())
	})
	return seen, err
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
	v, err := s.findHost(ctx, string(id))
	var e *Error
	if errors.As(err, &e) && e.Code == CodeNotFound {
		err = noHostAnyMore(id)
	}
	return v, err
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
	switch {
	case p.Remove == nil:
	case !*p.Remove:
		spec.Readmit()
	case !spec.Left: // a host that left stays free to join again
		spec.Removed = &by
	}
}
