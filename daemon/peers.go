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
	mu   sync.Mutex
	last cluster.LeaderInfo
	read time.Time
}

// leadsFor is how old the word on the leader may be.
const leadsFor = time.Second

// Leader is the leading host and its API's address, "" while there is none. While the
// store is out of reach the last word stays.
func (d *Daemon) Leader(ctx context.Context) (cluster.HostID, string) {
	l := &d.leads
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.read) < leadsFor {
		return l.last.Host, l.last.Address
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info, _, err := d.store.Leader(ctx)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		l.last = info
	}
	l.read = time.Now()
	return l.last.Host, l.last.Address
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
