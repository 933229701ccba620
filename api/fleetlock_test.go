package api_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"flotilla/api"
	"flotilla/api/apitest"
)

// h1ID is the machine id of h1 in test clusters.
const h1ID = "11111111111111111111111111111111"

// lockBody is a request of a FleetLock client in its shortest form.
func lockBody(id, group string) string {
	return fmt.Sprintf(`{"client_params":{"id":%q,"group":%q}}`, id, group)
}

// zincati sends the bytes that Zincati sends, on a connection of its own, and reads the answer.
func zincati(t *testing.T, address, operation, id, group string) (status int, header http.Header, refusal api.LockRefusal) {
	t.Helper()
	body := fmt.Sprintf("{\n  \"client_params\": {\n    \"id\": %q,\n    \"group\": %q\n  }\n}", id, group)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "POST /v1/%s HTTP/1.1\r\nfleet-lock-protocol: true\r\naccept: */*\r\nhost: %s\r\ncontent-length: %d\r\n\r\n%s", operation, address, len(body), body); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, lockAnswer(t, answer.StatusCode, text.String())
}

// lockAnswer reads a body as FleetLock's clients do: a success is not looked at, all else must be a refusal.
func lockAnswer(t *testing.T, status int, body string) (out api.LockRefusal) {
	t.Helper()
	if status/100 == 2 {
		return out
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil || out.Kind == "" || out.Value == "" || strings.Contains(out.Value, "\n") {
		t.Errorf("answer %d %q: %v, want {kind, value}, one line", status, body, err)
	}
	return out
}

// TestLockBadRequests: whatever is wrong, on both listeners, is said in FleetLock's words, and changes nothing.
func TestLockBadRequests(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	good := lockBody(h1ID, "default")
	const path, header = "/v1/pre-reboot", "Fleet-Lock-Protocol: true"
	before, err := c.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, body, header string
		status                     int
		kind                       string
	}{
		{"GET", path, good, header, 405, "invalid_method"},
		{"PUT", path, good, header, 405, "invalid_method"},
		{"HEAD", "//v1/steady-state", good, header, 405, "invalid_method"},
		{"POST", "/v1/pre-boot", good, header, 404, "unknown_resource"},
		{"POST", "/v1/", good, header, 404, "unknown_resource"},
		{"POST", "/v1/pre-reboot/now", good, header, 404, "unknown_resource"},
		{"GET", "/", good, header, 404, "unknown_resource"},
		{"POST", "/base/v1/pre-reboot", good, header, 404, "unknown_resource"},
		{"POST", path, good, "", 400, "invalid_header"},
		{"POST", path, good, "Fleet-Lock-Protocol: TRUE", 400, "invalid_header"},
		{"POST", path, good, "Fleet-Lock-Protocol: 1", 400, "invalid_header"},
		{"POST", path, "", header, 400, "invalid_body"},
		{"POST", path, "hello", header, 400, "invalid_body"},
		{"POST", path, "null", header, 400, "invalid_body"},
		{"POST", path, "[]", header, 400, "invalid_body"},
		{"POST", path, good + " more", header, 400, "invalid_body"},
		{"POST", path, good + good, header, 400, "invalid_body"},
		{"POST", path, `{"client_params":null}`, header, 400, "invalid_body"},
		{"POST", path, `{"client_params":"x"}`, header, 400, "invalid_body"},
		{"POST", path, `{"Client_Params":{"id":"a","group":"default"}}`, header, 400, "invalid_body"},
		{"POST", path, `{"id":"a","group":"default"}`, header, 400, "invalid_body"},
		{"POST", path, good[:len(good)-1] + "," + strings.Repeat(" ", 64<<10) + "}", header, 413, "body_too_large"},
		{"POST", path, lockBody("", "default"), header, 400, "invalid_id"},
		{"POST", path, `{"client_params":{"group":"default"}}`, header, 400, "invalid_id"},
		{"POST", path, `{"client_params":{"id":7,"group":"default"}}`, header, 400, "invalid_id"},
		{"POST", path, `{"client_params":{"ID":"a","group":"default"}}`, header, 400, "invalid_id"},
		{"POST", path, lockBody(h1ID, ""), header, 400, "invalid_group"},
		{"POST", path, lockBody(h1ID, "a/b"), header, 400, "invalid_group"},
		{"POST", path, lockBody(h1ID, "ä"), header, 400, "invalid_group"},
		{"POST", path, lockBody(h1ID, "default\n"), header, 400, "invalid_group"},
		{"POST", path, `{"client_params":{"id":"a","group":["default"]}}`, header, 400, "invalid_group"},
		{"POST", path, lockBody(h1ID, "nope"), header, 400, "invalid_group"},
		{"POST", path, lockBody("22222222", "default"), header, 404, "unknown_host"},
		{"POST", path, lockBody("h1", "default"), header, 404, "unknown_host"},
		{"POST", path, lockBody("99999999999999999999999999999999", "default"), header, 404, "unknown_host"},
		{"POST", path, lockBody(strings.Repeat("x", 9000), "default"), header, 404, "unknown_host"},
		{"POST", path, lockBody(strings.ToUpper(zincatiOf1), "default"), header, 404, "unknown_host"},
		{"POST", "/v1/steady-state", lockBody("nobody", "default"), header, 404, "unknown_host"},
		{"POST", "/v1/steady-state", lockBody(h1ID, "nope"), header, 400, "invalid_group"},
	} {
		for name, h := range map[string]http.Handler{
			"API": c.Hosts[0].Server.Handler(), "own": c.Hosts[0].Server.FleetLock(""), "passed on": c.Hosts[1].Server.FleetLock(""),
		} {
			r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
			if key, value, ok := strings.Cut(test.header, ": "); ok {
				r.Header.Set(key, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := lockAnswer(t, w.Code, w.Body.String()); w.Code != test.status || got.Kind != test.kind {
				t.Errorf("%s: %s %s %.60q (%s) = %d %s, want %d %s", name, test.method, test.path, test.body, test.header, w.Code, w.Body, test.status, test.kind)
			}
		}
	}
	if after, err := c.Revision(t.Context()); err != nil || after != before {
		t.Errorf("revision %d, %v after refusals alone, want %d", after, err, before)
	}
}

// TestLockUnlockOfNothing: unlocking what is not locked succeeds and writes nothing, however path, body and id are
// written, as often as one likes.
func TestLockUnlockOfNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	call(t, c.Hosts[0], "PATCH", "/v1/hosts/h2", `{"labels":{"fleetlock-id":"Rack-7.b"}}`)
	before, err := c.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, body string }{
		{"/v1/steady-state", lockBody(h1ID, "default")},
		{"//v1/steady-state", lockBody(h1ID, "default")},
		{"/v1//steady-state/", lockBody(h1ID, "default")},
		{"/v1/steady-state/", lockBody(h1ID, "default")},
		{"/v1/steady-state?x=y", lockBody(h1ID, "default")},
		{"/v1/steady-state", `{"more":[1],"client_params":{"group":"default","x":{},"id":"` + h1ID + `"}}` + "\n"},
		{"/v1/steady-state", lockBody(zincatiOf1, "default")},
		{"/v1/steady-state", lockBody("Rack-7.b", "default")},
	} {
		for _, h := range c.Hosts {
			r := call(t, h, "POST", test.path, test.body, "Fleet-Lock-Protocol: true")
			if r.status != 200 || r.body != "{}\n" || r.header.Get("Location") != "" {
				t.Errorf("%s: %s %s = %d %q, want 200 {}", h.Name, test.path, test.body, r.status, r.body)
			}
		}
	}
	if after, err := c.Revision(t.Context()); err != nil || after != before {
		t.Errorf("revision %d, %v after unlocking nothing, want %d", after, err, before)
	}
	call(t, c.Hosts[0], "PATCH", "/v1/hosts/h1", `{"labels":{"fleetlock-id":"Rack-7.b"}}`)
	r := call(t, c.Hosts[0], "POST", "/v1/steady-state", lockBody("Rack-7.b", "default"), "Fleet-Lock-Protocol: true")
	if got := lockAnswer(t, r.status, r.body); got.Kind != "invalid_id" || !strings.Contains(got.Value, "h1 and h2") {
		t.Errorf("an id of two hosts = %d %s, want invalid_id and both names", r.status, r.body)
	}
}

// zincatiOf1 is what Zincati makes of h1ID.
const zincatiOf1 = "2b073e93ea0e405d81abb8790b99334d"

// TestLockAuthorization: who may ask over TLS, with a certificate or with the listener's token.
func TestLockAuthorization(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	h1 := c.Hosts[0]
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("zincati:"+apitest.LockToken))
	for _, test := range []struct {
		headers []string
		status  int
	}{
		{nil, 200},
		{[]string{"TLS: nobody"}, 401},
		{[]string{"TLS: nobody", "Authorization: Bearer guess"}, 401},
		{[]string{"TLS: nobody", "Authorization: Bearer " + apitest.LockToken}, 200},
		{[]string{"TLS: nobody", "Authorization: bearer " + apitest.LockToken}, 200},
		{[]string{"TLS: nobody", basic}, 200},
		{[]string{"TLS: nobody", basic + "A"}, 401},
		{[]string{"TLS: " + apitest.AdminName}, 200},
	} {
		r := call(t, h1, "POST", "/v1/steady-state", lockBody(h1ID, "default"), append(test.headers, "Fleet-Lock-Protocol: true")...)
		if got := lockAnswer(t, r.status, r.body); r.status != test.status || test.status == 401 && (got.Kind != "unauthorized" || r.header.Get("WWW-Authenticate") == "") {
			t.Errorf("%q = %d %s, want %d", test.headers, r.status, r.body, test.status)
		}
	}
	own := h1.Server.FleetLock("tok")
	for _, test := range []struct {
		header string
		status int
	}{{"", 401}, {"Bearer", 401}, {"Bearer ", 401}, {"Bearer tokk", 401}, {"Bearer tok", 200}, {"Digest tok", 401}} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/steady-state", strings.NewReader(lockBody(h1ID, "default")))
		r.Header.Set("Fleet-Lock-Protocol", "true")
		r.Header.Set("Authorization", test.header)
		w := httptest.NewRecorder()
		own.ServeHTTP(w, r)
		lockAnswer(t, w.Code, w.Body.String())
		if w.Code != test.status {
			t.Errorf("own listener, %q = %d, want %d", test.header, w.Code, test.status)
		}
	}
}

// TestLockNotYours: who has a host's certificate, or is on a host whose listener has no token, speaks for that host alone; also through
// a daemon that passes the request on.
func TestLockNotYours(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	const header = "Fleet-Lock-Protocol: true"
	before, err := c.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h http.Handler, operation, id string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/"+operation, strings.NewReader(lockBody(id, "default")))
		r.Header.Set("Fleet-Lock-Protocol", "true")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	refused := func(what string, status int, body string) {
		t.Helper()
		got := lockAnswer(t, status, body)
		if status != 403 || got.Kind != "not_your_host" || !strings.Contains(got.Value, "ask on h1 itself") || !strings.Contains(got.Value, "--fleetlock-token") {
			t.Errorf("%s = %d %s, want 403 not_your_host and what to do", what, status, body)
		}
	}
	for _, operation := range []string{"pre-reboot", "steady-state"} {
		for _, id := range []string{h1ID, zincatiOf1} {
			for _, h := range c.Hosts[1:] { // the last one passes it on
				w := ask(h.Server.FleetLock(""), operation, id)
				refused(operation+" of h1 at the listener of "+h.Name, w.Code, w.Body.String())
			}
			for _, more := range [][]string{nil, {"Flotilla-Lock-For: all"}} { // which is no word of a client's
				r := call(t, c.Hosts[0], "POST", "/v1/"+operation, lockBody(id, "default"), append(more, "TLS: "+apitest.HostName, header)...)
				refused(operation+" of h1 with the certificate of h2", r.status, r.body)
			}
		}
	}
	for _, h := range c.Hosts {
		if w := ask(h.Server.FleetLock(""), "steady-state", string(h.ID)); w.Code != 200 {
			t.Errorf("steady-state of %s at its own listener = %d %s, want 200", h.Name, w.Code, w.Body)
		}
		w := ask(h.Server.FleetLock("tok"), "steady-state", h1ID)
		if got := lockAnswer(t, w.Code, w.Body.String()); got.Kind != "unauthorized" {
			t.Errorf("without the token = %d %s, want unauthorized", w.Code, w.Body)
		}
		r := call(t, h, "POST", "/v1/steady-state", lockBody(h1ID, "default"), "TLS: nobody", "Authorization: Bearer "+apitest.LockToken, header)
		if r.status != 200 {
			t.Errorf("steady-state of h1 with the token at %s = %d %s, want 200", h.Name, r.status, r.body)
		}
	}
	if r := call(t, c.Hosts[0], "POST", "/v1/steady-state", lockBody(string(c.Hosts[1].ID), "default"), "TLS: "+apitest.HostName, header); r.status != 200 {
		t.Errorf("steady-state of h2 with its certificate = %d %s, want 200", r.status, r.body)
	}
	if after, err := c.Revision(t.Context()); err != nil || after != before {
		t.Errorf("revision %d, %v after refusals alone, want %d", after, err, before)
	}
}
