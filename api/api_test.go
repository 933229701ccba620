package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
	"flotilla/units"
)

const plainUnit = "[Service]\nExecStart=/bin/sleep 100\n"

func newCluster(t *testing.T, hosts int) *apitest.Cluster {
	t.Helper()
	c, err := apitest.New(hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// reply is an answer that was read as a whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// call asks a host; headers are "Name: value".
func call(t *testing.T, h *apitest.Host, method, path, body string, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "TLS" {
			r.TLS = &tls.ConnectionState{ServerName: value}
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.Server.Handler().ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// into decodes one JSON value.
func into[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("decode %q: %v", body, err)
	}
	return v
}

// lines decodes NDJSON.
func lines[T any](t *testing.T, body string) []T {
	t.Helper()
	var out []T
	for sc := bufio.NewScanner(strings.NewReader(body)); sc.Scan(); {
		out = append(out, into[T](t, sc.Text()))
	}
	return out
}

// change is one line of a batch.
func change(name string, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf("{\"name\":%q%s}\n", name, more)
}

func content(text string) string {
	raw, _ := json.Marshal(text)
	return `"content":` + string(raw)
}

// start submits and starts units, and waits until they are settled or failed.
func start(t *testing.T, c *apitest.Cluster, names ...string) {
	t.Helper()
	var b strings.Builder
	for _, n := range names {
		b.WriteString(change(n, content(plainUnit)+`,"target":"launched"`))
	}
	got := call(t, c.Hosts[0], "POST", "/v1/changes", b.String())
	for _, r := range lines[api.Result](t, got.body) {
		if r.Error != nil || !r.Changed {
			t.Fatalf("start %s = %+v, want a change", r.Name, r)
		}
	}
	until(t, c, names, func(u api.Unit) bool { return u.Settled || u.Failed })
}

// until watches units until each was once as ok wants it.
func until(t *testing.T, c *apitest.Cluster, names []string, ok func(api.Unit) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	open := map[string]string{}
	for _, n := range names {
		open[n] = "not seen"
	}
	err := client(t, c.Hosts[0]).WatchUnits(ctx, names, 0, func(u api.Unit) error {
		open[u.Name] = u.Reason
		if ok(u) {
			delete(open, u.Name)
		}
		if len(open) == 0 {
			cancel()
		}
		return nil
	})
	if len(open) > 0 {
		t.Fatalf("watch ended with %v while %v are open", err, open)
	}
}

// client speaks to a host over its real listener.
func client(t *testing.T, h *apitest.Host) *api.Client {
	t.Helper()
	return api.NewClientWith(h.Address, toHTTP{})
}

type toHTTP struct{}

func (toHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return http.DefaultTransport.RoundTrip(r)
}

func revision(t *testing.T, c *apitest.Cluster) int64 {
	t.Helper()
	rev, err := c.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func unit(t *testing.T, c *apitest.Cluster, name string) api.Unit {
	t.Helper()
	got := call(t, c.Hosts[0], "GET", "/v1/units/"+name, "")
	if got.status != http.StatusOK {
		t.Fatalf("GET %s = %d %s", name, got.status, got.body)
	}
	return into[api.Unit](t, got.body)
}

func TestVerbsOfAUnit(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h := c.Hosts[0]
	other := strings.Replace(plainUnit, "100", "200", 1)
	one := int64(0)
	for _, step := range []struct {
		what, send string
		note       string // or the error's message
		target     units.Target
		wait       bool
	}{
		{"submit", change("a.service", content(plainUnit)), "created", units.Inactive, false},
		{"submit again", change("a.service", content(plainUnit)), "same content, nothing to do", units.Inactive, false},
		{"submit other content", change("a.service", content(other)), "a.service is in the cluster with other content", units.Inactive, false},
		{"load", change("a.service", `"target":"loaded","only":"raise"`), "", units.Loaded, true},
		{"start", change("a.service", `"target":"launched"`), "", units.Launched, true},
		{"load does not lower", change("a.service", `"target":"loaded","only":"raise"`), "", units.Launched, true},
		{"load with other content restarts", change("a.service", content(other)+`,"replace":true,"target":"loaded","only":"raise"`), "replaced, restarting", units.Launched, true},
		{"restart", change("a.service", `"restart":true`), "", units.Launched, true},
		{"stop", change("a.service", `"target":"loaded","only":"lower"`), "", units.Loaded, true},
		{"stop again", change("a.service", `"target":"loaded","only":"lower"`), "", units.Loaded, true},
		{"restart what is stopped", change("a.service", `"restart":true`), "a.service is not started, so it cannot be restarted", units.Loaded, true},
		{"unload", change("a.service", `"target":"inactive"`), "", units.Inactive, true},
		{"destroy", change("a.service", `"delete":true`), "destroyed", units.Inactive, false},
		{"destroy again", change("a.service", `"delete":true`), `no unit "a.service" in the cluster`, units.Inactive, false},
	} {
		got := call(t, h, "POST", "/v1/changes", step.send)
		r := lines[api.Result](t, got.body)[0]
		said := r.Note
		if r.Error != nil {
			said = r.Error.Message
		}
		if !strings.HasPrefix(said, step.note) {
			t.Errorf("%s = %q, want %q", step.what, said, step.note)
		}
		if strings.HasPrefix(step.what, "destroy") {
			continue
		}
		if step.wait {
			until(t, c, []string{"a.service"}, func(u api.Unit) bool { return u.Settled && u.Revision >= max(one, r.Revision) })
		} else if err := c.Mirror.WaitRevision(t.Context(), r.Revision); err != nil {
			t.Fatal(err)
		}
		u := unit(t, c, "a.service")
		one = u.Revision
		if u.Target != step.target {
			t.Errorf("%s: target = %s, want %s", step.what, u.Target, step.target)
		}
	}
}

func TestTemplateAndInstanceInOneBatch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	batch := change("web@1.service", `"target":"launched"`) + change("web@2.service", `"target":"launched"`) + change("web@.service", content(plainUnit))
	got := lines[api.Result](t, call(t, c.Hosts[0], "POST", "/v1/changes", batch).body)
	if len(got) != 3 || got[0].Note != "made from web@.service" || got[1].Error != nil || got[2].Note != "created" {
		t.Fatalf("changes = %+v, want instances made from the template that comes after them", got)
	}
	until(t, c, []string{"web@1.service", "web@2.service"}, func(u api.Unit) bool { return u.Settled && u.Template == "web@.service" })
}

// TestReplaceWithoutContent: an instance keeps what it was made of until a change says replace, which
// then takes what the template holds by now. What is not there is not made in order to be lowered.
func TestReplaceWithoutContent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	old, now := units.HashOf([]byte(plainUnit)), units.HashOf([]byte(plainUnit+"# new\n"))
	for _, step := range []struct {
		what, send, note string
		blob             units.Hash // of web@1.service afterwards; "" = there is none
		restarts         int64
	}{
		{"template", change("web@.service", content(plainUnit)), "created", "", 0},
		{"stop nothing", change("web@1.service", `"target":"loaded","only":"lower"`), `no unit "web@1.service" in the cluster`, "", 0},
		{"unload nothing", change("web@1.service", `"target":"inactive","only":"lower"`), `no unit "web@1.service" in the cluster`, "", 0},
		{"start", change("web@1.service", `"target":"launched"`), "made from web@.service", old, 0},
		{"new template", change("web@.service", content(plainUnit+"# new\n")+`,"replace":true`), "replaced", old, 0},
		{"start again", change("web@1.service", `"target":"launched"`), "", old, 0},
		{"start --replace", change("web@1.service", `"target":"launched","replace":true`), "replaced by web@.service, restarting", now, 1},
		{"start --replace again", change("web@1.service", `"target":"launched","replace":true`), "", now, 1},
		{"content of its own", change("web@1.service", content(plainUnit)+`,"replace":true`), "replaced, restarting", old, 2},
		{"stop", change("web@1.service", `"target":"loaded","only":"lower"`), "", old, 2},
		{"load --replace", change("web@1.service", `"target":"loaded","only":"raise","replace":true`), "replaced by web@.service", now, 2},
	} {
		r := lines[api.Result](t, call(t, c.Hosts[0], "POST", "/v1/changes", step.send).body)[0]
		said := r.Note
		if r.Error != nil {
			said = r.Error.Message
		}
		if said != step.note {
			t.Errorf("%s = %q, want %q", step.what, said, step.note)
		}
		spec, _, err := c.Store.Unit(t.Context(), "web@1.service")
		if step.blob == "" && err == nil || step.blob != "" && (err != nil || spec.Blob != step.blob || spec.Restart != step.restarts) {
			t.Errorf("%s: web@1.service = %+v, %v, want %s restarted %d times", step.what, spec, err, step.blob.Short(), step.restarts)
		}
	}
	// PUT without content changes what the body says and nothing else.
	call(t, c.Hosts[0], "PUT", "/v1/units/web@.service", "{"+content(plainUnit)+"}")
	if got := call(t, c.Hosts[0], "PUT", "/v1/units/web@1.service", `{"target":"launched"}`); got.status != http.StatusOK {
		t.Fatalf("PUT = %d %s", got.status, got.body)
	}
	if spec, _, err := c.Store.Unit(t.Context(), "web@1.service"); err != nil || spec.Blob != now {
		t.Errorf("after PUT web@1.service = %+v, %v, want its content kept", spec, err)
	}
}

func TestThousandUnitsInOneBatch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("u%03d.service", i)
	}
	start(t, c, names...)
	v := into[api.Cluster](t, call(t, c.Hosts[0], "GET", "/v1/cluster", "").body)
	if v.Units != 1000 || v.Running != 1000 || v.WaitingUnits != 0 || v.Leader != "h1" {
		t.Errorf("cluster = %d/%d running, %d waiting, leader %q, want 1000/1000, 0, h1", v.Running, v.Units, v.WaitingUnits, v.Leader)
	}
}

func TestSingleUnitWithIfMatchAndRequestID(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	h := c.Hosts[0]
	const path = "/v1/units/a.service"
	body := "{" + content(plainUnit) + "}"
	made := call(t, h, "PUT", path, body, "If-None-Match: *", "Request-Id: one")
	r := into[api.Result](t, made.body)
	if made.status != 200 || r.Note != "created" || made.header.Get("ETag") != fmt.Sprintf("%q", fmt.Sprint(r.Revision)) {
		t.Fatalf("PUT = %d %s ETag %s, want it created", made.status, made.body, made.header.Get("ETag"))
	}
	rev := revision(t, c)
	again := into[api.Result](t, call(t, h, "PUT", path, body, "If-None-Match: *", "Request-Id: one").body)
	if again.Changed || again.Note != "done by this request before" || revision(t, c) != rev {
		t.Errorf("the same request again = %+v at revision %d, want nothing done at %d", again, revision(t, c), rev)
	}
	for _, bad := range []struct{ method, body, header string }{
		{"PUT", body, "If-None-Match: *"},
		{"PUT", `{"target":"launched"}`, fmt.Sprintf("If-Match: %d", r.Revision-1)},
		{"DELETE", "", fmt.Sprintf("If-Match: %d", r.Revision+1)},
	} {
		got := call(t, h, bad.method, path, bad.body, bad.header)
		if e := into[api.Error](t, got.body); got.status != http.StatusPreconditionFailed || e.Code != "conflict" || revision(t, c) != rev {
			t.Errorf("%s with %s = %d %s, want 412 and no change", bad.method, bad.header, got.status, got.body)
		}
	}
	match := fmt.Sprintf("If-Match: %q", fmt.Sprint(r.Revision))
	if got := call(t, h, "PUT", path, `{"target":"launched"}`, match); got.status != 200 {
		t.Errorf("PUT with %s = %d %s, want 200", match, got.status, got.body)
	}
	until(t, c, []string{"a.service"}, func(u api.Unit) bool { return u.Settled && u.Target == units.Launched })
	restart := change("a.service", `"restart":true`)
	for range 2 {
		call(t, h, "POST", "/v1/changes", restart, "Request-Id: two")
	}
	spec, _, err := c.Store.Unit(t.Context(), "a.service")
	if err != nil || spec.Restart != 1 {
		t.Errorf("restart counter after a repeated request = %d, %v, want 1", spec.Restart, err)
	}
	if got := call(t, h, "DELETE", path, ""); got.status != 200 {
		t.Errorf("DELETE = %d %s, want 200", got.status, got.body)
	}
}

func TestListsMatchPageAndStop(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	var batch strings.Builder
	const many = 10_000
	for i := range many {
		batch.WriteString(change(fmt.Sprintf("u%05d.service", i), content(plainUnit)))
	}
	if got := call(t, c.Hosts[0], "POST", "/v1/changes", batch.String()); got.status != 200 || strings.Contains(got.body, "error") {
		t.Fatalf("submit = %d", got.status)
	}
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return len(s.Units) == many }); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		query string
		n     int
		first string
	}{
		{"", many, "u00000.service"},
		{"?match=u0001*", 10, "u00010.service"},
		{"?match=u0001*&match=u0002*&limit=12", 12, "u00010.service"},
		{"?after=u00041.service&limit=3", 3, "u00042.service"},
		{"?after=u0004&limit=1", 1, "u00040.service"},
		{"?match=nothing*", 0, ""},
		{"?name=u00007.service&name=none.service", 2, "none.service"},
	} {
		got := call(t, c.Hosts[0], "GET", "/v1/units"+test.query, "")
		list := lines[api.Unit](t, got.body)
		if len(list) != test.n || test.n > 0 && list[0].Name != test.first || got.header.Get("Flotilla-Revision") == "" {
			t.Errorf("GET /v1/units%s = %d units from %v, want %d from %s", test.query, len(list), first(list), test.n, test.first)
		}
	}
	gone := &goneWriter{header: http.Header{}}
	c.Hosts[0].Server.Handler().ServeHTTP(gone, httptest.NewRequestWithContext(t.Context(), "GET", "/v1/units", nil))
	if gone.writes > 2 {
		t.Errorf("a list for a client that is gone made %d writes, want it to stop", gone.writes)
	}
}

func first(list []api.Unit) string {
	if len(list) == 0 {
		return "nothing"
	}
	return list[0].Name
}

// goneWriter is a client that closed its connection.
type goneWriter struct {
	header http.Header
	writes int
}

func (w *goneWriter) Header() http.Header { return w.header }
func (w *goneWriter) WriteHeader(int)     {}
func (w *goneWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, http.ErrAbortHandler
}

func TestWatchSendsWhatChangedAndWhatIsGone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	start(t, c, "a.service", "other.service")
	seen := make(chan api.Unit, 100)
	var once sync.Once
	begun, told, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		r, err := http.Get("http://" + c.Hosts[0].Address + "/v1/units?watch=0&match=a*")
		if err != nil {
			done <- err
			return
		}
		defer r.Body.Close()
		for sc := bufio.NewScanner(r.Body); sc.Scan(); {
			var u api.Unit
			_ = json.Unmarshal(sc.Bytes(), &u)
			if seen <- u; len(seen) == 1 {
				close(begun)
			}
			switch {
			case u.Name != "ab.service":
			case u.Revision == 0:
				done <- nil
				return
			default:
				once.Do(func() { close(told) })
			}
		}
		done <- nil
	}()
	select {
	case <-begun:
	case err := <-done:
		t.Fatalf("the watch ended before it began: %v", err)
	}
	start(t, c, "ab.service")
	select {
	case <-told: // what comes and goes between two looks is never told
	case err := <-done:
		t.Fatalf("the watch ended before it told of ab.service: %v", err)
	}
	call(t, c.Hosts[0], "DELETE", "/v1/units/ab.service", "")
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("the watch never told that ab.service is gone")
	}
	close(seen)
	last := api.Unit{}
	for u := range seen {
		if u.Name == "other.service" {
			t.Errorf("the watch of a* told of %s", u.Name)
		}
		a, b := u, last
		if a.Name == b.Name && fmt.Sprint(a) == fmt.Sprint(b) {
			t.Errorf("the watch told twice of %+v", u)
		}
		last = u
	}
}
