package api_test

import (
	"strings"
	"testing"

	"flotilla/api"
	"flotilla/cluster/store"
)

// TestUnreadableOrder: what a newer leader ordered holds back its own unit alone, and says so.
func TestUnreadableOrder(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	start(t, c, "odd.service")
	at := into[api.Unit](t, call(t, c.Hosts[0], "GET", "/v1/units/odd.service", "").body).Instances[0].Host
	key := "/flotilla/to/" + at + "/place/odd.service"
	if _, err := c.Backend.Txn(t.Context(), store.Txn{Then: []store.Op{{Key: key, Value: []byte(`{"state":"parked"}`)}}}); err != nil {
		t.Fatal(err)
	}
	until(t, c, []string{"odd.service"}, func(u api.Unit) bool { return strings.Contains(u.Reason, `unknown order "parked"`) })
	start(t, c, "fine.service")
	u := into[api.Unit](t, call(t, c.Hosts[0], "GET", "/v1/units/odd.service", "").body)
	if u.Settled || u.Failed || len(u.Instances) != 1 || u.Instances[0].Order != "unreadable" {
		t.Errorf("odd.service = %+v, want it waiting, with an order that is unreadable", u)
	}
	call(t, c.Hosts[0], "DELETE", "/v1/units/odd.service", "")
	until(t, c, []string{"odd.service"}, func(u api.Unit) bool { return u.Revision == 0 && strings.Contains(u.Reason, "stays as it is") })
}
