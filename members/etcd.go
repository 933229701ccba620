package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

// How our etcd is set.
const (
	// A LAN's round trip is far below the heartbeat, and an election takes about a second.
	// The shortest lease that etcd grants follows from it: one and a half
	// election timeouts, in whole seconds: 2 s.
	etcdHeartbeatMS = 100
	etcdElectionMS  = 1000

	// History older than this is compacted: a watcher that was away longer loads anew.
	// Freed pages are used again; the file does not shrink.
	etcdCompaction = "30m"

	// At this size etcd raises the NOSPACE alarm and takes no more writes. Two million
	// units with their status need about 1.5 GiB.
	etcdQuota = 2 << 30

	// Entries that the raft log keeps in memory: enough for a follower that was away for
	// a moment, and a few MiB with our transactions.
	etcdSnapshotCount   = 5000
	etcdCatchUpEntries  = 2500
	etcdMinKeepAlive    = time.Second // clients ping every 2 s to notice a dead server before a lease ends
	etcdPromoteInterval = 250 * time.Millisecond
)

// EtcdConfig is one member of the cluster's etcd.
type EtcdConfig struct {
	Name           string // machine id
	Address        string // of this host, without port
	ClientPort     int
	PeerPort       int
	Dir            string // data
	InitialCluster string // name=peer URL,…; only read when Dir is empty
	Existing       bool   // join an existing cluster; only read when Dir is empty
	PKI            PKI
	Endpoints      []string // of other members, to be promoted by
	Log            *slog.Logger

	// Listening is called when the member listens, Ready when it takes part in the cluster
	// (there is a leader, and it is a voter). Either may be nil.
	Listening func()
	Ready     func()
}

// ErrRemoved says that the cluster removed this member. It is final.
var ErrRemoved = errors.New("this host's etcd member was removed from the cluster")

// RunEtcd runs an etcd member until ctx ends or the member fails. A learner has itself
// promoted by the others once it caught up. At the end it first moves
// leadership away, then stops.
func RunEtcd(ctx context.Context, c EtcdConfig) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	id, err := LoadIdentity(c.PKI, time.Now())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil { // the socket is there before etcd makes it
		return fmt.Errorf("start etcd: %w", err)
	}
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	cfg := c.embed()
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{until(streams)}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return c.startError(err)
	}
	if c.Listening != nil {
		c.Listening()
	}
	wctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.becomeReady(wctx, e, id) })
	err = awaitEnd(ctx, e)
	cancel()
	wg.Wait()
	stopEtcd(e, endStreams, c.Log)
	if err != nil && ctx.Err() == nil && c.removed(ctx, uint64(e.Server.MemberID()), id) {
		return ErrRemoved
	}
	return err
}

// awaitEnd returns when ctx ends (nil) or the member does (why).
func awaitEnd(ctx context.Context, e *embed.Etcd) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return fmt.Errorf("etcd member: %w", err)
	case <-e.Server.StopNotify():
		return errors.New("etcd member stopped by itself; see its log above")
	}
}

// removed asks the others whether this member is still one of them.
func (c EtcdConfig) removed(ctx context.Context, self uint64, id *Identity) bool {
	cli, err := dial(c.Endpoints, id, c.Log)
	if err != nil {
		return false
	}
	defer cli.Close()
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	res, err := cli.MemberList(ctx)
	return err == nil && !slices.ContainsFunc(res.Members, func(m *etcdserverpb.Member) bool { return m.ID == self })
}

// stopEtcd hands leadership on before the listeners close, so that clients find a
// leader elsewhere at once. Calls under way may finish; streams (watches, keep-alives), which
// never end by themselves and would hold Close for seven seconds, are ended.
func stopEtcd(e *embed.Etcd, endStreams func(), log *slog.Logger) {
	if err := e.Server.TryTransferLeadershipOnShutdown(); err != nil {
		log.Debug("leadership was not handed on", "err", err)
	}
	endStreams()
	e.Close()
	for range e.Err() { // closed by Close when the last server is done
	}
}

// until makes every stream of a server end with ctx.
func until(ctx context.Context) grpc.ServerOption {
	return grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		sctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return handle(srv, &endingStream{s, sctx})
	})
}

// endingStream is a stream with a context of its own.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is what handlers of long streams wait on.
func (s *endingStream) Context() context.Context { return s.ctx }

// becomeReady waits until the member takes part, has a learner promoted, and says so.
func (c EtcdConfig) becomeReady(ctx context.Context, e *embed.Etcd, id *Identity) {
	select {
	case <-e.Server.ReadyNotify():
	case <-ctx.Done():
		return
	}
	if e.Server.IsLearner() {
		if err := c.promoteSelf(ctx, uint64(e.Server.MemberID()), id); err != nil {
			return // only ctx ends it
		}
		c.Log.Info("etcd member is a voter now", "host", c.Name)
	}
	if c.Ready != nil {
		c.Ready()
	}
}

// promoteSelf asks the other members for promotion until they grant it.
func (c EtcdConfig) promoteSelf(ctx context.Context, self uint64, id *Identity) error {
	cli, err := dial(c.Endpoints, id, c.Log)
	if err != nil {
		return err
	}
	defer cli.Close()
	return NewEtcdMembers(cli).Promote(ctx, self, func(why string) {
		c.Log.Debug("etcd member waits for promotion", "reason", why)
	})
}

// embed translates the configuration for etcd.
func (c EtcdConfig) embed() *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = c.Name, c.Dir
	cfg.InitialCluster, cfg.InitialClusterToken = c.InitialCluster, "flotilla"
	cfg.ClusterState = embed.ClusterStateFlagNew
	if c.Existing {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	cfg.AdvertiseClientUrls = []url.URL{httpsURL(c.Address, c.ClientPort)}
	cfg.AdvertisePeerUrls = []url.URL{httpsURL(c.Address, c.PeerPort)}
	cfg.ListenClientUrls = listenURLs(c.Address, c.ClientPort)
	cfg.ListenPeerUrls = listenURLs(c.Address, c.PeerPort)
	// Metrics and health on a socket in the data folder, which only root may enter; the
	// network port then speaks nothing but gRPC, without net/http in between.
	cfg.ListenClientHttpUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(c.Dir, "http.sock")}}

	tls := transport.TLSInfo{
		CertFile: c.PKI.Cert, KeyFile: c.PKI.Key, TrustedCAFile: c.PKI.CA, // read again at each handshake
		ClientCertAuth:      true,
		AllowedHostnames:    []string{HostSAN}, // hosts only: not the certificates of people
		SkipClientSANVerify: true,              // a host is who its certificate says, from whatever address it comes
	}
	cfg.ClientTLSInfo, cfg.PeerTLSInfo = tls, tls
	cfg.TlsMinVersion = "TLS1.3"

	cfg.TickMs, cfg.ElectionMs = etcdHeartbeatMS, etcdElectionMS
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, etcdCompaction
	cfg.QuotaBackendBytes = etcdQuota
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = etcdSnapshotCount, etcdCatchUpEntries
	cfg.GRPCKeepAliveMinTime = etcdMinKeepAlive
	cfg.GRPCKeepAliveInterval, cfg.GRPCKeepAliveTimeout = 5*time.Second, 5*time.Second
	cfg.EnableGRPCGateway = false
	cfg.LogLevel = "warn"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapToSlog(c.Log.With("component", "etcd")))
	return cfg
}

// startError puts what hinders a start into one line with its remedy.
func (c EtcdConfig) startError(err error) error {
	text := err.Error()
	if strings.Contains(text, "address already in use") {
		return &Problem{What: "etcd: " + text, Hint: "stop the program that holds the port, or choose client_port and peer_port in flotilla.json", Err: err}
	}
	if strings.Contains(text, "cannot assign requested address") {
		return &Problem{What: "etcd: " + text, Hint: fmt.Sprintf("this host has no address %s any more: mend its network, or run 'flotilla leave' and join again", c.Address), Err: err}
	}
	return fmt.Errorf("start etcd in %s: %w", c.Dir, err)
}

// httpsURL is the URL of a port of a host.
func httpsURL(host string, port int) url.URL {
	return url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(port))}
}

// listenURLs are the host's address and loopback.
func listenURLs(host string, port int) []url.URL {
	out := []url.URL{httpsURL(host, port)}
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
		out = append(out, httpsURL("127.0.0.1", port))
	}
	return out
}

// dial makes a client of our etcd.
func dial(endpoints []string, id *Identity, log *slog.Logger) (*clientv3.Client, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cli, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  id.ClientTLS(),
		DialTimeout:          3 * time.Second,
		DialKeepAliveTime:    2 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		Logger:               zapToSlog(log.With("component", "etcd client")),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client for %s: %w", strings.Join(endpoints, " "), err)
	}
	return cli, nil
}
