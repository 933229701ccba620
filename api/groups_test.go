package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
)

const (
	night = `{"calendar":"Sat *-*-* 02:00","duration":"2h","zone":"Europe/Berlin","except":["2026-12-24..2027-01-02"],"jitter":"15m"}`
	web   = `{"selector":"role=web","max":"25%","windows":["night"],"stages":[{"selector":"host=h1","soak":"1h30m"}],"spread":"rack",
		"checks":[{"http":"http://127.0.0.1/health","when":"after","timeout":"30s"},{"promql":{"url":"http://prom:9090","query":"ALERTS"}}],
		"times":{"drain":"5m","settle":"90s"},"finish":true,"on_blocked":"skip","failures":1,"loops":3,"wall":"soon"}`
)

func TestGroupsAndWindows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	for _, h := range c.Hosts { // the last one has no mirror, and asks the leader
		groups := lines[api.Group](t, call(t, h, "GET", "/v1/groups", "").body)
		if len(groups) != 1 || groups[0].Name != "default" || groups[0].Hosts != 2 || groups[0].Revision != 0 {
			t.Errorf("groups of an empty cluster are %+v, want the default one with two hosts", groups)
		}
		if got := call(t, h, "GET", "/v1/windows", ""); got.status != 200 || got.body != "" {
			t.Errorf("windows of an empty cluster: %d %s", got.status, got.body)
		}
	}
	h := c.Hosts[1]
	put := call(t, h, "PUT", "/v1/windows/night", night)
	w := into[api.Window](t, put.body)
	if put.status != 200 || w.Name != "night" || w.Normalized != "Sat *-*-* 02:00:00 Europe/Berlin" || w.Duration.String() != "2h" || w.Jitter.String() != "15m" || w.By == nil || w.Next == nil || w.Revision == 0 {
		t.Fatalf("PUT window = %d %+v", put.status, w)
	}
	if w.Next.Until.Sub(w.Next.From) != 2*time.Hour || w.Next.From.Hour() != 2 {
		t.Errorf("the next opening is %+v", w.Next)
	}
	label := call(t, h, "PATCH", "/v1/hosts/h2", `{"labels":{"role":"web"}}`)
	if label.status != 200 {
		t.Fatal(label.body)
	}
	put = call(t, h, "PUT", "/v1/groups/web", web)
	g := into[api.Group](t, put.body)
	if put.status != 200 || g.Hosts != 1 || g.Max.String() != "25%" || g.Stages[0].Soak.String() != "1h30m" || g.Times.Settle.String() != "1m30s" || !g.Finish || g.Checks[1].PromQL.Query != "ALERTS" || put.header.Get("ETag") == "" {
		t.Fatalf("PUT group = %d %s", put.status, put.body)
	}
	if again := call(t, h, "PUT", "/v1/groups/web", put.body); again.body != put.body {
		t.Errorf("an answer that is sent again changes the group:\n%s\n%s", put.body, again.body)
	}
	if got := into[api.Window](t, call(t, h, "GET", "/v1/windows/night", "").body); len(got.Groups) != 1 || got.Groups[0] != "web" {
		t.Errorf("the groups of the window are %v, want web", got.Groups)
	}
	next := lines[api.Opening](t, call(t, h, "GET", "/v1/windows/night/next?n=3", "").body)
	if len(next) != 3 || !next[0].From.Before(next[1].From) || next[0].Zone != "Europe/Berlin" {
		t.Errorf("the next openings are %+v, want three in order", next)
	}
	if got := call(t, h, "DELETE", "/v1/windows/night", ""); got.status != 409 || !strings.Contains(got.body, "window night is one of group web") {
		t.Errorf("DELETE of a window that a group names = %d %s", got.status, got.body)
	}
	for _, path := range []string{"/v1/groups/web", "/v1/windows/night"} {
		if got := call(t, h, "DELETE", path, ""); got.status != 200 {
			t.Errorf("DELETE %s = %d %s", path, got.status, got.body)
		}
		if got := call(t, h, "GET", path, ""); got.status != 404 {
			t.Errorf("GET %s after its end = %d %s", path, got.status, got.body)
		}
	}
}

func TestGroupClient(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	cl := client(t, c.Hosts[0])
	ctx := t.Context()
	w, err := cl.PutWindow(ctx, api.Window{Name: "night", Calendar: "02:00", Duration: api.Span(time.Hour)}, -1)
	if err != nil || w.Revision == 0 {
		t.Fatalf("PutWindow = %+v, %v", w, err)
	}
	var refused *api.Error
	if _, err := cl.PutWindow(ctx, w, -1); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("PutWindow of one that must not exist = %v, want a conflict", err)
	}
	g, err := cl.PutGroup(ctx, api.Group{Name: "all", Windows: []string{"night"}}, 0)
	if err != nil || g.Hosts != 1 {
		t.Fatalf("PutGroup = %+v, %v", g, err)
	}
	g.Max = cluster.Slots{N: 2, Given: true}
	old := g.Revision
	if g, err = cl.PutGroup(ctx, g, old); err != nil || g.Max.String() != "2" || g.Revision <= old {
		t.Fatalf("PutGroup on its revision = %+v, %v", g, err)
	}
	if _, err = cl.PutGroup(ctx, g, old); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("PutGroup on an old revision = %v, want a conflict", err)
	}
	if list, err := cl.Groups(ctx); err != nil || len(list) != 2 || list[0].Name != "all" || list[1].Hosts != 0 {
		t.Errorf("Groups = %+v, %v, want all and an empty default", list, err)
	}
	if list, err := cl.Windows(ctx); err != nil || len(list) != 1 {
		t.Errorf("Windows = %+v, %v", list, err)
	}
	if list, err := cl.NextOpenings(ctx, "night", 2); err != nil || len(list) != 2 {
		t.Errorf("NextOpenings = %+v, %v", list, err)
	}
	if err := cl.DeleteGroup(ctx, "all", g.Revision); err != nil {
		t.Errorf("DeleteGroup: %v", err)
	}
	if err := cl.DeleteWindow(ctx, "night", 0); err != nil {
		t.Errorf("DeleteWindow: %v", err)
	}
}

// TestFreezeOutlivesPut: a freeze is not the group's setting, and is not lost with it.
func TestFreezeOutlivesPut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	_, err := c.Store.EditGroup(t.Context(), "web", 0, func(*cluster.Group) (*cluster.Group, error) {
		return &cluster.Group{Freeze: &cluster.Freeze{By: cluster.Note{Who: "ann"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g := into[api.Group](t, call(t, c.Hosts[0], "PUT", "/v1/groups/web", `{"selector":"a=b"}`).body)
	if g.Freeze == nil || g.Freeze.By.Who != "ann" || g.Selector != "a=b" {
		t.Errorf("PUT of a frozen group = %+v, want it frozen still", g)
	}
}

// TestUnreadableGroup: what a newer flotilla wrote is shown, is not written over unnoticed, and can be deleted.
func TestUnreadableGroup(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	done, err := c.Backend.Txn(t.Context(), store.Txn{Then: []store.Op{
		{Key: "/flotilla/group/new", Value: []byte(`{"max":{"by":"weight"}}`)},
		{Key: "/flotilla/window/new", Value: []byte(`{"calendar":["daily"]}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mirror.WaitRevision(t.Context(), done.Revision); err != nil {
		t.Fatal(err)
	}
	h := c.Hosts[0]
	for _, path := range []string{"/v1/groups/new", "/v1/windows/new"} {
		got := call(t, h, "GET", path, "")
		if got.status != 200 || !strings.Contains(got.body, `"problem":`) {
			t.Errorf("GET %s = %d %s, want a problem", path, got.status, got.body)
		}
		tag := "If-Match: " + got.header.Get("ETag")
		body := `{"selector":""}`
		if strings.Contains(path, "windows") {
			body = `{"calendar":"daily","duration":"1h"}`
		}
		if got := call(t, h, "PUT", path, body); got.status < 400 {
			t.Errorf("PUT %s = %d %s, want a refusal without a revision", path, got.status, got.body)
		}
		if got := call(t, h, "DELETE", path, "", tag); got.status != 200 {
			t.Errorf("DELETE %s with its revision = %d %s", path, got.status, got.body)
		}
	}
	if got := call(t, h, "GET", "/v1/windows/new/next", ""); got.status != 404 {
		t.Errorf("GET next of a deleted window = %d %s", got.status, got.body)
	}
}
