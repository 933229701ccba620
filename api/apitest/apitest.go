// Package apitest runs a small cluster in this process, for tests of the API and of the
// CLI: a store in memory, a real leader, one API server a host, and agents that do
// nothing but say that they did as ordered. Call New, then Close.
//
// What an agent says of a unit follows from its name: bad* fails with log lines, quiet* fails
// without, slow* stays activating, foreign* is refused, mute* is never answered; brief*, loop* and
// over* run for a moment and then have failed, are to be restarted or have ended well; all others run.
package apitest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/leader"
	"flotilla/leader/plan"
	"flotilla/members"
)

// Version is what all daemons of the cluster say they are.
const Version = "0.1.0"

// Host is one host of the cluster. Local, Token and Peer may be set before a request.
type Host struct {
	ID      cluster.HostID
	Name    string
	Server  *api.Server
	Address string // of its API, plain HTTP

	Registry *prometheus.Registry // with its API's metrics

	mu    sync.Mutex
	local api.Local
	still chan struct{} // closed when the host goes on; nil = it runs
	peers *peers
	http  *httptest.Server
	agent *agent
}

// SetLocal changes what the host's daemon says of itself; name, id and version stay.
func (h *Host) SetLocal(l api.Local) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.local = l
}

// Stall makes the host take connections from other hosts and say nothing, until it may go on.
func (h *Host) Stall(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.still != nil {
		close(h.still)
		h.still = nil
	}
	if on {
		h.still = make(chan struct{})
	}
}

func (h *Host) pass(ctx context.Context) {
	h.mu.Lock()
	still := h.still
	h.mu.Unlock()
	if still == nil {
		return
	}
	select {
	case <-still:
	case <-ctx.Done():
	}
}

func (h *Host) localWord() api.Local {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.local
	l.Host, l.Name, l.Version = string(h.ID), h.Name, Version
	if l.Boot == (cluster.Boot{}) { // else a test has it be in a boot of which the store does not hear
		l.Boot = h.agent.bootNow()
	}
	return l
}

// Cluster is a running cluster of hosts h1, h2, …; the last one has no mirror when there
// are several, as a host without an etcd member has none.
type Cluster struct {
	Backend *memory.Store // nil over another backend
	Store   *store.Store
	Mirror  *store.Mirror
	Hosts   []*Host

	mu    sync.Mutex
	left  []cluster.HostID // whose etcd members were taken out
	etcd  []api.EtcdMember
	wg    sync.WaitGroup
	ctx   context.Context // ends with close
	close context.CancelFunc
}

// New starts a cluster and returns once all hosts are alive and one leads.
func New(hosts int) (*Cluster, error) {
	backend := memory.New(memory.Options{Kind: true})
	c, err := Over(backend, hosts)
	if err != nil {
		return nil, err
	}
	c.Backend = backend
	if err := c.Lead(); err != nil {
		return nil, errors.Join(err, c.shut())
	}
	return c, nil
}

// Over starts a cluster on a backend of the caller's and returns once all hosts are alive; nobody
// leads before Lead. The backend outlives it.
func Over(backend store.Backend, hosts int) (*Cluster, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cluster{ctx: ctx, close: cancel}
	c.Store = store.New(backend, "", store.Options{})
	if _, err := c.Store.Init(ctx); err != nil {
		cancel()
		return nil, err
	}
	c.Mirror = store.NewMirror(c.Store, time.Now)
	c.run(func() error { return c.Mirror.Run(ctx) })
	for i := range hosts {
		if err := c.addHost(ctx, i+1, hosts > 1 && i == hosts-1); err != nil {
			return nil, errors.Join(err, c.shut())
		}
	}
	if err := c.Wait(ctx, func(s *cluster.Snapshot) bool { return len(s.KnownHosts()) >= hosts }); err != nil {
		return nil, errors.Join(err, c.shut())
	}
	return c, nil
}

// Lead lets the first host stand, and returns once it leads.
func (c *Cluster) Lead() error {
	first := c.Hosts[0]
	loop := leader.New(leader.Options{
		Store: throne{c.Store, cluster.LeaderInfo{Host: first.ID, Address: first.Address, Version: Version}}, Mirror: c.Mirror,
	})
	c.run(func() error { return loop.Run(c.ctx) })
	return c.waitLeader(c.ctx)
}

func (c *Cluster) run(f func() error) {
	c.wg.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			slog.Debug("a part of the test cluster ended", "err", err)
		}
	})
}

// Close ends everything.
func (c *Cluster) Close() { _ = c.shut() }

func (c *Cluster) shut() error {
	c.close()
	for _, h := range c.Hosts {
		h.http.CloseClientConnections()
		h.http.Close()
	}
	if c.Backend != nil {
		c.Backend.Close()
	}
	c.wg.Wait()
	return nil
}

// Left are the hosts whose etcd members were taken out.
func (c *Cluster) Left() []cluster.HostID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]cluster.HostID(nil), c.left...)
}

// SetEtcd says what is found of the etcd members; nil = nothing is known of them.
func (c *Cluster) SetEtcd(list []api.EtcdMember) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.etcd = list
}

func (c *Cluster) etcdMembers(context.Context) []api.EtcdMember {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.etcd
}

// Wait waits until the cluster is as ok wants it.
func (c *Cluster) Wait(ctx context.Context, ok func(*cluster.Snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	wake, stop := c.Mirror.Subscribe()
	defer stop()
	for {
		done := false
		c.Mirror.Read(func(s *cluster.Snapshot) { done = s.Complete && ok(s) })
		if done {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("wait for the test cluster: %w", ctx.Err())
		}
	}
}

func (c *Cluster) waitLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		_, _, err := c.Store.Leader(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		<-tick.C
	}
}

// Revision is the revision of the newest write.
func (c *Cluster) Revision(ctx context.Context) (int64, error) {
	_, rev, err := c.Store.Units(ctx)
	return rev, err
}

// hostID is 111…, 222… of the first hosts.
func hostID(n int) cluster.HostID {
	if n < 16 {
		return cluster.HostID(strings.Repeat(fmt.Sprintf("%x", n), 32))
	}
	return cluster.HostID(fmt.Sprintf("%032x", n))
}

func (c *Cluster) addHost(ctx context.Context, n int, client bool) error {
	h := &Host{ID: hostID(n), Name: fmt.Sprintf("h%d", n), peers: &peers{store: c.Store}, Registry: prometheus.NewRegistry()}
	h.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.pass(r.Context())
		h.Server.Handler().ServeHTTP(w, r)
	}))
	h.Address = h.http.Listener.Addr().String()
	opt := api.Options{
		Host: h.ID, Name: h.Name, Version: Version, Store: users{c.Store}, Tokens: tokens{}, Admit: http.NotFoundHandler(),
		Peers: h.peers, Peer: peer, Leave: c.leave, Etcd: c.etcdMembers, Logs: logs(h.Name), Local: h.localWord, Plan: plan.Options{},
		Now: time.Now, Metrics: http.NotFoundHandler(), Classify: classify, Log: slog.New(slog.DiscardHandler), LockToken: LockToken, LockHold: LockHold, Registry: h.Registry,
	}
	if !client {
		opt.Mirror = c.Mirror
	}
	h.Server = api.New(opt)
	c.Hosts = append(c.Hosts, h)
	h.agent = &agent{store: c.Store, host: h, said: map[cluster.Unit]cluster.Status{}}
	if err := h.agent.begin(ctx); err != nil {
		return err
	}
	c.run(func() error { return h.Server.Run(ctx) })
	c.run(func() error { return h.agent.run(ctx) })
	return nil
}

func (c *Cluster) leave(_ context.Context, host cluster.HostID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, host)
	return nil
}

// LockToken lets FleetLock clients in over TLS.
const LockToken = "lock-secret"

// LockHold is how long FleetLock clients wait for a drain.
const LockHold = 300 * time.Millisecond

// Certificates of the roles carry these names as their subject.
const (
	AdminName = "alice"
	HostName  = "22222222222222222222222222222222"
)

// peer tells roles by a verified certificate, or by the server name that a test puts into
// the connection's state.
func peer(s *tls.ConnectionState) (api.Role, string) {
	switch role, name := members.Peer(s); role {
	case members.Admin:
		return api.RoleAdmin, name
	case members.Host:
		return api.RoleHost, name
	}
	switch s.ServerName {
	case AdminName:
		return api.RoleAdmin, AdminName
	case HostName:
		return api.RoleHost, HostName
	}
	return api.RoleStranger, ""
}

// peers reaches the other servers over plain HTTP.
type peers struct{ store *store.Store }

// Transport speaks HTTP where the API asks for HTTPS.
func (p *peers) Transport() http.RoundTripper { return plain{} }

// Leader reads who leads.
func (p *peers) Leader(ctx context.Context) (cluster.HostID, string) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	info, _, err := p.store.Leader(ctx)
	if err != nil {
		return "", ""
	}
	return info.Host, info.Address
}

type plain struct{}

// RoundTrip sends the request in plain text.
func (plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return http.DefaultTransport.RoundTrip(r)
}

// Listen serves a host's API on a unix socket until the returned function is called.
func (h *Host) Listen(socket string) (func(), error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	return h.serve(l), nil
}

// ListenTLS serves a host's API over TLS until the returned function is called.
func (h *Host) ListenTLS(config *tls.Config) (address string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), h.serve(tls.NewListener(l, config)), nil
}

func (h *Host) serve(l net.Listener) func() {
	server := &http.Server{Handler: h.Server.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return func() { _ = server.Close(); <-done }
}
