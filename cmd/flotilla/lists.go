package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

func listCommands() []*cli.Command {
	return []*cli.Command{
		{Name: "list-units", Category: groupLook, ArgsUsage: "[GLOB...]", Usage: "units on hosts, with systemd's states", Flags: listFlags(), Action: listUnits},
		{Name: "list-unit-files", Category: groupLook, ArgsUsage: "[GLOB...]", Usage: "units in the cluster, with wanted and reached states", Flags: listFlags(), Action: listUnitFiles},
		{Name: "list-machines", Aliases: []string{"list-hosts"}, Category: groupLook, Usage: "hosts of the cluster", Flags: listFlags(), Action: listMachines},
	}
}

// patterns are the arguments of a list: what is no glob is a name.
func patterns(c *cli.Context) (globs, names []string, err error) {
	globs, err = words(c)
	for i, word := range globs {
		if !units.IsGlob(word) {
			globs[i] = units.Mangle(word)
			names = append(names, globs[i])
		}
	}
	return globs, names, err
}

// note remembers which of the names were listed.
func note(listed map[string]bool, names []string, name string) {
	if slices.Contains(names, name) {
		listed[name] = true
	}
}

// missing says of each name that nothing in a list has it.
func missing(names []string, listed map[string]bool) error {
	var failed error
	for _, name := range names {
		if !listed[name] {
			failed = errors.Join(failed, fmt.Errorf("no unit %q in the cluster (flotilla list-unit-files shows what there is)", name))
		}
	}
	return failed
}

func short(id string, n int, full bool) string {
	if full || len(id) <= n {
		return id
	}
	return id[:n]
}

// machine shows a host as fleet did: the first eight digits of its id, and its address.
func machine(id, address string, full bool) string {
	if id == "" {
		return ""
	}
	out := id
	if !full {
		out = short(id, 8, false) + "..."
	}
	if address != "" {
		out += "/" + hostOnly(address)
	}
	return out
}

// hostOnly is an address without its port.
func hostOnly(address string) string {
	if i := strings.LastIndexByte(address, ':'); i > 0 && !strings.HasSuffix(address, "]") {
		return strings.Trim(address[:i], "[]")
	}
	return address
}

func unitColumns() []column[api.Instance] {
	return []column[api.Instance]{
		{"unit", func(i api.Instance, _ bool) string { return i.Unit }},
		{"machine", func(i api.Instance, full bool) string { return machine(i.Host, i.Address, full) }},
		{"host", func(i api.Instance, _ bool) string { return i.HostName }},
		{"load", func(i api.Instance, _ bool) string { return i.Load }},
		{"active", func(i api.Instance, _ bool) string { return i.Active }},
		{"sub", func(i api.Instance, _ bool) string { return i.Sub }},
		{"hash", func(i api.Instance, full bool) string { return short(string(i.Hash), 7, full) }},
		{"order", func(i api.Instance, _ bool) string { return i.Order }},
		{"since", func(i api.Instance, _ bool) string { return age(i.Since) }},
		{"message", func(i api.Instance, _ bool) string { return i.Message }},
	}
}

// listUnits prints one row for each unit on each host.
func listUnits(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	globs, names, err := patterns(c)
	if err != nil {
		return err
	}
	const normal, wide = "unit,machine,active,sub", "unit,host,machine,load,active,sub,hash,order,since,message"
	if err := checkList(c, unitColumns()); err != nil {
		return err
	}
	rows, err := newLister(c, unitColumns(), normal, wide)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	err = cl.Units(c.Context, globs, func(u api.Unit) error {
		note(listed, names, u.Name)
		return rows.add(u.Instances...)
	})
	if err == nil {
		err = rows.end()
	}
	if err != nil {
		return err
	}
	return missing(names, listed)
}

func fileColumns() []column[api.Unit] {
	return []column[api.Unit]{
		{"unit", func(u api.Unit, _ bool) string { return u.Name }},
		{"hash", func(u api.Unit, full bool) string { return short(string(u.Hash), 7, full) }},
		{"dstate", func(u api.Unit, _ bool) string { return u.Target.String() }},
		{"state", func(u api.Unit, _ bool) string {
			if u.Global {
				return ""
			}
			return u.State.String()
		}},
		{"target", func(u api.Unit, full bool) string { return targetOf(u, full) }},
		{"global", func(u api.Unit, _ bool) string { return yesNo(u.Global) }},
		{"desc", func(u api.Unit, _ bool) string { return u.Description }},
		{"outdated", func(u api.Unit, _ bool) string {
			if u.Outdated {
				return "outdated"
			}
			return ""
		}},
		{"reason", func(u api.Unit, _ bool) string { return cmp.Or(u.Reason, outdated(u)) }},
	}
}

// outdated says that a unit is not made of its template as it is now, and what brings it there.
func outdated(u api.Unit) string {
	if !u.Outdated {
		return ""
	}
	return "outdated: its template changed; flotilla apply " + u.Template
}

func targetOf(u api.Unit, full bool) string {
	if u.Global {
		return "global"
	}
	var on []string
	for _, i := range u.Instances {
		if i.Order != "gone" && i.Order != "" {
			on = append(on, machine(i.Host, i.Address, full))
		}
	}
	return strings.Join(on, ",")
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func listUnitFiles(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	globs, names, err := patterns(c)
	if err != nil {
		return err
	}
	if err := checkList(c, fileColumns()); err != nil {
		return err
	}
	rows, err := newLister(c, fileColumns(), "unit,hash,dstate,state,target", "unit,hash,dstate,state,target,global,outdated,reason,desc")
	if err != nil {
		return err
	}
	listed, outdated := map[string]bool{}, 0
	err = cl.Units(c.Context, globs, func(u api.Unit) error {
		if u.Revision == 0 {
			return nil
		}
		if u.Outdated {
			outdated++
		}
		note(listed, names, u.Name)
		return rows.add(u)
	})
	if err == nil {
		err = rows.end()
	}
	if err != nil {
		return err
	}
	if outdated > 0 {
		fmt.Fprintf(c.App.ErrWriter, "flotilla: %s outdated: their template changed (-o wide shows which, flotilla apply brings them up)\n", areUnits(outdated))
	}
	return missing(names, listed)
}

func areUnits(n int) string {
	if n == 1 {
		return "1 unit is"
	}
	return fmt.Sprintf("%d units are", n)
}

func hostColumns() []column[api.Host] {
	return []column[api.Host]{
		{"machine", func(h api.Host, full bool) string { return machine(h.ID, "", full) }},
		{"ip", func(h api.Host, _ bool) string { return hostOnly(h.Address) }},
		{"metadata", func(h api.Host, _ bool) string { return labelText(h.Labels) }},
		{"name", func(h api.Host, _ bool) string { return h.Name }},
		{"state", func(h api.Host, _ bool) string { return hostState(h) }},
		{"units", func(h api.Host, _ bool) string { return count(h.Active, h.Units) }},
		{"version", func(h api.Host, _ bool) string { return h.Version }},
		{"os", func(h api.Host, _ bool) string { return h.OS }},
		{"systemd", func(h api.Host, _ bool) string { return number(h.Systemd) }},
		{"runtimes", func(h api.Host, _ bool) string { return labelText(h.Runtimes) }},
		{"cpus", func(h api.Host, _ bool) string { return number(h.CPUs) }},
		{"memory", func(h api.Host, _ bool) string { return memoryText(h.Memory) }},
		{"reserved", func(h api.Host, _ bool) string { return memoryText(h.Reserved) }},
		{"closed", func(h api.Host, _ bool) string { return closedText(h) }},
	}
}

func listMachines(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	if c.Args().Present() {
		return usagef("list-machines takes no arguments, got %q: flotilla status HOST shows one", c.Args().First())
	}
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	rows, err := cl.Hosts(c.Context)
	if err != nil {
		return err
	}
	if rows == nil {
		rows = []api.Host{}
	}
	return printList(c, rows, hostColumns(), "machine,ip,metadata", "machine,name,ip,state,units,metadata,version,systemd,runtimes,cpus,memory,reserved,os,closed")
}

func labelText(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}

func hostState(h api.Host) string {
	switch {
	case h.State == api.HostRemoved:
		return string(h.State)
	case h.State != api.HostAlive && h.Earlier:
		return string(h.State) + ", at least " + age(h.Since)
	case h.State != api.HostAlive:
		return string(h.State) + " " + age(h.Since)
	case drainState(h) != "":
		return drainState(h)
	case h.Cordon != nil:
		return "cordoned"
	case h.Leader:
		return "alive, leader"
	}
	return string(h.State)
}

// age is how long ago something was, in one unit.
func age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return short1(time.Since(t))
}

func short1(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Hour).String(), "0m0s")
	}
	return number(int(d/(24*time.Hour))) + "d"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// memoryText writes bytes as systemd does, to one digit after the point; nothing for what is not known.
func memoryText(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len("BKMGT")-1 {
		value, unit = value/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + "BKMGT"[unit:unit+1]
}

func count(some, all int) string { return fmt.Sprintf("%d/%d", some, all) }
