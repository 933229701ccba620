package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"flotilla/cluster"
)

// cmdGroup makes a group anew: max=2 selector=role=web windows=a,b settle=1ms return=1s gate=1s drain=1s failures=1.
// What is not said is the default.
func cmdGroup(ts *testscript.TestScript, _ bool, args []string) {
	var g cluster.Group
	times := map[string]*time.Duration{
		"settle": &g.Times.Settle, "return": &g.Times.Return, "gate": &g.Times.Gate, "drain": &g.Times.Drain, "grant": &g.Times.Grant,
	}
	for _, a := range args[1:] {
		var err error
		switch key, value, _ := strings.Cut(a, "="); key {
		case "max":
			g.Max, err = cluster.ParseSlots(value)
		case "selector":
			g.Selector = value
		case "windows":
			g.Windows = strings.Split(value, ",")
		case "failures":
			_, err = fmt.Sscan(value, &g.Failures)
		default:
			*times[key], err = time.ParseDuration(value)
		}
		ts.Check(err)
	}
	r := rigOf(ts)
	rev, err := r.Store.EditGroup(context.Background(), args[0], 0, func(*cluster.Group) (*cluster.Group, error) { return &g, nil })
	ts.Check(err)
	ts.Check(r.Mirror.WaitRevision(context.Background(), rev))
}

// cmdWindow makes a window anew.
func cmdWindow(ts *testscript.TestScript, _ bool, args []string) {
	length, err := time.ParseDuration(args[2])
	ts.Check(err)
	r := rigOf(ts)
	w := cluster.Window{Calendar: args[1], Duration: length}
	rev, err := r.Store.EditWindow(context.Background(), args[0], 0, func(*cluster.Window) (*cluster.Window, error) { return &w, nil })
	ts.Check(err)
	ts.Check(r.Mirror.WaitRevision(context.Background(), rev))
}

// cmdWay says how a host reboots from now on; without words it reboots well.
func cmdWay(ts *testscript.TestScript, _ bool, args []string) {
	r := rigOf(ts)
	ts.Check(r.Way(context.Background(), r.host(ts, args[0]), strings.Join(args[1:], " ")))
}
