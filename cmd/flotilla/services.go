package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"flotilla/install"
	"flotilla/members"
)

// host is the one that becomes a member of a cluster or stops being one. Tests have one
// of their own, in a folder.
type host struct {
	root      string // folder of the whole host, "/" but in tests
	paths     members.Paths
	uid       int // of who types the command
	systemctl func(ctx context.Context, args ...string) error
}

// thisHost is the host that the program runs on.
func thisHost() host {
	return host{root: "/", paths: members.DefaultPaths(), uid: os.Getuid(), systemctl: systemctl}
}

// systemd is the folder that is there while systemd is the init of the host, see sd_booted(3).
func (h host) systemd() string { return filepath.Join(h.root, "run/systemd/system") }

// runDir is the folder of the daemon's socket and lock.
func (h host) runDir() string { return filepath.Join(h.root, "run/flotilla") }

// booted says whether systemd is the init of the host.
func (h host) booted() bool {
	info, err := os.Lstat(h.systemd())
	return err == nil && info.IsDir()
}

func (h host) noSystemd() error {
	return fmt.Errorf("systemd does not run on this host: there is no %s", h.systemd())
}

// install puts this program where the service units expect it, and the units of the host's
// role beside systemd's.
func (h host) install(ctx context.Context, made members.Made) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if _, err := install.Self(h.root, program); err != nil {
		return err
	}
	if _, err := install.Units(h.root, made.Config.Etcd.Member); err != nil {
		return err
	}
	if !h.booted() {
		return nil
	}
	h.reloadLogind(ctx)
	return h.systemctl(ctx, "daemon-reload")
}

// reloadLogind has logind read its files anew. A host may be without one, and one that did not is told in the
// report of the host.
func (h host) reloadLogind(ctx context.Context) {
	_ = h.systemctl(ctx, "kill", "--signal=SIGHUP", install.Logind)
}

// installed says whether the unit of a service is there.
func (h host) installed(service string) bool {
	_, err := os.Lstat(filepath.Join(h.root, install.UnitDir, service))
	return err == nil
}

// start enables and starts a service of ours. It says ready itself (Type=notify).
func (h host) start(ctx context.Context, service string) error {
	if err := h.systemctl(ctx, "enable", "--quiet", service); err != nil {
		return err
	}
	if err := h.systemctl(ctx, "start", service); err != nil {
		return fmt.Errorf("%w (see journalctl -u %s)", err, service)
	}
	return nil
}

// end disables and stops a service of ours. Where systemd does not run there is nothing to
// stop, and its links go if systemctl is there.
func (h host) end(ctx context.Context, service string) error {
	if !h.installed(service) {
		return nil
	}
	if !h.booted() {
		_ = h.systemctl(ctx, "disable", "--quiet", service)
		return nil
	}
	return h.systemctl(ctx, "disable", "--quiet", "--now", service)
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, oneLine(string(out)))
	}
	return nil
}
