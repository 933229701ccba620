package api

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"flotilla/cluster"
)

// TestRoutes: patterns that overlap make the mux panic when the daemon starts.
func TestRoutes(t *testing.T) {
	h := New(Options{
		Name: "h1", Now: time.Now, Admit: http.NotFoundHandler(), Metrics: http.NotFoundHandler(),
		Local: func() Local { return Local{} },
	}).Handler()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/version", http.StatusOK},
		{http.MethodPost, "/v1/logs/", http.StatusMethodNotAllowed},
		{http.MethodPost, "/v1/logs/web.service", http.StatusMethodNotAllowed},
		{http.MethodGet, "/v1/logs/web/service", http.StatusNotFound},
		{http.MethodDelete, "/v1/hosts", http.StatusMethodNotAllowed},
		{http.MethodGet, "/v2/units", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s = %d %s, want %d", c.method, c.path, w.Code, w.Body, c.want)
		}
	}
}

// TestRemovedHost: a host that an operator gave up is let in nowhere, an administrator is.
func TestRemovedHost(t *testing.T) {
	role, name := RoleHost, "gone"
	h := New(Options{
		Name: "h1", Now: time.Now, Admit: http.NotFoundHandler(), Metrics: http.NotFoundHandler(),
		Local:   func() Local { return Local{} },
		Peer:    func(*tls.ConnectionState) (Role, string) { return role, name },
		Removed: func(_ context.Context, id cluster.HostID) bool { return id == "gone" },
	}).Handler()
	for _, c := range []struct {
		role Role
		name string
		want int
	}{{RoleHost, "gone", http.StatusForbidden}, {RoleHost, "here", http.StatusOK}, {RoleAdmin, "gone", http.StatusOK}} {
		role, name = c.role, c.name
		r := httptest.NewRequest(http.MethodGet, "/v1/local", nil)
		r.TLS = &tls.ConnectionState{}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("role %d, %s: GET /v1/local = %d %s, want %d", c.role, c.name, w.Code, w.Body, c.want)
		}
	}
}
