package api_test

import (
	"net/http"
	"strings"
	"testing"

	"flotilla/api"
)

// TestBadRequests: each wrong request gets one body that names place and remedy, and
// changes nothing.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	start(t, c, "a.service")
	h1 := c.Hosts[0]
	for _, test := range []struct {
		method, path, body, header string
		status                     int
		code, want                 string
	}{
		{"POST", "/v1/changes", `{"name":"b.service"`, "", 400, "bad-request", "change 1 of the request: it ends in the middle of the JSON (send one JSON object; docs/api.md has its fields)"},
		{"POST", "/v1/changes", change("a.service", "") + "nonsense", "", 400, "bad-request", "change 2 of the request: invalid character 'o' in literal null (expecting 'u') (send one JSON object; docs/api.md has its fields)"},
		{"POST", "/v1/changes", change("a.service", `"replce":true`), "", 400, "bad-request", `change 1 of the request: unknown field "replce" (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", change("a.service", `"target":"banana"`), "", 400, "bad-request", `change 1 of the request: unknown target state "banana" (write inactive, loaded or launched)`},
		{"POST", "/v1/changes", `{"name":"a.service","target":3}`, "", 400, "bad-request", `change 1 of the request: field "target": want a text, got a number (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `{"name":7}`, "", 400, "bad-request", `change 1 of the request: field "name": want a text, got a number (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `{"name":"a.service","restart":"yes"}`, "", 400, "bad-request", `change 1 of the request: field "restart": want true or false, got a text (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `{"name":"a.service","if_match":1.5}`, "", 400, "bad-request", `change 1 of the request: field "if_match": want a whole number, got 1.5 (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `{"name":"a.service","content":["x"]}`, "", 400, "bad-request", `change 1 of the request: field "content": want a text, got a list (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `["a.service"]`, "", 400, "bad-request", `change 1 of the request: want an object, got a list (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `null`, "", 400, "bad-request", `change 1 of the request: want an object, got null (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", `{"name":"a.service","TARGET":"loaded"}`, "", 400, "bad-request", `change 1 of the request: unknown field "TARGET" (write target)`},
		{"POST", "/v1/changes", `{"name":"a.service","target":"loaded","target":"launched"}`, "", 400, "bad-request", `change 1 of the request: field "target" comes twice (write it once)`},
		{"POST", "/v1/changes", "{\"name\":\"a.service\",\"content\":\"[Unit]\\nDescription=b\xfcro\"}", "", 400, "bad-request", `change 1 of the request: it holds bytes that are no UTF-8 (send one JSON object; docs/api.md has its fields)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a":"b","a":"c"}}`, "", 400, "bad-request", `request body: field "a" comes twice (write it once)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":["a"]}`, "", 400, "bad-request", `request body: field "labels": want an object, got a list (send one JSON object; docs/api.md has its fields)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a":1}}`, "", 400, "bad-request", `request body: field "labels": want a text, got a number (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/changes", change("a.service", ""), "Request-Id: two words", 400, "bad-request", "Request-Id: want up to 128 printable ASCII characters without blanks (use a random one, such as a UUID)"},
		{"PUT", "/v1/units/b.service", "", "", 400, "bad-request", "request body: it is empty (send one JSON object; docs/api.md has its fields)"},
		{"PUT", "/v1/units/b.service", `{} {}`, "", 400, "bad-request", "request body: something follows the JSON object (send one JSON object; docs/api.md has its fields)"},
		{"PUT", "/v1/units/b.service", `{"name":"c.service"}`, "", 400, "bad-request", `the path names "b.service", the body "c.service" (leave the name out of the body)`},
		{"PUT", "/v1/units/b.service", `{"delete":true}`, "", 400, "bad-request", "b.service: PUT does not delete (use DELETE)"},
		{"PUT", "/v1/units/b.service", `{"target":"launched"}`, "", 404, "not-found", `no unit "b.service" in the cluster (flotilla list-unit-files shows what there is)`},
		{"PUT", "/v1/units/b", "{" + content(plainUnit) + "}", "", 400, "bad-request", "b: unit name has no type (did you mean b.service?)"},
		{"PUT", "/v1/units/b.service", `{"content":"[Service]\nExecStart=/bin/true\n[X-Flotilla]\nConflict=a\n","file":"dir/b.service"}`, "", 400, "bad-request", "dir/b.service:4: unknown option Conflict in [X-Flotilla] (did you mean Conflicts=?)"},
		{"PUT", "/v1/units/b@.service", "{" + content(plainUnit) + `,"target":"launched"}`, "", 400, "bad-request", "b@.service is a template and cannot be started (name an instance, as in b@1.service)"},
		{"PUT", "/v1/units/b@.service", "{" + content(plainUnit) + `,"target":"loaded","only":"lower"}`, "", 400, "bad-request", "b@.service is a template and cannot be stopped (name an instance, as in b@1.service)"},
		{"PUT", "/v1/units/a.service", `{"target":"launched","only":"sideways"}`, "", 400, "bad-request", `a.service: only="sideways" (write raise or lower, or leave it out)`},
		{"PUT", "/v1/units/a.service", `{"target":"launched"}`, "If-Match: yesterday", 400, "bad-request", `If-Match: "yesterday" is no revision (write the revision of an earlier answer)`},
		{"PUT", "/v1/units/a.service", `{"target":"launched"}`, "If-None-Match: x", 400, "bad-request", `If-None-Match: "x" is not known here (write If-None-Match: *)`},
		{"PUT", "/v1/units/a.service", `{"if_match":-2}`, "", 400, "bad-request", "a.service: if_match=-2 (write the revision of an earlier answer, or -1 for: must not exist)"},
		{"PUT", "/v1/units/a.service", `{"content":"` + strings.Repeat("x", 2<<20) + `"}`, "", 413, "too-large", "request body: more than 1 MiB (send less at once)"},
		{"DELETE", "/v1/units/none.service", "", "", 404, "not-found", `no unit "none.service" in the cluster (flotilla list-unit-files shows what there is)`},
		{"GET", "/v1/units/none.service", "", "", 404, "not-found", `no unit "none.service" in the cluster (flotilla list-unit-files shows what there is)`},
		{"GET", "/v1/units?match=%5Ba", "", "", 400, "bad-request", "[a: column 1: glob is malformed (close the set with ], as in [a-c])"},
		{"GET", "/v1/units?watch=now", "", "", 400, "bad-request", `watch="now" is no revision (take the Flotilla-Revision of an earlier answer, or 0)`},
		{"GET", "/v1/units?limit=-1", "", "", 400, "bad-request", `limit="-1" is no count (write 0 or more)`},
		{"GET", "/v1/units?glob=a", "", "", 400, "bad-request", `unknown parameter "glob" (see docs/api.md)`},
		{"GET", "/v1/hosts/h9", "", "", 404, "not-found", `no host "h9" in the cluster (flotilla list-machines shows them)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a b":"c"}}`, "", 400, "bad-request", `label "a b": is no name of a label (a key is made of letters, digits and _ . - /, at most 128, and does not end in -)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a":"b\nc"}}`, "", 400, "bad-request", `label a: has a value with an = or a control character (write key=value on one line, without another =)`},
		{"PATCH", "/v1/hosts/h1", `{"labels":{"a":"b"}}`, "If-Match: 99999", 409, "conflict", ""},
		{"PATCH", "/v1/hosts/h1", `{"remove":true}`, "", 409, "conflict", "h1 is alive: only an absent host can be removed (run flotilla leave there, or stop its flotilla-agent first)"},
		{"PATCH", "/v1/hosts/h1", `{"label":{}}`, "", 400, "bad-request", `request body: unknown field "label" (send one JSON object; docs/api.md has its fields)`},
		{"POST", "/v1/hosts/h1/orphans/a.service/stop", "{}", "", 404, "not-found", "a.service is no orphan on h1 (flotilla explain h1 lists them)"},
		{"POST", "/v1/tokens", `{"ttl":"a week"}`, "", 400, "bad-request", `ttl "a week": want a duration from 1m to 168h (write 30m or 24h)`},
		{"POST", "/v1/tokens", `{"ttl":"1000h"}`, "", 400, "bad-request", `ttl "1000h": want a duration from 1m to 168h (write 30m or 24h)`},
		{"GET", "/v1/logs/a.service?lines=few", "", "", 400, "bad-request", `lines="few" is no count (write 0 or more)`},
		{"GET", "/v1/logs/a.service?lines=1000000", "", "", 400, "bad-request", "lines=1000000: at most 100000 (ask for fewer)"},
		{"GET", "/v1/logs/a.service?follow=yes", "", "", 400, "bad-request", `follow="yes" (write true or false)`},
		{"GET", "/v1/logs/none.service", "", "", 404, "not-found", `no unit and no host "none.service" (flotilla status shows what there is)`},
		{"GET", "/v1/explain/nothing", "", "", 404, "not-found", `no unit and no host "nothing" (flotilla status shows what there is)`},
		{"PUT", "/v1/groups/a%20b", `{}`, "", 400, "bad-request", `"a b" is no name of a group or window (write letters, digits, dots and dashes, at most 128)`},
		{"PUT", "/v1/groups/web", `{"name":"db"}`, "", 400, "bad-request", `the path names "web", the body "db" (leave the name out of the body)`},
		{"PUT", "/v1/groups/web", `{"selector":"a b"}`, "", 400, "bad-request", `selector "a b": "a b" is no expression over labels (write key=value, key!=value, key>=4, key in (a,b), key notin (a,b), key or !key)`},
		{"PUT", "/v1/groups/default", `{"selector":"a=b"}`, "", 400, "bad-request", `group default takes no selector: it is for the hosts that no other group selects (make a group of another name for it)`},
		{"PUT", "/v1/groups/web", `{"max":"all"}`, "", 400, "bad-request", `request body: "all": neither a number of hosts such as 2 nor a share such as 25% (send one JSON object; docs/api.md has its fields)`},
		{"PUT", "/v1/groups/web", `{"max":2}`, "", 400, "bad-request", `request body: field "max": want a text, got a number (send one JSON object; docs/api.md has its fields)`},
		{"PUT", "/v1/groups/web", `{"windows":["none"]}`, "", 400, "bad-request", `no window "none" (flotilla window list shows what there is, flotilla window set makes one)`},
		{"PUT", "/v1/groups/web", `{"times":{"drian":"5m"}}`, "", 400, "bad-request", `request body: unknown field "drian" (send one JSON object; docs/api.md has its fields)`},
		{"PUT", "/v1/groups/web", `{"times":{"drain":"5"}}`, "", 400, "bad-request", `request body: "5" is no time (write it with units, as in 90s, 15m or 1h30m)`},
		{"PUT", "/v1/groups/web", `{"stages":[{"selector":"a=b","soka":"5m"}]}`, "", 400, "bad-request", `request body: unknown field "soka" (send one JSON object; docs/api.md has its fields)`},
		{"PUT", "/v1/groups/web", `{"checks":[{"http":"http://a/","tcp":"a:1"}]}`, "", 400, "bad-request", `check 1: it has 2 targets (write one of http, tcp, command and promql)`},
		{"PUT", "/v1/groups/web", `{"on_blocked":"wait"}`, "", 400, "bad-request", `on blocked "wait" is no way to go on (write abort, skip or stop)`},
		{"PUT", "/v1/groups/web", `{}`, "If-Match: 99999", 409, "conflict", ""},
		{"GET", "/v1/groups/none", "", "", 404, "not-found", `no group "none" (flotilla group list shows them)`},
		{"DELETE", "/v1/groups/none", "", "", 404, "not-found", `no group "none" (flotilla group list shows them)`},
		{"GET", "/v1/groups?match=a", "", "", 400, "bad-request", `unknown parameter "match" (see docs/api.md)`},
		{"PUT", "/v1/windows/night", `{"calendar":"Sat 25:00","duration":"1h"}`, "", 400, "bad-request", `calendar "Sat 25:00", column 5: 25 is no hour (write a number from 0 to 23)`},
		{"PUT", "/v1/windows/night", `{"calendar":"02:00"}`, "", 400, "bad-request", `a window that is open for 0s never lets anything begin (write how long it is open, as in 2h or 90m)`},
		{"PUT", "/v1/windows/night", `{"calendar":"02:00","duration":"1h","zone":"Berlin"}`, "", 400, "bad-request", `zone "Berlin": no time zone of the IANA database, as Europe/Berlin is, or UTC (ls /usr/share/zoneinfo shows the names)`},
		{"PUT", "/v1/windows/night", `{"calendar":"02:00","duration":"1h","except":["24.12."]}`, "", 400, "bad-request", `except "24.12.": "24.12." is no day (write 2026-12-24, or 2026-12-24..2027-01-02)`},
		{"PUT", "/v1/windows/night", `{"calendar":"02:00","for":"1h"}`, "", 400, "bad-request", `request body: unknown field "for" (send one JSON object; docs/api.md has its fields)`},
		{"GET", "/v1/windows/none", "", "", 404, "not-found", `no window "none" (flotilla window list shows them)`},
		{"GET", "/v1/windows/none/next", "", "", 404, "not-found", `no window "none" (flotilla window list shows them)`},
		{"GET", "/v1/windows/none/next?n=1000", "", "", 400, "bad-request", `n=1000: at most 100 (ask for fewer)`},
		{"GET", "/v1/windows/none/next?count=1", "", "", 400, "bad-request", `unknown parameter "count" (see docs/api.md)`},
		{"DELETE", "/v1/windows/none", "", "", 404, "not-found", `no window "none" (flotilla window list shows them)`},
		{"POST", "/v1/groups/web", `{}`, "", 405, "no-such-method", "POST /v1/groups/web: this resource has no such method (use DELETE, GET, PUT)"},
		{"GET", "/v1/nonsense", "", "", 404, "not-found", "no such resource: GET /v1/nonsense (see docs/api.md)"},
		{"POST", "/v1/units", "{}", "", 405, "no-such-method", "POST /v1/units: this resource has no such method (use GET)"},
		{"PATCH", "/v1/units/a.service", "{}", "", 405, "no-such-method", "PATCH /v1/units/a.service: this resource has no such method (use DELETE, GET, PUT)"},
		{"DELETE", "/v1/events", "", "", 405, "no-such-method", "DELETE /v1/events: this resource has no such method (use GET)"},
		{"GET", "/v1/cluster", "", "TLS: nobody", 401, "not-allowed", "GET /v1/cluster needs a client certificate of the cluster (run this on a host of the cluster, or make a certificate there: flotilla admin-cert NAME)"},
		{"POST", "/v1/tokens", `{}`, "TLS: 22222222222222222222222222222222", 403, "not-allowed", "POST /v1/tokens is not for the certificate of host 22222222 (use an administrator's certificate: flotilla admin-cert NAME)"},
		{"DELETE", "/v1/units/a.service", "", "TLS: 22222222222222222222222222222222", 403, "not-allowed", "DELETE /v1/units/a.service is not for the certificate of host 22222222 (use an administrator's certificate: flotilla admin-cert NAME)"},
	} {
		before := revision(t, c)
		got := call(t, h1, test.method, test.path, test.body, test.header)
		e := into[api.Error](t, got.body)
		line := e.Error()
		if got.status != test.status || e.Code != test.code || test.want != "" && line != test.want {
			t.Errorf("%s %s = %d %s\n got %s\nwant %s", test.method, test.path, got.status, e.Code, line, test.want)
		}
		if strings.Contains(line, "\n") || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %q is not one line in a JSON body", test.method, test.path, line)
		}
		if after := revision(t, c); after != before {
			t.Errorf("%s %s changed the store: revision %d, then %d", test.method, test.path, before, after)
		}
	}
}

// TestBadChangesInABatch: what is wrong with one change is told at its place, and the
// others are made.
func TestBadChangesInABatch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	batch := change("ok.service", content(plainUnit)) + change("no/good.service", content(plainUnit)) +
		change("none.service", `"target":"launched"`) + change("fine.service", content(plainUnit)) +
		change("fine.service", `"delete":true,"restart":true`) + change("empty.service", `"content":""`)
	got := call(t, c.Hosts[0], "POST", "/v1/changes", batch)
	var said []string
	for _, r := range lines[api.Result](t, got.body) {
		if r.Error == nil {
			said = append(said, r.Note)
			continue
		}
		said = append(said, r.Error.Error())
	}
	want := []string{
		"created",
		`no/good.service: column 3: "/" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`,
		`no unit "none.service" in the cluster (flotilla list-unit-files shows what there is)`,
		"created",
		"fine.service: delete goes with nothing else (send two changes)",
		"empty.service:1: file is empty, which systemd takes for a masked unit (write at least a [Unit] section)",
	}
	for i := range want {
		if got.status != http.StatusOK || i >= len(said) || said[i] != want[i] {
			t.Errorf("change %d = %q, want %q", i+1, said[min(i, len(said)-1)], want[i])
		}
	}
}

// TestEveryResourceRefusesForeignMethods: no method falls through to a body that is not ours.
func TestEveryResourceRefusesForeignMethods(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	for _, path := range []string{
		"/v1/version", "/v1/join", "/v1/renew", "/v1/local", "/metrics", "/v1/cluster", "/v1/units", "/v1/units/x", "/v1/units/x/content",
		"/v1/changes", "/v1/hosts", "/v1/hosts/x", "/v1/hosts/x/orphans/y/stop", "/v1/explain/x", "/v1/logs", "/v1/logs/", "/v1/logs/x",
		"/v1/events", "/v1/failover/resume", "/v1/store/accept", "/v1/tokens",
	} {
		got := call(t, c.Hosts[0], "OPTIONS", path, "")
		if e := into[api.Error](t, got.body); got.status != http.StatusMethodNotAllowed || e.Code != "no-such-method" || got.header.Get("Allow") == "" {
			t.Errorf("OPTIONS %s = %d %s, want 405 and what is allowed", path, got.status, got.body)
		}
	}
}
