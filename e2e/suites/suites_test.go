package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRead counts the events of go test, and keeps the reasons of skipped tests.
func TestRead(t *testing.T) {
	r := result{suite: suite{name: "s", budget: time.Minute}}
	r.read(strings.NewReader(`{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"=== RUN   B\n"}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:1: no vagrant here\n"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"skip","Package":"empty"}
{"Action":"pass","Package":"p"}
`))
	if r.tests != 2 || r.failed != 0 {
		t.Errorf("read() = %d tests, %d failed, want 2 and 0", r.tests, r.failed)
	}
	if diff := cmp.Diff([]string{"B: b_test.go:1: no vagrant here"}, r.skipped); diff != "" {
		t.Errorf("read() skipped (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if !table(&out, []result{r}, time.Second) {
		t.Errorf("table() = false, want true:\n%s", out.String())
	}
	for _, want := range []string{"1 passed, 0 failed, 1 skipped", "skipped B: b_test.go:1: no vagrant here"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table() printed %q, want %q in it", out.String(), want)
		}
	}
}

// TestReadCrash: a test that takes its binary down has no end of its own. It counts as
// failed, and so do the tests that ran beside it.
func TestReadCrash(t *testing.T) {
	r := result{suite: suite{name: "s", budget: time.Minute}}
	r.read(strings.NewReader(`{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
{"Action":"output","Package":"p","Test":"A","Output":"SIGSEGV: segmentation violation\n"}
{"Action":"output","Package":"q","Test":"B","Output":"=== RUN   B\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t2.9s\n"}
{"Action":"fail","Package":"p"}
{"Action":"pass","Package":"q","Test":"B"}
{"Action":"pass","Package":"q"}
`))
	if r.tests != 2 || r.failed != 1 {
		t.Errorf("read() = %d tests, %d failed, want 2 and 1", r.tests, r.failed)
	}
}

// TestTableRefuses: a failed test, a failed suite and one without tests are not success.
func TestTableRefuses(t *testing.T) {
	for name, r := range map[string]result{
		"a failed test":   {tests: 2, failed: 1},
		"a failed suite":  {tests: 2, err: errString("exit status 1")},
		"no test at all":  {},
		"over its budget": suite{name: "slow", run: []string{"sleep", "60"}, budget: time.Millisecond}.do(t.Context()),
	} {
		var out strings.Builder
		if table(&out, []result{r}, time.Second) {
			t.Errorf("%s: table() = true, want false:\n%s", name, out.String())
		}
	}
	if table(&strings.Builder{}, nil, 0) {
		t.Error("no suite: table() = true, want false")
	}
}

type errString string

func (e errString) Error() string { return string(e) }

// TestDo runs a real suite: one test of this package.
func TestDo(t *testing.T) {
	r := suite{name: "self", tests: []string{"-count=1", "-run=^TestRead$", "."}, env: []string{"CGO_ENABLED=0"}, budget: 5 * time.Minute}.do(t.Context())
	if r.err != nil || r.tests != 1 || r.failed != 0 {
		t.Errorf("do() = %d tests, %d failed, %v, want one that passed", r.tests, r.failed, r.err)
	}
}

// TestScenariosOnce: no scenario is in two of the suites that run side by side, and each of these has some.
func TestScenariosOnce(t *testing.T) {
	files, err := filepath.Glob("../*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	inSecond, inThird := regexp.MustCompile(second), regexp.MustCompile(third)
	var counts [3]int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t `).FindAllSubmatch(text, -1) {
			switch name := string(m[1]); {
			case inSecond.MatchString(name) && inThird.MatchString(name):
				t.Errorf("%s would run in two suites", name)
			case inSecond.MatchString(name):
				counts[1]++
			case inThird.MatchString(name):
				counts[2]++
			default:
				counts[0]++
			}
		}
	}
	for i, n := range counts {
		if n == 0 {
			t.Errorf("suite %d of three has no scenario: %v", i+1, counts)
		}
	}
}
