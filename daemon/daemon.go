// Package daemon wires a host's parts together: agent, leader, API, and the doors they
// use. It decides nothing. Fill Options, call Run; it ends when ctx does, or with
// the first part that fails. No workload is touched by its end.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"flotilla/agent"
	"flotilla/agent/reboots"
	"flotilla/agent/systemd"
	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/daemon/doors"
	"flotilla/leader/plan"
	"flotilla/members"
)

// Options are a daemon's settings.
type Options struct {
	Paths     members.Paths
	Config    members.Config
	Version   string
	RunDir    string // socket, lease, applied counters; ends with the boot
	User      bool   // the calling user's systemd instead of the host's
	Reserve   string // memory that units may not have; "" = what the configuration says
	Candidate bool   // mirrors the cluster and may lead; members of our etcd always do
	Plan      plan.Options
	Log       *slog.Logger
}

// Daemon is a host's flotilla, wired and not yet running.
type Daemon struct {
	opt      Options
	host     cluster.HostID
	log      *slog.Logger
	identity *members.Identity
	backend  *store.Etcd
	store    *store.Store
	mirror   *store.Mirror // nil where the cluster is not mirrored
	agent    *agent.Agent
	info     cluster.HostInfo // that the agent began with
	manager  *systemd.Manager
	logind   *systemd.Logind       // nil for the systemd of a user, as is
	engine   *systemd.UpdateEngine // this one
	journal  systemd.Journal
	api      *api.Server
	registry *prometheus.Registry
	joiner   *members.Joiner
	members  *members.EtcdMembers // of our own etcd; nil with one that is not ours
	client   io.Closer            // of members; nil without
	looks    *looks               // at members; nil without
	ready    func()               // called when the API listens; nil = tell systemd
	leads    leads
	removals removals

	lockToken string // of FleetLock clients; "" = they need none

	transport http.RoundTripper // to other daemons
}

// Run wires a daemon and runs it until ctx ends.
func Run(ctx context.Context, opt Options) error {
	release, err := lockHost(opt.RunDir)
	if err != nil {
		return err
	}
	d, err := New(ctx, opt)
	if err != nil {
		return errors.Join(err, release())
	}
	err = d.run(ctx)
	d.close()
	return errors.Join(err, release())
}

// New connects the parts. What is wrong with configuration or certificates is told here;
// then nothing stays connected.
func New(ctx context.Context, opt Options) (*Daemon, error) {
	d := &Daemon{opt: opt, host: cluster.HostID(opt.Config.Host), log: opt.Log, registry: prometheus.NewRegistry()}
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := d.connect(ctx); err != nil {
		d.close()
		return nil, err
	}
	d.api = api.New(d.apiOptions())
	return d, nil
}

// connect opens what close closes, also after an error half way.
func (d *Daemon) connect(ctx context.Context) error {
	opt := d.opt
	var err error
	if d.lockToken, err = opt.Config.Reboot.FleetLock.Token(); err != nil {
		return err
	}
	if d.identity, err = members.LoadIdentity(opt.Config.PKI, time.Now()); err != nil {
		return err
	}
	d.transport = newTransport(d.identity.ClientTLS())
	etcd, err := etcdOptions(opt.Config, d.identity, opt.Log)
	if err != nil {
		return err
	}
	// Close ends it, not the end of ctx: the agent ends its host's life last of all.
	if d.backend, err = store.DialEtcd(context.WithoutCancel(ctx), etcd); err != nil {
		return err
	}
	timing := opt.Config.Timing.Cluster()
	d.store = store.New(d.backend, opt.Config.Prefix, store.Options{TTL: timing.TTL, Log: opt.Log})
	d.opt.Plan.Timing = timing
	if opt.Candidate || opt.Config.Candidate || opt.Config.Etcd.Member {
		d.mirror = store.NewMirror(d.store, time.Now)
	}
	if d.manager, err = systemd.New(ctx, systemd.Options{User: opt.User, Logger: opt.Log}); err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	d.journal = systemd.Journal{User: opt.User}
	if d.agent, err = d.newAgent(ctx, timing); err != nil {
		return err
	}
	return d.newJoiner()
}

func (d *Daemon) close() {
	if d.client != nil {
		if err := d.client.Close(); err != nil {
			d.log.Debug("close the membership client", "err", err)
		}
	}
	if d.logind != nil {
		if err := d.logind.Close(); err != nil {
			d.log.Debug("disconnect from logind", "err", err)
		}
	}
	if d.engine != nil {
		if err := d.engine.Close(); err != nil {
			d.log.Debug("disconnect from update_engine", "err", err)
		}
	}
	if d.manager != nil {
		if err := d.manager.Close(); err != nil {
			d.log.Debug("disconnect from systemd", "err", err)
		}
	}
	if d.backend != nil {
		d.backend.Close()
	}
}

func (d *Daemon) newAgent(ctx context.Context, timing cluster.Timing) (*agent.Agent, error) {
	info, err := hostInfo(ctx, d.manager, d.opt)
	if err != nil {
		return nil, err
	}
	d.info = info
	dir := unitDir(d.opt.User)
	if err := dir.Sweep(); err != nil {
		return nil, fmt.Errorf("tidy the folder of unit files: %w", err)
	}
	h := doors.Host{Manager: d.manager, Dir: dir, Log: d.journal}
	all := agent.Doors{
		Systemd: h, Changes: h, Timers: h, Killer: newKiller(d.opt.User, d.log), Files: h, Journal: h, Clock: clock{},
		Images: systemd.NewImages(d.manager, d.journal, systemd.Engines{}),
		Views:  d.store, Presence: d.store, Reporter: d.store,
	}
	if !d.opt.User { // a user's systemd does not reboot its host
		d.logind = systemd.NewLogind(systemd.Options{Logger: d.log})
		d.engine = systemd.NewUpdateEngine(systemd.Options{Logger: d.log})
		all.Logind, all.Machine, all.Grants = doors.Logind{Login: d.logind}, h, d.store
		all.Checks = reboots.Checks{Systemd: d.manager, Journal: d.journal}
		all.Needs = reboots.NewNeeds(reboots.Options{
			Sources: rebootSources(d.opt.Config.Reboot), Engine: d.engine, Units: d.manager, Uptime: clock{}.Boottime,
		})
	}
	a, err := agent.New(all, agent.Options{
		Host: d.host, Info: info, Timing: timing, UnitDir: dir.Path(),
		StateDir: d.opt.Config.Data, RunDir: d.opt.RunDir, Log: d.log, Metrics: d.registry,
	})
	if err != nil {
		return nil, err
	}
	// From the first request on nothing is written to another store than the one this host knows.
	if id := a.State().Store; id.ID != "" {
		d.store.Pin(id)
	}
	return a, nil
}

// run runs all parts; the first that fails ends the others.
func (d *Daemon) run(ctx context.Context) error {
	address := net.JoinHostPort(d.opt.Config.Address, strconv.Itoa(d.opt.Config.APIPort))
	remote, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for other hosts: %w (is another flotilla running?)", err)
	}
	local, err := listenLocal(filepath.Join(d.opt.RunDir, "flotilla.sock"))
	if err != nil {
		return errors.Join(err, remote.Close())
	}
	locks, err := d.listenLock(ctx)
	if err != nil {
		return errors.Join(err, local.Close(), remote.Close())
	}
	parts := []part{
		{"agent", d.agent.Run},
		{"API", d.api.Run},
		{"local socket", func(ctx context.Context) error { return d.serve(ctx, local, d.api.Handler(), false) }},
		{"socket for other hosts", func(ctx context.Context) error { return d.serve(ctx, remote, d.api.Handler(), true) }},
		{"certificate", d.renewCertificate},
		{"container runtimes", d.watchRuntimes},
		{"clock", d.watchClock},
	}
	if locks != nil {
		parts = append(parts, part{"socket for FleetLock clients", func(ctx context.Context) error { return d.serve(ctx, locks, locks.handler, locks.tls) }})
	}
	if d.members != nil {
		parts = append(parts, part{"etcd's endpoints", d.keepEndpoints})
		if d.opt.Config.Etcd.Member {
			parts = append(parts, part{"etcd's health", d.watchEtcd})
		}
	}
	if d.mirror != nil {
		parts = append(parts, part{"mirror", d.mirror.Run}, part{"leader", d.newLeader(address).Run})
	}
	d.sayReady()
	d.log.Info("running", "host", d.opt.Config.Name, "address", address, "version", d.opt.Version, "mirror", d.mirror != nil)
	return runParts(ctx, parts)
}

// part is one of those that make a daemon. It runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// runParts runs all parts until ctx ends, which is no error, or one of them ends before that,
// which is one however it ended: a daemon that lacks a part must not look healthy.
func runParts(ctx context.Context, parts []part) error {
	group, all := errgroup.WithContext(ctx)
	for _, p := range parts {
		group.Go(func() error {
			err := p.run(all)
			switch {
			case all.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
				return nil
			case err == nil:
				return fmt.Errorf("%s: ended by itself", p.name)
			}
			return fmt.Errorf("%s: %w", p.name, err)
		})
	}
	return group.Wait()
}

// sayReady tells who started us that the API listens.
func (d *Daemon) sayReady() {
	if d.ready != nil {
		d.ready()
		return
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		d.log.Warn("tell systemd that we are ready", "err", err)
	}
}

// listenLocal opens the unix socket; only root may use it.
func listenLocal(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // a successor may have made it anew already
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect socket: %w", err), l.Close())
	}
	return l, nil
}

// serve answers on one listener until ctx ends.
func (d *Daemon) serve(ctx context.Context, l net.Listener, h http.Handler, overTLS bool) error {
	server := &http.Server{
		Handler: h, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() {
		if overTLS {
			server.TLSConfig = d.identity.ServerTLS()
			done <- server.ServeTLS(l, "", "")
			return
		}
		done <- server.Serve(l)
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
		err := server.Close()
		<-done
		return err
	}
}

// renewCertificate keeps this host's certificate fresh: it asks once an hour whether
// a third of its life is left.
func (d *Daemon) renewCertificate(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		changed, err := members.Renew(ctx, members.RenewOptions{
			Config: d.opt.Config, Identity: d.identity, Now: time.Now(), Log: d.log,
			Leader: func(ctx context.Context) string { _, address := d.Leader(ctx); return address },
		})
		switch {
		case err != nil && ctx.Err() == nil:
			d.log.Warn("renew this host's certificate", "err", err, "expires", d.identity.Certificate().NotAfter)
		case changed:
			d.log.Info("renewed this host's certificate", "expires", d.identity.Certificate().NotAfter)
		}
		if err := d.identity.Err(); err != nil {
			d.log.Error("the certificate on disk cannot be used, the one before is served on", "err", err, "expires", d.identity.Certificate().NotAfter)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Daemon) apiOptions() api.Options {
	out := api.Options{
		Host: d.host, Name: d.opt.Config.Name, Version: d.opt.Version,
		Store:  users{store: d.store, backend: d.backend, prefix: d.opt.Config.Prefix, seen: d.remembered},
		Tokens: tokens{d}, Admit: d.joiner.Handler(), Peers: d, Peer: peer, Logs: d.logs, Local: d.local, Removed: d.isRemoved, Has: d.has,
		Plan: d.opt.Plan, Now: time.Now, Classify: classify, Log: d.log,
		Registry:  d.registry,
		LockToken: d.lockToken,
		Metrics:   promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}),
	}
	if d.mirror != nil {
		out.Mirror = d.mirror
	}
	if d.members != nil {
		out.Leave = d.leaveEtcd
		out.Etcd = d.looks.etcd
	}
	return out
}
