package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

func windowCommand() *cli.Command {
	return &cli.Command{Name: "window", Category: groupHosts, Usage: "when hosts may begin to reboot by themselves", Subcommands: []*cli.Command{
		{Name: "list", Usage: "the windows, and when they open next", Flags: listFlags(), Action: windowList},
		{Name: "show", ArgsUsage: "NAME", Usage: "all that is set for a window", Flags: thingFlags(), Action: windowShow},
		{Name: "set", ArgsUsage: "NAME [CALENDAR]", Usage: "make a window, or change what the flags say of one", Flags: windowFlags(), Action: windowSet},
		{Name: "remove", Aliases: []string{"rm"}, ArgsUsage: "NAME", Usage: "end a window that no group names", Flags: endpointFlags(), Action: windowRemove},
		{Name: "next", ArgsUsage: "[NAME]", Usage: "the next openings of all windows, or of one", Flags: nextFlags(), Action: windowNext},
	}}
}

func windowFlags() []cli.Flag {
	return append(endpointFlags(),
		&cli.StringFlag{Name: "calendar", Usage: "when it opens, as systemd.time(7) has it: 'Sat *-*-* 02:00'; may stand after NAME"},
		&cli.DurationFlag{Name: "for", Aliases: []string{"duration"}, Usage: "how long it is open, in elapsed time", DefaultText: asItIs},
		&cli.StringFlag{Name: "zone", Usage: "IANA time zone, such as Europe/Berlin (new: UTC)"},
		&cli.StringSliceFlag{Name: "except", Usage: "a day on which it does not open, 2026-12-24, or 2026-12-24..2027-01-02; again for others"},
		&cli.DurationFlag{Name: "jitter", Usage: "each host begins up to so much later", DefaultText: asItIs},
		&cli.StringSliceFlag{Name: "clear", Usage: "set back to nothing: " + strings.Join(windowClears(), ", ")},
	)
}

func windowClears() []string { return []string{"zone", "except", "jitter"} }

func nextFlags() []cli.Flag {
	return append(listFlags(), &cli.IntFlag{Name: "number", Aliases: []string{"n"}, Value: 10, Usage: "how many, at most 100"})
}

func windowColumns() []column[api.Window] {
	return []column[api.Window]{
		{"window", func(w api.Window, _ bool) string { return w.Name }},
		{"calendar", func(w api.Window, _ bool) string { return w.Calendar }},
		{"zone", func(w api.Window, _ bool) string { return orElse(w.Zone, "UTC") }},
		{"for", func(w api.Window, _ bool) string { return w.Duration.String() }},
		{"next", func(w api.Window, _ bool) string { return nextText(w) }},
		{"groups", func(w api.Window, _ bool) string { return strings.Join(w.Groups, ",") }},
		{"normalized", func(w api.Window, _ bool) string { return w.Normalized }},
		{"except", func(w api.Window, _ bool) string { return strings.Join(w.Except, ",") }},
		{"jitter", func(w api.Window, _ bool) string { return spanText(w.Jitter) }},
		{"set-by", func(w api.Window, _ bool) string { return noteText(w.By) }},
	}
}

func spanText(s api.Span) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

// nextText says when a window opens, or why it does not.
func nextText(w api.Window) string {
	switch {
	case w.Problem != "":
		return w.Problem
	case w.Next == nil:
		return ""
	case !w.Next.From.After(time.Now()):
		return "open until " + localTime(*w.Next, w.Next.Until)
	}
	return localTime(*w.Next, w.Next.From)
}

// localTime is a time in the opening's zone.
func localTime(o api.Opening, t time.Time) string {
	if zone, err := time.LoadLocation(o.Zone); err == nil {
		t = t.In(zone)
	}
	return t.Format("Mon 2006-01-02 15:04 MST")
}

func windowList(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	if err := checkList(c, windowColumns()); err != nil {
		return err
	}
	list, err := cl.Windows(c.Context)
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.Window{}
	}
	return printList(c, list, windowColumns(), "window,calendar,zone,for,next,groups", "window,normalized,for,except,jitter,next,groups,set-by")
}

func windowShow(c *cli.Context) error {
	name, err := oneName(c, "window show night")
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	w, err := cl.Window(c.Context, name)
	if err != nil {
		return err
	}
	if done, err := printThing(c, w); done || err != nil {
		return err
	}
	return printFacts(c, []fact{
		{"window", w.Name},
		{"calendar", w.Calendar},
		{"normalized", w.Normalized},
		{"zone", orElse(w.Zone, "UTC")},
		{"open for", w.Duration.String()},
		{"except", strings.Join(w.Except, ", ")},
		{"jitter", spanText(w.Jitter)},
		{"groups", orElse(strings.Join(w.Groups, ", "), "none")},
		{"next", nextText(w)},
		{"set by", noteText(w.By)},
	})
}

// windowSet changes a window on its newest value.
func windowSet(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("window set needs a name: flotilla window set night 'Sat *-*-* 02:00' --for 2h")
	}
	calendar := c.Args().Get(1)
	if calendar != "" && c.IsSet("calendar") {
		return usagef("the calendar stands twice: after the name, and with --calendar")
	}
	calendar = orElse(calendar, c.String("calendar"))
	cleared, err := readClear(c, windowClears(), nil)
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	set, err := lastWord(func() (api.Window, error) {
		w, err := cl.Window(c.Context, name)
		switch {
		case isNotFound(err):
			if w = (api.Window{Name: name}); calendar == "" || !c.IsSet("for") {
				return w, usagef("a new window needs a calendar and --for: flotilla window set %s 'Sat *-*-* 02:00' --for 2h", name)
			}
		case err != nil:
			return w, err
		case unreadable(w.Problem, w.Revision, w.By):
			return w, fmt.Errorf("window %s: %s (flotilla window remove %s ends it)", name, w.Problem, name)
		}
		changeWindow(c, &w, calendar, cleared)
		return cl.PutWindow(c.Context, w, orNew(w.Revision))
	})
	if err != nil {
		return err
	}
	next := "opens " + nextText(set)
	if set.Problem != "" {
		next = set.Problem
	} else if strings.HasPrefix(nextText(set), "open ") {
		next = nextText(set)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s for %s; %s\n", set.Name, set.Normalized, set.Duration, next)
	return err
}

func changeWindow(c *cli.Context, w *api.Window, calendar string, cleared []string) {
	for _, what := range cleared {
		switch what {
		case "zone":
			w.Zone = ""
		case "except":
			w.Except = nil
		case "jitter":
			w.Jitter = 0
		}
	}
	w.Calendar = orElse(calendar, w.Calendar)
	if c.IsSet("for") {
		w.Duration = api.Span(c.Duration("for"))
	}
	if c.IsSet("zone") {
		w.Zone = c.String("zone")
	}
	if c.IsSet("except") {
		w.Except = commaWords(c.StringSlice("except"))
	}
	if c.IsSet("jitter") {
		w.Jitter = api.Span(c.Duration("jitter"))
	}
}

func windowRemove(c *cli.Context) error {
	name, err := oneName(c, "window remove night")
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	w, err := cl.Window(c.Context, name)
	if err != nil {
		return err
	}
	match := int64(0)
	if w.Problem != "" {
		match = w.Revision // only what cannot be read asks for it
	}
	if err := cl.DeleteWindow(c.Context, name, match); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: removed\n", name)
	return err
}

// openingRow is an opening with its window.
type openingRow struct {
	Window string `json:"window"`
	api.Opening
}

func openingColumns() []column[openingRow] {
	const utc = "2006-01-02 15:04 UTC"
	return []column[openingRow]{
		{"window", func(o openingRow, _ bool) string { return o.Window }},
		{"opens", func(o openingRow, _ bool) string { return localTime(o.Opening, o.From) }},
		{"closes", func(o openingRow, _ bool) string { return localTime(o.Opening, o.Until) }},
		{"opens-utc", func(o openingRow, _ bool) string { return o.From.UTC().Format(utc) }},
		{"closes-utc", func(o openingRow, _ bool) string { return o.Until.UTC().Format(utc) }},
		{"in", func(o openingRow, _ bool) string { return untilText(o) }},
		{"zone", func(o openingRow, _ bool) string { return o.Zone }},
	}
}

func untilText(o openingRow) string {
	wait := time.Until(o.From)
	if wait <= 0 {
		return "open"
	}
	return short1(wait)
}

func windowNext(c *cli.Context) error {
	n := c.Int("number")
	if n < 1 || n > 100 {
		return usagef("--number %d: want 1 to 100", n)
	}
	if err := checkList(c, openingColumns()); err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	names := c.Args().Slice()
	if len(names) == 0 {
		list, err := cl.Windows(c.Context)
		if err != nil {
			return err
		}
		for _, w := range list {
			if w.Next == nil {
				fmt.Fprintf(c.App.ErrWriter, "flotilla: window %s: %s\n", w.Name, w.Problem)
				continue
			}
			names = append(names, w.Name)
		}
	}
	rows := []openingRow{}
	for _, name := range names {
		list, err := cl.NextOpenings(c.Context, name, n)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			fmt.Fprintf(c.App.ErrWriter, "flotilla: window %s: it opens no more\n", name)
		}
		for _, o := range list {
			rows = append(rows, openingRow{name, o})
		}
	}
	slices.SortStableFunc(rows, func(a, b openingRow) int { return a.From.Compare(b.From) })
	return printList(c, rows[:min(n, len(rows))], openingColumns(), "window,opens,closes,opens-utc,closes-utc,in", "window,opens,closes,opens-utc,closes-utc,in,zone")
}
