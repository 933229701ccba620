package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"flotilla/cluster"
)

// nextOpenings is how many openings are shown unless so many are asked for, and mostOpenings how many at most.
const (
	nextOpenings = 5
	mostOpenings = 100
)

// listWindows answers GET /v1/windows, by name.
func (s *Server) listWindows(w http.ResponseWriter, r *http.Request) {
	if err := noParameters(r); err != nil {
		s.fail(w, err)
		return
	}
	list, rev, err := s.windowViews()
	if err != nil {
		s.fail(w, err)
		return
	}
	sendList(w, rev, list)
}

func (s *Server) windowViews() (out []Window, rev int64, err error) {
	now := s.opt.Now()
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		rev = c.Revision
		for _, name := range slices.Sorted(maps.Keys(c.Windows)) {
			out = append(out, windowView(c.Windows[name], groupsNaming(c, name), now))
		}
	})
	return out, rev, err
}

// groupsNaming are the groups whose window this is, by name.
func groupsNaming(c *cluster.Snapshot, window string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		if slices.Contains(c.Groups[name].Windows, window) {
			out = append(out, name)
		}
	}
	return out
}

// findWindow is the window of a name, as it is shown and as the mirror has it.
func (s *Server) findWindow(name string) (v Window, head cluster.WindowHead, err error) {
	now := s.opt.Now()
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		found := c.Windows[name]
		switch {
		case !c.Complete:
			err = incomplete()
		case found == nil:
			err = noWindow(name)
		default:
			v, head = windowView(found, groupsNaming(c, name), now), *found
		}
	})
	return v, head, err
}

func noWindow(name string) error {
	return Refuse(http.StatusNotFound, "flotilla window list shows them", "no window %q", name)
}

// window answers GET /v1/windows/NAME.
func (s *Server) window(w http.ResponseWriter, r *http.Request) {
	v, _, err := s.findWindow(r.PathValue("name"))
	s.answerRevised(w, v.Revision, v, err)
}

// windowNext answers GET /v1/windows/NAME/next, ?n= of them.
func (s *Server) windowNext(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, err := number(q, "n", nextOpenings)
	delete(q, "n")
	for key := range q {
		err = Refuse(http.StatusBadRequest, "see docs/api.md", "unknown parameter %q", key)
	}
	if err == nil && n > mostOpenings {
		err = Refuse(http.StatusBadRequest, "ask for fewer", "n=%d: at most %d", n, mostOpenings)
	}
	var v Window
	var head cluster.WindowHead
	if err == nil {
		v, head, err = s.findWindow(r.PathValue("name"))
	}
	var openings []cluster.Opening
	if err == nil {
		openings, err = head.Openings(s.opt.Now(), n)
		if head.Bad != "" || err != nil {
			err = Refuse(http.StatusConflict, "flotilla window set "+v.Name+" mends it", "window %s: %s", v.Name, v.Problem)
		}
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	list := make([]Opening, 0, len(openings))
	for _, o := range openings {
		list = append(list, openingView(o))
	}
	sendList(w, v.Revision, list)
}

// putWindow answers PUT /v1/windows/NAME.
func (s *Server) putWindow(w http.ResponseWriter, r *http.Request) {
	var v Window
	name := r.PathValue("name")
	match, err := readPut(w, r, &v, func() string { return v.Name })
	if err == nil {
		err = refusal(cluster.CheckGroupName(name))
	}
	if err == nil {
		err = refusal(v.spec().Check())
	}
	if err == nil {
		err = s.editWindow(r, name, match, v.spec())
	}
	if err == nil {
		v, _, err = s.findWindow(name)
	}
	s.answerRevised(w, v.Revision, v, err)
}

func (s *Server) editWindow(r *http.Request, name string, match int64, next cluster.Window) error {
	next.By = s.note(r, "")
	rev, err := s.opt.Store.EditWindow(r.Context(), name, match, func(was *cluster.Window) (*cluster.Window, error) {
		if was != nil {
			same := next
			if same.By = was.By; reflect.DeepEqual(same, *was) {
				return was, nil
			}
		}
		return &next, nil
	})
	if err != nil {
		return err
	}
	return s.await(r.Context(), rev)
}

// deleteWindow answers DELETE /v1/windows/NAME. One that a group names stays.
func (s *Server) deleteWindow(w http.ResponseWriter, r *http.Request) {
	match, err := ifMatch(r)
	name := r.PathValue("name")
	if err == nil {
		err = refusal(cluster.CheckGroupName(name))
	}
	if err == nil {
		err = s.unnamed(name)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	rev, err := s.opt.Store.EditWindow(r.Context(), name, match, func(was *cluster.Window) (*cluster.Window, error) {
		if was == nil && match <= 0 { // with a revision it is there, but cannot be read
			return nil, noWindow(name)
		}
		return nil, nil
	})
	if err == nil {
		err = s.await(r.Context(), rev)
	}
	s.answerRevised(w, 0, Window{Name: name}, err)
}

// unnamed refuses to delete a window that groups name: they would never reboot by themselves any more, unnoticed.
func (s *Server) unnamed(name string) (err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		groups := groupsNaming(c, name)
		if c.Windows[name] == nil || len(groups) == 0 {
			return
		}
		of := "group " + groups[0]
		if len(groups) > 1 {
			of = "groups " + strings.Join(groups, ", ")
		}
		err = Refuse(http.StatusConflict, "flotilla group set "+groups[0]+" --window … names others first, --clear windows names none", "window %s is one of %s", name, of)
	})
	return err
}
