package api

import (
	"net/http"
	"strconv"
	"strings"
)

// putUnit answers PUT /v1/units/NAME: the unit shall be as the body, a Change, says. Content
// that differs replaces what is there.
func (s *Server) putUnit(w http.ResponseWriter, r *http.Request) {
	var c Change
	if err := decode(w, r, &c); err != nil {
		s.fail(w, err)
		return
	}
	name := r.PathValue("name")
	if c.Name != "" && c.Name != name {
		s.fail(w, Refuse(http.StatusBadRequest, "leave the name out of the body", "the path names %q, the body %q", name, c.Name))
		return
	}
	if c.Delete {
		s.fail(w, Refuse(http.StatusBadRequest, "use DELETE", "%s: PUT does not delete", name))
		return
	}
	c.Name, c.Replace = name, c.Replace || c.Content != nil || c.DropIns != nil
	s.single(w, r, c)
}

// deleteUnit answers DELETE /v1/units/NAME.
func (s *Server) deleteUnit(w http.ResponseWriter, r *http.Request) {
	s.single(w, r, Change{Name: r.PathValue("name"), Delete: true})
}

// single makes one change under the request's If-Match.
func (s *Server) single(w http.ResponseWriter, r *http.Request, c Change) {
	match, err := ifMatch(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if match != 0 {
		c.IfMatch = match
	}
	request, err := requestID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	res := s.applyBatch(r, []Change{c}, request)[0]
	if res.Error != nil {
		s.fail(w, res.Error)
		return
	}
	if !c.Delete {
		w.Header().Set("ETag", etag(res.Revision))
	}
	s.answer(w, res)
}

// ifMatch reads If-Match: REVISION, or If-None-Match: *; 0 = neither is there.
func ifMatch(r *http.Request) (int64, error) {
	if none := r.Header.Get("If-None-Match"); none != "" {
		if none != "*" {
			return 0, Refuse(http.StatusBadRequest, "write If-None-Match: *", "If-None-Match: %q is not known here", none)
		}
		return mustNotExist, nil
	}
	text := r.Header.Get("If-Match")
	if text == "" || text == "*" {
		return 0, nil
	}
	rev, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil || rev <= 0 {
		return 0, Refuse(http.StatusBadRequest, "write the revision of an earlier answer", "If-Match: %q is no revision", text)
	}
	return rev, nil
}

func etag(rev int64) string { return strconv.Quote(strconv.FormatInt(rev, 10)) }
