package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// badCompose is an archive of Compose files that are refused, and what is said of each.
const badCompose = "testdata/render/bad.txt"

// TestRenderRefuses: every bad Compose file is refused in one line with file, line and remedy, and
// nothing is printed or written.
func TestRenderRefuses(t *testing.T) {
	archive, err := txtar.ParseFile(badCompose)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(badCompose)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bad.env", []byte("OK=1\nB AD=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		in, says := archive.Files[i], &archive.Files[i+1]
		name := strings.TrimSuffix(in.Name, ".yaml")
		if says.Name != name+".says" {
			t.Fatalf("%s: %s follows %s", badCompose, says.Name, in.Name)
		}
		if err := os.WriteFile("compose.yaml", in.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		got := refusal(t, name)
		if *rewrite {
			says.Data = []byte(got + "\n")
		}
		if want := strings.TrimSuffix(string(says.Data), "\n"); got != want {
			t.Errorf("%s: render says\n%s\nwant\n%s", name, got, want)
		}
		if !strings.HasPrefix(got, "compose.yaml:") && !strings.HasPrefix(got, "bad.env:2:") || !strings.HasSuffix(got, ")") || strings.Contains(got, "\n") {
			t.Errorf("%s: render says %q, want one line with file, line and remedy", name, got)
		}
	}
	if len(archive.Files) < 2*25 {
		t.Errorf("%s has %d Compose files, want 25", badCompose, len(archive.Files)/2)
	}
	if *rewrite {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// refusal renders compose.yaml with both runtimes and returns the error that both say.
func refusal(t *testing.T, name string) string {
	t.Helper()
	var said []string
	for _, runtime := range []string{"docker", "podman"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"flotilla", "render", "--runtime", runtime, "-o", "out"}, &stdout, &stderr)
		_, err := os.Stat("out")
		if code != 1 || stdout.Len() > 0 || err == nil {
			t.Errorf("%s: render = %d with %q written, want 1 and nothing", name, code, stdout.String())
		}
		said = append(said, strings.TrimPrefix(strings.TrimSpace(stderr.String()), "flotilla: error: "))
	}
	if said[0] != said[1] {
		t.Errorf("%s: render says %q for Docker and %q for Podman", name, said[0], said[1])
	}
	return said[0]
}

// TestRenderBadUTF8: an archive of text cannot hold this one.
func TestRenderBadUTF8(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("compose.yaml", []byte("services:\n  web:\n    image: \xff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const want = "compose.yaml:3: file holds bytes that are no UTF-8 (save the file as UTF-8)"
	if got := refusal(t, "utf-8"); got != want {
		t.Errorf("render says %q, want %q", got, want)
	}
}

// TestRenderLongWord: Linux takes no argument that long, and the unit would never start.
func TestRenderLongWord(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("compose.yaml", []byte("services:\n  web:\n    image: app:1\n    environment:\n      A: "+strings.Repeat("y", 122881)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := "compose.yaml:5: " + strings.Repeat("y", 64) + "... has 122881 bytes, 122880 is the most that fits into an argument (put it into a file)"
	if got := refusal(t, "long word"); got != want {
		t.Errorf("render says %q, want %q", got, want)
	}
}

// TestRenderTemplate: a template of the user's own gets the documented data, quoted; what is wrong
// with it is told with its line.
func TestRenderTemplate(t *testing.T) {
	t.Chdir(t.TempDir())
	compose := "name: shop\nservices:\n  web:\n    image: app:1\n    command: [/app, \"a b%n\"]\n    deploy: {resources: {limits: {memory: 1g}}}\n"
	if err := os.WriteFile("compose.yaml", []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"[Service]\nExecStart=/usr/bin/{{.Runtime}} run {{.Image}}{{range .Command}} {{.}}{{end}}\n": "[Service]\nExecStart=/usr/bin/podman run app:1 /app \"a b%%n\"\n",
		"[Service]\nExecStart=/bin/true\n{{with .MemoryMax}}MemoryMax={{.}}{{end}}\n":                "[Service]\nExecStart=/bin/true\nMemoryMax=1G\n",
		"":                          "own.tmpl:1: template is empty (docs/templates.md shows one)",
		"a\n{{.Nonsense}}":          "own.tmpl:2: <.Nonsense>: can't evaluate field Nonsense in type templates.Service (docs/templates.md lists what a template may use)",
		"{{if}}":                    "own.tmpl:1: missing value for if (docs/templates.md lists what a template may use)",
		"[Service]\nExecStrt=/x\n":  "rendered with own.tmpl: shop.web@.service:2: unknown option ExecStrt= (did you mean ExecStart=?)",
		"[Service]\nExecStart=x/y ": "rendered with own.tmpl: shop.web@.service:2: ExecStart= program x/y is neither an absolute path nor a bare name (write the absolute path)",
	} {
		if err := os.WriteFile("own.tmpl", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		run(t.Context(), []string{"flotilla", "render", "--template", "own.tmpl"}, &stdout, &stderr)
		got := stdout.String()
		if got == "" {
			got = strings.TrimPrefix(strings.TrimSpace(stderr.String()), "flotilla: error: ")
		}
		if got != want {
			t.Errorf("template %q: render says %q, want %q", text, got, want)
		}
	}
}

// TestRenderManual: the template that docs/templates.md shows works.
func TestRenderManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(manual), "```ini\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("docs/templates.md shows no template")
	}
	own := filepath.Join(t.TempDir(), "own.tmpl")
	if err := os.WriteFile(own, []byte(block), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"flotilla", "render", "-f", "testdata/render/full.yaml", "--template", own, "-o", dir}, &stdout, &stderr); code != 0 {
		t.Fatalf("render with the template of docs/templates.md: %s", stderr.String())
	}
	verifyUnits(t, strings.Fields(stdout.String()))
}

// FuzzRenderFile: no text makes render fall or speak without file and line.
func FuzzRenderFile(f *testing.F) {
	archive, err := txtar.ParseFile(badCompose)
	if err != nil {
		f.Fatal(err)
	}
	for _, a := range archive.Files {
		f.Add(a.Data)
	}
	for _, name := range []string{"full", "health", "environment", "hostile", "warnings"} {
		text, err := os.ReadFile(filepath.Join("testdata", "render", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("compose.yaml", text, 0o644); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if run(t.Context(), []string{"flotilla", "render"}, &stdout, &stderr) == 0 {
			return
		}
		for line := range strings.Lines(stderr.String()) {
			if said, ok := strings.CutPrefix(line, "flotilla: error: "); ok && !strings.HasPrefix(said, "compose.yaml:") {
				t.Errorf("render of %q says %q, want file and line", text, said)
			}
		}
	})
}
