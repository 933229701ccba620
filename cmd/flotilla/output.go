package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
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
	switch c.String("output") {
	case "json":
		return printJSON(c.App.Writer, rows)
	case "yaml":
		return printYAML(c.App.Writer, rows)
	case "":
	case "wide":
		normal = wide
	default:
		return usagef("-o %s: want wide, json or yaml", c.String("output"))
	}
	if c.IsSet("fields") {
		normal = c.String("fields")
	}
	chosen, err := choose(columns, normal)
	if err != nil {
		return err
	}
	return printTable(c, rows, chosen)
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

func printTable[T any](c *cli.Context, rows []T, columns []column[T]) error {
	w := tabwriter.NewWriter(c.App.Writer, 0, 8, 2, ' ', 0)
	cells := make([]string, len(columns))
	if !c.Bool("no-legend") {
		for i, col := range columns {
			cells[i] = strings.ToUpper(col.name)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	for _, row := range rows {
		for i, col := range columns {
			cells[i] = plain(dash(col.value(row, c.Bool("full"))))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
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
