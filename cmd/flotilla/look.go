package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

func lookCommands() []*cli.Command {
	thing := "[THING]"
	logFlags := append(endpointFlags(),
		&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 10, Usage: "last lines to show"},
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as lines come"},
		&cli.StringFlag{Name: "host", Usage: "only this host's lines"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json: one object a line"})
	outputFlag := &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"}
	statusFlags := append(endpointFlags(), outputFlag,
		&cli.BoolFlag{Name: "no-legend", Usage: "no header line"},
		&cli.BoolFlag{Name: "full", Aliases: []string{"l"}, Usage: "do not shorten ids"})
	out := []*cli.Command{
		{Name: "status", ArgsUsage: "[THING...]", Category: groupLook, Usage: "the cluster, a unit or a host, with the reason for every wait", Flags: statusFlags, Action: status, BashComplete: completeUnits},
		{Name: "explain", ArgsUsage: "THING", Category: groupLook, Usage: "why a unit or host is as it is", Flags: append(endpointFlags(), outputFlag), Action: explain, BashComplete: completeUnits},
		{Name: "logs", ArgsUsage: thing, Category: groupLook, Usage: "journal lines of a unit (on every host that has it) or of a host's daemons", Flags: logFlags, Action: logs, BashComplete: completeUnits},
		{Name: "journal", ArgsUsage: "UNIT", Category: groupLook, Usage: "the same as logs, under fleet's name", Flags: logFlags, Action: logs, BashComplete: completeUnits},
		{Name: "events", Category: groupLook, Usage: "what happened, and with -f what happens", Action: events, Flags: append(endpointFlags(),
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as events come"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json: one object a line"})},
	}
	return append(out, listCommands()...)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func count(some, all int) string { return fmt.Sprintf("%d/%d", some, all) }

// status shows the cluster, a unit or a host.
func status(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	if err := checkList(c, hostColumns); err != nil {
		return err
	}
	// What the daemon says of itself needs no store, and may be all that it can say.
	local, err := cl.Local(c.Context)
	if err != nil {
		return err
	}
	if !c.Args().Present() {
		return clusterStatus(c, cl, local)
	}
	for _, n := range localNotices(local) {
		fmt.Fprintf(c.App.ErrWriter, "! %s\n", n)
	}
	things, err := names(c, cl)
	if err != nil {
		return err
	}
	for _, thing := range things {
		if err := thingStatus(c, cl, thing); err != nil {
			return err
		}
	}
	return nil
}

// localNotices are what a person should know of the daemon that answers and its host.
func localNotices(l api.Local) []string {
	var out []string
	if l.Frozen != "" {
		why := strings.TrimPrefix(oneLine(l.Frozen), "frozen: ")
		out = append(out, fmt.Sprintf("%s is frozen: %s (flotilla accept-store, if that is meant)", l.Name, why))
	}
	if !l.StoreOut.IsZero() {
		out = append(out, fmt.Sprintf("%s has no answer from etcd since %s: workloads keep running, nothing can be changed", l.Name, l.StoreOut.UTC().Format("2006-01-02 15:04:05 UTC")))
	}
	if l.Message != "" && l.Message != l.Frozen {
		out = append(out, l.Name+": "+oneLine(l.Message))
	}
	return out
}

// mostWaiting is how many waiting units the status of the cluster prints.
const mostWaiting = 20

func clusterStatus(c *cli.Context, cl *api.Client, local api.Local) error {
	v, err := cl.Cluster(c.Context)
	if err != nil {
		for _, n := range localNotices(local) {
			fmt.Fprintf(c.App.Writer, "! %s\n", n)
		}
		return err
	}
	if local.Host != v.Local.Host { // another daemon answered for the cluster
		v.Notices = append(v.Notices, localNotices(local)...)
	}
	slices.SortFunc(v.Hosts, func(a, b api.Host) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	if done, err := printThing(c, v); done {
		return err
	}
	alive := 0
	for _, h := range v.Hosts {
		if h.State == "alive" {
			alive++
		}
	}
	w := c.App.Writer
	fmt.Fprintf(w, "hosts %d/%d alive, units %d/%d running, leader %s\n", alive, len(v.Hosts), v.Running, v.Units, cmp.Or(v.Leader, "none"))
	for _, n := range v.Notices {
		fmt.Fprintf(w, "! %s\n", n)
	}
	chosen, err := choose(hostColumns, "name,machine,ip,state,units,metadata")
	if err != nil {
		return err
	}
	if err := printTable(c, v.Hosts, chosen); err != nil {
		return err
	}
	for _, u := range v.Waiting[:min(len(v.Waiting), mostWaiting)] {
		fmt.Fprintf(w, "%s: %s\n", u.Unit, u.Reason)
	}
	if v.WaitingUnits > mostWaiting {
		fmt.Fprintf(w, "and %d more that are not as wanted: flotilla list-unit-files --fields=unit,reason\n", v.WaitingUnits-mostWaiting)
	}
	return nil
}

func thingStatus(c *cli.Context, cl *api.Client, thing string) error {
	u, err := cl.Unit(c.Context, units.Mangle(thing))
	if err == nil {
		return unitStatus(c, u)
	}
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != api.CodeNotFound {
		return err
	}
	h, err := cl.Host(c.Context, thing)
	switch {
	case err == nil:
		return hostStatus(c, cl, h)
	case errors.As(err, &refused) && refused.Code == api.CodeNotFound:
		return fmt.Errorf("no unit and no host %q: flotilla status shows what there is", thing)
	}
	return err
}

func unitStatus(c *cli.Context, u api.Unit) error {
	if done, err := printThing(c, u); done {
		return err
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s: wanted %s, %s\n", u.Name, u.Target, cmp.Or(u.Reason, "as wanted"))
	for _, i := range u.Instances {
		fmt.Fprintf(w, "  %s: %s/%s", i.HostName, i.Active, i.Sub)
		if a := age(i.Since); a != "" {
			fmt.Fprintf(w, " for %s", a)
		}
		fmt.Fprintf(w, ", ordered %s", cmp.Or(i.Order, "nothing (orphan)"))
		if i.Message != "" {
			fmt.Fprintf(w, ": %s", plain(i.Message))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func hostStatus(c *cli.Context, cl *api.Client, h api.Host) error {
	if done, err := printThing(c, h); done {
		return err
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s (%s): %s, %s, systemd %d, flotilla %s\n", h.Name, short(h.ID, 8, false), hostState(h), h.OS, h.Systemd, h.Version)
	var rows []api.Instance
	err := cl.Units(c.Context, nil, func(u api.Unit) error {
		for _, i := range u.Instances {
			if i.Host == h.ID {
				rows = append(rows, i)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	chosen, err := choose(unitColumns, "unit,active,sub,since,order,message")
	if err != nil {
		return err
	}
	return printTable(c, rows, chosen)
}

func explain(c *cli.Context) error {
	if err := checkList(c, hostColumns); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return usagef("explain needs one unit or host: flotilla explain web.service")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	thing := c.Args().First()
	e, err := cl.Explain(c.Context, thing)
	var refused *api.Error
	if errors.As(err, &refused) && refused.Code == api.CodeNotFound {
		if second, err2 := cl.Explain(c.Context, units.Mangle(thing)); err2 == nil {
			e, err = second, nil
		}
	}
	if err != nil {
		return err
	}
	if done, err := printThing(c, e); done {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %s\n", e.Thing, plain(e.Summary))
	for _, l := range e.Lines {
		fmt.Fprintf(c.App.Writer, "  %s\n", plain(l))
	}
	return nil
}

func logs(c *cli.Context) error {
	switch {
	case c.NArg() > 1:
		return usagef("%s takes one unit or host", c.Command.Name)
	case c.NArg() == 0 && c.Command.Name == "journal":
		return usagef("journal needs a unit: flotilla journal web.service; flotilla logs shows the daemons")
	}
	if c.Int("lines") < 0 {
		return usagef("--lines %d: want 0 or more", c.Int("lines"))
	}
	if o := c.String("output"); o != "" && o != "json" {
		return usagef("-o %s: want json", o)
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	q := api.LogQuery{Thing: c.Args().First(), Host: c.String("host"), Lines: c.Int("lines"), Follow: c.Bool("follow")}
	if c.Command.Name == "journal" {
		q.Thing = units.Mangle(q.Thing)
	}
	err = cl.Logs(c.Context, q, logPrinter(c))
	var refused *api.Error
	if errors.As(err, &refused) && refused.Code == api.CodeNotFound && units.Mangle(q.Thing) != q.Thing {
		q.Thing = units.Mangle(q.Thing)
		err = cl.Logs(c.Context, q, logPrinter(c))
	}
	if c.Context.Err() != nil {
		return nil // Ctrl-C is how a person ends -f
	}
	return err
}

func logPrinter(c *cli.Context) func(api.LogEntry) error {
	return func(e api.LogEntry) error {
		if c.String("output") == "json" {
			return jsonLine(c, e)
		}
		_, err := fmt.Fprintf(c.App.Writer, "%s %s %s: %s\n", e.Time.Local().Format(time.StampMilli), e.Host, cmp.Or(e.Unit, "flotilla"), plain(e.Message))
		return err
	}
}

func events(c *cli.Context) error {
	if o := c.String("output"); o != "" && o != "json" {
		return usagef("-o %s: want json", o)
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	err = cl.Events(c.Context, c.Bool("follow"), func(e api.Event) error {
		if c.String("output") == "json" {
			return jsonLine(c, e)
		}
		where := ""
		if e.Host != "" {
			where = " on " + e.Host
		}
		_, err := fmt.Fprintf(c.App.Writer, "%s %s %s%s: %s\n", e.Time.Local().Format(time.TimeOnly), e.Kind, e.Subject, where, e.Text)
		return err
	})
	if c.Context.Err() != nil {
		return nil
	}
	return err
}
