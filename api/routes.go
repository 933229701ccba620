package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// storeWait is how long a request waits for etcd: longer than an election of etcd's takes,
// shorter than a person's patience. leaveWait is more, because etcd lets a
// member go only once it is sure of the others.
const (
	storeWait = 5 * time.Second
	leaveWait = 20 * time.Second
)

// route is one method of one resource.
type route struct {
	pattern string // "GET /v1/units"
	handle  http.HandlerFunc
	needs   need
	within  time.Duration // 0 = as long as the client listens
	who     Role          // the least role over TLS
}

// need says where a request can be answered.
type need int

const (
	here     need = iota // by any daemon
	mirrored             // where the cluster is mirrored: here or at the leader
)

func (s *Server) routes() []route {
	return []route{
		{"GET /v1/version", s.version, here, storeWait, RoleStranger},
		{"POST /v1/join", s.opt.Admit.ServeHTTP, here, 0, RoleStranger},
		{"POST /v1/renew", s.opt.Admit.ServeHTTP, here, 0, RoleHost},
		{"GET /v1/local", s.local, here, storeWait, RoleHost},
		{"GET /metrics", s.opt.Metrics.ServeHTTP, here, 0, RoleHost},

		{"GET /v1/cluster", s.cluster, mirrored, storeWait, RoleHost},
		{"GET /v1/units", s.listUnits, mirrored, 0, RoleHost},
		{"GET /v1/units/{name}", s.unit, mirrored, storeWait, RoleHost},
		{"PUT /v1/units/{name}", s.putUnit, here, storeWait, RoleAdmin},
		{"DELETE /v1/units/{name}", s.deleteUnit, here, storeWait, RoleAdmin},
		{"GET /v1/units/{name}/content", s.content, mirrored, storeWait, RoleHost},
		{"GET /v1/units/{name}/dropins", s.dropIns, mirrored, storeWait, RoleHost},
		{"POST /v1/changes", s.changes, here, 0, RoleAdmin},
		{"GET /v1/hosts", s.listHosts, mirrored, 0, RoleHost},
		{"GET /v1/hosts/{host}", s.host, mirrored, storeWait, RoleHost},
		{"PATCH /v1/hosts/{host}", s.patchHost, mirrored, leaveWait, RoleHost},
		{"POST /v1/hosts/{host}/orphans/{unit}/stop", s.stopOrphan, mirrored, storeWait, RoleHost},
		{"GET /v1/reboots", s.listReboots, mirrored, 0, RoleHost},
		{"GET /v1/reboots/history", s.listHistory, mirrored, 0, RoleHost},
		{"PATCH /v1/reboots/groups/{group}", s.patchGroup, mirrored, storeWait, RoleHost},
		{"PATCH /v1/reboots/policy", s.patchPolicy, mirrored, storeWait, RoleHost},
		{"GET /v1/doctor", s.doctor, mirrored, storeWait, RoleHost},
		{"GET /v1/groups", s.listGroups, mirrored, storeWait, RoleHost},
		{"GET /v1/groups/{name}", s.group, mirrored, storeWait, RoleHost},
		{"PUT /v1/groups/{name}", s.putGroup, mirrored, storeWait, RoleHost},
		{"DELETE /v1/groups/{name}", s.deleteGroup, mirrored, storeWait, RoleHost},
		{"GET /v1/windows", s.listWindows, mirrored, storeWait, RoleHost},
		{"GET /v1/windows/{name}", s.window, mirrored, storeWait, RoleHost},
		{"GET /v1/windows/{name}/next", s.windowNext, mirrored, storeWait, RoleHost},
		{"PUT /v1/windows/{name}", s.putWindow, mirrored, storeWait, RoleHost},
		{"DELETE /v1/windows/{name}", s.deleteWindow, mirrored, storeWait, RoleHost},
		{"GET /v1/explain/{thing}", s.explain, mirrored, storeWait, RoleHost},
		{"POST /v1/simulate", s.simulate, mirrored, 0, RoleHost},
		{"GET /v1/snapshot", s.snapshot, mirrored, 0, RoleHost},
		{"POST /v1/drains", s.planDrains, mirrored, 0, RoleHost},
		{"POST /v1/rebalance", s.rebalance, mirrored, 0, RoleHost},
		{"GET /v1/logs", s.logs, here, 0, RoleHost},
		{"GET /v1/logs/{$}", s.logs, here, 0, RoleHost},
		{"GET /v1/logs/{thing}", s.logs, here, 0, RoleHost},
		{"GET /v1/events", s.listEvents, mirrored, 0, RoleHost},
		{"POST /v1/failover/resume", s.resumeFailover, mirrored, storeWait, RoleHost},
		{"POST /v1/store/accept", s.acceptStore, here, storeWait, RoleAdmin},
		{"POST /v1/tokens", s.newToken, here, storeWait, RoleAdmin},
	}
}

// Handler serves the API. Requests over TLS must carry a certificate of the cluster, but for joining.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range s.routes() {
		h := rt.handle
		if rt.within > 0 {
			h = within(rt.within, h)
		}
		if rt.needs == mirrored {
			h = s.needMirror(h)
			if s.opt.Mirror == nil && rt.within > 0 { // a leader that stands still must not hold us up
				h = within(rt.within+time.Second, h)
			}
		}
		mux.HandleFunc(rt.pattern, s.allow(rt.who, h))
		method, path, _ := strings.Cut(rt.pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, known := range methods {
		slices.Sort(known)
		allowed := strings.Join(known, ", ")
		mux.HandleFunc(path, s.allow(RoleStranger, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allowed)
			s.fail(w, Refuse(http.StatusMethodNotAllowed, "use "+allowed, "%s %s: this resource has no such method", r.Method, r.URL.Path))
		}))
	}
	mux.HandleFunc("/", s.noResource)
	return s.withFleetLock(mux)
}

func (s *Server) noResource(w http.ResponseWriter, r *http.Request) {
	s.fail(w, Refuse(http.StatusNotFound, "see docs/api.md", "no such resource: %s %s", r.Method, r.URL.Path))
}

// within bounds how long a handler waits for the store.
func within(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		h(w, r.WithContext(ctx))
	}
}

// allow lets in who came over the unix socket (its permissions decide) or with a
// certificate of the cluster's CA that has the role.
func (s *Server) allow(least Role, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || least == RoleStranger {
			h(w, r)
			return
		}
		switch role, name := s.opt.Peer(r.TLS); {
		case role == RoleStranger:
			s.fail(w, Refuse(http.StatusUnauthorized, "run this on a host of the cluster, or make a certificate there: flotilla admin-cert NAME",
				"%s %s needs a client certificate of the cluster", r.Method, r.URL.Path))
		case role < least:
			s.fail(w, Refuse(http.StatusForbidden, "use an administrator's certificate: flotilla admin-cert NAME",
				"%s %s is not for the certificate of host %s", r.Method, r.URL.Path, cluster.HostID(name).Short()))
		case role == RoleHost && s.opt.Removed != nil && s.opt.Removed(r.Context(), cluster.HostID(name)):
			s.fail(w, Refuse(http.StatusForbidden, "flotilla host restore "+cluster.HostID(name).Short()+" takes it back",
				"host %s was removed from the cluster", cluster.HostID(name).Short()))
		default:
			h(w, r)
		}
	}
}

// askedBy is the header in which a host says for whom it passes a request on.
const askedBy = "Flotilla-Asked-By"

// caller names who asked: an administrator by certificate, or root on a host.
func (s *Server) caller(r *http.Request) string {
	if r.TLS == nil {
		return "root@" + s.opt.Name
	}
	role, name := s.opt.Peer(r.TLS)
	if who := r.Header.Get(askedBy); role == RoleHost && who != "" && len(who) <= 256 {
		return who
	}
	return name
}

func (s *Server) note(r *http.Request, why string) cluster.Note {
	return cluster.Note{Who: s.caller(r), When: s.opt.Now().UTC(), Why: why}
}
