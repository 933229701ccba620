package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"flotilla/cluster"
	"flotilla/units"
)

// listGroups answers GET /v1/groups, by name. The default group is among them when nobody made it, too.
func (s *Server) listGroups(w http.ResponseWriter, r *http.Request) {
	if err := noParameters(r); err != nil {
		s.fail(w, err)
		return
	}
	list, rev, err := s.groupViews()
	if err != nil {
		s.fail(w, err)
		return
	}
	sendList(w, rev, list)
}

// sendList answers with one line for each thing.
func sendList[T any](w http.ResponseWriter, rev int64, list []T) {
	w.Header().Set(revisionHeader, strconv.FormatInt(rev, 10))
	out := newStream(w)
	for _, v := range list {
		if out.send(v) != nil {
			return
		}
	}
}

// noParameters refuses a query where none is known.
func noParameters(r *http.Request) error {
	for key := range r.URL.Query() {
		return Refuse(http.StatusBadRequest, "see docs/api.md", "unknown parameter %q", key)
	}
	return nil
}

// groupViews are all groups and the revision at which they were seen.
func (s *Server) groupViews() (out []Group, rev int64, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		rev = c.Revision
		members := cluster.NewMembership(c).Members(c)
		for _, head := range groupHeads(c, true) {
			out = append(out, groupView(head, len(members[head.Name])))
		}
	})
	return out, rev, err
}

// findGroup is the group of a name.
func (s *Server) findGroup(name string) (Group, error) {
	list, _, err := s.groupViews()
	if err != nil {
		return Group{}, err
	}
	i := slices.IndexFunc(list, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, noGroup(name)
	}
	return list[i], nil
}

func noGroup(name string) error {
	return Refuse(http.StatusNotFound, "flotilla group list shows them", "no group %q", name)
}

// group answers GET /v1/groups/NAME.
func (s *Server) group(w http.ResponseWriter, r *http.Request) {
	g, err := s.findGroup(r.PathValue("name"))
	s.answerRevised(w, g.Revision, g, err)
}

// answerRevised answers with a thing and its revision.
func (s *Server) answerRevised(w http.ResponseWriter, rev int64, v any, err error) {
	if err != nil {
		s.fail(w, err)
		return
	}
	if rev > 0 {
		w.Header().Set("ETag", etag(rev))
	}
	s.answer(w, v)
}

// putGroup answers PUT /v1/groups/NAME.
func (s *Server) putGroup(w http.ResponseWriter, r *http.Request) {
	var g Group
	name := r.PathValue("name")
	match, err := readPut(w, r, &g, func() string { return g.Name })
	if err == nil {
		err = refusal(g.spec().Check(name))
	}
	if err == nil {
		err = s.windowsExist(r.Context(), g.Windows)
	}
	if err == nil {
		err = s.editGroup(r, name, match, g.spec())
	}
	if err == nil {
		g, err = s.findGroup(name)
	}
	s.answerRevised(w, g.Revision, g, err)
}

// readPut reads the body of a PUT into a struct whose name must be that of the path, and what must be there before.
func readPut(w http.ResponseWriter, r *http.Request, into any, named func() string) (match int64, err error) {
	if err = decode(w, r, into); err != nil {
		return 0, err
	}
	if name := r.PathValue("name"); named() != "" && named() != name {
		return 0, Refuse(http.StatusBadRequest, "leave the name out of the body", "the path names %q, the body %q", name, named())
	}
	return ifMatch(r)
}

// refusal is a fault of what was sent as an answer.
func refusal(err error) error {
	var bad *units.Error
	if errors.As(err, &bad) {
		return Refuse(http.StatusBadRequest, bad.Hint, "%s", bad.Msg)
	}
	return err
}

// windowsExist asks the store, for the mirror may not have seen a window that was just made.
func (s *Server) windowsExist(ctx context.Context, names []string) error {
	for _, name := range names {
		found := false
		_, err := s.opt.Store.EditWindow(ctx, name, 0, func(was *cluster.Window) (*cluster.Window, error) {
			found = was != nil
			return was, nil
		})
		if err != nil {
			return err
		}
		if !found {
			return Refuse(http.StatusBadRequest, "flotilla window list shows what there is, flotilla window set makes one", "no window %q", name)
		}
	}
	return nil
}

// editGroup makes a group durable and waits until the mirror has it. A freeze stays.
func (s *Server) editGroup(r *http.Request, name string, match int64, next cluster.Group) error {
	next.By = s.note(r, "")
	rev, err := s.opt.Store.EditGroup(r.Context(), name, match, func(was *cluster.Group) (*cluster.Group, error) {
		if was == nil {
			return &next, nil
		}
		next.Freeze = was.Freeze
		same := next
		if same.By = was.By; reflect.DeepEqual(same, *was) {
			return was, nil
		}
		return &next, nil
	})
	if err != nil {
		return err
	}
	return s.await(r.Context(), rev)
}

// deleteGroup answers DELETE /v1/groups/NAME.
func (s *Server) deleteGroup(w http.ResponseWriter, r *http.Request) {
	match, err := ifMatch(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	name := r.PathValue("name")
	if err := refusal(cluster.CheckGroupName(name)); err != nil {
		s.fail(w, err)
		return
	}
	rev, err := s.opt.Store.EditGroup(r.Context(), name, match, func(was *cluster.Group) (*cluster.Group, error) {
		if was == nil && match <= 0 { // with a revision it is there, but cannot be read
			return nil, noGroup(name)
		}
		return nil, nil
	})
	if err == nil {
		err = s.await(r.Context(), rev)
	}
	s.answerRevised(w, 0, Group{Name: name}, err)
}
