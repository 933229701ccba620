package members

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
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
	return remove(ctx, etcd, mine.ID)
}

// settle is how long etcd wants its members connected before it lets one go.
const settle = 15 * time.Second

// remove removes a member, giving etcd the time to see that the others are well.
func remove(ctx context.Context, etcd Membership, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		err := etcd.RemoveMember(ctx, id)
		if !errors.Is(err, ErrQuorum) || !pause(ctx, retryIn) {
			return err
		}
	}
}
