package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLeaveTakesNoArguments(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"flotilla", "leave", "h3"}, &stdout, &stderr)
	if want := "it is typed on the host that leaves"; code != 2 || !strings.Contains(stderr.String(), want) {
		t.Errorf("leave h3 = %d, %q, want 2 and %q", code, stderr.String(), want)
	}
}
