package api

import (
	"net/http"
	"time"
)

// newToken answers POST /v1/tokens {"ttl": "1h"}.
func (s *Server) newToken(w http.ResponseWriter, r *http.Request) {
	var body struct {
		TTL string `json:"ttl"`
	}
	if err := decode(w, r, &body); err != nil {
		s.fail(w, err)
		return
	}
	ttl := time.Hour
	if body.TTL != "" {
		d, err := time.ParseDuration(body.TTL)
		if err != nil || d < time.Minute || d > 7*24*time.Hour {
			s.fail(w, Refuse(http.StatusBadRequest, "write 30m or 24h", "ttl %q: want a duration from 1m to 168h", body.TTL))
			return
		}
		ttl = d
	}
	t, err := s.opt.Tokens.NewToken(r.Context(), ttl)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, t)
}
