package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
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
