package api_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
)

// reboots is what GET /v1/reboots says.
func reboots(t *testing.T, c *apitest.Cluster) (hosts map[string]api.HostReboot, groups map[string]api.RebootGroup, policy api.RebootPolicy) {
	t.Helper()
	hosts, groups = map[string]api.HostReboot{}, map[string]api.RebootGroup{}
	got := call(t, c.Hosts[0], "GET", "/v1/reboots", "")
	for _, l := range lines[api.RebootLine](t, got.body) {
		switch {
		case l.Host != nil:
			hosts[l.Host.Name] = *l.Host
		case l.Group != nil:
			groups[l.Group.Name] = *l.Group
		case l.Policy != nil:
			policy = *l.Policy
		}
	}
	return hosts, groups, policy
}

// patch changes a host and wants that to be taken.
func patch(t *testing.T, c *apitest.Cluster, host, body string) api.Host {
	t.Helper()
	got := call(t, c.Hosts[0], "PATCH", "/v1/hosts/"+host, body)
	if got.status != 200 {
		t.Fatalf("PATCH %s %s = %d %s", host, body, got.status, got.body)
	}
	return into[api.Host](t, got.body)
}

// hold freezes all hosts, so that what is asked for stays asked for.
func hold(t *testing.T, c *apitest.Cluster) {
	t.Helper()
	if got := call(t, c.Hosts[0], "PATCH", "/v1/reboots/policy", `{"freeze":{"reason":"a test"}}`); got.status != 200 {
		t.Fatalf("freeze all = %d %s", got.status, got.body)
	}
}

// TestAskForReboot: a request has an id that its hosts share; asked again it keeps its place; null ends it.
func TestAskForReboot(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	hold(t, c)
	first := patch(t, c, "h1", `{"reboot":{"reason":"kernel","soft":true}}`).Reboot
	if first == nil || first.ID == 0 || first.By.Who != "root@h1" || first.By.Why != "kernel" || !first.Soft || first.Now {
		t.Fatalf("asked h1 to reboot: %+v", first)
	}
	second := patch(t, c, "h2", `{"reboot":{"id":`+strconv.FormatInt(first.ID, 10)+`}}`).Reboot
	if second.ID != first.ID {
		t.Errorf("two hosts of one request have the ids %d and %d", first.ID, second.ID)
	}
	if other := patch(t, c, "h3", `{"reboot":{}}`).Reboot; other.ID <= first.ID {
		t.Errorf("a later request has the id %d, the earlier one %d", other.ID, first.ID)
	}
	if again := patch(t, c, "h1", `{"reboot":{"reason":"again"}}`).Reboot; again.ID != first.ID || again.By.Why != "again" || again.Soft {
		t.Errorf("the request that waits was made again: %+v, want the id %d and the newer words", again, first.ID)
	}
	hosts, groups, policy := reboots(t, c)
	if h := hosts["h1"]; h.Wish != first.ID || h.Served != 0 || h.Phase.Ended() || h.Phase.Holds() || h.Reason == "" {
		t.Errorf("h1 waits, and is shown as %+v", h)
	}
	if g := groups["default"]; g.Hosts != 3 || g.Max != 1 || g.Used != 0 {
		t.Errorf("the group that nobody made is shown as %+v", g)
	}
	if policy.Freeze == nil || policy.Freeze.By.Why != "a test" {
		t.Errorf("all are frozen, and the policy is shown as %+v", policy)
	}
	if h := patch(t, c, "h1", `{"reboot":null}`); h.Reboot != nil {
		t.Errorf("the cancelled request is shown as %+v", h.Reboot)
	}
}

// TestFreeze: a host's freeze has a who, a why and an end; null thaws.
func TestFreeze(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	f := patch(t, c, "h1", `{"freeze":{"until":"`+until.Format(time.RFC3339)+`","reason":"fair"}}`).Freeze
	if f == nil || !f.Until.Equal(until) || f.By.Who != "root@h1" || f.By.Why != "fair" {
		t.Fatalf("h1 is frozen: %+v", f)
	}
	if hosts, _, _ := reboots(t, c); hosts["h1"].Freeze == nil {
		t.Error("GET /v1/reboots does not show that h1 is frozen")
	}
	if h := patch(t, c, "h1", `{"freeze":null}`); h.Freeze != nil {
		t.Errorf("h1 is thawed, and frozen: %+v", h.Freeze)
	}
}

// TestWebhookIsShownWithoutItsKey: what follows the host in a URL is a secret for many services.
func TestWebhookIsShownWithoutItsKey(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	got := call(t, c.Hosts[0], "PATCH", "/v1/reboots/policy", `{"webhook":"https://u:p@hooks.example.com/services/T0/s3cret?k=s3cret"}`)
	_, _, policy := reboots(t, c)
	if want := "https://hooks.example.com/…"; got.status != 200 || policy.Webhook != want || strings.Contains(got.body, "s3cret") {
		t.Errorf("the webhook is shown as %q, set with %d %s, want %q", policy.Webhook, got.status, got.body, want)
	}
	call(t, c.Hosts[0], "PATCH", "/v1/reboots/policy", `{"webhook":""}`)
	if _, _, policy := reboots(t, c); policy.Webhook != "" {
		t.Errorf("the webhook that was taken away is shown as %q", policy.Webhook)
	}
}

// TestHistory: outcomes are listed as they were recorded, newest first, of all hosts or of one.
func TestHistory(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	at := time.Now().UTC().Truncate(time.Second)
	for i, h := range []*apitest.Host{c.Hosts[0], c.Hosts[1], c.Hosts[0]} {
		r := cluster.Record{
			Host: h.ID, Name: h.Name, Generation: int64(30 - i), Outcome: cluster.PhaseDone, Cause: "test",
			Began: at, Ended: at.Add(time.Minute), Away: 12,
		}
		if err := c.Order(t.Context(), cluster.Orders{Records: []cluster.Record{r}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return len(s.History) == 3 }); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]int64{"": {28, 29, 30}, "?host=h1": {28, 30}, "?host=h2&limit=4": {29}, "?limit=1": {28}} {
		var got []int64
		for _, r := range lines[cluster.Record](t, call(t, c.Hosts[0], "GET", "/v1/reboots/history"+query, "").body) {
			got = append(got, r.Generation)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the history%s has the generations %v, want %v", query, got, want)
		}
	}
}

// TestWhatHostsSay: needs, rivals and problems of hosts are shown.
func TestWhatHostsSay(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	said := cluster.RebootReport{
		Need:    cluster.Need{State: cluster.NeedUnknown, Reasons: []string{"command: exit status 127"}},
		Rivals:  []cluster.Rival{{Name: "locksmithd.service", Why: "it reboots without a lock", Mend: "systemctl mask --now locksmithd"}},
		Problem: "no such command: /usr/bin/needs",
	}
	if err := c.Reboots(t.Context(), c.Hosts[0], said); err != nil {
		t.Fatal(err)
	}
	id := c.Hosts[0].ID
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { r := s.Hosts[id].Info.Reboot; return r != nil && r.Problem != "" }); err != nil {
		t.Fatal(err)
	}
	hosts, _, _ := reboots(t, c)
	if h := hosts["h1"]; len(h.Rivals) != 1 || h.Problem != said.Problem || h.Need != cluster.NeedUnknown || len(h.Needs) != 1 {
		t.Errorf("h1 is shown as %+v", h)
	}
}
