package main

import (
	"bufio"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// The widths of a table's columns are those of its first rowsAhead rows, which are printed together; a later cell
// that is wider pushes the rest of its row aside. columnGap is between two columns.
const (
	rowsAhead = 500
	columnGap = 2
	outBuffer = 64 << 10
)

// table prints rows as they come, in columns.
type table[T any] struct {
	columns []column[T]
	full    bool // ids in full
	out     *bufio.Writer
	ahead   [][]string // rows that wait for the widths
	widths  []int      // nil = not known yet
}

func newTable[T any](c *cli.Context, columns []column[T]) *table[T] {
	t := &table[T]{columns: columns, full: c.Bool("full"), out: bufio.NewWriterSize(c.App.Writer, outBuffer)}
	if !c.Bool("no-legend") {
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = strings.ToUpper(col.name)
		}
		t.ahead = append(t.ahead, cells)
	}
	return t
}

// printTable prints a table whose rows are all there.
func printTable[T any](c *cli.Context, rows []T, columns []column[T]) error {
	t := newTable(c, columns)
	for _, row := range rows {
		if err := t.add(row); err != nil {
			return err
		}
	}
	return t.end()
}

func (t *table[T]) add(row T) error {
	cells := make([]string, len(t.columns))
	for i, col := range t.columns {
		cells[i] = plain(dash(col.value(row, t.full)))
	}
	if t.widths != nil {
		return t.write(cells)
	}
	if t.ahead = append(t.ahead, cells); len(t.ahead) < rowsAhead {
		return nil
	}
	if err := t.begin(); err != nil {
		return err
	}
	return t.out.Flush() // a person waits for the first rows
}

// begin settles the widths and prints what waited for them.
func (t *table[T]) begin() error {
	t.widths = make([]int, len(t.columns))
	for _, cells := range t.ahead {
		for i, cell := range cells {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range t.ahead {
		if err := t.write(cells); err != nil {
			return err
		}
	}
	t.ahead = nil
	return nil
}

// write prints one row. The last cell ends the line.
func (t *table[T]) write(cells []string) error {
	for i, cell := range cells {
		_, _ = t.out.WriteString(cell) // the last write returns the buffer's first error
		if i == len(cells)-1 {
			break
		}
		for range columnGap + max(0, t.widths[i]-utf8.RuneCountInString(cell)) {
			_ = t.out.WriteByte(' ')
		}
	}
	return t.out.WriteByte('\n')
}

// end prints what is left.
func (t *table[T]) end() error {
	if t.widths == nil {
		if err := t.begin(); err != nil {
			return err
		}
	}
	return t.out.Flush()
}
