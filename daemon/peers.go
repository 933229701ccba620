package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/members"
)

// leads remembers who leads for a moment, so that a busy API does not ask the store for
// each request. Nothing asks while nobody asks the API.
type leads struct {
	mu    sync.Mutex
	last  cluster.LeaderInfo
	asked time.Time // when the question was sent that it answers
	read  time.Time // when the store was heard last, or did not answer
}

// leadsFor is how old the word on the leader may be, leadsWait how long an answer may take.
const (
	leadsFor  = time.Second
	leadsWait = 2 * time.Second
)

// word is the last word on the leader, and whether it is fresh.
func (l *leads) word(now time.Time) (cluster.LeaderInfo, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, now.Sub(l.read) < leadsFor
}

// heard takes in the answer to a question of asked, nil if there was none, and returns the last
// word. It counts as heard at now, so that a store that is away is not asked all the time.
func (l *leads) heard(info *cluster.LeaderInfo, asked, now time.Time) cluster.LeaderInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if info != nil && asked.Before(l.asked) {
		return l.last // a later question was answered already
	}
	if info != nil {
		l.last, l.asked = *info, asked
	}
	l.read = now
	return l.last
}

// Leader is the leading host and its API's address, "" while there is none. While the
// store is out of reach the last word stays. Nobody waits for another's question.
func (d *Daemon) Leader(ctx context.Context) (cluster.HostID, string) {
	asked := time.Now()
	last, fresh := d.leads.word(asked)
	if fresh {
		return last.Host, last.Address
	}
	limited, cancel := context.WithTimeout(ctx, leadsWait)
	defer cancel()
	info, _, err := d.store.Leader(limited)
	switch {
	case err == nil || errors.Is(err, store.ErrNotFound):
		last = d.leads.heard(&info, asked, time.Now())
	case ctx.Err() == nil:
		last = d.leads.heard(nil, asked, time.Now())
	}
	return last.Host, last.Address
}

// peer says who is at the other end of a connection, by a verified certificate.
func peer(state *tls.ConnectionState) (api.Role, string) {
	role, name := members.Peer(state)
	switch role {
	case members.Host:
		return api.RoleHost, name
	case members.Admin:
		return api.RoleAdmin, name
	default:
		return api.RoleStranger, name
	}
}

// leaveEtcd takes a host's member out of our etcd; a host without one is no error.
func (d *Daemon) leaveEtcd(ctx context.Context, host cluster.HostID) error {
	err := members.Leave(ctx, d.members, string(host))
	var r *members.Refusal
	if errors.As(err, &r) {
		return api.Refuse(r.Status, r.Hint, "%s", r.Message)
	}
	return err
}

// Transport authenticates this daemon to others.
func (d *Daemon) Transport() http.RoundTripper {
	return d.transport
}

func newTransport(config *tls.Config) http.RoundTripper {
	dial := net.Dialer{Timeout: 3 * time.Second} // a host that is gone answers nothing
	return &http.Transport{DialContext: dial.DialContext, TLSClientConfig: config, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second}
}
