package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// EtcdMember is a member of the cluster's own etcd, as the answering daemon found it less than
// 2 s ago.
type EtcdMember struct {
	ID      string    `json:"id"`             // etcd's, in hex
	Name    string    `json:"name"`           // of its host; the address while that is not known
	Host    string    `json:"host,omitempty"` // machine id; empty for a member that never started
	Address string    `json:"address"`        // host:port for the other members
	Healthy bool      `json:"healthy"`
	Learner bool      `json:"learner,omitempty"` // it catches up and does not vote yet
	Leader  bool      `json:"leader,omitempty"`  // of etcd, which is not who leads the hosts
	Version string    `json:"version,omitempty"` // of etcd
	Since   time.Time `json:"since,omitzero"`    // when this daemon first found it not healthy
	Reason  string    `json:"reason,omitempty"`  // why it is not healthy
}

// EtcdVoters are the members of our etcd that vote, and how many of them are healthy. Both
// are 0 where etcd is not ours or nothing is known of it.
func (v Cluster) EtcdVoters() (healthy, all int) {
	for _, m := range v.Etcd {
		if m.Learner {
			continue
		}
		all++
		if m.Healthy {
			healthy++
		}
	}
	return healthy, all
}

// etcdMembers are the members of our etcd by the names of their hosts; nil where it is not ours.
func (s *Server) etcdMembers(ctx context.Context, hosts []Host) []EtcdMember {
	if s.opt.Etcd == nil {
		return nil
	}
	names := map[string]string{}
	for _, h := range hosts {
		names[h.ID] = h.Name
	}
	out := slices.Clone(s.opt.Etcd(ctx))
	for i, m := range out {
		out[i].Name = cmp.Or(names[m.Host], m.Host[:min(8, len(m.Host))], m.Address)
	}
	slices.SortFunc(out, func(a, b EtcdMember) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// etcdNotices say which members are not well, and when one more must not fail.
func etcdNotices(v Cluster) []string {
	var out []string
	for _, m := range v.Etcd {
		if !m.Healthy {
			out = append(out, "etcd: "+m.trouble())
		}
	}
	healthy, all := v.EtcdVoters()
	switch {
	case all == 0 || healthy != all/2+1:
	case healthy < all:
		out = append(out, fmt.Sprintf("etcd: %d of %d members answer; with one more down nothing can be changed", healthy, all))
	case all == 2:
		out = append(out, "etcd: 2 members; with one more down nothing can be changed (a host that joins becomes the third)")
	case len(v.Hosts) > 1:
		out = append(out, "etcd: 1 member; with it down nothing can be changed (a host that joins becomes the second)")
	}
	return out
}

// trouble says in a clause what a member lacks and where to look.
func (m EtcdMember) trouble() string {
	why, _, silent := strings.Cut(m.Reason, "does not answer")
	if silent {
		why = "does not answer"
	}
	return fmt.Sprintf("%s %s (flotilla-etcd on %s)", m.Name, oneLine(why), m.Name)
}
