package main

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/units"
)

var rewrite = flag.Bool("rewrite", false, "write what render prints back into testdata/render")

// TestRender: what each Compose file becomes, for both runtimes, and what is said with it.
func TestRender(t *testing.T) {
	t.Setenv("UNSET_SOMEWHERE", "")
	if err := os.Unsetenv("UNSET_SOMEWHERE"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join("testdata", "render"))
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/render has %d Compose files: %v", len(files), err)
	}
	for _, file := range files {
		for _, runtime := range []string{"docker", "podman"} {
			golden := strings.TrimSuffix(file, ".yaml") + "." + runtime
			t.Run(golden, func(t *testing.T) {
				var stdout, stderr bytes.Buffer
				if code := run(t.Context(), []string{"flotilla", "render", "-f", file, "--runtime", runtime}, &stdout, &stderr); code != 0 {
					t.Fatalf("exit code %d: %s", code, stderr.String())
				}
				got := stdout.String() + "\n# says:\n# " + strings.ReplaceAll(strings.TrimSpace(stderr.String()), "\n", "\n# ") + "\n"
				if *rewrite {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("render %s (-want +got; -rewrite accepts it):\n%s", file, diff)
				}
			})
		}
	}
}

// TestRenderedVerify: systemd has nothing to say about any rendered unit.
func TestRenderedVerify(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "render", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/render has %d Compose files: %v", len(files), err)
	}
	for _, file := range files {
		for _, runtime := range []string{"docker", "podman"} {
			t.Run(filepath.Base(file)+" "+runtime, func(t *testing.T) {
				dir := t.TempDir()
				var stdout, stderr bytes.Buffer
				if code := run(t.Context(), []string{"flotilla", "render", "-f", file, "--runtime", runtime, "-o", dir}, &stdout, &stderr); code != 0 {
					t.Fatalf("exit code %d: %s", code, stderr.String())
				}
				verifyUnits(t, strings.Fields(stdout.String()))
			})
		}
	}
}

// verifyUnits demands that systemd-analyze verify has nothing to say about template units, of which it
// sees an instance. The runtimes need not be on this machine: programs that are stand in for them.
func verifyUnits(t *testing.T, files []string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: install the package systemd")
	}
	dir := t.TempDir()
	stand := strings.NewReplacer("/usr/bin/podman", "/bin/true", "/usr/bin/docker", "/bin/true", "=docker.service", "=basic.target")
	args := []string{"verify", "--man=no"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, strings.Replace(filepath.Base(file), "@.", "@1.", 1))
		if err := os.WriteFile(path, []byte(stand.Replace(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestExamples: every unit file of examples/ is accepted, systemd has nothing to say about it, and its
// Compose files render.
func TestExamples(t *testing.T) {
	var files []string
	err := filepath.WalkDir(filepath.Join("..", "..", "examples"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("examples has %d files: %v", len(files), err)
	}
	var unitFiles []string
	for _, file := range files {
		switch filepath.Ext(file) {
		case ".md":
		case ".yaml":
			for _, runtime := range []string{"docker", "podman"} {
				var stdout, stderr bytes.Buffer
				if code := run(t.Context(), []string{"flotilla", "render", "-f", file, "--runtime", runtime, "-o", t.TempDir()}, &stdout, &stderr); code != 0 {
					t.Errorf("render %s for %s: %s", file, runtime, stderr.String())
				}
			}
		default:
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := units.Verify(units.Name(filepath.Base(file)), text); err != nil {
				t.Error(err)
			}
			unitFiles = append(unitFiles, file)
		}
	}
	verifyUnits(t, unitFiles)
}
