package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/units"
)

// checkFault wants one line with a remedy that holds a text.
func checkFault(t *testing.T, what string, err error, want string) {
	t.Helper()
	var f *units.Error
	switch {
	case !errors.As(err, &f):
		t.Errorf("%s: %v, want a *units.Error: %s", what, err, want)
	case !strings.Contains(err.Error(), want) || f.Hint == "" || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s: %s, want one line with a remedy: %s", what, err, want)
	}
}

func TestGroupCheck(t *testing.T) {
	good := func() Group {
		return Group{
			Selector: "role=web", Max: Slots{N: 25, Percent: true, Given: true}, Windows: []string{"night", "week.end-2"},
			Stages: []Stage{{Selector: "canary=yes", Max: Slots{N: 1, Given: true}, Soak: time.Hour}, {Selector: "zone in (a,b)"}},
			Spread: "rack", Failures: 1, OnBlocked: SkipUnit, Loops: 3, Wall: "down\nsoon", Times: Times{Drain: time.Hour, Settle: time.Second},
			Checks: []Check{
				{HTTP: "http://127.0.0.1:8080/health"},
				{HTTP: "https://[::1]/", When: "after"},
				{TCP: "127.0.0.1:5432", When: "before"},
				{TCP: "[::1]:22"},
				{TCP: "db.example.com:5432", Timeout: time.Minute},
				{Command: "/usr/bin/test -e /run/ready"},
				{PromQL: &PromQL{URL: "http://prom:9090", Query: `ALERTS{alertstate="firing"}`}},
			},
		}
	}
	if err := good().Check("web-1"); err != nil {
		t.Errorf("Check = %v", err)
	}
	if err := (Group{}).Check(DefaultGroup); err != nil {
		t.Errorf("Check of an empty group = %v", err)
	}
	check := func(c Check) func(*Group) { return func(g *Group) { g.Checks = []Check{c} } }
	for want, edit := range map[string]func(*Group){
		`selector "a b": "a b" is no expression`: func(g *Group) { g.Selector = "a b" },
		`"a b" is no name`:                       func(g *Group) { g.Windows = []string{"a b"} },
		`window night comes twice`:               func(g *Group) { g.Windows = []string{"night", "night"} },
		`stage 2: selector "x y"`:                func(g *Group) { g.Stages[1].Selector = "x y" },
		`stage 1: it selects no hosts`:           func(g *Group) { g.Stages[0].Selector = " " },
		`stage 1: soak -1s`:                      func(g *Group) { g.Stages[0].Soak = -time.Second },
		`spread: "a b" is no name of a label`:    func(g *Group) { g.Spread = "a b" },
		`-1 failures`:                            func(g *Group) { g.Failures = -1 },
		`-2 reboots for one cause`:               func(g *Group) { g.Loops = -2 },
		`on blocked "wait"`:                      func(g *Group) { g.OnBlocked = "wait" },
		`wall message holds a character`:         func(g *Group) { g.Wall = "a\x1b[2J" },
		`wall message has 5000 bytes`:            func(g *Group) { g.Wall = strings.Repeat("x", 5000) },
		`drain timeout -1s`:                      func(g *Group) { g.Times.Drain = -time.Second },
		`settle time 1000h0m0s`:                  func(g *Group) { g.Times.Settle = 1000 * time.Hour },
		`check 1: it has 0 targets`:              check(Check{When: "after"}),
		`check 1: it has 2 targets`:              check(Check{HTTP: "http://a/", TCP: "a:1"}),
		`check 1: when "during"`:                 check(Check{TCP: "a:1", When: "during"}),
		`check 1: timeout 2h0m0s`:                check(Check{TCP: "a:1", Timeout: 2 * time.Hour}),
		`check 1: http "ftp://a/"`:               check(Check{HTTP: "ftp://a/"}),
		`check 1: http "localhost:80/x"`:         check(Check{HTTP: "localhost:80/x"}),
		`check 1: http "http://a:99999/"`:        check(Check{HTTP: "http://a:99999/"}),
		`check 1: http "http:///x"`:              check(Check{HTTP: "http:///x"}),
		`check 1: tcp "localhost"`:               check(Check{TCP: "localhost"}),
		`check 1: tcp "a:0"`:                     check(Check{TCP: "a:0"}),
		`check 1: tcp "a:http"`:                  check(Check{TCP: "a:http"}),
		`check 1: tcp ":80"`:                     check(Check{TCP: ":80"}),
		`check 1: tcp "a:1/x"`:                   check(Check{TCP: "a:1/x"}),
		`check 1: a command is one line`:         check(Check{Command: "a\nb"}),
		`check 1: promql: a query`:               check(Check{PromQL: &PromQL{URL: "http://a"}}),
		`check 1: promql "a" is no URL`:          check(Check{PromQL: &PromQL{URL: "a", Query: "up"}}),
		`101 checks`:                             func(g *Group) { g.Checks = make([]Check, 101) },
		`101 stages`:                             func(g *Group) { g.Stages = make([]Stage, 101) },
		`101 windows`:                            func(g *Group) { g.Windows = make([]string, 101) },
	} {
		bad := good()
		edit(&bad)
		checkFault(t, want, bad.Check("web"), want)
	}
	checkFault(t, "default", Group{Selector: "a=b"}.Check(DefaultGroup), "group default takes no selector")
	for _, name := range []string{"", "a/b", "a b", "ä", "a_b", ".", "..", "...", strings.Repeat("a", 129), "a\n"} {
		checkFault(t, name, Group{}.Check(name), "is no name of a group or window")
	}
	for _, name := range []string{"a", "A.b-9", "-", ".a", strings.Repeat("a", 128)} {
		if err := CheckGroupName(name); err != nil {
			t.Errorf("CheckGroupName(%q) = %v", name, err)
		}
	}
}

func TestGroupsOf(t *testing.T) {
	snap := NewSnapshot()
	for i, labels := range []map[string]string{{"role": "web"}, {"role": "db", "zone": "a"}, nil, {"zone": "a"}} {
		id := HostID(fmt.Sprintf("%032d", i))
		snap.SetHostInfo(id, &HostInfo{Name: fmt.Sprintf("h%d", i), Labels: labels}, time.Time{})
	}
	snap.SetHostSpec(HostID(fmt.Sprintf("%032d", 3)), HostSpec{Removed: &Note{}}, 1, time.Time{})
	group := func(name, selector, bad string) {
		snap.Groups[name] = &GroupHead{Name: name, Group: Group{Selector: selector}, Bad: bad}
	}
	names := func(i int) string {
		var out []string
		for _, g := range GroupsOf(snap, snap.Hosts[HostID(fmt.Sprintf("%032d", i))]) {
			out = append(out, g.Name)
		}
		return strings.Join(out, " ")
	}
	wantAll := func(want ...string) {
		t.Helper()
		for i, w := range want {
			if got := names(i); got != w {
				t.Errorf("groups of h%d are %q, want %q", i, got, w)
			}
		}
	}
	wantAll("default", "default", "default", "default")
	group("zone", "zone=a", "")
	group("db", "role=db", "")
	group("bad", "", "it is of a newer flotilla")
	group("worse", "a b", "")
	wantAll("default", "db zone", "default", "zone")
	group("default", "ignored=yes", "")
	wantAll("default", "db zone", "default", "zone")
	if got := GroupsOf(snap, snap.Hosts[HostID(fmt.Sprintf("%032d", 2))]); got[0] != snap.Groups["default"] {
		t.Errorf("the default group of a host is %+v, want the one that was made", got[0])
	}
	group("all", "", "")
	wantAll("all", "all db zone", "all", "all zone")

	members := NewMembership(snap).Members(snap)
	count := map[string]int{}
	for name, hosts := range members {
		count[name] = len(hosts)
		if !slices.IsSortedFunc(hosts, func(a, b *Host) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
			t.Errorf("the hosts of group %s are not in order", name)
		}
	}
	if want := (map[string]int{"all": 3, "db": 1, "zone": 1}); fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("members are %v, want %v: removed hosts are none", count, want)
	}
	if snap.Groups["worse"].Unusable() == "" || snap.Groups["bad"].Unusable() == "" || snap.Groups["all"].Unusable() != "" {
		t.Error("Unusable does not tell the groups that cannot be read from the others")
	}
}
