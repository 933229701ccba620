package api

import (
	"net/http"
	"net/http/httputil"
	"net/url"
)

// forwarded marks a request that came through another daemon; it is not passed on again.
const forwarded = "Flotilla-Forwarded"

// needMirror answers here, or where the mirror is: at the leader.
func (s *Server) needMirror(h http.HandlerFunc) http.HandlerFunc {
	if s.opt.Mirror != nil {
		return s.needComplete(h)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		_, address := s.opt.Peers.Leader(r.Context())
		if address == "" || r.Header.Get(forwarded) != "" {
			s.fail(w, Refuse(http.StatusServiceUnavailable, "ask again in some seconds, or on a host that runs etcd",
				"no leader is known to %s", s.opt.Name))
			return
		}
		s.proxy(address).ServeHTTP(w, r)
	}
}

// needComplete refuses while the mirror has not seen the whole store yet.
func (s *Server) needComplete(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.complete() {
			l := s.opt.Local()
			why := "the store is not loaded yet"
			switch {
			case l.Frozen != "":
				why = l.Frozen
			case !l.StoreOut.IsZero():
				why = "the store is out of reach since " + l.StoreOut.Format("15:04:05")
			}
			s.fail(w, Refuse(http.StatusServiceUnavailable, "workloads keep running; ask again when etcd answers", "%s", why))
			return
		}
		h(w, r)
	}
}

// proxy passes a request on to another daemon, streams included.
func (s *Server) proxy(address string) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     s.opt.Peers.Transport(),
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "https", Host: address})
			p.Out.Header.Set(forwarded, s.opt.Name)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			s.fail(w, Refuse(http.StatusBadGateway, "is that host up?", "ask %s: %v", address, err))
		},
	}
}
