package flotilla

import (
	"go/ast"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A document is a Markdown file of the module.
type document struct {
	path  string
	lines []string
}

var (
	linkTarget  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	commandLine = regexp.MustCompile(`(?:^|[\s'"(/;&|])flotilla ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?:[\s'");.]|$)`)
	hintCommand = regexp.MustCompile(`'flotilla ([a-z][a-z-]*)`)
	inlineCode  = regexp.MustCompile("`([^`]+)`")
	fileName    = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._/-]*$`)
	ourEnding   = regexp.MustCompile(`\.(go|md|sh|bu|txt|mod)$`)
	testFunc    = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	testName    = regexp.MustCompile(`\bTest[A-Z]\w*`)
	longFlag    = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// TestLinksResolve: a relative link of a document leads to a file of the module.
func TestLinksResolve(t *testing.T) {
	for _, d := range documents(t) {
		code := false
		for i, line := range d.lines {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			if code {
				continue
			}
			for _, m := range linkTarget.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
				u, err := url.Parse(m[1])
				if err != nil || u.Scheme != "" || u.Path == "" {
					continue
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(d.path), u.Path)); err != nil {
					t.Errorf("%s:%d: the link %s leads nowhere", d.path, i+1, m[1])
				}
			}
		}
	}
}

// TestNamedFilesExist: a path between backticks that begins with a folder of the module, or ends
// as our files do, is one of its files.
func TestNamedFilesExist(t *testing.T) {
	files := moduleFiles(t)
	for _, d := range documents(t) {
		for i, line := range d.lines {
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				if named := m[1]; !namesFile(files, path.Dir(d.path), named) {
					t.Errorf("%s:%d: there is no %s", d.path, i+1, named)
				}
			}
		}
	}
}

// moduleFiles are the files and folders of the module, by their paths.
func moduleFiles(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (p == ".git" || p == "bin" || p == ".flotilla") {
			return filepath.SkipDir
		}
		out[p] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// namesFile is false for what looks like a file of the module and is none. A mere name may
// be that of a file in any folder.
func namesFile(files map[string]bool, dir, named string) bool {
	top, _, inside := strings.Cut(named, "/")
	if !fileName.MatchString(named) || !ourEnding.MatchString(named) && !(inside && files[top]) {
		return true
	}
	if named = path.Clean(named); files[named] || files[path.Join(dir, named)] {
		return true
	}
	for f := range files {
		if !inside && path.Base(f) == named {
			return true
		}
	}
	return false
}

// TestNamedTestsExist: a test that a document names is one.
func TestNamedTestsExist(t *testing.T) {
	known := map[string]bool{}
	for f := range moduleFiles(t) {
		if !strings.HasSuffix(f, "_test.go") {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(data), -1) {
			known[m[1]] = true
		}
	}
	for _, d := range documents(t) {
		for i, line := range d.lines {
			for _, name := range testName.FindAllString(line, -1) {
				if !known[name] {
					t.Errorf("%s:%d: there is no test %s", d.path, i+1, name)
				}
			}
		}
	}
}

// TestNamesFile: the check of named files sees one that is not there.
func TestNamesFile(t *testing.T) {
	files := map[string]bool{"docs": true, "docs/api.md": true, "e2e": true, "e2e/run": true, "arch_test.go": true}
	for named, want := range map[string]bool{
		"docs/api.md": true, "docs/": true, "e2e/run": true, "arch_test.go": true, "api.md": true, "../e2e/run": true,
		"docs/none.md": false, "e2e/runs": false, "hosts.md": false, "anchors/reboots.md": false, "none_test.go": false,
		"alive/<host>": true, "flotilla status": true, "/etc/hosts": true, "to/x": true, "web.service": true, "e2e/*": true,
	} {
		if got := namesFile(files, "docs", named); got != want {
			t.Errorf("namesFile(%s) = %v, want %v", named, got, want)
		}
	}
}

// TestCommandsExist: what documents show as a command is one, with flags that exist.
func TestCommandsExist(t *testing.T) {
	known, flags := commands(t)
	for _, d := range documents(t) {
		for i, code := range d.code() {
			for _, m := range commandLine.FindAllStringSubmatch(code, -1) {
				switch subs, ok := known[m[1]]; {
				case !ok:
					t.Errorf("%s:%d: flotilla %s is no command", d.path, i+1, m[1])
				case len(subs) > 0 && m[2] != "" && !slices.Contains(subs, m[2]):
					t.Errorf("%s:%d: flotilla %s has no command %s", d.path, i+1, m[1], m[2])
				}
			}
			if !commandLine.MatchString(code) {
				continue
			}
			_, rest, _ := strings.Cut(code, "flotilla ")
			for _, f := range longFlag.FindAllString(rest, -1) {
				if !slices.Contains(flags, f[2:]) {
					t.Errorf("%s:%d: no command has a flag %s", d.path, i+1, f)
				}
			}
		}
	}
}

// TestHintsExist: a command that a message puts in quotes is one. Ten messages once named
// one that was not there.
func TestHintsExist(t *testing.T) {
	known, _ := commands(t)
	for _, f := range goFiles(t) {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			b, ok := n.(*ast.BasicLit)
			if !ok || b.Kind != token.STRING {
				return true
			}
			for _, m := range hintCommand.FindAllStringSubmatch(b.Value, -1) {
				if _, ok := known[m[1]]; !ok {
					t.Errorf("%s: a message names 'flotilla %s', which is no command", f.path, m[1])
				}
			}
			return true
		})
	}
}

// code returns the code of a document by line: blocks, and what stands between backticks.
// Comments at the end of a line and output of commands are no commands.
func (d document) code() map[int]string {
	out := map[int]string{}
	fence, console := "", false
	for i, line := range d.lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			if fence != "" {
				fence = ""
				continue
			}
			fence = "```"
			language := strings.TrimPrefix(trimmed, "```")
			console = language == "console" || language == "text"
		case fence != "" && console:
			if _, typed, ok := strings.Cut(line, ":~# "); ok {
				out[i] = typed
			}
		case fence != "":
			out[i], _, _ = strings.Cut(line, " #")
		default:
			var parts []string
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(m[1], "flotilla ") || strings.HasPrefix(m[1], "bin/flotilla ") {
					parts = append(parts, m[1])
				}
			}
			out[i] = strings.Join(parts, "; ")
		}
	}
	return out
}

// documents are the module's Markdown files.
func documents(t *testing.T) []document {
	t.Helper()
	var out []document
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && skipped(p) {
			return filepath.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".md" {
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		out = append(out, document{path: p, lines: strings.Split(string(data), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("found no document: the test runs in the wrong folder")
	}
	return out
}

// commands reads the commands, their subcommands and all flags out of the source of
// cmd/flotilla: composite literals with a Name, nested as they are in the program. Names
// that are no literal stand in the table of verbs.
func commands(t *testing.T) (known map[string][]string, flags []string) {
	t.Helper()
	known = map[string][]string{}
	for _, f := range goFiles(t) {
		if path.Dir(f.path) != "cmd/flotilla" || strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		var walk func(n ast.Node, parent string)
		walk = func(n ast.Node, parent string) {
			ast.Inspect(n, func(m ast.Node) bool {
				lit, ok := m.(*ast.CompositeLit)
				if !ok || m == n {
					return true
				}
				name := field(lit, "Name")
				if name == "" {
					name = field(lit, "name")
				}
				switch {
				case name == "" || name == "flotilla":
					return true
				case isFlag(lit):
					flags = append(append(flags, name), aliases(lit)...)
					return false
				case parent != "":
					known[parent] = append(known[parent], name)
				default:
					known[name] = append(known[name], nil...)
				}
				walk(lit, name)
				return false
			})
		}
		walk(f.tree, "")
	}
	if len(known) < 10 || len(flags) < 10 {
		t.Fatalf("found %d commands and %d flags in cmd/flotilla: the test reads them wrongly", len(known), len(flags))
	}
	return known, append(flags, "help")
}

// isFlag says whether a literal is one of the library's flags.
func isFlag(lit *ast.CompositeLit) bool {
	sel, ok := lit.Type.(*ast.SelectorExpr)
	return ok && strings.HasSuffix(sel.Sel.Name, "Flag")
}

// field is the text of a literal's field, "" if it has none that is a text.
func field(lit *ast.CompositeLit, name string) string {
	if b, ok := value(lit, name).(*ast.BasicLit); ok && b.Kind == token.STRING {
		s, _ := strconv.Unquote(b.Value)
		return s
	}
	return ""
}

// aliases are the other names of a flag.
func aliases(lit *ast.CompositeLit) []string {
	var out []string
	if list, ok := value(lit, "Aliases").(*ast.CompositeLit); ok {
		for _, e := range list.Elts {
			if b, ok := e.(*ast.BasicLit); ok {
				s, _ := strconv.Unquote(b.Value)
				out = append(out, s)
			}
		}
	}
	return out
}

func value(lit *ast.CompositeLit, name string) ast.Expr {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == name {
			return kv.Value
		}
	}
	return nil
}
