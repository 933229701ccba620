package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
func leaveCluster(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("leave takes no arguments, got %q: it is typed on the host that leaves", c.Args().First())
	}
	if os.Getuid() != 0 {
		return errors.New("this needs root: sudo flotilla leave")
	}
	paths := members.DefaultPaths()
	config, err := members.LoadConfig(paths)
	if err != nil && (!c.Bool("force") || errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	left, err := ownUnits()
	if err != nil {
		return err
	}
	if len(left) > 0 && !c.Bool("force") {
		return fmt.Errorf("units of the cluster are on this host (%s): they would run on here and be started elsewhere too; unload or destroy them first, or use --force", strings.Join(left, ", "))
	}
	if config.Etcd.Member && !c.Bool("force") {
		if err := leaveEtcd(c.Context, config); err != nil {
			return err
		}
	}
	return endMembership(c, paths, left)
}

// ownUnits are the units of the cluster that have files on this host.
func ownUnits() ([]string, error) {
	entries, err := systemd.NewDir("/run/systemd/system", systemd.SystemUnitPath()).List()
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

// endMembership stops the daemons and clears the disk.
func endMembership(c *cli.Context, paths members.Paths, left []string) error {
	for _, service := range []string{members.ServiceAgent, members.ServiceEtcd} {
		if _, err := os.Stat(install.UnitDir + "/" + service); err != nil {
			continue
		}
		if err := systemctl(c.Context, "disable", "--quiet", "--now", service); err != nil {
			return err
		}
	}
	aside, err := members.Cleanup(paths, time.Now())
	if err != nil {
		return err
	}
	if err := install.Remove("/"); err != nil {
		return err
	}
	if err := systemctl(c.Context, "daemon-reload"); err != nil {
		return err
	}
	// A member that etcd let go ended with an error, as it should; nobody need look at it.
	_ = systemctl(c.Context, "reset-failed", members.ServiceEtcd)
	fmt.Fprintf(c.App.Writer, "this host is no member any more; what made it one lies in %s\n", aside)
	fmt.Fprintln(c.App.Writer, "on a host of the cluster, flotilla host remove forgets it")
	if len(left) > 0 {
		fmt.Fprintf(c.App.Writer, "still here, until systemctl stop or a boot: %s\n", strings.Join(left, ", "))
	}
	return nil
}
