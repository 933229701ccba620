package api

import (
	"context"
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
		address := ""
		if r.Header.Get(forwarded) == "" {
			s.started(r.Context(), nil, func() bool {
				_, address = s.opt.Peers.Leader(r.Context())
				return address != ""
			})
		}
		if address == "" {
			s.fail(w, s.unusable("no leader is known to "+s.opt.Name+", which does not mirror the cluster itself",
				"ask again in some seconds, or on a host that runs etcd"))
			return
		}
		s.proxy(address).ServeHTTP(w, r)
	}
}

// startWait is how long a request waits for what a daemon that has just started does not know yet.
const startWait = 5 * time.Second

// started waits until ready, which is asked at each wake and now and then, and says whether it
// is. It gives up after startWait, and as soon as the agent knows that the store is no help.
func (s *Server) started(ctx context.Context, wake <-chan struct{}, ready func() bool) bool {
	limit := time.NewTimer(startWait)
	defer limit.Stop()
	tick := time.NewTicker(startWait / 20)
	defer tick.Stop()
	for !ready() {
		if l := s.opt.Local(); l.Frozen != "" || !l.StoreOut.IsZero() {
			return false
		}
		select {
		case <-wake:
		case <-tick.C:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// loaded waits for the first load of a daemon that has just started.
func (s *Server) loaded(ctx context.Context) bool {
	if s.complete() {
		return true
	}
	wake, stop := s.opt.Mirror.Subscribe()
	defer stop()
	return s.started(ctx, wake, s.complete)
}

// needComplete refuses while the mirror has not seen the whole store, for which it waits a moment.
func (s *Server) needComplete(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.loaded(r.Context()) {
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
		why, hint = l.frozen(), "workloads keep running"
		if !strings.Contains(why, acceptStore) {
			hint = acceptHint + "; " + hint
		}
	case !l.StoreOut.IsZero():
		why, hint = "etcd does not answer since "+clock(l.StoreOut), "is a majority of its members up? workloads keep running"
	}
	return Refuse(http.StatusServiceUnavailable, hint, "%s", why)
}

// What a person does about a frozen host. Most reasons name it already.
const (
	acceptStore = "flotilla accept-store"
	acceptHint  = acceptStore + ", if that is meant"
)

func (l Local) frozen() string {
	return fmt.Sprintf("%s is frozen: %s", l.Name, strings.TrimPrefix(oneLine(l.Frozen), "frozen: "))
}

// FrozenText says of a host that follows no orders why, and what to type.
func (l Local) FrozenText() string {
	why := l.frozen()
	if strings.Contains(why, acceptStore) {
		return why
	}
	return why + " (" + acceptHint + ")"
}

// FrozenNotices are sentences for a person about a host that follows no orders; nil while it does.
// Of the other hosts nobody knows: a frozen host writes nothing.
func (l Local) FrozenNotices() []string {
	if l.Frozen == "" {
		return nil
	}
	return []string{l.FrozenText(), "other hosts may be frozen too: flotilla status on each tells"}
}

// clock is an instant as sentences show it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// health are sentences on why what this daemon shows may be old, or its host not as ordered.
func (s *Server) health() []string {
	l := s.opt.Local()
	out := l.FrozenNotices()
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
