package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/api"
	"flotilla/e2e/hosts"
)

const (
	binary    = "bin/flotilla"
	installed = "/opt/bin/flotilla"
	endpoint  = ".flotilla/endpoint"
	replicas  = 6
)

// webUnit runs a container by Podman; the unit's own cgroup holds it.
const webUnit = `[Unit]
Description=web, instance %i

[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/podman run --rm --name web-%i --cgroups=split --sdnotify=conmon --network host flotilla-demo:1 /app -port 0 -name web-%i
ExecStop=/usr/bin/podman stop -t 2 web-%i
Restart=always
`

// demo is a run of it.
type demo struct {
	lab   *hosts.Lab
	log   io.Writer
	steps *steps
	hosts []*hosts.Host
	units []string
}

func (d *demo) boot(ctx context.Context) error {
	var err error
	if d.hosts, err = d.lab.Boot(ctx, 3); err != nil {
		return err
	}
	app, err := hosts.BuildApp(ctx, filepath.Dir(endpoint))
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, h := range d.hosts {
		group.Go(func() error { return h.CopyIn(gctx, binary, installed) })
		group.Go(func() error { return h.LoadImage(gctx, "flotilla-demo:1", app) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d.steps.done("three hosts booted: real systemd, Docker and Podman in each")
	return nil
}

// form makes one cluster of the hosts, with etcd on all three.
func (d *demo) form(ctx context.Context) error {
	out, err := d.hosts[0].Exec(ctx, nil, installed, "init", "-o", "json")
	if err != nil {
		return err
	}
	for _, h := range d.hosts[1:] {
		var token api.Token
		if err := json.Unmarshal([]byte(out), &token); err != nil {
			return fmt.Errorf("read the join token: %w", err)
		}
		if _, err := h.Exec(ctx, nil, installed, "join", token.Address, "--token", token.Token); err != nil {
			return err
		}
		if out, err = d.hosts[0].Exec(ctx, nil, installed, "token", "-o", "json"); err != nil {
			return err
		}
	}
	socket := d.hosts[0].Socket("/run/flotilla/flotilla.sock")
	if err := os.WriteFile(endpoint, []byte("unix://"+socket+"\n"), 0o644); err != nil {
		return err
	}
	d.steps.done("one cluster: etcd on all three, mutual TLS")
	return nil
}

func (d *demo) deploy(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "flotilla-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "web@.service")
	if err := os.WriteFile(file, []byte(webUnit), 0o644); err != nil {
		return err
	}
	if _, err := d.flotilla(ctx, "submit", file); err != nil {
		return err
	}
	if _, err := d.flotilla(ctx, "start", fmt.Sprintf("web@{1..%d}", replicas)); err != nil {
		return err
	}
	d.steps.done("flotilla start web@{1..%d}: %d containers run, %s", replicas, replicas, d.spread(ctx))
	return nil
}

// kill ends a host as a power cut would, and waits until its units run elsewhere.
func (d *demo) kill(ctx context.Context) error {
	before, err := d.instances(ctx)
	if err != nil {
		return err
	}
	victim := d.hosts[2]
	if err := victim.Kill(ctx); err != nil {
		return err
	}
	began := time.Now()
	err = hosts.Wait(ctx, time.Minute, "the cluster notices", func(ctx context.Context) error {
		return d.state(ctx, victim, "absent")
	})
	if err != nil {
		return err
	}
	noticed := time.Since(began)
	var after map[string]api.Instance
	err = hosts.Wait(ctx, time.Minute, "all units run again", func(ctx context.Context) (err error) {
		after, err = d.instances(ctx)
		return err
	})
	if err != nil {
		return err
	}
	moved, untouched := 0, 0
	for name, was := range before {
		switch now := after[name]; {
		case was.Host == victim.MachineID():
			moved++
		case now.Host == was.Host && now.Invocation == was.Invocation:
			untouched++
		}
	}
	d.steps.done("killed %s: noticed after %.1fs, whole again after %.1fs; %d units moved, %d of %d others untouched",
		victim.Name(), noticed.Seconds(), time.Since(began).Seconds(), moved, untouched, len(before)-moved)
	return nil
}

// back boots the killed host again; it returns empty, and nothing moves.
func (d *demo) back(ctx context.Context) error {
	victim := d.hosts[2]
	if err := victim.Start(ctx); err != nil {
		return err
	}
	err := hosts.Wait(ctx, time.Minute, "the host is back", func(ctx context.Context) error {
		return d.state(ctx, victim, "alive")
	})
	if err != nil {
		return err
	}
	d.steps.done("booted %s again: it is back in the cluster, no unit was moved for it", victim.Name())
	return nil
}

func (d *demo) next() {
	fmt.Print(`
The cluster is up. Type:
  bin/flotilla status             hosts, units, and the reason for every wait
  bin/flotilla list-units         what runs where
  bin/flotilla explain web@1      why it is as it is
  bin/flotilla logs -f web@1      its journal, from whichever host runs it
  bin/flotilla stop 'web@*'       quoted globs look at the cluster
  make demo-down                  removes it all but the host image
`)
}

// instances are the demo's units by name, all of them active, or an error that says which is not.
func (d *demo) instances(ctx context.Context) (map[string]api.Instance, error) {
	out, err := d.flotilla(ctx, "list-unit-files", "-o", "json", "web@[0-9]*.service")
	if err != nil {
		return nil, err
	}
	var list []api.Unit
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("read list-unit-files: %w", err)
	}
	found := map[string]api.Instance{}
	for _, u := range list {
		for _, i := range u.Instances {
			if i.Active == "active" && i.Order == "launched" {
				found[u.Name] = i
			}
		}
		if found[u.Name].Host == "" {
			return nil, fmt.Errorf("%s: %s", u.Name, u.Reason)
		}
	}
	if len(found) != replicas {
		return nil, fmt.Errorf("%d of %d units are known", len(found), replicas)
	}
	return found, nil
}

func (d *demo) spread(ctx context.Context) string {
	list, err := d.instances(ctx)
	if err != nil {
		return err.Error()
	}
	count := map[string]int{}
	for _, i := range list {
		count[i.HostName]++
	}
	var words []string
	for _, h := range d.hosts {
		words = append(words, fmt.Sprintf("%d on %s", count[h.Name()], h.Name()))
	}
	return strings.Join(words, ", ")
}

// state is nil once the cluster says that of the host.
func (d *demo) state(ctx context.Context, h *hosts.Host, want string) error {
	out, err := d.flotilla(ctx, "list-machines", "-o", "json")
	if err != nil {
		return err
	}
	var list []api.Host
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return fmt.Errorf("read list-machines: %w", err)
	}
	for _, seen := range list {
		if seen.ID == h.MachineID() && seen.State == want {
			return nil
		}
	}
	return fmt.Errorf("%s is not %s yet", h.Name(), want)
}

// flotilla runs bin/flotilla in this folder, as a user would.
func (d *demo) flotilla(ctx context.Context, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("flotilla %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	fmt.Fprintf(d.log, "$ flotilla %s\n%s", strings.Join(args, " "), out.String())
	return out.String(), nil
}
