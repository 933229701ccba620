package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
)

// TestEtcdAway: without etcd no request hangs (call would not return), each write says so in one line, and reads
// answer from the mirror and say since when it is old.
func TestEtcdAway(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h1 := c.Hosts[0]
	start(t, c, "a.service")
	c.Backend.Down(true)
	out := time.Now().Add(-time.Minute)
	h1.SetLocal(api.Local{StoreOut: out})
	big := strings.Repeat(change("a.service", `"target":"launched"`), 600) // three parts
	var wg sync.WaitGroup
	for _, w := range []struct{ method, path, body string }{
		{"POST", "/v1/changes", big},
		{"POST", "/v1/changes", change("w@1.service", `"target":"launched"`)},
		{"PUT", "/v1/units/a.service", `{"target":"inactive"}`},
		{"DELETE", "/v1/units/a.service", ""},
		{"GET", "/v1/units/a.service/content", ""},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a":"b"}}`},
		{"POST", "/v1/failover/resume", "{}"},
		{"POST", "/v1/store/accept", "{}"},
		{"GET", "/v1/units?watch=999999", ""},
	} {
		wg.Go(func() {
			got := call(t, h1, w.method, w.path, w.body)
			e := into[api.Error](t, got.body)
			if got.status == http.StatusGatewayTimeout && e.Message == "etcd did not confirm in time" && w.body == "{}" {
				return // it was sent without a read before it
			}
			if got.status != http.StatusServiceUnavailable || e.Code != api.CodeUnavailable || e.Message != "etcd does not answer: no majority?" || !strings.Contains(e.Hint, "workloads keep running") {
				t.Errorf("%s %s = %d %s, want 503 and that etcd does not answer", w.method, w.path, got.status, got.body)
			}
		})
	}
	for _, path := range []string{"/v1/units", "/v1/units/a.service", "/v1/hosts", "/v1/hosts/h1", "/v1/local", "/v1/events", "/v1/logs/a.service?host=h1"} {
		if got := call(t, h1, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("GET %s = %d %s, want it from the mirror", path, got.status, got.body)
		}
	}
	v := into[api.Cluster](t, call(t, h1, "GET", "/v1/cluster", "").body)
	want := "etcd does not answer since " + out.UTC().Format("2006-01-02 15:04:05 UTC")
	if len(v.Notices) != 1 || !strings.HasPrefix(v.Notices[0], want) || v.Leader != "" || v.Running != 1 {
		t.Errorf("cluster = %+v, want one notice %q, no leader, one unit running", v, want)
	}
	x := into[api.Explanation](t, call(t, h1, "GET", "/v1/explain/a.service", "").body)
	if last := x.Lines[len(x.Lines)-1]; !strings.HasPrefix(last, want) {
		t.Errorf("explain ends with %q, want %q", last, want)
	}
	got := call(t, c.Hosts[1], "GET", "/v1/units", "")
	if e := into[api.Error](t, got.body); got.status != 503 || !strings.Contains(e.Message, "no leader is known to h2") {
		t.Errorf("a host without a mirror = %d %s, want that no leader is known", got.status, got.body)
	}
	why := "frozen: the store went back to revision 1, this host saw 2"
	h1.SetLocal(api.Local{Frozen: why, Message: why})
	v = into[api.Cluster](t, call(t, h1, "GET", "/v1/cluster", "").body)
	if n := strings.Join(v.Notices, "\n"); strings.Count(n, "went back") != 1 || strings.Contains(n, "frozen: frozen") {
		t.Errorf("notices of a frozen host = %q, want it said once", v.Notices)
	}
	c.Hosts[1].SetLocal(api.Local{Frozen: "store x is not the one it knows"})
	got = call(t, c.Hosts[1], "GET", "/v1/cluster", "")
	if e := into[api.Error](t, got.body); got.status != 503 || e.Error() != "h2 is frozen: store x is not the one it knows (flotilla accept-store, if that is meant; workloads keep running)" {
		t.Errorf("a frozen host = %d %s, want that it is frozen, and the remedy", got.status, got.body)
	}
	wg.Wait()
}

// TestProxyToTheLeader: a host without a mirror answers all the same, under the name of who asked.
func TestProxyToTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	h3 := c.Hosts[2]
	start(t, c, "a.service")
	for _, path := range []string{"/v1/cluster", "/v1/units", "/v1/units/a.service", "/v1/units/a.service/content", "/v1/hosts", "/v1/explain/a.service", "/v1/logs/a.service"} {
		if got := call(t, h3, "GET", path, ""); got.status != http.StatusOK || got.body == "" {
			t.Errorf("GET %s on a host without a mirror = %d %q", path, got.status, got.body)
		}
	}
	if got := call(t, h3, "PATCH", "/v1/hosts/h3", `{"labels":{"disk":"ssd"}}`); got.status != 200 || into[api.Host](t, got.body).Labels["disk"] != "ssd" {
		t.Errorf("PATCH = %d %s, want the label", got.status, got.body)
	}
	if got := call(t, h3, "GET", "/v1/units", "", "Flotilla-Forwarded: h9"); got.status != 503 {
		t.Errorf("a request that was passed on already = %d, want 503: it must not go round", got.status)
	}
	if got := call(t, h3, "POST", "/v1/changes", change("b.service", content(plainUnit))); got.status != 200 {
		t.Errorf("a change on a host without a mirror = %d %s", got.status, got.body)
	}
	spec, _, err := c.Store.Unit(t.Context(), "b.service")
	if err != nil || spec.By.Who != "root@h3" {
		t.Errorf("b.service was wanted by %q, %v, want root@h3", spec.By.Who, err)
	}
}

// TestRoles: who may do what over TLS, and whose name stands in the store.
func TestRoles(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	h1 := c.Hosts[0]
	const host, admin = "TLS: 22222222222222222222222222222222", "TLS: alice"
	for _, test := range []struct {
		role, method, path, body string
		status                   int
	}{
		{"TLS: nobody", "GET", "/v1/version", "", 200},
		{"TLS: nobody", "GET", "/v1/units", "", 401},
		{"TLS: nobody", "POST", "/v1/changes", "", 401},
		{host, "GET", "/v1/units", "", 200},
		{host, "GET", "/v1/local", "", 200},
		{host, "POST", "/v1/failover/resume", "{}", 200},
		{host, "PATCH", "/v1/hosts/h1", `{"labels":{"x":"y"}}`, 200},
		{host, "POST", "/v1/changes", change("a.service", content(plainUnit)), 403},
		{host, "POST", "/v1/store/accept", "{}", 403},
		{admin, "POST", "/v1/changes", change("a.service", content(plainUnit)), 200},
		{admin, "POST", "/v1/tokens", "{}", 200},
	} {
		if got := call(t, h1, test.method, test.path, test.body, test.role); got.status != test.status {
			t.Errorf("%s: %s %s = %d %s, want %d", test.role, test.method, test.path, got.status, got.body, test.status)
		}
	}
	spec, _, err := c.Store.Unit(t.Context(), "a.service")
	if err != nil || spec.By.Who != "alice" {
		t.Errorf("a.service was wanted by %q, %v, want alice", spec.By.Who, err)
	}
	call(t, h1, "PATCH", "/v1/hosts/h1", `{"remove":false,"labels":{"x":"z"}}`, admin, "Flotilla-Asked-By: mallory")
	call(t, h1, "POST", "/v1/changes", change("b.service", content(plainUnit)), admin, "Flotilla-Asked-By: mallory")
	if spec, _, err := c.Store.Unit(t.Context(), "b.service"); err != nil || spec.By.Who != "alice" {
		t.Errorf("b.service was wanted by %q, %v, want alice: only hosts speak for others", spec.By.Who, err)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	got := call(t, h1, "PATCH", "/v1/hosts/2222", `{"labels":{"disk":"ssd","host":null},"why":"new disk"}`)
	v := into[api.Host](t, got.body)
	if got.status != 200 || v.Name != "h2" || v.Labels["disk"] != "ssd" || len(v.Labels) != 1 {
		t.Fatalf("PATCH = %d %s, want disk=ssd alone", got.status, got.body)
	}
	if got := call(t, h1, "PATCH", "/v1/hosts/h2", `{"labels":{"disk":null}}`, "If-Match: "+got.header.Get("ETag")); got.status != 200 {
		t.Errorf("PATCH with the ETag of the answer before = %d %s, want 200", got.status, got.body)
	}
	if err := c.Stop(t.Context(), h2); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Hosts[h2.ID].Alive == nil }); err != nil {
		t.Fatal(err)
	}
	x := into[api.Explanation](t, call(t, h1, "GET", "/v1/explain/h2", "").body)
	if !strings.HasPrefix(x.Summary, "absent since ") || !strings.Contains(x.Summary, "systemctl status flotilla-agent") {
		t.Errorf("explain of an absent host = %+v, want since when and what to look at", x)
	}
	if got := call(t, h1, "PATCH", "/v1/hosts/h2", `{"remove":true}`); into[api.Host](t, got.body).State != "removed" || len(c.Left()) != 1 || c.Left()[0] != h2.ID {
		t.Errorf("remove = %d %s, etcd members that left: %v, want h2's", got.status, got.body, c.Left())
	}
	if list := lines[api.Host](t, call(t, h1, "GET", "/v1/hosts", "").body); len(list) != 2 {
		t.Errorf("%d hosts after the removal, want 2", len(list))
	}
	if got := call(t, h1, "PATCH", "/v1/hosts/h2", `{"remove":false}`); into[api.Host](t, got.body).State != "absent" {
		t.Errorf("restore = %d %s, want it absent again", got.status, got.body)
	}
}

func TestWatchHosts(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	r, err := http.Get("http://" + c.Hosts[0].Address + "/v1/hosts?watch=0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	call(t, c.Hosts[0], "PATCH", "/v1/hosts/h2", `{"labels":{"disk":"ssd"}}`)
	for h := range decoded[api.Host](t, r.Body) {
		if h.Name == "h2" && h.Labels["disk"] == "ssd" {
			return
		}
	}
	t.Error("the watch ended without the label")
}

// TestLeaderStandsStill: a host that asks the leader does not wait for one that takes the
// connection and says nothing.
func TestLeaderStandsStill(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	c.Hosts[0].Stall(true)
	defer c.Hosts[0].Stall(false)
	got := call(t, c.Hosts[1], "GET", "/v1/cluster", "")
	if e := into[api.Error](t, got.body); got.status != http.StatusBadGateway || e.Code != api.CodeUnavailable || !strings.HasPrefix(e.Message, "ask the leader at ") {
		t.Errorf("GET /v1/cluster = %d %s, want 502 and who was asked", got.status, got.body)
	}
}
