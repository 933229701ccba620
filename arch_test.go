// Package flotilla holds no code: its test keeps the rooms of ARCHITECTURE.md apart.
package flotilla

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is one folder's law: which other rooms its files may import. "*" is every room.
type room struct {
	kind    string
	imports []string
}

// rooms is the table of ARCHITECTURE.md. A folder that is not listed is a mistake, so
// that a new room is a decision and not an accident.
var rooms = map[string]room{
	".":                         {"proof", nil},
	"units":                     {"thing", nil},
	"templates":                 {"thing", []string{"units"}},
	"cluster":                   {"thing", []string{"units", "cluster/calendar"}},
	"cluster/calendar":          {"thing", nil},
	"leader/plan":               {"decision", []string{"cluster", "units"}},
	"leader":                    {"loop", []string{"leader/plan", "cluster", "units"}},
	"agent":                     {"loop", []string{"cluster", "units"}},
	"cluster/store":             {"door", []string{"cluster", "units"}},
	"cluster/store/memory":      {"door", []string{"cluster/store", "cluster", "units"}},
	"cluster/store/storetest":   {"proof", []string{"cluster/store", "cluster", "units"}},
	"agent/reboots":             {"door", []string{"agent/systemd", "cluster", "units"}},
	"agent/systemd":             {"door", []string{"units"}},
	"agent/systemd/fake":        {"door", []string{"agent/systemd", "units"}},
	"agent/systemd/systemdtest": {"proof", []string{"agent/systemd", "units"}},
	"members":                   {"door", []string{"cluster", "units"}},
	"install":                   {"door", nil},
	"api":                       {"door", []string{"units", "cluster", "leader/plan"}},
	"api/apitest":               {"proof", []string{"*"}},
	"daemon":                    {"wiring", []string{"*"}},
	"daemon/doors":              {"wiring", []string{"agent", "agent/systemd", "cluster", "units"}},
	"sim":                       {"wiring", []string{"daemon/doors", "units", "cluster", "leader/plan", "leader", "agent", "cluster/store", "cluster/store/memory", "agent/systemd", "agent/systemd/fake"}},
	"cmd/flotilla":              {"wiring", []string{"daemon", "api", "members", "install", "units", "templates", "cluster", "leader/plan", "agent/systemd"}},
	"e2e/testbed":               {"proof", []string{"e2e/hosts", "e2e/load", "api", "cluster"}},
	"e2e/load":                  {"proof", []string{"api", "cluster"}},
	"e2e":                       {"proof", []string{"e2e/testbed", "e2e/hosts", "e2e/load", "api", "cluster", "units"}},
	"e2e/hosts":                 {"proof", nil},
	"e2e/hosts/app":             {"proof", nil},
	"e2e/hosts/registry":        {"proof", nil},
	"e2e/demo":                  {"proof", []string{"e2e/testbed", "e2e/hosts", "e2e/load", "api"}},
	"e2e/suites":                {"proof", []string{"e2e/hosts"}},
	"e2e/bench":                 {"proof", []string{"*"}},
}

// outside says which rooms may touch an outside library; no other room may.
var outside = map[string][]string{
	"go.etcd.io/etcd/client":                       {"cluster/store", "members"},
	"go.etcd.io/etcd/server":                       {"members"},
	"github.com/coreos/go-systemd/v22/dbus":        {"agent/systemd"},
	"github.com/godbus/dbus":                       {"agent/systemd"},
	"github.com/urfave/cli":                        {"cmd/flotilla"},
	"github.com/google/go-containerregistry":       {"e2e/hosts/registry"},
	"github.com/compose-spec/compose-go":           {"templates", "cmd/flotilla"},
	"github.com/compose-spec/compose-go/v2/loader": {"cmd/flotilla"},
	"github.com/compose-spec/compose-go/v2/dotenv": {"cmd/flotilla"},
}

// impure are packages that bring I/O, time passing, chance or logging into a room.
var impure = []string{"os", "os/exec", "net", "net/http", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "context", "sync"}

// pureFiles are files of a loop that hold a decision.
var pureFiles = []string{"agent/converge.go"}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, f := range goFiles(t) {
		dir := path.Dir(f.path)
		law, ok := rooms[dir]
		if !ok {
			t.Errorf("%s: folder %q is no room of ARCHITECTURE.md; add it there and here, or move the file", f.path, dir)
			continue
		}
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, imp := range f.imports {
			checkImport(t, f.path, dir, law, imp)
		}
		if pure(f.path, law) {
			checkPure(t, f)
		}
	}
}

func checkImport(t *testing.T, file, dir string, law room, imp string) {
	t.Helper()
	if own, ok := strings.CutPrefix(imp, "flotilla/"); ok {
		if !slices.Contains(law.imports, own) && !slices.Contains(law.imports, "*") {
			t.Errorf("%s: %s (%s) may not import %s", file, dir, law.kind, own)
		}
		return
	}
	for lib, allowed := range outside {
		if strings.HasPrefix(imp, lib) && !slices.Contains(allowed, dir) {
			t.Errorf("%s: %s may only be imported in %v", file, lib, allowed)
		}
	}
}

func pure(file string, law room) bool {
	return law.kind == "thing" || law.kind == "decision" || slices.Contains(pureFiles, file)
}

func checkPure(t *testing.T, f goFile) {
	t.Helper()
	for _, imp := range f.imports {
		if slices.Contains(impure, imp) {
			t.Errorf("%s: a pure room may not import %s", f.path, imp)
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a pure room starts no goroutine", f.path)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "Tick"}, n.Sel.Name) {
				t.Errorf("%s: a pure room does not ask the clock (time.%s): take now as an argument", f.path, n.Sel.Name)
			}
		}
		return true
	})
}

type goFile struct {
	path    string
	imports []string
	tree    *ast.File
}

// goFiles parses every Go file of the module itself; a test that asked the go command
// would be served stale from the test cache.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var out []goFile
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && skipped(p) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
		if err != nil {
			return err
		}
		f := goFile{path: filepath.ToSlash(p), tree: tree}
		for _, spec := range tree.Imports {
			s, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, s)
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("found no Go file: the test runs in the wrong folder")
	}
	return out
}

// skipped folders are not the module's: hidden ones, build output, and modules of their own.
func skipped(dir string) bool {
	base := filepath.Base(dir)
	return strings.HasPrefix(base, ".") || base == "bin" || base == "testdata" || dir == filepath.Join("install", "butane")
}
