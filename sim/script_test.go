package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write what the scenarios print back into testdata")

// TestScenarios plays the scripts: blocks of commands, a line of dashes, what they print,
// an empty line. The judge watches them too.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			synctest.Test(t, func(t *testing.T) { playScript(t, f, NewScript(dir)) })
		})
	}
}

func playScript(t *testing.T, file string, s *Script) {
	defer s.Close()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%s\n----\n", input)
		for line := range strings.Lines(input) {
			printed, err := s.Do(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString(printed)
		}
	}
	if broken := s.World().Judge.Broken(); len(broken) > 0 {
		t.Errorf("%s: broken: %s\ntrace:\n%s", file, strings.Join(broken, "\n"), s.World().Judge.Trace())
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(raw), out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
