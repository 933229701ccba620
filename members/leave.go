package members

import (
	"context"
	"fmt"
	"net/http"
)

// Leave takes a host's member out of the cluster's etcd, on behalf of that host or of
// an operator who gives a dead host up. A host without a member is no error. It
// refuses when the members that are left would have no majority of healthy ones, and
// for the last one, which is the cluster.
func Leave(ctx context.Context, etcd Membership, host string) error {
	members, err := etcd.Members(ctx)
	if err != nil {
		return err
	}
	var mine *Member
	voters, healthy := 0, 0
	for i, m := range members {
		switch {
		case m.Name == host:
			mine = &members[i]
		case m.Learner:
		default:
			voters++
			if m.Healthy {
				healthy++
			}
		}
	}
	if mine == nil {
		return nil
	}
	if voters == 0 {
		return refuse(http.StatusConflict, "last-member", "this is the last etcd member: the cluster ends with it", "stop flotilla-agent and flotilla-etcd, and keep or delete its data")
	}
	if healthy < voters/2+1 {
		return refuse(http.StatusConflict, "no-quorum", fmt.Sprintf("without it %d of %d etcd members are well, fewer than a majority", healthy, voters), "start the other etcd members first; see 'flotilla status'")
	}
	return etcd.RemoveMember(ctx, mine.ID)
}
