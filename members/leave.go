package members

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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
		return refuse(http.StatusConflict, "last-member", "this is the last etcd member: the cluster ends with it", "'flotilla leave --force' ends it and moves its data aside")
	}
	if healthy < voters/2+1 {
		return refuse(http.StatusConflict, "no-quorum", fmt.Sprintf("without it %d of %d etcd members are well, fewer than a majority", healthy, voters), "start the other etcd members first; see 'flotilla status'")
	}
	return remove(ctx, etcd, mine.ID)
}

// LeaveEtcd takes this host's member out of the cluster's etcd, as Leave does, and returns the
// configuration to go on with, that of Others. It asks those: a member that is removed stops, and may do so
// before it has answered. It may be repeated.
func LeaveEtcd(ctx context.Context, c Config, log *slog.Logger) (Config, error) {
	id, err := LoadIdentity(c.PKI, time.Now())
	if err != nil {
		return c, err
	}
	endpoints := c.Others().Endpoints
	if len(endpoints) == 0 {
		endpoints = c.Endpoints
	}
	client, err := dial(endpoints, id, log)
	if err != nil {
		return c, err
	}
	defer client.Close()
	etcd := NewEtcdMembers(client)
	others, err := etcd.askOthers(ctx, c.Host)
	if err != nil {
		return c, err
	}
	host := c.Host
	c = c.Others()
	c.Endpoints = others
	return c, Leave(ctx, etcd, host)
}

// settle is how long etcd wants its members connected before it lets one go.
const settle = 15 * time.Second

// Others is the configuration without the etcd member on this host: of the cluster's own etcd it
// names the members on other hosts, as far as this host knows them.
func (c Config) Others() Config {
	here := httpsURL(c.Address, c.Etcd.ClientPort)
	c.Endpoints = slices.DeleteFunc(slices.Clone(c.Endpoints), func(e string) bool { return c.Etcd.Member && e == here.String() })
	c.Etcd.Member = false
	return c
}

// remove removes a member, giving etcd the time to see that the others are well. An answer may
// be lost, as when the member that was asked is the one that goes: what counts is whether it is
// still there.
func remove(ctx context.Context, etcd Membership, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		err := etcd.RemoveMember(ctx, id)
		if err == nil || isGone(ctx, etcd, id) {
			return nil
		}
		if !pause(ctx, retryIn) {
			return err
		}
	}
}

// isGone says whether etcd surely has no such member.
func isGone(ctx context.Context, etcd Membership, id uint64) bool {
	members, err := etcd.Members(ctx)
	return err == nil && !slices.ContainsFunc(members, func(m Member) bool { return m.ID == id })
}

// Cleanup ends this host's membership on its disk: what the agent remembers of its
// cluster, the etcd data, the certificates, and the configuration last, all moved aside
// into a folder that it returns and that nothing reads again. Wherever it was interrupted,
// it can be repeated: it moves what is left. Stop the services before.
func Cleanup(p Paths, now time.Time) (string, error) {
	aside := filepath.Join(p.Var, "left-"+now.UTC().Format("20060102T150405.000"))
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return "", fmt.Errorf("leave: %w", err)
	}
	for _, f := range append(traces(p), p.Config()) {
		if is, err := exists(f); err != nil || !is {
			if err != nil {
				return "", fmt.Errorf("leave: %w", err)
			}
			continue
		}
		if err := move(f, filepath.Join(aside, filepath.Base(f))); err != nil {
			return "", fmt.Errorf("leave: %w", err)
		}
	}
	return aside, nil
}

// traces are what a member has on its disk besides its configuration, in the order in which
// Cleanup moves them.
func traces(p Paths) []string {
	return []string{filepath.Join(p.Var, "view.json"), filepath.Join(p.Var, "blob"), p.EtcdData(), filepath.Join(p.Etc, "pki")}
}

// Traces says whether anything of a member is on the disk besides its configuration.
func Traces(p Paths) bool {
	for _, f := range traces(p) {
		if is, err := exists(f); is || err != nil {
			return true
		}
	}
	return false
}

// CleanupBegan says that nothing is left of a member but its configuration: Cleanup was
// interrupted before its last step, and etcd has let the member go before that.
func CleanupBegan(p Paths) bool { return !Traces(p) }
