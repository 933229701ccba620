package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
)

// dropIns is a field of a change; names and contents alternate.
func dropIns(pairs ...string) string {
	list := []api.DropIn{}
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, api.DropIn{Name: pair[0], Content: pair[1]})
	}
	raw, _ := json.Marshal(list)
	return `"dropins":` + string(raw)
}

// env is a drop-in that sets one variable.
func env(value string) string { return "[Service]\nEnvironment=A=" + value + "\n" }

// wantDropIns compares what a unit has, and says its view.
func wantDropIns(t *testing.T, c *apitest.Cluster, unit string, pairs ...string) api.Unit {
	t.Helper()
	waitHead(t, c, unit)
	got := call(t, c.Hosts[0], "GET", "/v1/units/"+unit+"/dropins", "")
	var have []string
	for _, d := range lines[api.DropIn](t, got.body) {
		have = append(have, d.Name, d.Content)
	}
	if diff := cmp.Diff(pairs, have); diff != "" {
		t.Errorf("drop-ins of %s differ (-want +got):\n%s", unit, diff)
	}
	return into[api.Unit](t, call(t, c.Hosts[0], "GET", "/v1/units/"+unit, "").body)
}

// waitHead waits until the mirror has the newest heads.
func waitHead(t *testing.T, c *apitest.Cluster, unit string) {
	t.Helper()
	_, rev, err := c.Store.Unit(t.Context(), cluster.Unit(unit))
	if u := cluster.Unit(unit).Template(); err == nil && u != "" {
		if _, at, err := c.Store.Unit(t.Context(), u); err == nil {
			rev = max(rev, at)
		}
	}
	if err == nil {
		err = c.Mirror.WaitRevision(t.Context(), rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask makes one change and returns its note, or its error.
func ask(t *testing.T, c *apitest.Cluster, name string, fields ...string) string {
	t.Helper()
	got := call(t, c.Hosts[0], "POST", "/v1/changes", change(name, strings.Join(fields, ",")))
	if got.status != 200 {
		t.Fatalf("POST /v1/changes = %d %s", got.status, got.body)
	}
	r := lines[api.Result](t, got.body)[0]
	if r.Error != nil {
		return r.Error.Error()
	}
	return r.Note
}

const (
	launched = `"target":"launched"`
	replace  = `"replace":true`
)

func TestDropInsOfAUnit(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	for _, step := range []struct {
		fields []string
		note   string
		want   []string
		run    string // of the unit, then of its restarts
	}{
		{[]string{content(plainUnit), dropIns("20-b.conf", env("2"), "10-a.conf", env("1")), launched}, "created", []string{"10-a.conf", env("1"), "20-b.conf", env("2")}, "1.0"},
		{[]string{content(plainUnit), dropIns("10-a.conf", env("1"), "20-b.conf", env("2"))}, "same content, nothing to do", []string{"10-a.conf", env("1"), "20-b.conf", env("2")}, "1.0"},
		{[]string{content(plainUnit)}, "same content, nothing to do", []string{"10-a.conf", env("1"), "20-b.conf", env("2")}, "1.0"},
		{[]string{content(plainUnit), dropIns("10-a.conf", env("1"))}, "a.service is in the cluster with other drop-ins (", []string{"10-a.conf", env("1"), "20-b.conf", env("2")}, "1.0"},
		{[]string{dropIns(), replace}, "replaced, restarting", nil, "1.1"},
		{[]string{dropIns()}, "", nil, "1.1"},
		{[]string{dropIns("10-a.conf", env("3"))}, "a.service is in the cluster with other drop-ins (none there, ", nil, "1.1"},
		{[]string{dropIns("10-a.conf", env("3")), replace}, "replaced, restarting", []string{"10-a.conf", env("3")}, "1.2"},
		{[]string{content(plainUnit + "# other\n"), replace}, "replaced, restarting", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{content(plainUnit + "[X-Flotilla]\nFence=yes\n"), dropIns("10-a.conf", "[Service]\nKillMode=process\n"), `"file":"units/a.service"`, replace}, "units/a.service.d/10-a.conf:2: KillMode=process cannot go with Fence=yes: processes would be left running (remove it)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{dropIns("10-a.conf", "[Service]\nExecStart=/bin/second\n"), replace}, "a.service.d/10-a.conf:2: more than one ExecStart= command, which only Type=oneshot may have (use ExecStartPre=, or set Type=oneshot)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{dropIns("50-flotilla.conf", env("3")), replace}, "a.service.d/50-flotilla.conf: this name is that of flotilla's own drop-in (choose another, such as 40-flotilla.conf)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{dropIns("../x.conf", env("3")), replace}, "a.service.d/../x.conf: name of a drop-in has a slash (give the name of the file without its folder)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{dropIns(), `"delete":true`}, "a.service: delete goes with nothing else (send two changes)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{content(plainUnit), `"template":true`}, "a.service: template goes with the content of an instance (leave template out)", []string{"10-a.conf", env("3")}, "1.3"},
		{[]string{`"applied":"a\nb"`}, "a.service: applied is longer than 4096 bytes or has characters that cannot be seen (use the path of a folder, or a short name)", []string{"10-a.conf", env("3")}, "1.3"},
	} {
		if got := ask(t, c, "a.service", step.fields...); !strings.HasPrefix(got, step.note) || step.note == "" && got != "" {
			t.Errorf("change with %s = %q, want %q", step.fields, got, step.note)
		}
		wantDropIns(t, c, "a.service", step.want...)
		until(t, c, []string{"a.service"}, func(u api.Unit) bool {
			return u.Settled && len(u.Instances) == 1 && u.Instances[0].Invocation == step.run
		})
	}
}

// TestPutDropIns: PUT replaces drop-ins as it does content.
func TestPutDropIns(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	for _, want := range []string{"1", "2"} {
		got := call(t, c.Hosts[0], "PUT", "/v1/units/a.service", "{"+content(plainUnit)+","+dropIns("10-a.conf", env(want))+"}")
		if r := into[api.Result](t, got.body); !r.Changed {
			t.Fatalf("PUT = %s, want a change", got.body)
		}
		wantDropIns(t, c, "a.service", "10-a.conf", env(want))
	}
	if got := call(t, c.Hosts[0], "GET", "/v1/units/none.service/dropins", ""); got.status != 404 {
		t.Errorf("GET of drop-ins of no unit = %d %s, want 404", got.status, got.body)
	}
}

// TestDropInsOfAnInstance: those of the template come with it; the instance's own stay whatever the template has.
func TestDropInsOfAnInstance(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	template := func(fields ...string) {
		t.Helper()
		if got := ask(t, c, "web@.service", append(fields, replace)...); strings.Contains(got, "(") {
			t.Fatalf("web@.service = %s", got)
		}
	}
	outdated := func(unit string, want bool, pairs ...string) {
		t.Helper()
		if u := wantDropIns(t, c, unit, pairs...); u.Outdated != want {
			t.Errorf("%s is outdated: %v, want %v", unit, u.Outdated, want)
		}
	}
	ask(t, c, "a.service", content(plainUnit))
	template(content(plainUnit), dropIns("10-a.conf", env("1"), "20-b.conf", env("1")))
	for _, test := range []struct{ unit, fields, want string }{
		{"web@1.service", launched, "made from web@.service"},
		{"web@2.service", launched + "," + dropIns("20-b.conf", env("own"), "30-c.conf", env("own")), "made from web@.service"},
		{"web@3.service", launched + "," + content(plainUnit), "created"},
		{"web@4.service", launched + "," + content(plainUnit) + `,"template":true,` + dropIns("10-a.conf", env("1"), "20-b.conf", env("1")), "created"},
	} {
		if got := ask(t, c, test.unit, test.fields); got != test.want {
			t.Errorf("%s = %q, want %q", test.unit, got, test.want)
		}
	}
	outdated("web@1.service", false, "10-a.conf", env("1"), "20-b.conf", env("1"))
	outdated("web@2.service", false, "10-a.conf", env("1"), "20-b.conf", env("own"), "30-c.conf", env("own"))
	outdated("web@3.service", false)
	outdated("web@4.service", false, "10-a.conf", env("1"), "20-b.conf", env("1"))

	template(dropIns("10-a.conf", env("2")))
	outdated("web@1.service", true, "10-a.conf", env("1"), "20-b.conf", env("1"))
	outdated("web@2.service", true, "10-a.conf", env("1"), "20-b.conf", env("own"), "30-c.conf", env("own"))
	outdated("web@3.service", false)
	outdated("web@4.service", true, "10-a.conf", env("1"), "20-b.conf", env("1"))
	for i, want := range []string{"replaced by web@.service, restarting", "replaced by web@.service, restarting"} {
		if got := ask(t, c, fmt.Sprintf("web@%d.service", i+1), replace); got != want {
			t.Errorf("web@%d.service = %q, want %q", i+1, got, want)
		}
	}
	outdated("web@1.service", false, "10-a.conf", env("2"))
	outdated("web@2.service", false, "10-a.conf", env("2"), "20-b.conf", env("own"), "30-c.conf", env("own"))

	// Its own are replaced, together with the template's newest, and taken away.
	template(dropIns("10-a.conf", env("3")))
	if got := ask(t, c, "web@2.service", dropIns("40-d.conf", env("own"))); !strings.Contains(got, "with other drop-ins") {
		t.Errorf("other drop-ins without replace = %q, want a conflict", got)
	}
	ask(t, c, "web@2.service", dropIns("10-a.conf", env("own")), replace)
	outdated("web@2.service", false, "10-a.conf", env("own"))
	ask(t, c, "web@2.service", dropIns(), replace)
	outdated("web@2.service", false, "10-a.conf", env("3"))

	// Content that comes to be the same as the template's is a change of nothing but what it was made of.
	template(dropIns())
	ask(t, c, "web@1.service", replace)
	outdated("web@1.service", false)
	template(content(plainUnit+"# new\n"), dropIns())
	outdated("web@1.service", true)
	if got := ask(t, c, "web@1.service", replace, content(plainUnit+"# its own\n")); got != "replaced, restarting" {
		t.Errorf("content of its own = %q", got)
	}
	outdated("web@1.service", false) // it is made of no template any more
}

// TestAppliedIsKept: a change that does not say to which set a unit belongs leaves that as it is.
func TestAppliedIsKept(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	for _, step := range []struct{ fields, want string }{
		{content(plainUnit) + `,"applied":"/srv/units"`, "/srv/units"},
		{launched, "/srv/units"},
		{content(plainUnit+"# x\n") + "," + replace, "/srv/units"},
		{content(plainUnit+"# x\n") + `,"applied":"site"`, "site"},
	} {
		ask(t, c, "a.service", step.fields)
		if u := wantDropIns(t, c, "a.service"); u.Applied != step.want {
			t.Errorf("after %s the unit was applied from %q, want %q", step.fields, u.Applied, step.want)
		}
	}
}
