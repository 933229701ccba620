package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"
)

// listFlags are the manners of every list.
func listFlags() []cli.Flag {
	return append(endpointFlags(),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "wide, json or yaml"},
		&cli.BoolFlag{Name: "no-legend", Usage: "no header line"},
		&cli.BoolFlag{Name: "full", Aliases: []string{"l"}, Usage: "do not shorten ids and hashes"},
		&cli.StringFlag{Name: "fields", Usage: "columns to show, by comma"},
	)
}

// column is one column of a list; value sees whether ids are to be shown in full.
type column[T any] struct {
	name  string
	value func(row T, full bool) string
}

// printList prints rows as -o, --fields and --no-legend say. normal are the columns
// without a flag, wide those of -o wide; all of columns may be named in --fields.
func printList[T any](c *cli.Context, rows []T, columns []column[T], normal, wide string) error {
	l, err := newLister(c, columns, normal, wide)
	if err != nil {
		return err
	}
	if err := l.add(rows...); err != nil {
		return err
	}
	return l.end()
}

// lister is a list whose rows come one after the other. A table is printed as they come; json and yaml, which
// are one value, in the end.
type lister[T any] struct {
	c     *cli.Context
	rows  []T       // for json and yaml
	table *table[T] // nil for these
}

// newLister is printList for rows that are still to come.
func newLister[T any](c *cli.Context, columns []column[T], normal, wide string) (*lister[T], error) {
	l := &lister[T]{c: c, rows: []T{}}
	switch c.String("output") {
	case "json", "yaml":
		return l, nil
	case "":
	case "wide":
		normal = wide
	default:
		return nil, usagef("-o %s: want wide, json or yaml", c.String("output"))
	}
	if c.IsSet("fields") {
		normal = c.String("fields")
	}
	chosen, err := choose(columns, normal)
	if err != nil {
		return nil, err
	}
	l.table = newTable(c, chosen)
	return l, nil
}

func (l *lister[T]) add(rows ...T) error {
	if l.table == nil {
		l.rows = append(l.rows, rows...)
		return nil
	}
	for _, row := range rows {
		if err := l.table.add(row); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister[T]) end() error {
	switch {
	case l.table != nil:
		return l.table.end()
	case l.c.String("output") == "yaml":
		return printYAML(l.c.App.Writer, l.rows)
	}
	return printJSON(l.c.App.Writer, l.rows)
}

// checkList finds what is wrong with -o and --fields before anything is asked.
func checkList[T any](c *cli.Context, columns []column[T]) error {
	if o := c.String("output"); o != "" && o != "wide" && o != "json" && o != "yaml" {
		return usagef("-o %s: want wide, json or yaml", o)
	}
	if !c.IsSet("fields") {
		return nil
	}
	if c.IsSet("output") {
		return usagef("-o %s and --fields exclude one another: json and yaml have all fields, wide is a choice of them", c.String("output"))
	}
	_, err := choose(columns, c.String("fields"))
	return err
}

func choose[T any](columns []column[T], names string) ([]column[T], error) {
	var out []column[T]
	var known []string
	for _, col := range columns {
		known = append(known, col.name)
	}
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, col := range columns {
			if col.name == strings.TrimSpace(name) {
				out, found = append(out, col), true
			}
		}
		if !found {
			return nil, usagef("no field %q: want some of %s", name, strings.Join(known, ","))
		}
	}
	return out, nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printYAML(w io.Writer, v any) error {
	data, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode YAML: %w", err)
	}
	_, err = w.Write(data)
	return err
}

// printThing prints one value as json or yaml; ok is false for a person's output.
func printThing(c *cli.Context, v any) (ok bool, err error) {
	switch c.String("output") {
	case "json":
		return true, printJSON(c.App.Writer, v)
	case "yaml":
		return true, printYAML(c.App.Writer, v)
	case "", "wide":
		return false, nil
	}
	return true, usagef("-o %s: want wide, json or yaml", c.String("output"))
}

// plain is text that cannot move the cursor, colour the screen or forge a line: what
// containers print reaches a person's terminal through us.
func plain(s string) string {
	clean := func(r rune) bool { return r == '\t' || unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}
