package api

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
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
			s.fail(w, s.unusable("no leader is known to "+s.opt.Name+", which does not mirror the cluster itself",
				"ask again in some seconds, or on a host that runs etcd"))
			return
		}
		s.proxy(address).ServeHTTP(w, r)
	}
}

// needComplete refuses while the mirror has not seen the whole store yet.
func (s *Server) needComplete(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.complete() {
			h(w, r)
			return
		}
		why := "the store is not loaded yet"
		if err := s.opt.Mirror.Err(); err != nil {
			why += ": " + oneLine(err.Error())
		}
		s.fail(w, s.unusable(why, "ask again in some seconds; workloads keep running"))
	}
}

// unusable says why this daemon cannot show the cluster: by what its agent knows, else by why.
func (s *Server) unusable(why, hint string) *Error {
	l := s.opt.Local()
	switch {
	case l.Frozen != "":
		why, hint = frozen(l), "flotilla accept-store, if that is meant; workloads keep running"
	case !l.StoreOut.IsZero():
		why, hint = "etcd does not answer since "+clock(l.StoreOut), "is a majority of its members up? workloads keep running"
	}
	return Refuse(http.StatusServiceUnavailable, hint, "%s", why)
}

func frozen(l Local) string {
	return fmt.Sprintf("%s is frozen: %s", l.Name, strings.TrimPrefix(oneLine(l.Frozen), "frozen: "))
}

// clock is an instant as sentences show it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// health are sentences on why what this daemon shows may be old, or its host not as ordered.
func (s *Server) health() []string {
	l := s.opt.Local()
	var out []string
	if l.Frozen != "" {
		out = append(out, frozen(l)+" (flotilla accept-store, if that is meant)")
	}
	switch err := s.opt.Mirror.Err(); {
	case !l.StoreOut.IsZero():
		out = append(out, fmt.Sprintf("etcd does not answer since %s: this is what was known then; nothing can be changed, workloads keep running", clock(l.StoreOut)))
	case err != nil:
		out = append(out, "what is shown may be old: "+oneLine(err.Error()))
	}
	if l.Message != "" && l.Message != l.Frozen {
		out = append(out, l.Name+": "+oneLine(l.Message))
	}
	return out
}

// proxy passes a request on to another daemon, streams included.
func (s *Server) proxy(address string) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     s.opt.Peers.Transport(),
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "https", Host: address})
			p.Out.Header.Set(forwarded, s.opt.Name)
			p.Out.Header.Set(askedBy, s.caller(p.In))
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			s.fail(w, Refuse(http.StatusBadGateway, "is that host up? if not, another leads in some seconds", "ask the leader at %s: %s", address, oneLine(err.Error())))
		},
	}
}
