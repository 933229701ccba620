package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/daemon"
	"flotilla/members"
)

func clusterCommands(h host) []*cli.Command {
	return []*cli.Command{
		{Name: "init", Category: groupCluster, Usage: "make this host the first of a new cluster", Flags: initFlags(), Action: h.initCluster},
		{Name: "join", ArgsUsage: "ADDRESS", Category: groupCluster, Usage: "make this host a member of a cluster", Flags: joinFlags(), Action: h.joinCluster},
		{Name: "token", Category: groupCluster, Usage: "print a one-time token for a host that joins", Action: newToken, Flags: append(endpointFlags(),
			&cli.StringFlag{Name: "ttl", Value: "1h", Usage: "how long it is good"},
			&cli.BoolFlag{Name: "text", Usage: "print the token alone, for scripts"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"})},
		{Name: "leave", Category: groupCluster, Usage: "end this host's membership of its cluster", Flags: leaveFlags(), Action: h.leaveCluster},
		adminCertCommand(h.paths.PKI()),
		{Name: "accept-store", Category: groupCluster, Usage: "let frozen hosts follow a wiped or replaced etcd; stops nothing", Flags: endpointFlags(), Action: acceptStore},
	}
}

// memberFlags are those that init and join share.
func memberFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "name of this host; default: its host name"},
		&cli.StringFlag{Name: "address", Usage: "address of this host for the others; default: the one of its only interface"},
		&cli.StringSliceFlag{Name: "label", Usage: "key=value; may be given again"},
		reserveFlag(), onlyFlag(), fleetLockFlag(),
		&cli.BoolFlag{Name: "no-start", Usage: "write everything and start nothing"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"},
	}
}

func initFlags() []cli.Flag {
	return append(memberFlags(),
		&cli.StringSliceFlag{Name: "etcd-endpoints", Usage: "use an etcd that exists instead of our own"},
		&cli.StringFlag{Name: "etcd-ca", Usage: "CA certificate of that etcd"},
		&cli.StringFlag{Name: "etcd-cert", Usage: "client certificate for it"},
		&cli.StringFlag{Name: "etcd-key", Usage: "key of the client certificate"},
		&cli.StringFlag{Name: "etcd-username", Usage: "user of that etcd"},
		&cli.StringFlag{Name: "etcd-password-file", Usage: "file with the user's password"},
		&cli.StringFlag{Name: "prefix", Value: members.DefaultPrefix, Usage: "of the keys in etcd"})
}

func joinFlags() []cli.Flag {
	return append(memberFlags(),
		&cli.StringFlag{Name: "token", EnvVars: []string{"FLOTILLA_TOKEN"}, Usage: "from flotilla token"},
		&cli.BoolFlag{Name: "no-etcd", Usage: "never run an etcd member here"},
		&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to try"})
}

// newMember is what init and join know of this host. It refuses hosts that cannot be a member
// before anything is written there.
type newMember struct {
	id      cluster.HostID
	name    string
	labels  map[string]string
	reserve string
	only    string
	lock    string // where FleetLock clients are answered
}

func (h host) newMember(c *cli.Context) (newMember, error) {
	labels, err := parseLabels(c.StringSlice("label"))
	if err != nil {
		return newMember{}, err
	}
	reserve, err := reserved(c)
	if err != nil {
		return newMember{}, err
	}
	only, err := onlyReboots(c)
	if err != nil {
		return newMember{}, err
	}
	lock, err := fleetLock(c)
	if err != nil {
		return newMember{}, err
	}
	if h.uid != 0 {
		return newMember{}, errors.New("this needs root: sudo flotilla " + c.Command.Name)
	}
	if !h.booted() && !c.Bool("no-start") {
		return newMember{}, fmt.Errorf("%w (boot it with systemd; --no-start writes the files for a later boot)", h.noSystemd())
	}
	if !c.Bool("no-start") {
		if err := daemon.Running(h.runDir()); err != nil {
			return newMember{}, err
		}
	}
	id, err := members.MachineID(filepath.Join(h.root, "etc/machine-id"))
	if err != nil {
		return newMember{}, err
	}
	name := c.String("name")
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return newMember{}, fmt.Errorf("ask for the host name: %w", err)
		}
	}
	return newMember{id, name, labels, reserve, only, lock.Address}, nil
}

func parseLabels(words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || value == "" {
			return nil, usagef("--label %q: write key=value", w)
		}
		if _, twice := out[key]; twice {
			return nil, usagef("--label %q: %s has a value already", w, key)
		}
		out[key] = value
	}
	return out, nil
}

func (h host) initCluster(c *cli.Context) error {
	external, err := externalEtcd(c)
	if err != nil {
		return err
	}
	who, err := h.newMember(c)
	if err != nil {
		return err
	}
	made, err := members.Init(c.Context, members.InitOptions{
		Paths: h.paths, Host: who.id, Name: who.name, Address: c.String("address"), Labels: who.labels, Reserve: who.reserve, Only: who.only, Lock: who.lock,
		Prefix: c.String("prefix"), External: external, Starts: !c.Bool("no-start"), Now: time.Now(),
	})
	if err != nil {
		return err
	}
	if err := h.install(c.Context, made); err != nil || c.Bool("no-start") {
		return err
	}
	return h.firstStart(c, made)
}

// firstStart brings the first host up, etcd before the agent, and prints how others join.
func (h host) firstStart(c *cli.Context, made members.Made) error {
	ctx, cancel := context.WithTimeout(c.Context, 2*time.Minute)
	defer cancel()
	for _, service := range made.Services {
		if service == members.ServiceAgent {
			if err := daemon.InitStore(ctx, made.Config, slog.New(slog.DiscardHandler)); err != nil {
				return fmt.Errorf("%w (see journalctl -u %s)", err, members.ServiceEtcd)
			}
		}
		if err := h.start(ctx, service); err != nil {
			return err
		}
	}
	cl, err := api.NewClient(defaultEndpoint, nil)
	if err != nil {
		return err
	}
	var token api.Token
	err = retry(ctx, func() error { // until the daemon has found its store
		token, err = cl.NewToken(ctx, "")
		return err
	})
	if err != nil {
		return err
	}
	if err := awaitAlive(ctx, made.Config.Host); err != nil {
		return err
	}
	if done, err := printThing(c, token); done {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s is the first host of a new cluster.\nOn each other host, within an hour (flotilla token makes a new token):\n  flotilla join %s --token %s\n",
		made.Config.Name, token.Address, token.Token)
	return nil
}

func (h host) joinCluster(c *cli.Context) error {
	switch {
	case c.NArg() != 1:
		return usagef("join needs the address of a host of the cluster: flotilla join 10.0.0.1 --token …")
	case c.String("token") == "":
		return usagef("join needs --token: flotilla token on a host of the cluster prints one")
	case c.Duration("timeout") <= 0:
		return usagef("--timeout %s: want a positive duration such as 5m", c.Duration("timeout"))
	}
	if _, err := members.ParseToken(c.String("token")); err != nil {
		return err
	}
	who, err := h.newMember(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	made, err := members.Join(ctx, members.JoinOptions{
		Paths: h.paths, Server: c.Args().First(), Token: c.String("token"), Host: who.id, Name: who.name,
		Address: c.String("address"), Labels: who.labels, Reserve: who.reserve, Only: who.only, Lock: who.lock, NoEtcd: c.Bool("no-etcd"), Starts: !c.Bool("no-start"), Version: version, Now: time.Now(),
		Progress: func(line string) { fmt.Fprintln(c.App.ErrWriter, line) },
	})
	if err != nil {
		return err
	}
	if err := h.install(ctx, made); err != nil || c.Bool("no-start") {
		return err
	}
	for _, service := range made.Services {
		if err := h.start(ctx, service); err != nil {
			return err
		}
	}
	if err := awaitAlive(ctx, made.Config.Host); err != nil {
		return err
	}
	if done, err := printThing(c, made.Config); done {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s is a member of the cluster\n", made.Config.Name)
	return nil
}

// awaitAlive waits until the cluster has seen a sign of life of this host.
func awaitAlive(ctx context.Context, id string) error {
	cl, err := api.NewClient(defaultEndpoint, nil)
	if err != nil {
		return err
	}
	return retry(ctx, func() error {
		seen, err := cl.Host(ctx, id)
		if err != nil || seen.State == api.HostAlive {
			return err
		}
		return fmt.Errorf("the cluster has seen no sign of life of this host (see journalctl -u %s)", members.ServiceAgent)
	})
}

// retry calls try until it succeeds or ctx ends, and returns its last error.
func retry(ctx context.Context, try func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func newToken(c *cli.Context) error {
	if c.Bool("text") && c.IsSet("output") {
		return usagef("--text and --output are two forms of the same: give one of them")
	}
	cl, err := client(c)
	if err != nil {
		return err
	}
	t, err := cl.NewToken(c.Context, c.String("ttl"))
	if err != nil {
		return err
	}
	if done, err := printThing(c, t); done {
		return err
	}
	if c.Bool("text") {
		fmt.Fprintln(c.App.Writer, t.Token)
		return nil
	}
	fmt.Fprintf(c.App.Writer, "flotilla join %s --token %s\n", t.Address, t.Token)
	return nil
}

func acceptStore(c *cli.Context) error {
	cl, err := client(c)
	if err != nil {
		return err
	}
	note, err := cl.AcceptStore(c.Context)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, note)
	return nil
}
