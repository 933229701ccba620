// Package testbed makes one flotilla cluster of hosts that e2e/hosts boots, in the way a
// user would: the binary is copied to each host, init and join are typed there. The
// demo, the scenarios and the benchmarks stand on it.
package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/api"
	"flotilla/e2e/hosts"
)

// Paths on a host.
const (
	Installed = "/opt/bin/flotilla"
	Socket    = "/run/flotilla/flotilla.sock"
	Agent     = "flotilla-agent.service"
	Etcd      = "flotilla-etcd.service"
	Image     = "app:1" // the container image that every host has in Docker and in Podman
)

// Options say what bed to make.
type Options struct {
	Lab    hosts.Options
	Hosts  int
	Binary string // the flotilla to install; default bin/flotilla of the module
	App    string // the test app; empty = build it
}

// Bed is a cluster on a lab.
type Bed struct {
	Lab    *hosts.Lab
	Hosts  []*hosts.Host
	Binary string
	App    string
}

// Boot opens a lab and boots hosts with the binary and the image on each; no cluster
// yet. After an error a bed that is not nil has a lab to close.
func Boot(ctx context.Context, o Options) (*Bed, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	b := &Bed{Binary: o.Binary, App: o.App}
	if b.Binary == "" {
		b.Binary = filepath.Join(root, "bin", "flotilla")
	}
	if b.Lab, err = hosts.Open(ctx, o.Lab); err != nil {
		return nil, err
	}
	if b.App == "" {
		if b.App, err = hosts.BuildApp(ctx, b.Lab.Shared()); err != nil {
			return b, err
		}
	}
	if b.Hosts, err = b.Lab.Boot(ctx, o.Hosts); err != nil {
		return b, err
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, h := range b.Hosts {
		group.Go(func() error { return b.Equip(gctx, h) })
	}
	return b, group.Wait()
}

// Equip copies the binary and the image to a host.
func (b *Bed) Equip(ctx context.Context, h *hosts.Host) error {
	if err := h.CopyIn(ctx, b.Binary, Installed); err != nil {
		return err
	}
	if err := h.CopyIn(ctx, b.App, "/opt/bin/app"); err != nil {
		return err
	}
	return h.LoadImage(ctx, Image, b.App)
}

// Form makes one cluster of the hosts: init on the first, join on the others, one after another.
func (b *Bed) Form(ctx context.Context) error {
	if _, err := b.Hosts[0].Exec(ctx, nil, Installed, "init", "-o", "json"); err != nil {
		return err
	}
	for _, h := range b.Hosts[1:] {
		if err := b.Join(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// Join makes a host a member, with a token that the first host mints.
func (b *Bed) Join(ctx context.Context, h *hosts.Host, flags ...string) error {
	token, err := b.Token(ctx)
	if err != nil {
		return err
	}
	args := append([]string{Installed, "join", token.Address, "--token", token.Token}, flags...)
	_, err = h.Exec(ctx, nil, args...)
	return err
}

// Token mints a join token on the first host.
func (b *Bed) Token(ctx context.Context) (api.Token, error) {
	var token api.Token
	out, err := b.Hosts[0].Exec(ctx, nil, Installed, "token", "-o", "json")
	if err != nil {
		return token, err
	}
	if err := json.Unmarshal([]byte(out), &token); err != nil {
		return token, fmt.Errorf("read the join token: %w", err)
	}
	return token, nil
}

// Endpoint is how the CLI outside reaches the daemon of a host.
func Endpoint(h *hosts.Host) string { return "unix://" + h.Socket(Socket) }

// Client talks to the daemon of a host.
func Client(h *hosts.Host) (*api.Client, error) { return api.NewClient(Endpoint(h), nil) }

// CLI runs the binary outside, as a user would, against the daemon of a host.
func (b *Bed) CLI(ctx context.Context, h *hosts.Host, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, b.Binary, args...)
	cmd.Env = append(os.Environ(), "FLOTILLA_ENDPOINT="+Endpoint(h))
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), errs.String(), fmt.Errorf("flotilla %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), errs.String(), nil
}

// Units are the units that match, seen by the daemon of a host.
func Units(ctx context.Context, h *hosts.Host, globs ...string) ([]api.Unit, error) {
	c, err := Client(h)
	if err != nil {
		return nil, err
	}
	var out []api.Unit
	err = c.Units(ctx, globs, func(u api.Unit) error { out = append(out, u); return nil })
	return out, err
}

// Running maps each launched unit that matches to its one active instance, or says
// which unit is not so.
func Running(ctx context.Context, h *hosts.Host, globs ...string) (map[string]api.Instance, error) {
	list, err := Units(ctx, h, globs...)
	if err != nil {
		return nil, err
	}
	out := map[string]api.Instance{}
	for _, u := range list {
		if u.Target.String() != "launched" {
			continue
		}
		if !u.Settled {
			return nil, fmt.Errorf("%s: %s", u.Name, u.Reason)
		}
		for _, i := range u.Instances {
			if i.Active == "active" && i.Order == "launched" {
				out[u.Name] = i
			}
		}
		if out[u.Name].Host == "" {
			return nil, fmt.Errorf("%s has no active instance", u.Name)
		}
	}
	return out, nil
}

// AwaitHost waits until the cluster, as a host sees it, says that of another host.
func AwaitHost(ctx context.Context, seenBy, h *hosts.Host, state api.HostState) error {
	c, err := Client(seenBy)
	if err != nil {
		return err
	}
	return hosts.Wait(ctx, 2*time.Minute, h.Name()+" is "+string(state), func(ctx context.Context) error {
		list, err := c.Hosts(ctx)
		if err != nil {
			return err
		}
		for _, seen := range list {
			if seen.ID == h.MachineID() && seen.State == state {
				return nil
			}
		}
		return fmt.Errorf("%s is not %s yet", h.Name(), state)
	})
}

// Put writes a unit file into a folder and returns its path.
func Put(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// moduleRoot is the folder with go.mod, found upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working folder: run inside the module")
		}
		dir = filepath.Dir(dir)
	}
}
