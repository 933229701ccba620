package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
)

// rebootsShown is all that GET /v1/reboots says, as one value.
type rebootsShown struct {
	Hosts  []api.HostReboot  `json:"hosts"`
	Groups []api.RebootGroup `json:"groups"`
	Policy api.RebootPolicy  `json:"policy"`
}

func (r *rebootsShown) take(l api.RebootLine) error {
	switch {
	case l.Host != nil:
		r.Hosts = append(r.Hosts, *l.Host)
	case l.Group != nil:
		r.Groups = append(r.Groups, *l.Group)
	case l.Policy != nil:
		r.Policy = *l.Policy
	}
	return nil
}

func rebootColumns() []column[api.HostReboot] {
	return []column[api.HostReboot]{
		{"host", func(h api.HostReboot, _ bool) string { return h.Name }},
		{"phase", func(h api.HostReboot, _ bool) string { return phaseText(h) }},
		{"age", func(h api.HostReboot, _ bool) string { return age(h.Since) }},
		{"place", func(h api.HostReboot, _ bool) string { return number(h.Place) }},
		{"left", func(h api.HostReboot, _ bool) string { return number(h.Left) }},
		{"eta", func(h api.HostReboot, _ bool) string { return inText(h.ETA) }},
		{"next", func(h api.HostReboot, _ bool) string { return inText(h.Next) }},
		{"reason", func(h api.HostReboot, _ bool) string { return h.Reason }},
		{"groups", func(h api.HostReboot, _ bool) string { return strings.Join(h.Groups, ",") }},
		{"cause", func(h api.HostReboot, _ bool) string { return h.Cause }},
		{"who", func(h api.HostReboot, _ bool) string { return whoText(h.Who) }},
		{"need", func(h api.HostReboot, _ bool) string { return h.Need.String() }},
		{"state", func(h api.HostReboot, _ bool) string { return string(h.State) }},
	}
}

func phaseText(h api.HostReboot) string {
	if h.Phase != cluster.PhaseNone {
		return h.Phase.String()
	}
	if h.State != api.HostAlive {
		return string(h.State)
	}
	return "none"
}

// inText is how long it is until then.
func inText(t time.Time) string {
	if d := time.Until(t); d > 0 {
		return "in " + short1(d)
	}
	return ""
}

func whoText(n *cluster.Note) string {
	if n == nil {
		return ""
	}
	return n.Who
}

func slotColumns() []column[api.RebootGroup] {
	return []column[api.RebootGroup]{
		{"group", func(g api.RebootGroup, _ bool) string { return g.Name }},
		{"hosts", func(g api.RebootGroup, _ bool) string { return strconv.Itoa(g.Hosts) }},
		{"slots", func(g api.RebootGroup, _ bool) string { return count(g.Used, g.Max) }},
		{"windows", func(g api.RebootGroup, _ bool) string { return strings.Join(g.Windows, ",") }},
		{"state", func(g api.RebootGroup, _ bool) string { return groupState(g) }},
	}
}

// groupState says whether a group's hosts can begin to reboot by themselves, and why not.
func groupState(g api.RebootGroup) string {
	switch {
	case g.Problem != "":
		return "cannot: " + g.Problem
	case g.Halted != "":
		return "halted: " + g.Halted
	case g.Freeze.Holds(time.Now()):
		return frozenText(g.Freeze)
	case g.Max == 0:
		return "its max is 0: nothing begins"
	case !g.Until.IsZero():
		return "open until " + when(g.Until)
	case !g.Next.IsZero():
		return "opens " + when(g.Next)
	case len(g.Windows) == 0:
		return "no window: only flotilla reboot"
	}
	return "its windows open no more"
}

// frozenText says who froze something, why and until when.
func frozenText(f *cluster.Freeze) string {
	out := "frozen by " + f.By.Who
	if !f.Until.IsZero() {
		out += " until " + when(f.Until)
	}
	if f.By.Why != "" {
		out += ": " + f.By.Why
	}
	return out
}

// rebootStatus prints where reboots stand, of all hosts or of one.
func rebootStatus(c *cli.Context) error {
	if err := checkList(c, rebootColumns()); err != nil {
		return err
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	only := ""
	if word := c.Args().First(); word != "" {
		h, err := cl.Host(c.Context, word)
		if err != nil {
			return err
		}
		only = h.ID
	}
	if c.Bool("watch") {
		return watchStatus(c, cl, only)
	}
	shown := rebootsShown{Hosts: []api.HostReboot{}, Groups: []api.RebootGroup{}}
	if err := cl.Reboots(c.Context, shown.take); err != nil {
		return err
	}
	if only != "" {
		shown.keep(only)
	}
	if done, err := printThing(c, shown); done {
		return err
	}
	return printReboots(c, shown, only != "")
}

// keep leaves one host, and the groups that it belongs to.
func (r *rebootsShown) keep(id string) {
	r.Hosts = slices.DeleteFunc(r.Hosts, func(h api.HostReboot) bool { return string(h.Host) != id })
	r.Groups = slices.DeleteFunc(r.Groups, func(g api.RebootGroup) bool {
		return !slices.ContainsFunc(r.Hosts, func(h api.HostReboot) bool { return slices.Contains(h.Groups, g.Name) })
	})
}

// printReboots prints hosts that have something to tell, the groups, and what a person should know. idle hosts
// are only counted, unless one was asked for.
func printReboots(c *cli.Context, shown rebootsShown, one bool) error {
	const normal, wide = "host,phase,age,place,left,eta,reason", "host,state,phase,age,place,left,eta,next,groups,need,who,cause,reason"
	rows := shown.Hosts
	if !one && c.String("output") != "wide" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(h api.HostReboot) bool { return h.Phase == cluster.PhaseNone })
	}
	if len(rows) > 0 {
		if err := printList(c, rows, rebootColumns(), normal, wide); err != nil {
			return err
		}
	}
	w := c.App.Writer
	if idle := len(shown.Hosts) - len(rows); idle > 0 {
		fmt.Fprintf(w, "%s: no reboot\n", countOf(idle, "host"))
	}
	if c.IsSet("fields") {
		return nil
	}
	if len(shown.Groups) > 0 {
		fmt.Fprintln(w)
		if err := printTable(c, shown.Groups, slotColumns()); err != nil {
			return err
		}
	}
	for _, n := range rebootNotices(shown) {
		fmt.Fprintf(w, "! %s\n", plain(n))
	}
	return nil
}

// rebootNotices are what a person should know beside the tables.
func rebootNotices(shown rebootsShown) []string {
	var out []string
	if f := shown.Policy.Freeze; f.Holds(time.Now()) {
		out = append(out, "all hosts are "+frozenText(f)+" (flotilla reboot thaw)")
	}
	if p := shown.Policy; p.Trouble != "" {
		out = append(out, fmt.Sprintf("the webhook did not take %s, the newest at %s: %s", countOf(p.Lost, "message"), when(p.Since), p.Trouble))
	}
	for _, h := range shown.Hosts {
		if h.Freeze.Holds(time.Now()) {
			out = append(out, fmt.Sprintf("%s is %s (flotilla reboot thaw --host %s)", h.Name, frozenText(h.Freeze), h.Name))
		}
		for _, r := range h.Rivals {
			out = append(out, fmt.Sprintf("%s: %s may reboot it without asking: %s (%s)", h.Name, r.Name, r.Why, r.Mend))
		}
		if h.Problem != "" {
			out = append(out, fmt.Sprintf("%s: %s (flotilla doctor %s)", h.Name, h.Problem, h.Name))
		}
	}
	return out
}

// watchStatus prints hosts and groups as they are, and again what changes, until a person ends it.
func watchStatus(c *cli.Context, cl *api.Client, only string) error {
	if o := c.String("output"); o != "" && o != "json" {
		return usagef("-o %s: --watch prints lines, or with -o json one object a line", o)
	}
	told := map[string]string{}
	show := func(l api.RebootLine) error { return printLine(c, l, only, told) }
	ended := cmp.Or(cl.WatchReboots(c.Context, 0, show), io.EOF)
	err := again(c, ended, func(ctx context.Context) error {
		return cmp.Or(cl.WatchReboots(ctx, 0, show), io.EOF)
	}, "what changed meanwhile is shown as it is then")
	if c.Context.Err() != nil {
		return nil // Ctrl-C is how a person ends it
	}
	return err
}

// printLine prints one line of a watch. What was told just so before, as after a lost connection, is not told again.
func printLine(c *cli.Context, l api.RebootLine, only string, told map[string]string) error {
	name, text := "", ""
	switch {
	case l.Host != nil && (only == "" || string(l.Host.Host) == only):
		name, text = "host "+string(l.Host.Host), hostLine(*l.Host)
	case l.Group != nil && only == "":
		name, text = "group "+l.Group.Name, fmt.Sprintf("group %s: %s slots taken, %s", l.Group.Name, count(l.Group.Used, l.Group.Max), groupState(*l.Group))
	}
	if text == "" {
		return nil
	}
	if c.String("output") == "json" {
		return jsonLine(c, l)
	}
	if told[name] == text || told[name] == "" && l.Host != nil && l.Host.Phase == cluster.PhaseNone && only == "" {
		return nil
	}
	told[name] = text
	_, err := fmt.Fprintf(c.App.Writer, "%s %s\n", time.Now().Format(time.TimeOnly), plain(text))
	return err
}

func hostLine(h api.HostReboot) string {
	if h.State == api.HostGone {
		return string(h.Host)[:min(8, len(h.Host))] + " is gone from the cluster"
	}
	out := fmt.Sprintf("%s: %s", h.Name, phaseText(h))
	if h.Place > 0 {
		out += fmt.Sprintf(" (place %d)", h.Place)
	}
	if h.Left > 0 {
		out += fmt.Sprintf(" (%s left)", countOf(h.Left, "unit"))
	}
	if h.Reason != "" {
		out += ": " + h.Reason
	}
	return out
}

func recordColumns() []column[cluster.Record] {
	return []column[cluster.Record]{
		{"ended", func(r cluster.Record, _ bool) string { return when(r.Ended) }},
		{"host", func(r cluster.Record, _ bool) string { return r.Name }},
		{"outcome", func(r cluster.Record, _ bool) string { return outcomeText(r) }},
		{"took", func(r cluster.Record, _ bool) string { return seconds(r.Ended.Sub(r.Began)) }},
		{"away", func(r cluster.Record, _ bool) string { return seconds(time.Duration(r.Away * float64(time.Second))) }},
		{"cause", func(r cluster.Record, _ bool) string { return r.Cause }},
		{"reason", func(r cluster.Record, _ bool) string { return r.Reason }},
		{"groups", func(r cluster.Record, _ bool) string { return strings.Join(r.Groups, ",") }},
		{"generation", func(r cluster.Record, _ bool) string { return strconv.FormatInt(r.Generation, 10) }},
	}
}

func outcomeText(r cluster.Record) string {
	if r.Unasked {
		return "unasked"
	}
	return r.Outcome.String()
}

func seconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.Round(time.Second).String()
}

// rebootHistory prints what became of reboots, newest first.
func rebootHistory(c *cli.Context) error {
	if err := checkList(c, recordColumns()); err != nil {
		return err
	}
	if c.Int("limit") < 0 {
		return usagef("--limit %d: want a positive number, or 0 for all that are kept", c.Int("limit"))
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	rows, err := newLister(c, recordColumns(), "ended,host,outcome,took,away,cause,reason", "ended,host,outcome,took,away,groups,generation,cause,reason")
	if err != nil {
		return err
	}
	if err := cl.History(c.Context, c.Args().First(), c.Int("limit"), func(r cluster.Record) error { return rows.add(r) }); err != nil {
		return err
	}
	return rows.end()
}
