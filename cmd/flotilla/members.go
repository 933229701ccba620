package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/agent/systemd"
	"flotilla/api"
	"flotilla/cluster"
	"flotilla/daemon"
	"flotilla/install"
	"flotilla/members"
)

func clusterCommands() []*cli.Command {
	return []*cli.Command{
		{Name: "init", Category: groupCluster, Usage: "make this host the first of a new cluster", Flags: initFlags(), Action: initCluster},
		{Name: "join", ArgsUsage: "ADDRESS", Category: groupCluster, Usage: "make this host a member of a cluster", Flags: joinFlags(), Action: joinCluster},
		{Name: "token", Category: groupCluster, Usage: "print a one-time token for a host that joins", Action: newToken, Flags: append(endpointFlags(),
			&cli.StringFlag{Name: "ttl", Value: "1h", Usage: "how long it is good"},
			&cli.BoolFlag{Name: "text", Usage: "print the token alone, for scripts"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "json or yaml"})},
		{Name: "leave", Category: groupCluster, Usage: "end this host's membership of its cluster", Flags: leaveFlags(), Action: leaveCluster},
		adminCertCommand(),
		{Name: "accept-store", Category: groupCluster, Usage: "let frozen hosts follow a wiped or replaced etcd; stops nothing", Flags: endpointFlags(), Action: acceptStore},
	}
}

// memberFlags are those that init and join share.
func memberFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "name of this host; default: its host name"},
		&cli.StringFlag{Name: "address", Usage: "address of this host for the others; default: the one of its only interface"},
		&cli.StringSliceFlag{Name: "label", Usage: "key=value; may be given again"},
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

// whoAmI is this host's machine id, name and labels.
func whoAmI(c *cli.Context) (id cluster.HostID, name string, labels map[string]string, err error) {
	if os.Getuid() != 0 {
		return "", "", nil, errors.New("this needs root: sudo flotilla " + c.Command.Name)
	}
	raw, err := systemd.MachineID()
	if err != nil {
		return "", "", nil, err
	}
	if id, err = cluster.ParseHostID(raw); err != nil {
		return "", "", nil, err
	}
	if name = c.String("name"); name == "" {
		if name, err = os.Hostname(); err != nil {
			return "", "", nil, fmt.Errorf("ask for the host name: %w", err)
		}
	}
	labels, err = parseLabels(c.StringSlice("label"))
	return id, name, labels, err
}

func parseLabels(words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || value == "" {
			return nil, usagef("--label %q: write key=value", w)
		}
		out[key] = value
	}
	return out, nil
}

func initCluster(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("init takes no arguments, got %q: flotilla join ADDRESS joins a cluster", c.Args().First())
	}
	id, name, labels, err := whoAmI(c)
	if err != nil {
		return err
	}
	opt := members.InitOptions{
		Paths: members.DefaultPaths(), Host: id, Name: name, Address: c.String("address"), Labels: labels,
		Prefix: c.String("prefix"), Now: time.Now(),
	}
	if c.IsSet("etcd-endpoints") {
		opt.External = &members.ExternalEtcd{
			Endpoints: c.StringSlice("etcd-endpoints"), CA: c.String("etcd-ca"), Cert: c.String("etcd-cert"), Key: c.String("etcd-key"),
			Username: c.String("etcd-username"), PasswordFile: c.String("etcd-password-file"),
		}
	}
	made, err := members.Init(c.Context, opt)
	if err != nil {
		return err
	}
	if err := installServices(c, made); err != nil || c.Bool("no-start") {
		return err
	}
	return firstStart(c, made)
}

// firstStart brings the first host up, etcd before the agent, and prints how others join.
func firstStart(c *cli.Context, made members.Made) error {
	ctx, cancel := context.WithTimeout(c.Context, 2*time.Minute)
	defer cancel()
	for _, service := range made.Services {
		if service == members.ServiceAgent {
			if err := daemon.InitStore(ctx, made.Config, slog.New(slog.DiscardHandler)); err != nil {
				return fmt.Errorf("%w (see journalctl -u %s)", err, members.ServiceEtcd)
			}
		}
		if err := startService(ctx, service); err != nil {
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

func joinCluster(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("join needs the address of a host of the cluster: flotilla join 10.0.0.1 --token …")
	}
	if c.String("token") == "" {
		return usagef("join needs --token: flotilla token on a host of the cluster prints one")
	}
	id, name, labels, err := whoAmI(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	made, err := members.Join(ctx, members.JoinOptions{
		Paths: members.DefaultPaths(), Server: c.Args().First(), Token: c.String("token"), Host: id, Name: name,
		Address: c.String("address"), Labels: labels, NoEtcd: c.Bool("no-etcd"), Version: version, Now: time.Now(),
		Progress: func(line string) { fmt.Fprintln(c.App.ErrWriter, line) },
	})
	if err != nil {
		return err
	}
	if err := installServices(c, made); err != nil || c.Bool("no-start") {
		return err
	}
	for _, service := range made.Services {
		if err := startService(ctx, service); err != nil {
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
		list, err := cl.Hosts(ctx)
		if err != nil {
			return err
		}
		for _, h := range list {
			if h.ID == id && h.State == api.HostAlive {
				return nil
			}
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

// installServices puts this program where the service units expect it, and the units of
// this host's role beside systemd's.
func installServices(c *cli.Context, made members.Made) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if _, err := install.Self("/", program); err != nil {
		return err
	}
	if _, err := install.Units("/", made.Config.Etcd.Member); err != nil {
		return err
	}
	return systemctl(c.Context, "daemon-reload")
}

// startService enables and starts a service of ours. It says ready itself (Type=notify).
func startService(ctx context.Context, name string) error {
	if err := systemctl(ctx, "enable", "--quiet", name); err != nil {
		return err
	}
	if err := systemctl(ctx, "start", name); err != nil {
		return fmt.Errorf("%w (see journalctl -u %s)", err, name)
	}
	return nil
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, oneLine(string(out)))
	}
	return nil
}

func newToken(c *cli.Context) error {
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
