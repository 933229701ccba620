package daemon

import (
	"testing"

	"flotilla/api"
	"flotilla/cluster"
)

// TestEtcdHealth: a host calls our etcd healthy only if it sees all members well and its own among them.
func TestEtcdHealth(t *testing.T) {
	one := api.EtcdMember{Host: "1111111111", Healthy: true}
	two := api.EtcdMember{Host: "2222222222", Healthy: true}
	with := func(m api.EtcdMember, edit func(*api.EtcdMember)) api.EtcdMember { edit(&m); return m }
	for _, c := range []struct {
		what string
		list []api.EtcdMember
		want string
	}{
		{"all well", []api.EtcdMember{one, two}, cluster.EtcdHealthy},
		{"another away", []api.EtcdMember{one, with(two, func(m *api.EtcdMember) { m.Healthy, m.Reason = false, "does not answer" })}, "etcd member 22222222: does not answer"},
		{"one that never started", []api.EtcdMember{one, {Address: "10.0.0.3:2380", Reason: "never started"}}, "etcd member 10.0.0.3: never started"},
		{"a learner", []api.EtcdMember{one, with(two, func(m *api.EtcdMember) { m.Learner = true })}, "etcd member 22222222 has no vote yet"},
		{"not a member", []api.EtcdMember{two}, "the etcd member of this host is not in the list of members"},
		{"no answer", nil, "the etcd member of this host is not in the list of members"},
	} {
		if got := etcdHealth(c.list, "1111111111"); got != c.want {
			t.Errorf("%s: etcdHealth = %q, want %q", c.what, got, c.want)
		}
	}
}
