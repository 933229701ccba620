package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/leader/plan"
)

// TestRelocationsWaitForTheNewHost: a unit has moved when it runs as wanted and its old host has no order for it.
func TestRelocationsWaitForTheNewHost(t *testing.T) {
	on := func(host, order string) api.Instance { return api.Instance{Host: host, HostName: host, Order: order} }
	for _, c := range []struct {
		what      string
		unit      api.Unit
		out, says string
		open      bool
	}{
		{"not begun", api.Unit{Revision: 1, Settled: true, Instances: []api.Instance{on("a", "launched")}}, "", "", true},
		{"stops", api.Unit{Revision: 1, Instances: []api.Instance{on("a", "gone")}}, "", "", true},
		{"both run", api.Unit{Revision: 1, Settled: true, Instances: []api.Instance{on("a", "draining"), on("b", "launched")}}, "", "", true},
		{"starts", api.Unit{Revision: 1, Instances: []api.Instance{on("b", "launched")}}, "", "", true},
		{"moved", api.Unit{Revision: 1, Settled: true, Instances: []api.Instance{on("a", "gone"), on("b", "launched")}}, "u.service moved to b\n", "", false},
		{"failed there", api.Unit{Revision: 1, Failed: true, Reason: "exit status 3", Instances: []api.Instance{on("b", "launched")}}, "", "u.service: exit status 3 (flotilla explain u.service)", false},
		{"failed before", api.Unit{Revision: 1, Failed: true, Instances: []api.Instance{on("a", "launched")}}, "", "", true},
		{"destroyed", api.Unit{}, "", "u.service was destroyed meanwhile", false},
	} {
		var out, says strings.Builder
		app := &cli.App{Writer: &out, ErrWriter: &says, Action: func(ctx *cli.Context) error {
			p := relocations{c: ctx, open: map[string]api.UnitMove{}, talk: newTalk(ctx)}
			p.open["u.service"] = api.UnitMove{Relocation: plan.Relocation{Unit: "u.service", From: "a", To: "b"}}
			c.unit.Name = "u.service"
			p.see(c.unit)
			if open := len(p.open) == 1; open != c.open {
				t.Errorf("%s: still waited for = %t, want %t", c.what, open, c.open)
			}
			return nil
		}}
		if err := app.Run([]string{"flotilla"}); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.out || !strings.Contains(says.String(), c.says) || c.says == "" && says.Len() > 0 {
			t.Errorf("%s: prints %q and says %q, want %q and %q", c.what, out.String(), says.String(), c.out, c.says)
		}
	}
}

// TestRebalanceTellsWhy: where no terminal is, a move that takes long says for what it waits, and in the end
// what did not move.
func TestRebalanceTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const why = "waits for web@1.service on h2, which is starting"
		here := []api.Instance{{Host: "a", HostName: "h1", Order: "launched"}}
		there := []api.Instance{{Host: "b", HostName: "h2", Order: "launched"}}
		cl := api.NewClientWith("daemon", script{
			{0, api.Unit{Name: "web@1.service", Revision: 1, Reason: "waiting for the leader to order it", Instances: here}},
			{100 * time.Millisecond, api.Unit{Name: "web@2.service", Revision: 1, Reason: why, Instances: here}},
			{5 * time.Second, api.Unit{Name: "web@1.service", Revision: 1, Settled: true, Instances: there}},
		})
		c, talk := waiting(t)
		err := followMoves(c, cl, []api.UnitMove{
			{Relocation: plan.Relocation{Unit: "web@1.service", From: "a"}}, {Relocation: plan.Relocation{Unit: "web@2.service", From: "a"}},
		})
		want := "flotilla: waiting: web@1.service: waiting for the leader to order it\n" +
			"flotilla: waiting: web@2.service: " + why + "\n" +
			"flotilla: error: web@2.service: not moved after 1m0s: " + why + " (it stays wanted; flotilla explain web@2.service)\n"
		if err == nil || talk.String() != want {
			t.Errorf("says %q, %v, want %q and an error", talk, err, want)
		}
	})
}
