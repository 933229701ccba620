package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/leader/plan"
)

func badDrains() []badWords {
	return []badWords{
		{"cordon", 2, `cordon needs a host: flotilla cordon h1 (or --selector role=web, or --all)$`},
		{"uncordon", 2, `uncordon needs a host: flotilla uncordon h1 (or --selector role=web, or --all)$`},
		{"drain", 2, `drain needs a host: flotilla drain h1 (or --selector role=web, or --all)$`},
		{"drain h9", 1, `no host "h9" in the cluster (flotilla list-machines shows them)$`},
		{"cordon h1 h9", 1, `no host "h9" in the cluster (flotilla list-machines shows them)$`},
		{"uncordon H1", 1, `no host "H1" in the cluster (flotilla list-machines shows them)$`},
		{"drain h1 --all", 2, `drain takes hosts by name, or --selector, or --all: choose one of them$`},
		{"cordon --all --selector a=b", 2, `cordon takes hosts by name, or --selector, or --all: choose one of them$`},
		{"cordon --selector role=nosuch", 1, `no host has the labels role=nosuch (flotilla list-machines -o wide shows them)$`},
		{"drain --selector a==b", 2, `--selector a==b: a==b is no expression over labels (write one =)$`},
		{"drain --selector =web", 2, `--selector =web: =web is no expression over labels (`},
		{"cordon --selector EMPTY", 2, `word 3 of the command line is empty: is a variable of the shell not set?$`},
		{"drain EMPTY", 2, `word 2 of the command line is empty: is a variable of the shell not set?$`},
		{"drain h1 --on-blocked=wait", 2, `--on-blocked wait: want abort, skip or stop$`},
		{"drain h1 --on-blocked=skipp", 2, `--on-blocked skipp: did you mean skip?$`},
		{"drain h1 --timeout 0s", 2, `--timeout 0s: want a positive duration such as 30s; --no-wait does not wait$`},
		{"drain h1 --timeout -5m", 2, `--timeout -5m0s: want a positive duration such as 30s; --no-wait does not wait$`},
		{"drain h1 --timeout soon", 2, `invalid value "soon" for flag -timeout: parse error: see flotilla help drain$`},
		{"drain h1 --dry-run --no-wait", 2, `--dry-run and --no-wait exclude one another: give one of them$`},
		{"drain h1 -o json", 2, `--output is for --dry-run: the drain itself prints its progress$`},
		{"drain h1 --dry-run -o table", 2, `-o table: want wide, json or yaml$`},
		{"drain h1 --force", 2, `unknown flag --force: see flotilla help drain$`},
		{"uncordon h1 --reason x", 2, `unknown flag --reason: see flotilla help uncordon$`},
		{"cordon --reason", 2, `flag needs an argument: -reason: see flotilla help cordon$`},
	}
}

// host1 is a view of a host that is drained, with these units left; one that begins with ! is blocked.
func host1(over bool, left ...string) api.Host {
	d := &api.Draining{Left: []plan.Left{}, Over: over}
	for _, u := range left {
		name, blocked := strings.CutPrefix(u, "!")
		d.Left = append(d.Left, plan.Left{Unit: cluster.Unit(name), Blocked: blocked, Reason: "reason of " + name})
	}
	return api.Host{ID: "1", Name: "h1", State: api.HostAlive, Drain: &cluster.DrainWish{}, Draining: d}
}

// TestFollowDrain: what a drain that is followed tells of a host, and how it ends.
func TestFollowDrain(t *testing.T) {
	absent, free, gone, unplanned := host1(false, "a"), host1(false), host1(false), host1(false)
	absent.State, free.Drain, gone.State, unplanned.Draining = api.HostAbsent, nil, api.HostGone, nil
	stays := host1(false)
	stays.Draining.Stays = []plan.Left{{Unit: "data"}, {Unit: "every"}}
	const draining, failed = "draining h1: ", "flotilla: error: h1: "
	for _, tt := range []struct {
		name  string
		views []api.Host
		want  []string
		open  bool
		ok    bool
	}{
		{"to its end", []api.Host{unplanned, host1(false, "a", "b"), host1(false, "a", "b"), host1(false, "b"), stays}, []string{
			draining + "2 of 2 units left: a: reason of a", draining + "1 of 2 units left: b: reason of b", "h1: drained: 2 units left it, 2 stay (data and 1 more)",
		}, false, true},
		{"nothing to do", []api.Host{host1(false)}, []string{"h1: drained: 0 units left it"}, false, true},
		{"blocked, with time left", []api.Host{host1(false, "a", "!b"), host1(false, "a", "!b")}, []string{draining + "2 of 2 units left: b: reason of b"}, true, true},
		{"blocked for too long", []api.Host{host1(true, "!b", "!c", "d")}, []string{
			draining + "3 of 3 units left: b: reason of b",
			failed + "blocked: 3 of 3 units left, and b: reason of b; and 1 more without a place (it stays closed and goes on once there is a place; flotilla uncordon h1 ends it)",
		}, false, false},
		{"late, but with a place", []api.Host{host1(true, "a")}, []string{draining + "1 of 1 unit left: a: reason of a"}, true, true},
		{"somebody ended it", []api.Host{free}, []string{failed + "it is drained no more: somebody uncordoned it"}, false, false},
		{"the host died", []api.Host{absent}, []string{failed + "it is absent, and its units go elsewhere as from any host that died (flotilla explain h1)"}, false, false},
		{"the host is gone", []api.Host{gone}, []string{failed + "it was removed from the cluster"}, false, false},
	} {
		var out bytes.Buffer
		app := &cli.App{Writer: &out, ErrWriter: &out}
		f := newDrainage(cli.NewContext(app, nil, nil), nil)
		f.person = false
		f.open["1"] = &drained{name: "h1", all: map[string]bool{}}
		for _, h := range tt.views {
			f.see(h)
		}
		if diff := cmp.Diff(strings.Join(tt.want, "\n")+"\n", out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if open := len(f.open) > 0; open != tt.open || (f.outcome() == nil) != tt.ok {
			t.Errorf("%s: open %t, outcome %v, want open %t, good %t", tt.name, open, f.outcome(), tt.open, tt.ok)
		}
	}
}

// TestDrainOverARestart: a drain that is followed goes on being followed when its daemon ends; a person who ends that
// is told that the drain goes on.
func TestDrainOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &lives{list: []life{
			{lines: []any{host1(false, "a", "b")}, end: io.ErrUnexpectedEOF},
			{down: true},
			{down: true},
			{lines: []any{host1(false, "b")}},
			{lines: []any{host1(false)}},
		}}
		out, talk, err := following(t, d, followOne)
		if err != nil || out != "h1: drained: 2 units left it\n" {
			t.Errorf("the drain ends with %q, %v", out, err)
		}
		if n := strings.Count(talk, "asking again (the drain goes on)"); n != 2 || !strings.Contains(talk, "draining h1: 1 of 2 units left: b") {
			t.Errorf("the drain says %q, want both ends of the daemon, and what is left", talk)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var code exitCode
		_, talk, err := following(t, &lives{}, followOne) // nothing is heard, until the context ends
		if want := "flotilla: the drain goes on: flotilla explain h1 shows it, flotilla uncordon h1 ends it\n"; talk != want || !errors.As(err, &code) || code != 1 {
			t.Errorf("the drain that is left says %q and ends with %v, want %q and exit code 1", talk, err, want)
		}
	})
}

func followOne(c *cli.Context, cl *api.Client) error {
	f := newDrainage(c, nil)
	f.person = false
	f.begin(host1(false))
	return f.follow(cl)
}

// TestDrainNamesOrphans: what runs without an order is named, for no drain moves it.
func TestDrainNamesOrphans(t *testing.T) {
	var out bytes.Buffer
	sayOrphans(cli.NewContext(&cli.App{ErrWriter: &out}, nil, nil), []api.Host{{Name: "h1"}, {Name: "h2", Orphans: []string{"a.service", "b.service"}}})
	if want := "flotilla: h2 runs a.service and 1 more without any order, and no drain moves that: flotilla orphan stop h2 UNIT ends it\n"; out.String() != want {
		t.Errorf("a drain says %q, want %q", out.String(), want)
	}
}
