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
	"flotilla/install"
	"flotilla/members"
	"flotilla/units"
)

// leaveWithin is how long the other etcd members may take to let this one go.
const leaveWithin = 30 * time.Second

func leaveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "force", Usage: "leave although units run here, and without asking the other hosts"},
	}
}

// leaveCluster takes this host's member out of etcd, stops the daemons and moves what made
// the host a member aside. It stops no unit.
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
		return fmt.Errorf("units of the cluster are on this host (%s): they would run on here and be started elsewhere too; unload or destroy them first, or use --force", strings.Join(left, ", "))
	}
	if config.Etcd.Member && !force && !members.CleanupBegan(h.paths) {
		if err := leaveEtcd(c.Context, config); err != nil {
			return err
		}
	}
	return h.endMembership(c, left)
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

// leaveEtcd takes this host's member out of the cluster's etcd.
func leaveEtcd(ctx context.Context, config members.Config) error {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	id, err := members.LoadIdentity(config.PKI, time.Now())
	if err != nil {
		return err
	}
	client, err := members.DialEtcd(config, id, log)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := members.Leave(ctx, members.NewEtcdMembers(client), config.Host); err != nil {
		return fmt.Errorf("%w (flotilla leave --force does not ask the others)", err)
	}
	return nil
}

// endMembership stops the daemons and clears the disk. Any step of it may be repeated.
func (h host) endMembership(c *cli.Context, left []string) error {
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
		if err := h.systemctl(c.Context, "daemon-reload"); err != nil {
			return err
		}
		// A member that etcd let go ended with an error, as it should; nobody need look at it.
		_ = h.systemctl(c.Context, "reset-failed", members.ServiceEtcd)
	}
	fmt.Fprintf(c.App.Writer, "this host is no member any more; what made it one lies in %s\n", aside)
	fmt.Fprintln(c.App.Writer, "on a host of the cluster, flotilla host remove forgets it")
	if len(left) > 0 {
		fmt.Fprintf(c.App.Writer, "still here, until systemctl stop or a boot: %s\n", strings.Join(left, ", "))
	}
	return nil
}
