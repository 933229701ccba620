package testbed

import (
	"os"
	"path/filepath"
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
