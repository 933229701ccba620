package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInterruptedBuild: Ctrl-C while the demo is built leaves an earlier demo's hosts, and so
// its endpoint too, and says how to be rid of them.
func TestInterruptedBuild(t *testing.T) {
	script, err := os.ReadFile("../demo.sh")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"e2e/demo.sh":          string(script),
		"e2e/hosts/prepare.sh": "#!/bin/sh\n",
		"bin/make":             "#!/bin/sh\nkill -INT $PPID\n",
		endpoint:               "https://10.0.0.1\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	up := exec.CommandContext(t.Context(), filepath.Join(root, "e2e/demo.sh"), "up")
	up.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
	var said strings.Builder
	up.Stderr = &said
	err = up.Run()
	if got, want := said.String(), "demo: interrupted; make demo starts it anew, make demo-down removes what there is"; up.ProcessState.ExitCode() != interrupted || strings.TrimSpace(got) != want {
		t.Errorf("interrupted demo.sh up = %v, %q, want code %d, %q", err, got, interrupted, want)
	}
	if _, err := os.Stat(filepath.Join(root, endpoint)); err != nil {
		t.Errorf("endpoint of the demo that is up: %v", err)
	}
}
