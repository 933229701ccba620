package main

import (
	"path/filepath"
	"testing"

	"flotilla/api"
	"flotilla/api/apitest"
)

// TestReplaceReachesGlobs: --replace of a glob is that of each unit it matches.
func TestReplaceReachesGlobs(t *testing.T) {
	c, err := apitest.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	socket := filepath.Join(shortDir(t), "s")
	stop, err := c.Hosts[0].Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("FLOTILLA_ENDPOINT", "unix://"+socket)
	writeBadFiles(t, dir)
	if code, said := newBench(t, true).run(t, "start web@1 web@2"); code != 0 {
		t.Fatalf("start web@1 web@2 = %d %s", code, said)
	}
	cl, err := api.NewClient("unix://"+socket, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := verb{name: "start", content: true}
	for _, replace := range []bool{true, false} {
		g := gatherer{ctx: t.Context(), cl: cl, verb: start, replace: replace}
		changes, err := g.resolve("web@?.service")
		if err != nil || len(changes) != 2 {
			t.Fatalf("resolve = %v, %v, want two changes", changes, err)
		}
		for _, ch := range changes {
			if ch.Replace != replace {
				t.Errorf("change of %s: replace = %v, want %v", ch.Name, ch.Replace, replace)
			}
		}
	}
}
