package api_test

import (
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/leader/plan"
)

const onlyHere = "[Service]\nExecStart=/bin/sleep 100\n[X-Flotilla]\nMachineMetadata=host=h1\n"

// TestCordonAndDrain: who, why and when are remembered; null ends each of the two; the view says how far it is.
func TestCordonAndDrain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h := patch(t, c, "h1", `{"cordon":{"reason":"noisy"}}`)
	if h.Cordon == nil || h.Cordon.Who != "root@h1" || h.Cordon.Why != "noisy" || h.Cordon.When.IsZero() || h.Drain != nil || h.Draining != nil {
		t.Errorf("the cordoned host is shown as %+v", h)
	}
	start(t, c, "a.service", "b.service")
	h = patch(t, c, "h2", `{"drain":{"on_blocked":"skip","timeout":"90s"},"why":"disk"}`)
	want := cluster.DrainWish{By: cluster.Note{Who: "root@h1", Why: "disk"}, OnBlocked: cluster.SkipUnit, Timeout: 90 * time.Second}
	if h.Drain != nil {
		want.By.When = h.Drain.By.When
	}
	if h.Drain == nil || *h.Drain != want || h.Draining == nil || len(h.Draining.Left) != 2 {
		t.Fatalf("the drained host is shown as %+v with %+v, want 2 units left", h.Drain, h.Draining)
	}
	for _, l := range h.Draining.Left {
		if !l.Blocked || !strings.Contains(l.Reason, "cordoned by root@h1: noisy") {
			t.Errorf("%s is left because of %q, want that the other host is cordoned", l.Unit, l.Reason)
		}
	}
	if h = patch(t, c, "h1", `{"cordon":null}`); h.Cordon != nil {
		t.Errorf("the cordon that was ended is shown as %+v", h.Cordon)
	}
	until(t, c, []string{"a.service", "b.service"}, func(u api.Unit) bool {
		return u.Settled && len(u.Instances) == 1 && u.Instances[0].HostName == "h1"
	})
	if h = into[api.Host](t, call(t, c.Hosts[0], "GET", "/v1/hosts/h2", "").body); h.Draining == nil || len(h.Draining.Left) != 0 {
		t.Errorf("the host that gave its units away is shown with %+v", h.Draining)
	}
	if h = patch(t, c, "h2", `{"drain":null}`); h.Drain != nil || h.Draining != nil {
		t.Errorf("the drain that was ended is shown as %+v, %+v", h.Drain, h.Draining)
	}
}

// TestDrainPlan: a plan says what goes where and what cannot, and changes nothing; a drain that is to do nothing then
// is refused with the reason.
func TestDrainPlan(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	patch(t, c, "h1", `{"labels":{"host":"h1"}}`)
	body := change("only.service", content(onlyHere)+`,"target":"launched"`)
	if got := call(t, c.Hosts[0], "POST", "/v1/changes", body); got.status != 200 {
		t.Fatalf("start only.service = %d %s", got.status, got.body)
	}
	until(t, c, []string{"only.service"}, func(u api.Unit) bool { return u.Settled })
	before, err := c.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := call(t, c.Hosts[0], "POST", "/v1/drains", `{"hosts":["h1","h1","h2"]}`)
	steps := into[api.DrainPlan](t, got.body).Steps
	if len(steps) != 1 || steps[0].Unit != "only.service" || steps[0].Kind != plan.DrainBlocked || steps[0].FromName != "h1" {
		t.Errorf("the plan is %d %s, want only.service blocked on h1", got.status, got.body)
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PATCH", "/v1/hosts/h1", `{"drain":{}}`, 409, "h1 is not drained: only.service has no other place: no host: 1 lacks label host=h1"},
		{"PATCH", "/v1/hosts/h1", `{"drain":{"on_blocked":"abort"}}`, 409, "on_blocked skip drains the others, stop stops them too"},
		{"PATCH", "/v1/hosts/h1", `{"drain":{"on_blocked":"wait"}}`, 400, `on_blocked=\"wait\" is not known`},
		{"PATCH", "/v1/hosts/h1", `{"drain":{"timeout":"soon"}}`, 400, `timeout=\"soon\" is none`},
		{"PATCH", "/v1/hosts/h1", `{"drain":{"timeout":"-1m"}}`, 400, `timeout=\"-1m\" is none`},
		{"PATCH", "/v1/hosts/h1", `{"drain":true}`, 400, "want an object"},
		{"PATCH", "/v1/hosts/h1", `{"drain":{"force":true}}`, 400, "force"},
		{"PATCH", "/v1/hosts/h1", `{"cordon":{"on_blocked":"skip"}}`, 400, "on_blocked"},
		{"PATCH", "/v1/hosts/h9", `{"cordon":{}}`, 404, `no host \"h9\"`},
		{"POST", "/v1/drains", `{}`, 400, "no hosts"},
		{"POST", "/v1/drains", `{"hosts":["h1","h9"]}`, 404, `no host \"h9\"`},
		{"POST", "/v1/drains", `{"host":"h1"}`, 400, "host"},
	} {
		got := call(t, c.Hosts[0], tt.method, tt.path, tt.body)
		if got.status != tt.status || !strings.Contains(got.body, tt.want) {
			t.Errorf("%s %s %s = %d %s, want %d with %s", tt.method, tt.path, tt.body, got.status, got.body, tt.status, tt.want)
		}
	}
	if after, err := c.Revision(t.Context()); err != nil || after != before {
		t.Errorf("plans and refusals changed the store: revision %d, then %d (%v)", before, after, err)
	}
	if h := patch(t, c, "h1", `{"drain":{"on_blocked":"skip"}}`); h.Drain == nil || h.Drain.OnBlocked != cluster.SkipUnit {
		t.Errorf("the drain that skips is shown as %+v", h.Drain)
	}
}
