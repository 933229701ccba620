package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/cluster"
)

// TestBadRebootRequests: each wrong request about reboots gets one line with the remedy, and changes nothing.
func TestBadRebootRequests(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	if err := c.Stop(t.Context(), c.Hosts[2]); err != nil {
		t.Fatal(err)
	}
	away := c.Hosts[2].ID
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Hosts[away].Alive == nil }); err != nil {
		t.Fatal(err)
	}
	hold(t, c)
	const fields = " (send one JSON object; docs/api.md has its fields)"
	past := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PATCH", "/v1/hosts/h9", `{"reboot":{}}`, 404, `no host "h9" in the cluster (flotilla list-machines shows them)`},
		{"PATCH", "/v1/hosts/h3", `{"reboot":{}}`, 409, "h3 is absent: nobody is there to reboot it (flotilla explain h3)"},
		{"PATCH", "/v1/hosts/h1", `{"reboot":null}`, 409, "nobody asked h1 to reboot (flotilla reboot status shows who waits)"},
		{"PATCH", "/v1/hosts/h1", `{"reboot":true}`, 400, "request body: want an object, got true" + fields},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"force":true}}`, 400, `request body: unknown field "force"` + fields},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"Now":true}}`, 400, `request body: unknown field "Now" (write now)`},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"now":1}}`, 400, `request body: field "reboot.now": want true or false, got a number` + fields},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"now":true,"now":false}}`, 400, `request body: field "now" comes twice (write it once)`},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"id":999999999}}`, 400, "reboot: id 999999999 is of no request (leave id out, or give the one that another host of the request got)"},
		{"PATCH", "/v1/hosts/h1", `{"reboot":{"id":-1}}`, 400, "reboot: id -1 is of no request (leave id out, or give the one that another host of the request got)"},
		{"PATCH", "/v1/hosts/h1", `{"unlock":{"reason":"x"}}`, 409, "h1 holds no slot (flotilla reboot status shows who holds one)"},
		{"PATCH", "/v1/hosts/h1", `{"unlock":{}}`, 400, `unlock: no reason (say why, as in "unlock": {"reason": "disk died"})`},
		{"PATCH", "/v1/hosts/h1", `{"unlock":null}`, 400, `unlock: no reason (say why, as in "unlock": {"reason": "disk died"})`},
		{"PATCH", "/v1/hosts/h1", `{"freeze":null}`, 409, "h1 is not frozen (flotilla reboot status shows what is)"},
		{"PATCH", "/v1/hosts/h1", `{"freeze":{"until":"` + past + `"}}`, 400, ""},
		{"PATCH", "/v1/hosts/h1", `{"freeze":{"until":"tomorrow"}}`, 400, ""},
		{"PATCH", "/v1/hosts/h1", `{"freeze":{"for":"2h"}}`, 400, `request body: unknown field "for"` + fields},
		{"PATCH", "/v1/reboots/policy", `{"freeze":{"until":"` + past + `"}}`, 400, ""},
		{"PATCH", "/v1/reboots/policy", `{"webhook":"ftp://x"}`, 400, "webhook: this is no URL that can be posted to (write it like https://example.com/hook)"},
		{"PATCH", "/v1/reboots/policy", `{"webhook":"https://` + strings.Repeat("x", 3000) + `"}`, 400, "webhook: this is no URL that can be posted to (write it like https://example.com/hook)"},
		{"PATCH", "/v1/reboots/policy", `{"max":1}`, 400, `request body: unknown field "max"` + fields},
		{"PATCH", "/v1/reboots/policy", ``, 400, "request body: it is empty" + fields},
		{"PATCH", "/v1/reboots/groups/nosuch", `{"freeze":{}}`, 404, `no group "nosuch" (flotilla group list shows them)`},
		{"PATCH", "/v1/reboots/groups/default", `{"freeze":{}}`, 404, "nobody made the group default (flotilla group set default makes it; flotilla reboot freeze holds all hosts up)"},
		{"PATCH", "/v1/reboots/groups/web", `{"max":3}`, 400, `request body: unknown field "max"` + fields},
		{"GET", "/v1/reboots?host=h1", "", 400, `unknown parameter "host" (see docs/api.md)`},
		{"GET", "/v1/reboots?watch=now", "", 400, `watch="now" is no revision (take the Flotilla-Revision of an earlier answer, or 0)`},
		{"GET", "/v1/reboots/history?host=h9", "", 404, `no host "h9" in the cluster (flotilla list-machines shows them)`},
		{"GET", "/v1/reboots/history?limit=-1", "", 400, `limit="-1" is no count (write 0 or more)`},
		{"GET", "/v1/reboots/history?watch=0", "", 400, "the history takes host and limit (see docs/api.md)"},
		{"GET", "/v1/doctor?host=h9", "", 404, `no host "h9" in the cluster (flotilla list-machines shows them)`},
		{"GET", "/v1/doctor?all=1", "", 400, `unknown parameter "all" (see docs/api.md)`},
		{"DELETE", "/v1/reboots", "", 405, "DELETE /v1/reboots: this resource has no such method (use GET)"},
	} {
		before := revision(t, c)
		got := call(t, c.Hosts[0], test.method, test.path, test.body)
		e := into[api.Error](t, got.body)
		line := e.Error()
		if got.status != test.status || test.want != "" && line != test.want || e.Hint == "" && test.status != http.StatusInternalServerError {
			t.Errorf("%s %s %.60s = %d\n got %s\nwant %d %s", test.method, test.path, test.body, got.status, line, test.status, test.want)
		}
		if strings.Contains(line, "\n") || revision(t, c) != before {
			t.Errorf("%s %s: %q is not one line, or the store was changed", test.method, test.path, line)
		}
	}
}

// TestUnlockComparesTheGeneration: a person who looked at another reboot does not end this one.
func TestUnlockComparesTheGeneration(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h := c.Hosts[0]
	if err := h.SetUnwell(t.Context(), "a check is red"); err != nil {
		t.Fatal(err)
	}
	patch(t, c, "h1", `{"reboot":{"reason":"test"}}`)
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool {
		g := s.Hosts[h.ID].Grant
		return g != nil && g.Phase == cluster.PhaseDrained
	}); err != nil {
		t.Fatal(err)
	}
	got := call(t, h, "PATCH", "/v1/hosts/h1", `{"unlock":{"reason":"gone","generation":1}}`)
	if e := into[api.Error](t, got.body); got.status != 409 || e.Message != "h1 is at another reboot than 1 by now" {
		t.Errorf("unlock of another generation = %d %s", got.status, got.body)
	}
	patch(t, c, "h1", `{"unlock":{"reason":"gone"}}`)
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Hosts[h.ID].Grant.Phase == cluster.PhaseReleased }); err != nil {
		t.Fatal(err)
	}
}
