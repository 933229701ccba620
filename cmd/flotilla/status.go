package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// status shows the cluster, a unit or a host.
func status(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	if err := checkList(c, hostColumns()); err != nil {
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
	return eachThing(c, cl, func(thing string) error { return thingStatus(c, cl, thing) })
}

// localNotices are what a person should know of the daemon that answers and its host.
func localNotices(l api.Local) []string {
	out := l.FrozenNotices()
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
		for _, n := range localNotices(local) {
			if !slices.Contains(v.Notices, n) {
				v.Notices = append(v.Notices, n)
			}
		}
	}
	slices.SortFunc(v.Hosts, func(a, b api.Host) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	if done, err := printThing(c, v); done {
		return err
	}
	alive := 0
	for _, h := range v.Hosts {
		if h.State == api.HostAlive {
			alive++
		}
	}
	w := c.App.Writer
	fmt.Fprintf(w, "hosts %d/%d alive, units %d/%d running, leader %s", alive, len(v.Hosts), v.Running, v.Units, cmp.Or(v.Leader, "none"))
	if healthy, all := v.EtcdVoters(); all > 0 {
		fmt.Fprintf(w, ", etcd %d/%d", healthy, all)
	}
	fmt.Fprintln(w)
	if v.Reboots != "" {
		fmt.Fprintf(w, "reboots: %s (flotilla reboot status)\n", plain(v.Reboots))
	}
	for _, n := range v.Notices {
		fmt.Fprintf(w, "! %s\n", n)
	}
	chosen, err := choose(hostColumns(), "name,machine,ip,state,units,metadata")
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
	if !notFound(err) {
		return err
	}
	h, err := cl.Host(c.Context, thing)
	switch {
	case err == nil:
		return hostStatus(c, cl, h)
	case notFound(err):
		return fmt.Errorf("no unit and no host %q (flotilla status shows what there is)", thing)
	}
	return err
}

func unitStatus(c *cli.Context, u api.Unit) error {
	if done, err := printThing(c, u); done {
		return err
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s: wanted %s, %s\n", u.Name, u.Target, cmp.Or(u.Reason, "as wanted"))
	if u.Outdated {
		fmt.Fprintf(w, "  %s\n", outdated(u))
	}
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
	if closed := closedText(h); closed != "" {
		fmt.Fprintf(w, "  %s (flotilla uncordon %s ends it)\n", closed, h.Name)
	}
	var rows []api.Instance
	err := cl.UnitsOn(c.Context, h.ID, func(u api.Unit) error {
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
	chosen, err := choose(unitColumns(), "unit,active,sub,since,order,message")
	if err != nil {
		return err
	}
	return printTable(c, rows, chosen)
}
