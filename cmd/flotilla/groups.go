package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
)

func groupCommand() *cli.Command {
	return &cli.Command{Name: "group", Category: groupHosts, Usage: "hosts that share reboot slots", Subcommands: []*cli.Command{
		{Name: "list", Usage: "the groups, with their hosts and slots", Flags: listFlags(), Action: groupList},
		{Name: "show", ArgsUsage: "NAME", Usage: "all that is set for a group", Flags: thingFlags(), Action: groupShow},
		{Name: "set", ArgsUsage: "NAME", Usage: "make a group, or change what the flags say of one", Flags: groupFlags(), Action: groupSet},
		{Name: "remove", Aliases: []string{"rm"}, ArgsUsage: "NAME", Usage: "end a group; its hosts stay in their others, or in default", Flags: endpointFlags(), Action: groupRemove},
	}}
}

// thingFlags are the manners of a command that shows one thing.
func thingFlags() []cli.Flag {
	return append(endpointFlags(), &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"})
}

func groupColumns() []column[api.Group] {
	return []column[api.Group]{
		{"group", func(g api.Group, _ bool) string { return g.Name }},
		{"selector", func(g api.Group, _ bool) string { return selectorText(g) }},
		{"hosts", func(g api.Group, _ bool) string { return fmt.Sprint(g.Hosts) }},
		{"max", func(g api.Group, _ bool) string { return slotsText(g.Max) }},
		{"windows", func(g api.Group, _ bool) string { return strings.Join(g.Windows, ",") }},
		{"note", func(g api.Group, _ bool) string { return groupNote(g) }},
		{"stages", func(g api.Group, _ bool) string { return strings.Join(stageTexts(g), ", ") }},
		{"spread", func(g api.Group, _ bool) string { return g.Spread }},
		{"checks", func(g api.Group, _ bool) string { return number(len(g.Checks)) }},
		{"set-by", func(g api.Group, _ bool) string { return noteText(g.By) }},
	}
}

// selectorText says in words what an empty selector means.
func selectorText(g api.Group) string {
	switch {
	case g.Selector != "":
		return g.Selector
	case g.Name == cluster.DefaultGroup:
		return "hosts of no other group"
	}
	return "all hosts"
}

func slotsText(s cluster.Slots) string {
	if text := s.String(); text != "" {
		return text
	}
	return "1"
}

// groupNote is what a person should know of a group.
func groupNote(g api.Group) string {
	switch {
	case g.Problem != "":
		return g.Problem
	case g.Freeze.Holds(time.Now()):
		return frozenText(g.Freeze)
	case g.Max.Given && g.Max.N == 0:
		return "no host reboots: max is 0"
	case len(g.Windows) == 0:
		return "no window: nothing reboots by itself"
	}
	return ""
}

// noteText is who did something, and when.
func noteText(n *cluster.Note) string {
	if n == nil || n.Who == "" {
		return ""
	}
	return n.Who + " " + n.When.UTC().Format("2006-01-02 15:04")
}

func groupList(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	if err := checkList(c, groupColumns()); err != nil {
		return err
	}
	list, err := cl.Groups(c.Context)
	if err != nil {
		return err
	}
	return printList(c, list, groupColumns(), "group,selector,hosts,max,windows,note", "group,selector,hosts,max,windows,stages,spread,checks,set-by,note")
}

// oneName is the only argument of a command.
func oneName(c *cli.Context, example string) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s needs a name: flotilla %s", strings.TrimPrefix(c.Command.HelpName, "flotilla "), example)
	}
	return c.Args().First(), nil
}

func groupShow(c *cli.Context) error {
	name, err := oneName(c, "group show web")
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	g, err := cl.Group(c.Context, name)
	if err != nil {
		return err
	}
	if done, err := printThing(c, g); done || err != nil {
		return err
	}
	return printFacts(c, groupFacts(g))
}

// fact is a line of what a command shows of one thing.
type fact struct{ name, value string }

// printFacts prints the facts that have a value.
func printFacts(c *cli.Context, facts []fact) error {
	for _, f := range facts {
		if f.value == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.App.Writer, "%-14s %s\n", f.name+":", plain(f.value)); err != nil {
			return err
		}
	}
	return nil
}

func groupFacts(g api.Group) []fact {
	out := []fact{
		{"group", g.Name},
		{"hosts", fmt.Sprintf("%d (%s)", g.Hosts, selectorText(g))},
		{"at once", slotsText(g.Max)},
		{"windows", orElse(strings.Join(g.Windows, ", "), "none: nothing reboots by itself")},
	}
	for i, s := range stageTexts(g) {
		out = append(out, fact{fmt.Sprintf("stage %d", i+1), s})
	}
	out = append(out, fact{"spread", g.Spread}, fact{"failures", fmt.Sprint(g.Failures)}, fact{"loops", number(g.Loops)})
	for i, check := range g.Checks {
		out = append(out, fact{fmt.Sprintf("check %d", i+1), checkText(check)})
	}
	for _, t := range []struct {
		name string
		span api.Span
	}{
		{"drain", g.Times.Drain},
		{"grant", g.Times.Grant},
		{"return", g.Times.Return},
		{"gate", g.Times.Gate},
		{"settle", g.Times.Settle},
		{"hooks", g.Times.Hooks},
		{"grace", g.Times.Grace},
		{"retry", g.Times.Retry},
	} {
		if t.span != 0 {
			out = append(out, fact{t.name, t.span.String()})
		}
	}
	finish := ""
	if g.Finish {
		finish = "what began in a window may reboot after its end"
	}
	return append(out, fact{"finish", finish}, fact{"on blocked", string(g.OnBlocked)}, fact{"wall", g.Wall}, fact{"set by", noteText(g.By)}, fact{"note", frozenOrBad(g)})
}

// frozenOrBad is a group's note without what its other facts say.
func frozenOrBad(g api.Group) string {
	if g.Problem == "" && g.Freeze == nil {
		return ""
	}
	return groupNote(g)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// groupSet changes a group on its newest value.
func groupSet(c *cli.Context) error {
	name, err := oneName(c, "group set web --selector role=web --window night")
	if err != nil {
		return err
	}
	change, err := readGroupFlags(c)
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	set, err := lastWord(func() (api.Group, error) {
		g, err := cl.Group(c.Context, name)
		switch {
		case isNotFound(err):
			g = api.Group{Name: name}
		case err != nil:
			return g, err
		case unreadable(g.Problem, g.Revision, g.By):
			return g, fmt.Errorf("group %s: %s (flotilla group remove %s ends it)", name, g.Problem, name)
		}
		if g.Revision == 0 && name != cluster.DefaultGroup && !c.IsSet("selector") && !change.clears("selector") {
			return g, usagef("a new group needs --selector, such as role=web; --clear selector is for all hosts")
		}
		change.apply(&g)
		return cl.PutGroup(c.Context, g, orNew(g.Revision))
	})
	if err != nil {
		return err
	}
	return sayGroup(c, set)
}

// unreadable says that the daemon cannot read what is there, so that there is nothing to change.
func unreadable(problem string, revision int64, by *cluster.Note) bool {
	return problem != "" && revision != 0 && by == nil
}

// orNew is what has to be there for a change: this revision, or nothing.
func orNew(revision int64) int64 {
	if revision == 0 {
		return -1
	}
	return revision
}

// mostTries bounds how often somebody else may be faster.
const mostTries = 5

// lastWord repeats a change while somebody else was faster.
func lastWord[T any](try func() (T, error)) (v T, err error) {
	for range mostTries {
		var e *api.Error
		if v, err = try(); !errors.As(err, &e) || e.Status != http.StatusConflict {
			return v, err
		}
	}
	return v, err
}

func isNotFound(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

func sayGroup(c *cli.Context, g api.Group) error {
	hosts := "1 host"
	if g.Hosts != 1 {
		hosts = fmt.Sprintf("%d hosts", g.Hosts)
	}
	when := "no window: nothing reboots by itself"
	if len(g.Windows) > 0 {
		when = "in window " + strings.Join(g.Windows, ", ")
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s, at most %s at once, %s\n", g.Name, hosts, slotsText(g.Max), when)
	return err
}

func groupRemove(c *cli.Context) error {
	name, err := oneName(c, "group remove web")
	if err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	g, err := cl.Group(c.Context, name)
	if err != nil {
		return err
	}
	match := int64(0)
	if g.Problem != "" {
		match = g.Revision // only what cannot be read asks for it
	}
	if err := cl.DeleteGroup(c.Context, name, match); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: removed\n", name)
	return err
}
