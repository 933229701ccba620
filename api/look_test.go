package api_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flotilla/api"
)

// decoded yields the values of an NDJSON stream; the test fails after a minute of silence.
func decoded[T any](t *testing.T, r io.ReadCloser) iter.Seq[T] {
	return func(yield func(T) bool) {
		const silence = time.Minute
		late := time.AfterFunc(silence, func() { _ = r.Close() })
		defer late.Stop()
		for dec := json.NewDecoder(r); ; {
			var v T
			if err := dec.Decode(&v); err != nil {
				t.Errorf("stream: %v", err)
				return
			}
			late.Reset(silence)
			if !yield(v) {
				return
			}
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	h1 := c.Hosts[0]
	start(t, c, "good.service", "bad.service", "quiet.service")
	picky := plainUnit + "[X-Flotilla]\nMachineMetadata=disk=ssd\n"
	call(t, h1, "POST", "/v1/changes", change("picky.service", content(picky)+`,"target":"launched"`))
	until(t, c, []string{"picky.service"}, func(u api.Unit) bool { return u.Revision > 0 && strings.Contains(u.Reason, "disk=ssd") })
	for _, test := range []struct {
		thing string
		want  []string
	}{
		{"good.service", []string{"as wanted: launched", "root@h1 wanted it launched at ", "ordered launched (then: fewest units", "systemd says active/running", ": runs here", ": fits ("}},
		{"bad.service", []string{"wanted launched, but: failed on h", "exit status 3", "| cannot open the ledger"}},
		{"quiet.service", []string{"wanted launched, but: failed on h", "| line 1", "| line 10"}},
		{"picky.service", []string{"wanted launched, but: ", "disk=ssd", "h1: lacks label disk=ssd", "h2: lacks label disk=ssd", "h3: lacks label disk=ssd"}},
		{"h1", []string{"alive", "id 11111111", " placed here, "}},
	} {
		got := call(t, h1, "GET", "/v1/explain/"+test.thing, "")
		x := into[api.Explanation](t, got.body)
		text := x.Summary + "\n" + strings.Join(x.Lines, "\n")
		for _, v := range x.Hosts {
			text += "\n" + v.Name + ": " + v.Reason
		}
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("explain %s has no %q:\n%s", test.thing, want, text)
			}
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	h1 := c.Hosts[0]
	global := plainUnit + "[X-Flotilla]\nGlobal=yes\n"
	call(t, h1, "POST", "/v1/changes", change("all.service", content(global)+`,"target":"launched"`))
	until(t, c, []string{"all.service"}, func(u api.Unit) bool { return u.Settled && len(u.Instances) == 3 })
	for _, test := range []struct {
		path  string
		lines int
		hosts string
		unit  string
	}{
		{"/v1/logs/all.service?lines=2", 6, "h1 h2 h3 h1 h2 h3", "all.service"},
		{"/v1/logs/all.service?lines=2&host=h2", 2, "h2 h2", "all.service"},
		{"/v1/logs/h2?lines=1", 1, "h2", ""},
		{"/v1/logs/?lines=1", 3, "h1 h2 h3", ""},
		{"/v1/logs?lines=0", 0, "", ""},
	} {
		list := lines[api.LogEntry](t, call(t, h1, "GET", test.path, "").body)
		var hosts []string
		for _, e := range list {
			hosts = append(hosts, e.Host)
			if e.Unit != test.unit {
				t.Errorf("%s: a line of %q, want %q", test.path, e.Unit, test.unit)
			}
		}
		if len(list) != test.lines || strings.Join(hosts, " ") != test.hosts {
			t.Errorf("%s = lines of %v, want %s: by time, then host", test.path, hosts, test.hosts)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := map[string]bool{}
	err := client(t, h1).Logs(ctx, api.LogQuery{Thing: "all.service", Lines: 1, Follow: true}, func(e api.LogEntry) error {
		seen[e.Host] = true
		if len(seen) == 3 {
			cancel()
		}
		return nil
	})
	if len(seen) != 3 {
		t.Errorf("followed lines of %v (%v), want of all three hosts", seen, err)
	}
}

// TestEvents: a start, a restart, a failure and a removal can be read afterwards.
func TestEvents(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h1 := c.Hosts[0]
	r, err := http.Get("http://" + h1.Address + "/v1/events?watch=0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	wants := []struct {
		do   func()
		want string
	}{
		{func() { start(t, c, "a.service") }, "unit a.service: active/running"},
		{func() { call(t, h1, "POST", "/v1/changes", change("a.service", `"restart":true`)) }, "unit a.service: restarted: active/running"},
		{func() { start(t, c, "bad.service") }, "unit bad.service: failed/failed (exit-code)"},
		{func() { call(t, h1, "DELETE", "/v1/units/a.service", "") }, "unit a.service: destroyed"},
		{func() { _ = c.Stop(t.Context(), c.Hosts[1]) }, "host h2: absent"},
	}
	wants[0].do()
	told := 0
	for e := range decoded[api.Event](t, r.Body) {
		if string(e.Kind)+" "+e.Subject+": "+e.Text != wants[told].want {
			continue
		}
		if told++; told == len(wants) {
			break
		}
		wants[told].do()
	}
	if told < len(wants) {
		t.Fatalf("no event %q", wants[told].want)
	}
	past := call(t, h1, "GET", "/v1/events", "").body
	if !strings.Contains(past, "submitted by root@h1, wanted launched") {
		t.Errorf("past events do not tell who submitted:\n%s", past)
	}
	newest := call(t, h1, "GET", "/v1/events?limit=2", "").body
	if got := lines[api.Event](t, newest); len(got) != 2 || !strings.HasSuffix(past, newest) {
		t.Errorf("events with limit=2 = %s, want the newest two of:\n%s", newest, past)
	}
	r, err = http.Get("http://" + h1.Address + "/v1/events?watch=0&limit=2")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for e := range decoded[api.Event](t, r.Body) {
		if first := lines[api.Event](t, newest)[0]; e.Text != first.Text || e.Subject != first.Subject {
			t.Errorf("the first event followed with limit=2 is %+v, want %+v", e, first)
		}
		break
	}
}

// TestClientRepeatsWhenTheConnectionBreaks: the answer to a change is lost once; the
// same request again finds it done.
func TestClientRepeatsWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	start(t, c, "a.service")
	lossy := &lossyTransport{}
	results, err := api.NewClientWith(c.Hosts[0].Address, lossy).Change(t.Context(), []api.Change{{Name: "a.service", Restart: true}})
	if err != nil || len(results) != 1 || results[0].Note != "done by this request before" || lossy.n != 2 {
		t.Fatalf("Change = %+v, %v after %d tries, want it found done at the second", results, err, lossy.n)
	}
	spec, _, err := c.Store.Unit(t.Context(), "a.service")
	if err != nil || spec.Restart != 1 {
		t.Errorf("restarts = %d, %v, want 1", spec.Restart, err)
	}
}

// lossyTransport loses the first answer.
type lossyTransport struct{ n int }

func (l *lossyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	l.n++
	resp, err := toHTTP{}.RoundTrip(r)
	if err == nil && l.n == 1 {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

// TestStreamsSayThatTheDaemonEnds: a stream without an end of its own does not look complete when its daemon stops.
func TestStreamsSayThatTheDaemonEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	start(t, c, "a.service")
	for _, path := range []string{"/v1/events?watch=0", "/v1/units?watch=0", "/v1/logs/a.service?follow=true"} {
		ctx, stop := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
		w := stopping{httptest.NewRecorder(), stop}
		c.Hosts[0].Server.Handler().ServeHTTP(w, r)
		if got := w.Body.String(); !strings.Contains(got, `{"stream_error":{"code":"unavailable","message":"the daemon ends before the answer does"`) {
			t.Errorf("GET %s answers %q", path, got)
		}
	}
}

// stopping ends the request's context, as a daemon that stops does, when the first of its answer is sent.
type stopping struct {
	*httptest.ResponseRecorder
	stop func()
}

func (w stopping) Flush() { w.stop() }
