package daemon

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWebhookPost: 2xx takes a message; a refusal, a redirect and a dead end are errors without the URL.
func TestWebhookPost(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
		switch r.URL.Path {
		case "/s3cret/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/s3cret/moved":
			http.Redirect(w, r, "/s3cret/ok", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	for url, want := range map[string]string{
		server.URL + "/s3cret/ok":    "",
		server.URL + "/s3cret/500":   "it answers 500 Internal Server Error",
		server.URL + "/s3cret/moved": "it answers 302 Found",
		dead.URL + "/s3cret":         "connection refused",
		"http://[::1":                "its URL is none that can be posted to",
	} {
		err := newWebhook("1.0.0").Post(t.Context(), url, []byte(`{"kind":"outcome"}`))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if (want == "") != (err == nil) || !strings.Contains(text, want) || strings.Contains(text, "s3cret") {
			t.Errorf("Post(%s) = %v, want %q", url, err, want)
		}
		if strings.HasSuffix(url, "/ok") && got != `POST application/json {"kind":"outcome"}` {
			t.Errorf("the webhook got %s", got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newWebhook("1.0.0").Post(ctx, server.URL, nil); err == nil {
		t.Error("Post() of a term that is over = nil")
	}
}
