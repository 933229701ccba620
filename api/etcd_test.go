package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/api"
)

// member is an etcd member on the n-th host of a test's cluster.
func member(n, reason string) api.EtcdMember {
	m := api.EtcdMember{ID: n, Host: strings.Repeat(n, 32), Address: "10.0.0." + n + ":2380", Healthy: reason == "", Reason: reason}
	if reason != "" {
		m.Since = time.Unix(1000, 0)
	}
	return m
}

// TestEtcdMembers: who does not answer is named, and how few may still fail, before it happens.
func TestEtcdMembers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	h1 := c.Hosts[0]
	const away = "does not answer: rpc error: code = Unavailable"
	learner := member("3", "")
	learner.Learner = true
	fresh := api.EtcdMember{ID: "3", Address: "10.0.0.3:2380", Learner: true, Reason: "never started"}
	for _, test := range []struct {
		list         []api.EtcdMember
		healthy, all int
		want         []string
	}{
		{nil, 0, 0, nil},
		{[]api.EtcdMember{member("1", ""), member("2", ""), member("3", "")}, 3, 3, nil},
		{
			[]api.EtcdMember{member("1", ""), member("2", away), member("3", "")},
			2, 3,
			[]string{"etcd: h2 does not answer (flotilla-etcd on h2)", "etcd: 2 of 3 members answer; with one more down nothing can be changed"},
		},
		{
			[]api.EtcdMember{member("1", "sees no leader"), member("2", away), member("3", away)},
			0, 3,
			[]string{"etcd: h1 sees no leader (flotilla-etcd on h1)", "etcd: h2 does not answer (flotilla-etcd on h2)", "etcd: h3 does not answer (flotilla-etcd on h3)"},
		},
		{
			[]api.EtcdMember{member("1", ""), member("2", "")},
			2, 2,
			[]string{"etcd: 2 members; with one more down nothing can be changed (a host that joins becomes the third)"},
		},
		{
			[]api.EtcdMember{member("1", ""), member("2", ""), learner},
			2, 2,
			[]string{"etcd: 2 members; with one more down nothing can be changed (a host that joins becomes the third)"},
		},
		{
			[]api.EtcdMember{member("1", ""), fresh},
			1, 1,
			[]string{
				"etcd: 10.0.0.3:2380 never started (flotilla-etcd on 10.0.0.3:2380)",
				"etcd: 1 member; with it down nothing can be changed (a host that joins becomes the second)",
			},
		},
	} {
		c.SetEtcd(test.list)
		v := into[api.Cluster](t, call(t, h1, "GET", "/v1/cluster", "").body)
		if healthy, all := v.EtcdVoters(); healthy != test.healthy || all != test.all || !slices.Equal(v.Notices, test.want) {
			t.Errorf("cluster with %+v: etcd %d/%d, notices %q, want %d/%d, %q", test.list, healthy, all, v.Notices, test.healthy, test.all, test.want)
		}
	}

	c.SetEtcd([]api.EtcdMember{member("1", ""), member("2", away), member("3", "")})
	for thing, want := range map[string]bool{"h1": false, "h2": true} {
		x := into[api.Explanation](t, call(t, h1, "GET", "/v1/explain/"+thing, "").body)
		const says = "etcd: h2 does not answer (flotilla-etcd on h2) since 1970-01-01 00:16:40 UTC at least"
		if slices.Contains(x.Lines, says) != want {
			t.Errorf("explain %s = %q, want %q in it: %v", thing, x.Lines, says, want)
		}
	}
}
