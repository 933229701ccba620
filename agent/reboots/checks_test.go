package reboots

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
)

// served answers on loopback.
func served(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func prometheusThat(t *testing.T, body string) string {
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query" || r.FormValue("query") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	})
}

// TestF36ChecksFailClosed: a check is well only if what it asks says so; what is down, slow or odd is red, with its reason.
func TestF36ChecksFailClosed(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := listener.Addr().String()
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	status := func(code int) string {
		return served(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	over := make(chan struct{})
	hang := served(t, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) })
	promql := func(url string) cluster.Check {
		return cluster.Check{PromQL: &cluster.PromQL{URL: url, Query: "ALERTS"}}
	}
	const answer = `{"status":"success","data":{"resultType":%q,"result":%s}}`
	for _, c := range []struct {
		what  string
		check cluster.Check
		want  string // in the error; "" = well
	}{
		{"http 200", cluster.Check{HTTP: status(200)}, ""},
		{"http 204", cluster.Check{HTTP: status(204)}, ""},
		{"http 503", cluster.Check{HTTP: status(503)}, "503 Service Unavailable"},
		{"http down", cluster.Check{HTTP: "http://" + shut}, "connection refused"},
		{"http hangs", cluster.Check{HTTP: hang, Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
		{"http odd", cluster.Check{HTTP: "http://a b"}, "GET http://a b"},
		{"tcp open", cluster.Check{TCP: open}, ""},
		{"tcp shut", cluster.Check{TCP: shut}, "connection refused"},
		{"tcp odd", cluster.Check{TCP: "nowhere"}, "missing port"},
		{"promql empty", promql(prometheusThat(t, fmt.Sprintf(answer, "vector", "[]"))), ""},
		{"promql fires", promql(prometheusThat(t, fmt.Sprintf(answer, "vector", `[{"metric":{"alertname":"Down"},"value":[1,"1"]}]`))), `1 results, the first is {alertname="Down"}`},
		{"promql scalar", promql(prometheusThat(t, fmt.Sprintf(answer, "scalar", `[1,"0"]`))), "gives a scalar"},
		{"promql refused", promql(prometheusThat(t, `{"status":"error","errorType":"bad_data","error":"parse error"}`)), "parse error"},
		{"promql no Prometheus", promql(status(200)), "query"},
		{"promql down", promql("http://" + shut), "connection refused"},
		{"promql hangs", cluster.Check{PromQL: &cluster.PromQL{URL: hang, Query: "x"}, Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
		{"nothing", cluster.Check{}, "checks nothing"},
	} {
		err := Checks{}.Check(t.Context(), c.check)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Check = %v, want %q", c.what, err, c.want)
		}
	}
}

// TestCheckCommand: a command runs by systemd; its failure carries its last line, and leaves nothing that looks failed.
func TestCheckCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behaviour := map[string]fake.Behaviour{}
		h := fake.New(fake.Options{Behave: func(name string) (fake.Behaviour, bool) { b, ok := behaviour[name]; return b, ok }})
		k := Checks{Systemd: h, Journal: h}
		check := cluster.Check{Command: "exit 0", Timeout: time.Minute}
		names := map[string]string{}
		for _, line := range []string{"exit 0", "exit 3", "sleep"} {
			names[line] = commandUnit(line)
		}
		behaviour[names["exit 0"]] = fake.Behaviour{Exits: true}
		behaviour[names["exit 3"]] = fake.Behaviour{Exits: true, Run: time.Second, Status: 3}
		behaviour[names["sleep"]] = fake.Behaviour{Exits: true, Run: time.Hour}
		if err := k.Check(t.Context(), check); err != nil {
			t.Errorf("Check(exit 0) = %v, want well", err)
		}
		check.Command = "exit 3"
		if err := k.Check(t.Context(), check); err == nil || !strings.Contains(err.Error(), `command "exit 3": ended with failed`) {
			t.Errorf("Check(exit 3) = %v, want its failure", err)
		}
		check.Command = "sleep"
		if err := k.Check(t.Context(), check); err == nil {
			t.Error("Check(sleep) is well, want it over its time")
		}
		synctest.Wait()
		if state, failed, err := h.State(t.Context()); state != "running" || err != nil {
			t.Errorf("State() = %s, failed %v, %v, want nothing left", state, failed, err)
		}
	})
}
