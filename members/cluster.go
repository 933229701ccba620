package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is one member of the cluster's etcd.
type Member struct {
	ID        uint64
	Name      string // machine id of its host; "" until it first started
	PeerURL   string
	ClientURL string // "" until it first started
	Learner   bool
	Leader    bool
	Healthy   bool
	Reason    string // why it is not healthy
	Version   string // of etcd
	DBSize    int64  // bytes
}

// The reasons why the cluster's membership cannot change now; try again.
var (
	ErrLearner = errors.New("another host is just becoming an etcd member")
	ErrQuorum  = errors.New("etcd changes its membership only when its members have been connected for 5 s")
)

// EtcdMembers changes the membership of an etcd cluster.
type EtcdMembers struct{ cli *clientv3.Client }

// NewEtcdMembers uses a client, which stays the caller's.
func NewEtcdMembers(cli *clientv3.Client) *EtcdMembers { return &EtcdMembers{cli: cli} }

// askOthers has this client ask the members on other hosts from now on, where there are any,
// and returns their client URLs.
func (m *EtcdMembers) askOthers(ctx context.Context, host string) ([]string, error) {
	res, err := m.cli.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	var out []string
	for _, r := range res.Members {
		if r.Name != host && !r.IsLearner { // a learner answers little
			out = append(out, r.ClientURLs...)
		}
	}
	slices.Sort(out)
	if len(out) > 0 {
		m.cli.SetEndpoints(out...)
	}
	return out, nil
}

// DialEtcd makes a client for the etcd that the configuration names, for the
// membership of our own etcd.
func DialEtcd(c Config, id *Identity, log *slog.Logger) (*clientv3.Client, error) {
	return dial(c.Endpoints, id, log)
}

// healthTimeout is how long a member may take to say how it is.
const healthTimeout = 2 * time.Second

// Members lists the members by name, each asked how it is.
func (m *EtcdMembers) Members(ctx context.Context) ([]Member, error) {
	res, err := m.cli.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	return m.askAll(ctx, res.Members, healthTimeout), nil
}

// lookTimeout is how long a look at the members may take, for the list and for each of them.
const lookTimeout = time.Second

// Look is Members for who shows them to a person who waits: a member has a second, and
// without a majority the list is what one of them remembers. It only reads.
func (m *EtcdMembers) Look(ctx context.Context) ([]Member, error) {
	res, err := m.list(ctx)
	if err != nil && ctx.Err() == nil {
		res, err = m.list(ctx, clientv3.WithSerializable())
	}
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	return m.askAll(ctx, res.Members, lookTimeout), nil
}

func (m *EtcdMembers) list(ctx context.Context, how ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return m.cli.MemberList(ctx, how...)
}

// askAll asks all members at once how they are; the answers come by name.
func (m *EtcdMembers) askAll(ctx context.Context, list []*etcdserverpb.Member, patience time.Duration) []Member {
	out := make([]Member, len(list))
	var wg sync.WaitGroup
	for i, r := range list {
		out[i] = member(r)
		wg.Go(func() { m.ask(ctx, &out[i], patience) })
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b Member) int {
		return strings.Compare(a.Name+a.PeerURL, b.Name+b.PeerURL)
	})
	return out
}

func member(r *etcdserverpb.Member) Member {
	out := Member{ID: r.ID, Name: r.Name, Learner: r.IsLearner}
	if len(r.PeerURLs) > 0 {
		out.PeerURL = r.PeerURLs[0]
	}
	if len(r.ClientURLs) > 0 {
		out.ClientURL = r.ClientURLs[0]
	}
	return out
}

// ask fills in how a member is.
func (m *EtcdMembers) ask(ctx context.Context, mb *Member, patience time.Duration) {
	if mb.ClientURL == "" {
		mb.Reason = "never started"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	st, err := m.cli.Status(ctx, mb.ClientURL)
	if err != nil {
		mb.Reason = "does not answer: " + oneLine(err.Error())
		return
	}
	mb.Version, mb.DBSize, mb.Leader = st.Version, st.DbSize, st.Leader == mb.ID
	mb.Healthy = st.Leader != 0 && len(st.Errors) == 0
	if st.Leader == 0 {
		mb.Reason = "sees no leader"
	} else if len(st.Errors) > 0 {
		mb.Reason = strings.Join(st.Errors, "; ")
	}
}

// AddLearner adds a member that does not vote yet and returns its id. The cluster
// takes one at a time: ErrLearner.
func (m *EtcdMembers) AddLearner(ctx context.Context, peerURL string) (uint64, error) {
	res, err := m.cli.MemberAddAsLearner(ctx, []string{peerURL})
	switch {
	case err == nil:
		return res.Member.ID, nil
	case errors.Is(err, rpctypes.ErrTooManyLearners):
		return 0, ErrLearner
	case errors.Is(err, rpctypes.ErrUnhealthy), errors.Is(err, rpctypes.ErrMemberNotEnoughStarted):
		return 0, ErrQuorum
	}
	return 0, fmt.Errorf("add etcd member %s: %w", peerURL, err)
}

// RemoveMember removes a member; one that is gone already is no error.
func (m *EtcdMembers) RemoveMember(ctx context.Context, id uint64) error {
	_, err := m.cli.MemberRemove(ctx, id)
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrMemberNotFound):
		return nil
	case errors.Is(err, rpctypes.ErrUnhealthy), errors.Is(err, rpctypes.ErrMemberNotEnoughStarted):
		return ErrQuorum
	}
	return fmt.Errorf("remove etcd member %x: %w", id, err)
}

// Promote makes a learner a voter, asking until it caught up, or until ctx ends: then
// the error carries the last reason. progress, which may be nil, hears each reason
// that differs from the one before.
func (m *EtcdMembers) Promote(ctx context.Context, id uint64, progress func(why string)) error {
	t := time.NewTicker(etcdPromoteInterval)
	defer t.Stop()
	last := ""
	for {
		why, err := m.promote(ctx, id)
		if err != nil || why == "" {
			return err
		}
		if why != last && ctx.Err() == nil {
			last = why
			if progress != nil {
				progress(why)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("promote etcd member %x: %w: %s", id, ctx.Err(), last)
		case <-t.C:
		}
	}
}

// promote asks once; why says what to wait for, "" that the member votes.
func (m *EtcdMembers) promote(ctx context.Context, id uint64) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	_, err = m.cli.MemberPromote(ctx, id)
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrMemberNotLearner):
		return "", nil
	case errors.Is(err, rpctypes.ErrMemberNotFound):
		return "", ErrRemoved
	case errors.Is(err, rpctypes.ErrMemberLearnerNotReady):
		return "it has not caught up with the leader yet", nil
	}
	return oneLine(err.Error()), nil
}

// AwaitVoter waits until the member of a host votes, or until ctx ends: then the error
// says what it waited for. It is what a join shows after the services started.
func (m *EtcdMembers) AwaitVoter(ctx context.Context, name string, progress func(why string)) error {
	t := time.NewTicker(etcdPromoteInterval)
	defer t.Stop()
	last := ""
	for {
		why := m.awaited(ctx, name)
		if why == "" {
			return nil
		}
		if why != last && ctx.Err() == nil {
			last = why
			if progress != nil {
				progress(why)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("etcd member of this host: %w: %s", ctx.Err(), last)
		case <-t.C:
		}
	}
}

// awaited says what keeps the member of a host from voting, "" if nothing.
func (m *EtcdMembers) awaited(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	res, err := m.cli.MemberList(ctx)
	if err != nil {
		return "etcd does not answer: " + oneLine(err.Error())
	}
	i := slices.IndexFunc(res.Members, func(r *etcdserverpb.Member) bool { return r.Name == name })
	switch {
	case i < 0:
		return "it has not started yet; see 'journalctl -u flotilla-etcd'"
	case res.Members[i].IsLearner:
		return "it is catching up with the leader"
	}
	return ""
}

// Endpoints are the client URLs of all members that ever started, sorted. From then on
// this client asks those members itself.
func (m *EtcdMembers) Endpoints(ctx context.Context) ([]string, error) {
	res, err := m.cli.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	var out []string
	for _, r := range res.Members {
		out = append(out, r.ClientURLs...)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > 0 {
		m.cli.SetEndpoints(out...)
	}
	return out, nil
}
