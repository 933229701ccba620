//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	command "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestPull: an image that a host lacks is pulled when its unit is loaded, by each runtime. What is there needs
// no registry, what is missing says why, and an agent that is killed loses no pull and begins no second one.
func TestPull(t *testing.T) {
	ctx := scenario(t)
	r := newRegistry(t, ctx, bed.Hosts[0])
	pod, dock := bed.Hosts[1], bed.Hosts[2]
	with := func(text string, on *hosts.Host, tag string) string {
		placed := fmt.Sprintf("[X-Flotilla]\nImage=%s\nMachineID=%s\n", r.ref(tag), on.MachineID())
		return strings.ReplaceAll(text, testbed.Image, r.ref(tag)) + placed
	}
	units := map[string]string{}
	for _, kind := range []string{"there", "away", "held"} {
		units["pod-"+kind+".service"] = with(testbed.PodmanUnit("", "-port 0"), pod, "pod-"+kind)
		units["dock-"+kind+".service"] = with(testbed.DockerUnit("", "-port 0"), dock, "dock-"+kind)
	}
	submit(t, ctx, units)
	both := func(kind string) []string { return []string{"pod-" + kind, "dock-" + kind} }

	r.push(t, ctx, both("there")...)
	flotilla(t, ctx, append([]string{"load"}, both("there")...)...)
	exec(t, ctx, pod, "podman", "image", "exists", r.ref("pod-there"))
	exec(t, ctx, dock, "docker", "image", "inspect", r.ref("dock-there"))
	if isActive(ctx, pod, "pod-there.service") || isActive(ctx, dock, "dock-there.service") {
		t.Error("a unit that was loaded runs")
	}

	r.stop(t, ctx)
	flotilla(t, ctx, append([]string{"start"}, both("there")...)...)
	said := refused(t, ctx, append([]string{"start", "--timeout=1s"}, both("away")...)...)
	for _, kind := range both("away") {
		if !strings.Contains(said, r.ref(kind)) {
			t.Errorf("start without a registry said %q, want it to name %s", said, r.ref(kind))
		}
		r.awaitReason(t, ctx, kind, "pulling "+r.ref(kind)+": ", "connection refused")
	}
	r.start(t, ctx)
	r.push(t, ctx, append(both("away"), both("held")...)...)
	running(t, ctx, bed.Hosts[0])

	r.hold(t, ctx, true)
	refused(t, ctx, append([]string{"start", "--timeout=1s"}, both("held")...)...)
	pulls := map[*hosts.Host]string{}
	for kind, h := range map[string]*hosts.Host{"pod-held": pod, "dock-held": dock} {
		r.awaitReason(t, ctx, kind, "pulling "+r.ref(kind)+" for ", "s")
		pulls[h] = onlyPull(t, ctx, h)
		if err := h.KillProcess(ctx, testbed.Agent); err != nil {
			t.Fatal(err)
		}
	}
	for kind, h := range map[string]*hosts.Host{"pod-held": pod, "dock-held": dock} {
		r.awaitReason(t, ctx, kind, "pulling "+r.ref(kind)+" for ", "s") // by the agent that came after it
		if now := onlyPull(t, ctx, h); now != pulls[h] {
			t.Errorf("%s: the pull is %s after the agent was killed, was %s", h.Name(), now, pulls[h])
		}
	}
	r.hold(t, ctx, false)
	running(t, ctx, bed.Hosts[0])
	for _, h := range []*hosts.Host{pod, dock} {
		out := exec(t, ctx, h, "systemctl", "list-units", "--all", "--plain", "--no-legend", "flotilla-pull-*")
		if strings.TrimSpace(out) != "" {
			t.Errorf("%s: pulls left behind: %s", h.Name(), out)
		}
	}
}

// onlyPull is the one pull that a host carries out: its service and its run.
func onlyPull(t *testing.T, ctx context.Context, h *hosts.Host) string {
	t.Helper()
	out := exec(t, ctx, h, "systemctl", "list-units", "--all", "--plain", "--no-legend", "flotilla-pull-*")
	words := strings.Fields(out)
	if len(words) < 4 || strings.Count(out, "flotilla-pull-") != 1 || words[2] != "activating" {
		t.Fatalf("%s: pulls are %q, want one under way", h.Name(), out)
	}
	return words[0] + " " + invocation(t, ctx, h, words[0])
}

// registry is a registry of images that runs on one of the hosts.
type registry struct{ host *hosts.Host }

const (
	registryPort = "5000"
	registryUnit = "registry.service"
	registryCA   = "/run/registry.crt"
	registryHold = "/run/registry.hold"
)

// newRegistry starts a registry that all hosts trust, until the test ends.
func newRegistry(t *testing.T, ctx context.Context, h *hosts.Host) *registry {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "registry")
	build := command.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "flotilla/e2e/hosts/registry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the registry: %v: %s", err, out)
	}
	if err := h.CopyIn(ctx, binary, "/opt/bin/registry"); err != nil {
		t.Fatal(err)
	}
	r := &registry{h}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := h.Exec(ctx, nil, "sh", "-c", "rm -f "+registryHold+"; systemctl stop "+registryUnit); err != nil {
			t.Error(err)
		}
	})
	r.start(t, ctx)
	return r
}

func (r *registry) address() string { return r.host.IP() + ":" + registryPort }

// ref is the name of an image that is there, or will be.
func (r *registry) ref(tag string) string { return r.address() + "/app:" + tag }

// start starts it, empty, and has every host trust its new certificate.
func (r *registry) start(t *testing.T, ctx context.Context) {
	t.Helper()
	exec(t, ctx, r.host, "rm", "-f", registryCA)
	exec(t, ctx, r.host, "systemd-run", "--quiet", "--collect", "--unit="+registryUnit,
		"/opt/bin/registry", "-address="+r.address(), "-ca="+registryCA, "-hold="+registryHold)
	var ca []byte
	err := hosts.Wait(ctx, 30*time.Second, "the registry's certificate", func(ctx context.Context) (err error) {
		ca, err = r.host.ReadFile(ctx, registryCA)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range bed.Hosts {
		if err := h.WriteFile(ctx, "/etc/docker/certs.d/"+r.address()+"/ca.crt", 0o644, ca); err != nil { // Podman reads it, too
			t.Fatal(err)
		}
	}
}

func (r *registry) stop(t *testing.T, ctx context.Context) {
	t.Helper()
	exec(t, ctx, r.host, "systemctl", "stop", registryUnit)
}

// hold says whether layers are handed out only later.
func (r *registry) hold(t *testing.T, ctx context.Context, on bool) {
	t.Helper()
	verb := map[bool]string{true: "touch", false: "rm"}[on]
	exec(t, ctx, r.host, verb, registryHold)
}

// push puts the app there under these tags, each an image of its own.
func (r *registry) push(t *testing.T, ctx context.Context, tags ...string) {
	t.Helper()
	for _, tag := range tags {
		file := fmt.Sprintf("FROM %s\nLABEL for=%s\n", testbed.Image, tag)
		if _, err := r.host.Exec(ctx, strings.NewReader(file), "podman", "build", "--quiet", "--tag="+r.ref(tag), "--file=-", "/mnt"); err != nil {
			t.Fatal(err)
		}
		exec(t, ctx, r.host, "podman", "push", "--quiet", r.ref(tag))
	}
}

// awaitReason waits until a unit that is not as wanted says why, with all these words.
func (r *registry) awaitReason(t *testing.T, ctx context.Context, unit string, words ...string) {
	t.Helper()
	err := hosts.Wait(ctx, time.Minute, unit+" to say "+strings.Join(words, "…"), func(ctx context.Context) error {
		list, err := testbed.Units(ctx, bed.Hosts[0], unit+".service")
		if err != nil {
			return err
		}
		for _, u := range list {
			for _, w := range words {
				if !strings.Contains(u.Reason, w) {
					return fmt.Errorf("it says %q", u.Reason)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
