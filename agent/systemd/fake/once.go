package fake

import (
	"context"
	"fmt"
	"path"
	"strings"

	"flotilla/agent/systemd"
)

// RunOnce runs a command as a service that exists in memory only; see systemd.Manager.
func (h *Host) RunOnce(ctx context.Context, name string, o systemd.Once) (string, error) {
	wait, err := h.once(name, o)
	if err == nil {
		var outcome string
		if outcome, err = await(ctx, wait); err == nil {
			return outcome, nil
		}
	}
	return "", fmt.Errorf("run %s: %w", name, err)
}

func (h *Host) once(name string, o systemd.Once) (<-chan string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return nil, err
	}
	if h.defs[name] != nil || h.units[name] != nil {
		return nil, systemd.ErrExists
	}
	d := define(name, "", settings{"Service.Type": {"oneshot"}, "Service.ExecStart": {strings.Join(o.Command, " ")}})
	d.fragment, d.transient, d.keepsFailure, d.startInterval, d.startLimit = "/run/systemd/transient/"+name, true, !o.Forget, 0, o.Limit
	d.pulls = pulledImage(o.Command)
	if h.opts.Behave != nil {
		if b, ok := h.opts.Behave(name); ok {
			d.behave = b
		}
	}
	h.defs[name] = d
	h.index.add(name, d)
	j, err := h.enqueue(name, systemd.Start, "call")
	if err != nil {
		return nil, err
	}
	wait := make(chan string, 1)
	j.waits = append(j.waits, wait)
	h.settle()
	return wait, nil
}

// image is one of a runtime's.
type image struct{ runtime, ref string }

// pulledImage is what a command like "podman pull x:1" fetches; empty for any other.
func pulledImage(command []string) image {
	if n := len(command); n > 2 && command[1] == "pull" {
		return image{path.Base(command[0]), command[n-1]}
	}
	return image{}
}

// pulled ends a pull: the registry decides how.
func (h *Host) pulled(u *unit) (status int) {
	if h.registryAway {
		h.write(systemd.LogEntry{Unit: u.name, Identifier: u.def.pulls.runtime, Priority: 6, PID: u.pid, InvocationID: u.invocation, Message: []byte("Error: the registry cannot be reached")})
		return 125
	}
	h.images[u.def.pulls] = true
	return 0
}

// AddImage gives a runtime of the host an image. It stays over boots.
func (h *Host) AddImage(runtime, ref string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.images[image{runtime, ref}] = true
}

// HasImage says whether a runtime of the host has an image.
func (h *Host) HasImage(_ context.Context, runtime, ref string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.power {
		return false, systemd.ErrDisconnected
	}
	return h.images[image{runtime, ref}], nil
}

// RegistryAway says whether pulls that end from now on fail.
func (h *Host) RegistryAway(away bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.registryAway = away
}

// Program is where a runtime's program would be.
func (h *Host) Program(runtime string) (string, error) {
	return "/usr/bin/" + runtime, nil
}
