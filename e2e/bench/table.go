package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// row is one measurement.
type row struct {
	what   string
	figure string
	aim    string
	met    bool
	anchor string // the other system and its figure; empty = none was measured
	ratio  string // anchor / figure
	run    string
}

// table is what a run prints: Markdown that also reads well as text.
type table struct{ rows []row }

// add takes in a row and shows it at once.
func (b *bench) add(r row) {
	r.run = "`go run ./e2e/bench -only " + b.now + "`"
	b.table.rows = append(b.table.rows, r)
	fmt.Fprintf(os.Stderr, "   %s: %s\n", r.what, r.figure)
}

// times is the ratio of two figures in words.
func times(anchor, ours float64) string {
	if ours <= 0 {
		return "–"
	}
	if r := anchor / ours; r < 10 {
		return fmt.Sprintf("%.1f ×", r)
	}
	return fmt.Sprintf("%.0f ×", anchor/ours)
}

func (t table) print(w io.Writer) {
	lines := [][]string{{"what", "figure", "aim", "met", "anchor", "ratio", "command"}}
	for _, r := range t.rows {
		met := "yes"
		switch {
		case r.aim == "":
			met = "–"
		case !r.met:
			met = "no"
		}
		lines = append(lines, []string{r.what, r.figure, dash(r.aim), met, dash(r.anchor), dash(r.ratio), r.run})
	}
	width := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, cell := range l {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for n, l := range lines {
		for i, cell := range l {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, x := range width {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", x+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
