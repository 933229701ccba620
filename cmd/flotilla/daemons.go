package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"flotilla/agent/systemd"
	"flotilla/cluster"
	"flotilla/daemon"
	"flotilla/leader/plan"
	"flotilla/members"
)

func daemonCommands(h host) []*cli.Command {
	verbose := &cli.BoolFlag{Name: "verbose", Usage: "log at debug level"}
	return []*cli.Command{
		{Name: "agent", Category: groupDaemons, Usage: "run this host's daemon (flotilla-agent.service does)", Action: h.runAgent, Flags: []cli.Flag{
			verbose,
			&cli.BoolFlag{Name: "candidate", Usage: "mirror the cluster and stand for leader without an etcd member"},
			reserveFlag(), onlyFlag(), fleetLockFlag(),
			&cli.BoolFlag{Name: "fleetlock-tls", Usage: "with --fleetlock: speak TLS with this host's certificate"},
			&cli.StringFlag{Name: "fleetlock-token", Usage: "with --fleetlock: file with a token that clients must show"},
			&cli.Float64Flag{Name: "storm", Value: 1.0 / 3, Usage: "part of the hosts that may be absent before failover waits for a person; 1 = never waits; give all candidates the same, the leader's counts"},
		}},
		{Name: "etcd", Category: groupDaemons, Usage: "run this host's etcd member (flotilla-etcd.service does)", Action: h.runEtcd, Flags: []cli.Flag{verbose}},
		{Name: "dev", Category: groupDaemons, Usage: "run a whole cluster on this machine's systemd, in the foreground", Action: h.runDev, Flags: []cli.Flag{
			verbose,
			&cli.BoolFlag{Name: "user", Usage: "use your own systemd; needs no root"},
			&cli.StringFlag{Name: "data", Usage: "folder for everything it keeps"},
			reserveFlag(),
		}},
	}
}

func reserveFlag() cli.Flag {
	return &cli.StringFlag{Name: "reserve", Usage: "memory of this host that units may not have, such as 2G or 10%; default: 5%, at least 256M"}
}

func onlyFlag() cli.Flag {
	return &cli.StringFlag{Name: "only", Usage: "reboots: this host takes no units, the cluster sees to its reboots alone"}
}

func fleetLockFlag() cli.Flag {
	return &cli.StringFlag{Name: "fleetlock", Usage: "address where FleetLock clients (Zincati, curl) are answered, such as 127.0.0.1:3333; the API answers them too"}
}

// onlyReboots is --only, checked.
func onlyReboots(c *cli.Context) (string, error) {
	if only := c.String("only"); only != "" && only != members.OnlyReboots {
		return "", usagef("--only %s: write --only %s, or leave it out for a host that takes units too", only, members.OnlyReboots)
	}
	return c.String("only"), nil
}

// fleetLock is --fleetlock with what belongs to it, checked.
func fleetLock(c *cli.Context) (members.FleetLock, error) {
	f := members.FleetLock{Address: c.String("fleetlock"), TLS: c.Bool("fleetlock-tls"), TokenFile: c.String("fleetlock-token")}
	if f.Address == "" && (f.TLS || f.TokenFile != "") {
		return f, usagef("--fleetlock-tls and --fleetlock-token need --fleetlock ADDRESS")
	}
	if what, hint := f.Check(); what != "" {
		return f, usagef("--fleetlock %s: %s (%s)", f.Address, what, hint)
	}
	return f, nil
}

// reserved is --reserve, checked.
func reserved(c *cli.Context) (string, error) {
	text := c.String("reserve")
	if _, err := cluster.ParseReserve(text); err != nil {
		return "", usagef("--reserve: %v", err)
	}
	return text, nil
}

// logger writes to stderr; under systemd the journal adds the time.
func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	opt := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		opt.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

func (h host) runAgent(c *cli.Context) error {
	storm := c.Float64("storm")
	if !(storm > 0 && storm <= 1) { // not a number is neither
		return usagef("--storm %g: want a part of the hosts, above 0 and up to 1", storm)
	}
	reserve, err := reserved(c)
	if err != nil {
		return err
	}
	only, err := onlyReboots(c)
	if err != nil {
		return err
	}
	lock, err := fleetLock(c)
	if err != nil {
		return err
	}
	config, err := members.LoadConfig(h.paths)
	if err != nil {
		return err
	}
	config.Only = cmp.Or(only, config.Only)
	config.Reboot.FleetLock = cmp.Or(lock, config.Reboot.FleetLock)
	return daemon.Run(c.Context, daemon.Options{
		Paths: h.paths, Config: config, Version: version, RunDir: h.runDir(), Reserve: reserve, Candidate: c.Bool("candidate"),
		Plan: plan.Options{StormFraction: storm, StormOff: storm == 1}, Log: logger(c.App.ErrWriter, c.Bool("verbose")),
	})
}

func (h host) runEtcd(c *cli.Context) error {
	config, err := members.LoadConfig(h.paths)
	if err != nil {
		return err
	}
	if !config.Etcd.Member {
		return fmt.Errorf("%s: etcd.member is false: this host runs no etcd member (systemctl disable --now %s)", h.paths.Config(), members.ServiceEtcd)
	}
	etcd := config.EtcdMemberConfig()
	etcd.Log = logger(c.App.ErrWriter, c.Bool("verbose"))
	etcd.Listening = func() {
		if _, err := sd.SdNotify(false, sd.SdNotifyReady); err != nil {
			etcd.Log.Warn("tell systemd that we are ready", "err", err)
		}
	}
	err = members.RunEtcd(c.Context, etcd)
	if errors.Is(err, members.ErrRemoved) {
		etcd.Log.Error("stopped for good", "err", err)
		return exitRemoved
	}
	return err
}

// exitRemoved tells systemd not to start a member again that the cluster removed: it
// stands in flotilla-etcd.service (EX_CONFIG of sysexits(3)).
const exitRemoved = exitCode(78)

// runDev runs a cluster of one host in the foreground. Units it started run on when it ends.
func (h host) runDev(c *cli.Context) error {
	reserve, err := reserved(c)
	if err != nil {
		return err
	}
	user := c.Bool("user")
	if !user && h.uid != 0 {
		return fmt.Errorf("dev uses this machine's systemd and needs root: sudo flotilla dev, or flotilla dev --user")
	}
	if !user && !h.booted() {
		return fmt.Errorf("%w (use a machine that systemd booted; --user needs a systemd of your own)", h.noSystemd())
	}
	if member := h.paths.Config(); !user {
		if _, err := os.Stat(member); err == nil {
			return fmt.Errorf("%s: this host is a member of a cluster, and dev would share its systemd and its socket: use flotilla dev --user, or another machine", member)
		}
	}
	dir, run := "/var/lib/flotilla-dev", h.runDir()
	if user {
		run = filepath.Join(systemd.RuntimeDir(), "flotilla")
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("find your home folder: %w", err)
		}
		dir = filepath.Join(home, ".local", "share", "flotilla-dev")
	}
	if c.IsSet("data") {
		dir = c.String("data")
	}
	config, paths, err := devConfig(c, dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(run, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", run, err)
	}
	opt := daemon.Options{
		Paths: paths, Config: config, Version: version, RunDir: run, User: user, Reserve: reserve, Candidate: true,
		Log: logger(c.App.ErrWriter, c.Bool("verbose")),
	}
	err = daemon.RunAlone(c.Context, opt, func() {
		fmt.Fprintf(c.App.Writer, "a cluster of one host runs; its data is in %s\nin another terminal:\n  export FLOTILLA_ENDPOINT=unix://%s/flotilla.sock\n  flotilla status\n", dir, run)
	})
	if err != nil {
		return err
	}
	return h.devLeft(c, dir)
}

// devLeft says what runs on now that dev ended, and how to end it.
func (h host) devLeft(c *cli.Context, dir string) error {
	files, manager := systemd.NewDir(h.systemd(), systemd.SystemUnitPath()), []string{}
	if c.Bool("user") {
		files, manager = systemd.NewDir(systemd.UserRuntimePath(), systemd.UserUnitPath()), []string{"--user"}
	}
	there, err := unitsIn(files)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), 5*time.Second) // Ctrl-C ended c's
	defer cancel()
	left := slices.DeleteFunc(there, func(unit string) bool {
		return h.systemctl(ctx, slices.Concat(manager, []string{"is-active", "--quiet", "--", unit})...) != nil
	})
	if len(left) == 0 {
		fmt.Fprintf(c.App.Writer, "flotilla ended, no unit of it runs; its data stays in %s\n", dir)
		return nil
	}
	fmt.Fprintf(c.App.Writer, "flotilla ended, what it started runs on: %s\nto end it:\n  systemctl %s\nthe next flotilla dev takes it up or starts it again; without %s it knows of nothing\n",
		strings.Join(left, ", "), strings.Join(slices.Concat(manager, []string{"stop"}, left), " "), dir)
	return nil
}

// devConfig makes the configuration the first time and reads it from then on.
func devConfig(c *cli.Context, dir string) (members.Config, members.Paths, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return members.Config{}, members.Paths{}, fmt.Errorf("--data: %w", err)
	}
	paths := members.Paths{Etc: filepath.Join(dir, "etc"), Var: filepath.Join(dir, "data")}
	if _, err := os.Stat(paths.Config()); err == nil {
		config, err := members.LoadConfig(paths)
		return config, paths, err
	}
	raw, err := systemd.MachineID()
	if err != nil {
		return members.Config{}, paths, err
	}
	id, err := cluster.ParseHostID(raw)
	if err != nil {
		return members.Config{}, paths, err
	}
	name, err := os.Hostname()
	if err != nil {
		return members.Config{}, paths, fmt.Errorf("ask for the host name: %w", err)
	}
	made, err := members.Init(c.Context, members.InitOptions{Paths: paths, Host: id, Name: name, Address: "127.0.0.1", Now: time.Now()})
	return made.Config, paths, err
}
