package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/leader/plan"
	"flotilla/units"
)

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name: "simulate", Category: groupLook, Usage: "what would go where if hosts were lost or units added; touches nothing", Action: simulate,
		Flags: append(endpointFlags(),
			&cli.StringSliceFlag{Name: "lose", Usage: "assume that this host dies (may be repeated, or a list by comma)"},
			&cli.StringSliceFlag{Name: "drain", Usage: "assume that this host gives its units away"},
			&cli.StringSliceFlag{Name: "cordon", Usage: "assume that this host takes no more units"},
			&cli.StringSliceFlag{Name: "remove", Usage: "assume that this host is removed for good"},
			&cli.StringSliceFlag{Name: "label", Usage: "assume a label: HOST:KEY=VALUE, or HOST:KEY- for none"},
			&cli.StringSliceFlag{Name: "add", Usage: "assume that units are started: 'web@{1..200}', or FILE=N for N new ones like it"},
			&cli.BoolFlag{Name: "resume", Usage: "assume that failover is resumed should the storm brake hold"},
			&cli.StringFlag{Name: "snapshot", Usage: "ask this file instead of a daemon"},
			&cli.StringFlag{Name: "save", Usage: "write the cluster as the planner sees it into this file"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"},
			&cli.BoolFlag{Name: "no-legend", Usage: "no header lines"}),
	}
}

// simulate prints what would happen. It ends with 2 when a unit would have no host.
func simulate(c *cli.Context) error {
	if err := checkList(c, hostColumns()); err != nil {
		return err
	}
	if c.Args().Present() {
		return usagef("simulate takes no arguments, got %q: write --lose %s, --drain %s or --add %s", c.Args().First(), c.Args().First(), c.Args().First(), c.Args().First())
	}
	if c.IsSet("snapshot") && c.IsSet("save") {
		return usagef("--save writes the live cluster: leave --snapshot out")
	}
	sim, err := readSimulation(c)
	if err != nil {
		return err
	}
	if c.IsSet("save") {
		if done, err := saveSnapshot(c); done || err != nil {
			return err
		}
	}
	f, err := foretell(c, sim)
	if err != nil {
		return err
	}
	done, err := printThing(c, f)
	if err == nil && !done {
		err = printForecast(c, f)
	}
	if err != nil {
		return err
	}
	if len(f.Waiting) > 0 {
		return exitCode(2)
	}
	return nil
}

// foretell asks the file of --snapshot, else a daemon.
func foretell(c *cli.Context, sim api.Simulation) (plan.Forecast, error) {
	path := c.String("snapshot")
	if path == "" {
		cl, err := client(c)
		if err != nil {
			return plan.Forecast{}, err
		}
		return cl.Simulate(c.Context, sim)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return plan.Forecast{}, fmt.Errorf("read --snapshot: %w", err)
	}
	var s plan.Saved
	if err := json.Unmarshal(raw, &s); err != nil {
		return plan.Forecast{}, fmt.Errorf("%s: %w: %w (flotilla simulate --save FILE writes one)", path, plan.ErrNotSaved, err)
	}
	snap, err := s.Snapshot()
	if err != nil {
		return plan.Forecast{}, fmt.Errorf("%s: %w", path, err)
	}
	return api.Foretell(snap, s.Options, sim, s.Taken)
}

// saveSnapshot writes the file of --save, which holds all unit files and so is its owner's alone. done says that
// nothing else was asked for.
func saveSnapshot(c *cli.Context) (done bool, err error) {
	cl, err := client(c)
	if err != nil {
		return false, err
	}
	raw, err := cl.Snapshot(c.Context)
	if err != nil {
		return false, err
	}
	path := c.String("save")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return false, fmt.Errorf("write --save: %w", err)
	}
	fmt.Fprintf(c.App.ErrWriter, "saved: flotilla simulate --snapshot %s …\n", path)
	for _, name := range []string{"lose", "drain", "cordon", "remove", "label", "add"} {
		if c.IsSet(name) {
			return false, nil
		}
	}
	return true, nil
}

// readSimulation makes a Simulation of the flags.
func readSimulation(c *cli.Context) (api.Simulation, error) {
	s := api.Simulation{
		Lose: hostsOf(c, "lose"), Drain: hostsOf(c, "drain"), Cordon: hostsOf(c, "cordon"), Remove: hostsOf(c, "remove"),
		Resume: c.Bool("resume"),
	}
	for _, word := range c.StringSlice("label") {
		host, label, ok := strings.Cut(word, ":")
		if !ok || host == "" {
			return s, usagef("--label %s: write HOST:KEY=VALUE, or HOST:KEY- to remove it", word)
		}
		key, set, err := readLabel(label)
		if err != nil {
			return s, err
		}
		if s.Labels == nil {
			s.Labels = map[string]map[string]*string{}
		}
		if s.Labels[host] == nil {
			s.Labels[host] = map[string]*string{}
		}
		s.Labels[host][key] = set
	}
	for _, word := range c.StringSlice("add") {
		more, err := readAddition(word)
		if err != nil {
			return s, err
		}
		s.Add = append(s.Add, more...)
	}
	return s, nil
}

// hostsOf are the hosts that a flag names; no host's name holds a comma.
func hostsOf(c *cli.Context, flag string) []string {
	var out []string
	for _, word := range c.StringSlice(flag) {
		out = append(out, strings.Split(word, ",")...)
	}
	return out
}

// readAddition makes Additions of 'web@{1..200}', a name, a file, or one of these with =N. A file that is here
// comes before what the cluster has. Names that share a file make one Addition.
func readAddition(word string) ([]api.Addition, error) {
	pattern, count := word, 0
	if i := strings.LastIndexByte(word, '='); i >= 0 {
		n, err := strconv.Atoi(word[i+1:])
		if err != nil || n < 1 {
			return nil, usagef("--add %s: want a positive number after =", word)
		}
		pattern, count = word[:i], n
	}
	names, err := units.Expand(pattern)
	if err != nil {
		return nil, err
	}
	var out []api.Addition
	byFile := map[string]int{}
	for _, n := range names {
		if units.IsGlob(n) {
			return nil, usagef("--add %s: a glob names what there is; write names, as in 'web@{1..200}'", word)
		}
		name := units.Mangle(filepath.Base(n))
		path, raw, err := readUnit(n, name)
		if err != nil {
			return nil, err
		}
		if i, known := byFile[path]; known && count == 0 {
			out[i].Units = append(out[i].Units, name)
			continue
		}
		add := api.Addition{Units: []string{name}, Count: count, File: path}
		if raw != nil {
			file := unitFile{name: name, path: path, raw: raw}
			if err := file.readDropIns(); err != nil {
				return nil, err
			}
			text := string(raw)
			add.Content, add.DropIns = &text, *asked(file.dropIns())
		}
		byFile[path] = len(out)
		out = append(out, add)
	}
	return out, nil
}

func printForecast(c *cli.Context, f plan.Forecast) error {
	if len(f.Moves) > 0 {
		if err := printTable(c, f.Moves, moveColumns()); err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer)
	}
	if err := printTable(c, f.Hosts, forecastColumns()); err != nil {
		return err
	}
	if f.Brake != "" {
		fmt.Fprintf(c.App.Writer, "\nthe storm brake would hold: %s\n", plain(f.Brake))
		if f.Resumed {
			fmt.Fprintln(c.App.Writer, "what is shown is what follows once it is let go")
		}
	}
	if f.Endless {
		fmt.Fprintln(c.App.Writer, "\nthe planner does not come to rest: this is how far it was followed")
	}
	if len(f.Waiting) == 0 {
		_, err := fmt.Fprintf(c.App.Writer, "\nall fits: %s would have a host, %d would move or start\n", countOf(f.Units, "unit"), len(f.Moves))
		return err
	}
	fmt.Fprintln(c.App.Writer)
	for _, m := range f.Waiting {
		was := ""
		switch {
		case m.Already:
			was = " (it waits already)"
		case m.FromName != "":
			was = " (from " + m.FromName + ")"
		}
		fmt.Fprintf(c.App.Writer, "%s%s: %s\n", m.Unit, was, plain(m.Reason))
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s would have no host, %d would have one\n", countOf(len(f.Waiting), "unit"), f.Units)
	return err
}

func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func moveColumns() []column[plan.Transfer] {
	return []column[plan.Transfer]{
		{"unit", func(m plan.Transfer, _ bool) string { return string(m.Unit) }},
		{"from", func(m plan.Transfer, _ bool) string { return m.FromName }},
		{"to", func(m plan.Transfer, _ bool) string { return m.ToName }},
		{"why", func(m plan.Transfer, _ bool) string { return m.Why }},
	}
}

func forecastColumns() []column[plan.HostForecast] {
	return []column[plan.HostForecast]{
		{"host", func(h plan.HostForecast, _ bool) string { return h.Name }},
		{"before", func(h plan.HostForecast, _ bool) string { return strconv.Itoa(h.Before) }},
		{"after", func(h plan.HostForecast, _ bool) string { return strconv.Itoa(h.After) }},
		{"state", func(h plan.HostForecast, _ bool) string { return h.State }},
	}
}

// readLabel reads KEY=VALUE, or KEY- to remove it.
func readLabel(word string) (key string, set *string, err error) {
	key, value, ok := strings.Cut(word, "=")
	switch {
	case ok && key != "" && value != "":
		return key, &value, nil
	case !ok && strings.HasSuffix(word, "-") && len(word) > 1:
		return strings.TrimSuffix(word, "-"), nil, nil
	}
	return "", nil, usagef("label %q: write key=value, or key- to remove it", word)
}
