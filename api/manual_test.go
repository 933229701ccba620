package api

import (
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestManualNamesEveryResource: docs/api.md has every method and path, every JSON field,
// and every code of an error.
func TestManualNamesEveryResource(t *testing.T) {
	raw, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	s := New(Options{Admit: http.NotFoundHandler(), Metrics: http.NotFoundHandler()})
	for _, rt := range s.routes() {
		if !strings.HasSuffix(rt.pattern, "/{$}") && !strings.Contains(text, "`"+rt.pattern+"`") {
			t.Errorf("docs/api.md does not name %s", rt.pattern)
		}
	}
	for _, v := range []any{Unit{}, Instance{}, Host{}, Cluster{}, Waiting{}, Local{}, Change{}, Result{}, HostPatch{}, Explanation{}, Event{}, LogEntry{}, Version{}, Accepted{}, Token{}, Group{}, GroupStage{}, GroupCheck{}, GroupPromQL{}, GroupTimes{}, Window{}, Opening{}} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+name+"`") {
				t.Errorf("docs/api.md does not name %T.%s", v, name)
			}
		}
	}
	for status := range 600 {
		if c := code(status); !strings.Contains(text, "`"+c+"`") {
			t.Errorf("docs/api.md does not name the code %s", c)
		}
	}
}
