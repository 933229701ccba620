package testbed

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestOverlap(t *testing.T) {
	run := func(host string, first, last int) Run {
		return Run{Host: host, First: time.Duration(first), Last: time.Duration(last)}
	}
	for _, c := range []struct {
		name string
		runs []Run
		want time.Duration
	}{
		{"none", nil, 0},
		{"one after another", []Run{run("a", 0, 10), run("b", 11, 20)}, 0},
		{"same host", []Run{run("a", 0, 10), run("a", 5, 20)}, 0},
		{"tail", []Run{run("a", 0, 10), run("b", 7, 20)}, 3},
		{"inside", []Run{run("a", 0, 100), run("b", 7, 20), run("b", 30, 31)}, 14},
		{"order does not matter", []Run{run("b", 7, 20), run("a", 0, 10)}, 3},
	} {
		if got := Overlap(c.runs); got != c.want {
			t.Errorf("%s: Overlap() = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestGapsAndMost(t *testing.T) {
	run := func(first, last int) Run { return Run{First: time.Duration(first), Last: time.Duration(last)} }
	for _, c := range []struct {
		name string
		runs []Run
		gaps []Run
		most int
	}{
		{"none", nil, nil, 0},
		{"one after another", []Run{run(1, 10), run(12, 20), run(25, 30)}, []Run{run(10, 12), run(20, 25)}, 1},
		{"handed over", []Run{run(1, 10), run(9, 20)}, nil, 2},
		{"inside", []Run{run(1, 100), run(7, 20), run(30, 31), run(110, 120)}, []Run{run(100, 110)}, 2},
		{"three", []Run{run(1, 10), run(2, 10), run(3, 10), run(4, 5)}, nil, 4},
		{"the same moment ends and begins", []Run{run(1, 10), run(10, 20)}, nil, 1},
	} {
		if got := Gaps(c.runs); !slices.Equal(got, c.gaps) {
			t.Errorf("%s: Gaps() = %v, want %v", c.name, got, c.gaps)
		}
		if got := Most(c.runs); got != c.most {
			t.Errorf("%s: Most() = %d, want %d", c.name, got, c.most)
		}
	}
}

func TestReadBeats(t *testing.T) {
	file := filepath.Join(t.TempDir(), "beats")
	text := "100 1 abc/7 1\n110 1 abc/7 1\n300 1 def/ 1\n310 1 def/ 1\n320 1 def"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readBeats(file, "h1")
	if err != nil {
		t.Fatal(err)
	}
	want := []Run{
		{"h1", "abc", 7, 100 * time.Millisecond, 110 * time.Millisecond},
		{"h1", "def", 0, 300 * time.Millisecond, 310 * time.Millisecond},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("readBeats() = %v, want %v", got, want)
	}
}
