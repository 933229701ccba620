package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// TestStoreErrorIsSaidOnce: 97,000 changes that met the same silence of etcd are one line, and nothing is waited for.
func TestStoreErrorIsSaidOnce(t *testing.T) {
	var out, talk bytes.Buffer
	c := cli.NewContext(&cli.App{Writer: &out, ErrWriter: &talk}, flag.NewFlagSet("start", flag.ContinueOnError), nil)
	results := []api.Result{{Name: "web@1.service", Changed: true, Note: "created", Revision: 7}}
	for i := range 500 {
		results = append(results, api.Result{Name: fmt.Sprintf("web@%d.service", i+2), Error: api.Refuse(http.StatusServiceUnavailable, "mend it", "etcd does not answer")})
	}
	err := follow(t.Context(), c, nil, verb{name: "start", waits: true}, results)
	if want := "500 of 501 units not changed, the first is web@2.service: etcd does not answer (mend it)"; err == nil || err.Error() != want {
		t.Errorf("follow = %v, want %q", err, want)
	}
	if text := out.String() + talk.String(); strings.Contains(text, "etcd") {
		t.Errorf("the error is told besides: %.200q", text)
	}
}
