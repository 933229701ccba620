package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/agent/systemd"
	"flotilla/daemon"
	"flotilla/install"
	"flotilla/members"
	"flotilla/units"
)

// How long the other etcd members may take to let this one go, and the cluster to take in that
// the host leaves; with --force it is waited for less.
const (
	leaveWithin = 30 * time.Second
	tellWithin  = 15 * time.Second
	forceWithin = 5 * time.Second
)

func leaveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "force", Usage: "leave although units run here, and without asking the other hosts"},
	}
}

// leaveCluster takes this host's member out of etcd, stops the daemons, tells the cluster, and
// moves what made the host a member aside. It stops no unit.
func (h host) leaveCluster(c *cli.Context) error {
	force := c.Bool("force")
	if h.uid != 0 {
		return errors.New("this needs root: sudo flotilla leave")
	}
	config, err := members.LoadConfig(h.paths)
	if err != nil && (!force || errors.Is(err, fs.ErrNotExist) && !h.traces()) {
		return err
	}
	if !h.booted() && !force {
		return fmt.Errorf("%w (flotilla leave --force goes on without it)", h.noSystemd())
	}
	left, err := h.ownUnits()
	if err != nil {
		return err
	}
	if len(left) > 0 && !force {
		return unitsHere(left)
	}
	if members.CleanupBegan(h.paths) { // nothing is left to tell the cluster with, and it was told
		return h.endMembership(c, left, "")
	}
	if !force {
		return h.leavePolitely(c, config)
	}
	if err := h.end(c.Context, members.ServiceAgent); err != nil {
		return err
	}
	return h.endMembership(c, left, h.leaveAnyway(c.Context, config, len(left) > 0))
}

func unitsHere(left []string) error {
	return fmt.Errorf("units of the cluster are on this host (%s): they would run on here and be started elsewhere too; unload or destroy them first, or use --force", strings.Join(left, ", "))
}

// leavePolitely has the cluster let this host go. Where it does not the host stays a member.
func (h host) leavePolitely(c *cli.Context, config members.Config) error {
	if config.Etcd.Member {
		ctx, cancel := context.WithTimeout(c.Context, leaveWithin)
		defer cancel()
		var err error
		if config, err = members.LeaveEtcd(ctx, config, slog.New(slog.DiscardHandler)); err != nil {
			return fmt.Errorf("%w (flotilla leave --force does not ask the others)", err)
		}
	}
	ran := h.systemctl(c.Context, "is-active", "--quiet", members.ServiceAgent) == nil
	if err := h.end(c.Context, members.ServiceAgent); err != nil {
		return err
	}
	if err := h.tell(c.Context, config); err != nil {
		if ran {
			err = errors.Join(err, h.start(c.Context, members.ServiceAgent))
		}
		return err
	}
	return h.endMembership(c, nil, "")
}

// tell tells the cluster that this host, whose agent has ended, leaves.
func (h host) tell(ctx context.Context, config members.Config) error {
	left, err := h.ownUnits() // one may have come before the agent ended
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return unitsHere(left)
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	if err := daemon.Leave(ctx, config, false, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("tell the cluster that this host leaves: %w (repeat it; flotilla leave --force leaves without)", err)
	}
	return nil
}

// leaveAnyway tells the cluster if it answers soon, and says what is left to do there.
func (h host) leaveAnyway(ctx context.Context, config members.Config, unitsRun bool) (todo string) {
	if config.Host == "" {
		return "on a host of the cluster, flotilla host remove forgets it"
	}
	others := config.Others()
	if config.Etcd.Member && len(others.Endpoints) == 0 {
		return "" // it was the only host that the cluster could be asked through
	}
	ctx, cancel := context.WithTimeout(ctx, forceWithin)
	defer cancel()
	if err := daemon.Leave(ctx, others, unitsRun, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Sprintf("the cluster could not be told (%s): on a host of it, flotilla host remove %s forgets this one", oneLine(err.Error()), config.Name)
	}
	if config.Etcd.Member {
		return fmt.Sprintf("its etcd member is still on the list: on a host of the cluster, flotilla host remove %s takes it off", config.Name)
	}
	return ""
}

// traces says whether something of a member is here although its configuration is not, as
// when an earlier leave or init was interrupted.
func (h host) traces() bool {
	return members.Traces(h.paths) || h.installed(members.ServiceAgent) || h.installed(members.ServiceEtcd)
}

// ownUnits are the units of the cluster that have files on this host.
func (h host) ownUnits() ([]string, error) {
	return unitsIn(systemd.NewDir(h.systemd(), systemd.SystemUnitPath()))
}

// unitsIn are the units of a cluster that have files in a folder of systemd's.
func unitsIn(dir *systemd.Dir) ([]string, error) {
	entries, err := dir.List()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if units.Reserved(units.Name(e.Name)) != nil {
			continue // what the agent itself needs, such as the fence's target
		}
		out = append(out, e.Name)
	}
	return out, nil
}

// endMembership stops the daemons and clears the disk. Any step of it may be repeated. todo is
// what an operator has still to do in the cluster, "" for nothing.
func (h host) endMembership(c *cli.Context, left []string, todo string) error {
	for _, service := range []string{members.ServiceAgent, members.ServiceEtcd} {
		if err := h.end(c.Context, service); err != nil {
			return err
		}
	}
	aside, err := members.Cleanup(h.paths, time.Now())
	if err != nil {
		return err
	}
	if err := install.Remove(h.root); err != nil {
		return err
	}
	if h.booted() {
		h.reloadLogind(c.Context)
		if err := h.systemctl(c.Context, "daemon-reload"); err != nil {
			return err
		}
		// A member that etcd let go ended with an error, as it should; nobody need look at it.
		_ = h.systemctl(c.Context, "reset-failed", members.ServiceEtcd)
	}
	fmt.Fprintf(c.App.Writer, "this host is no member any more; what made it one lies in %s\n", aside)
	if todo != "" {
		fmt.Fprintln(c.App.Writer, todo)
	}
	if len(left) > 0 {
		fmt.Fprintf(c.App.Writer, "still here, until systemctl stop or a boot: %s\n", strings.Join(left, ", "))
	}
	return nil
}
