package main

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// tableOf prints rows of two columns through the program's own context.
func tableOf(t *testing.T, rows []int, args ...string) (*strings.Builder, func(int) error, func() error) {
	t.Helper()
	var out strings.Builder
	var tab *table[int]
	app := &cli.App{Writer: &out, Flags: listFlags(), Action: func(c *cli.Context) error {
		tab = newTable(c, []column[int]{
			{"name", func(n int, _ bool) string { return strings.Repeat("ü", n%7) }},
			{"size", func(n int, full bool) string { return fmt.Sprint(n, full) }},
			{"text", func(n int, _ bool) string { return strings.Repeat("x", n%3) }},
		})
		return nil
	}}
	if err := app.Run(append([]string{"flotilla"}, args...)); err != nil {
		t.Fatal(err)
	}
	for _, n := range rows {
		if err := tab.add(n); err != nil {
			t.Fatal(err)
		}
	}
	return &out, tab.add, tab.end
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestTableIsAlignedAsEver: a short table looks as text/tabwriter makes it, with or without a header.
func TestTableIsAlignedAsEver(t *testing.T) {
	for _, args := range [][]string{{}, {"--no-legend"}, {"--full"}} {
		for _, n := range []int{0, 1, 30} {
			out, _, end := tableOf(t, upTo(n), args...)
			if err := end(); err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			w := tabwriter.NewWriter(&want, 0, 8, 2, ' ', 0)
			if len(args) == 0 || args[0] != "--no-legend" {
				fmt.Fprintln(w, "NAME\tSIZE\tTEXT")
			}
			full := len(args) > 0 && args[0] == "--full"
			for i := range n {
				fmt.Fprintf(w, "%s\t%d %t\t%s\n", dash(strings.Repeat("ü", i%7)), i, full, dash(strings.Repeat("x", i%3)))
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want.String() {
				t.Errorf("%v, %d rows:\n%s\nwant\n%s", args, n, out, want.String())
			}
		}
	}
}

// TestTableBeginsBeforeItsEnd: a long table is printed as its rows come, and a cell that is wider than those
// before keeps its distance.
func TestTableBeginsBeforeItsEnd(t *testing.T) {
	out, add, end := tableOf(t, upTo(rowsAhead-2))
	if out.Len() > 0 {
		t.Fatalf("%d rows and the header are printed before their widths are known", rowsAhead-2)
	}
	if err := add(0); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != rowsAhead {
		t.Fatalf("%d lines are printed once %d are there, want all of them", n, rowsAhead)
	}
	if err := add(7_000_000_000); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if want := "-       7000000000 false  x\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("the last line is %q, want %q", out.String()[strings.LastIndex(strings.TrimSpace(out.String()), "\n")+1:], want)
	}
}
