//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// shop is a Compose file whose services say different things of how they end. The images have no shell:
// the one with a check borrows the host's.
const shop = `name: %s
services:
  web:
    image: app:1
    command: ["/app", "-name", "web says \"100% $$HOME\" %i; \\n", "-port", "8080"]
    environment: {LINES: "one\ntwo"}
    ports: ["8080:8080"]
    restart: always
    stop_grace_period: 5s
  meek:
    image: app:1
    command: ["/app", "-name", "meek", "-ignore-term"]
    stop_signal: SIGINT
    stop_grace_period: 5m
  deaf:
    image: app:1
    command: ["/app", "-name", "deaf", "-ignore-term"]
    stop_grace_period: 1s
  sick:
    image: app:1
    command: ["/app", "-name", "sick"]
    volumes: ["/usr/bin:/bin:ro", "/usr/lib:/lib:ro", "/usr/lib64:/lib64:ro", "/var/tmp:/var/tmp"]
    healthcheck: {test: "test -e /var/tmp/well", interval: 1s, retries: 1000}
`

// TestRenderedUnits: what render makes of a Compose file runs by hand, as any unit file does: it is
// started when its container runs and is well, ends as the file says, and nothing is left or
// doubled when what is between systemd and the container is killed.
func TestRenderedUnits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	b := mustBoot(t, testbed.Options{Lab: hosts.Options{Name: "templates"}, Hosts: 1})
	for _, runtime := range []string{"podman", "docker"} {
		r := renderedOn(t, ctx, b, runtime)
		t.Run(runtime+" words and logs", func(t *testing.T) { r.words(t, ctx) })
		t.Run(runtime+" signal and grace period", func(t *testing.T) { r.ends(t, ctx) })
		t.Run(runtime+" health", func(t *testing.T) { r.health(t, ctx) })
		t.Run(runtime+" killed", func(t *testing.T) { r.killed(t, ctx) })
	}
}

// rendered are the units of shop for one runtime, on a host.
type rendered struct {
	host    *hosts.Host
	runtime string
}

// renderedOn renders shop and puts the units where an operator would.
func renderedOn(t *testing.T, ctx context.Context, b *testbed.Bed, runtime string) rendered {
	t.Helper()
	dir, h := t.TempDir(), b.Hosts[0]
	file, err := testbed.Put(dir, "compose.yaml", strings.Replace(shop, "%s", runtime+"-shop", 1))
	if err != nil {
		t.Fatal(err)
	}
	paths := mustCLI(t, ctx, b, "render", "-f", file, "--runtime", runtime, "-o", filepath.Join(dir, "units"))
	for _, path := range strings.Fields(paths) {
		if err := h.CopyIn(ctx, path, "/etc/systemd/system/"+filepath.Base(path)); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, ctx, h, "systemctl", "daemon-reload")
	return rendered{host: h, runtime: runtime}
}

func (r rendered) unit(service string) string { return r.runtime + "-shop." + service + "@1.service" }

// property asks systemd.
func (r rendered) property(t *testing.T, ctx context.Context, service, name string) string {
	t.Helper()
	return strings.TrimSpace(exec(t, ctx, r.host, "systemctl", "show", "--value", "--property="+name, r.unit(service)))
}

// containers are the ids of the containers that the runtime has, running or not.
func (r rendered) containers(ctx context.Context) ([]string, error) {
	out, err := r.host.Exec(ctx, nil, r.runtime, "ps", "--all", "--quiet", "--no-trunc")
	return strings.Fields(out), err
}

// processes counts what runs of a service.
func (r rendered) processes(ctx context.Context, service string) int {
	out, _ := r.host.Exec(ctx, nil, "pgrep", "--full", "^/app -name "+service) // without any it ends with 1
	return len(strings.Fields(out))
}

// settles waits until the unit is in a state with exactly n containers and processes, and returns the containers.
func (r rendered) settles(t *testing.T, ctx context.Context, service, state string, n int, not string) []string {
	t.Helper()
	var found []string
	err := hosts.Wait(ctx, time.Minute, r.unit(service)+" is "+state, func(ctx context.Context) (err error) {
		if found, err = r.containers(ctx); err != nil {
			return err
		}
		is, err := r.host.Exec(ctx, nil, "systemctl", "show", "--value", "--property=ActiveState", r.unit(service))
		if is = strings.TrimSpace(is); err == nil && (is != state || len(found) != n || r.processes(ctx, service) != n || n > 0 && found[0] == not) {
			err = fmt.Errorf("it is %s with containers %v and %d processes, want %d of each, not %s", is, found, r.processes(ctx, service), n, not)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// words: the container gets the words of the file, and what it says is in the journal of its unit, once.
func (r rendered) words(t *testing.T, ctx context.Context) {
	exec(t, ctx, r.host, "systemctl", "start", r.unit("web"))
	r.settles(t, ctx, "web", "active", 1, "")
	const want = `app web says "100% $HOME" %i; \n version  is up`
	err := hosts.Wait(ctx, time.Minute, "the journal of the unit", func(ctx context.Context) error {
		out, err := r.host.Exec(ctx, nil, "journalctl", "--no-pager", "--output=cat", "--unit="+r.unit("web"))
		if err == nil && strings.Count(out, want) != 1 {
			err = fmt.Errorf("want %q once in %q", want, out)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if env := exec(t, ctx, r.host, r.runtime, "inspect", "--format", "{{json .Config.Env}}", r.runtime+"-shop.web-1"); !strings.Contains(env, `"LINES=one\ntwo"`) {
		t.Errorf("the container has the environment %s, want LINES with its two lines", env)
	}
	exec(t, ctx, r.host, "systemctl", "stop", r.unit("web"))
	r.settles(t, ctx, "web", "inactive", 0, "")
}

// ends: the signal of the file ends what ends on it; what ignores it is killed after its grace period.
func (r rendered) ends(t *testing.T, ctx context.Context) {
	for service, want := range map[string]string{"meek": "success 0", "deaf": "exit-code 137"} {
		exec(t, ctx, r.host, "systemctl", "start", r.unit(service))
		exec(t, ctx, r.host, "systemctl", "stop", r.unit(service))
		if got := r.property(t, ctx, service, "Result") + " " + r.property(t, ctx, service, "ExecMainStatus"); got != want {
			t.Errorf("stop of %s: %s, want %s", r.unit(service), got, want)
		}
		if found, err := r.containers(ctx); err != nil || len(found) > 0 {
			t.Errorf("stop of %s leaves containers %v, %v", r.unit(service), found, err)
		}
	}
}

// health: a unit with a check is being started while its container runs and is not well yet.
func (r rendered) health(t *testing.T, ctx context.Context) {
	exec(t, ctx, r.host, "rm", "-f", "/var/tmp/well")
	exec(t, ctx, r.host, "systemctl", "start", "--no-block", r.unit("sick"))
	r.settles(t, ctx, "sick", "activating", 1, "")
	exec(t, ctx, r.host, "touch", "/var/tmp/well")
	r.settles(t, ctx, "sick", "active", 1, "")
	exec(t, ctx, r.host, "systemctl", "stop", r.unit("sick"))
	r.settles(t, ctx, "sick", "inactive", 0, "")
}

// killed: whatever dies between systemd and the container, one container runs in the end, another one; or
// none, when the file asks for no restart.
func (r rendered) killed(t *testing.T, ctx context.Context) {
	kill := `kill -KILL "$(systemctl show --value --property=MainPID "$1")"`
	if r.runtime == "docker" {
		kill += ` && kill -KILL "$(pgrep --exact dockerd)"`
	}
	exec(t, ctx, r.host, "systemctl", "start", r.unit("web"))
	first := r.settles(t, ctx, "web", "active", 1, "")
	exec(t, ctx, r.host, "sh", "-c", strings.SplitAfter(kill, `")"`)[0], "kill", r.unit("web"))
	second := r.settles(t, ctx, "web", "active", 1, first[0])
	exec(t, ctx, r.host, "sh", "-c", kill, "kill", r.unit("web"))
	r.settles(t, ctx, "web", "active", 1, second[0])
	exec(t, ctx, r.host, "systemctl", "stop", r.unit("web"))
	r.settles(t, ctx, "web", "inactive", 0, "")

	exec(t, ctx, r.host, "systemctl", "start", r.unit("meek"))
	r.settles(t, ctx, "meek", "active", 1, "")
	exec(t, ctx, r.host, "sh", "-c", kill, "kill", r.unit("meek"))
	r.settles(t, ctx, "meek", "failed", 0, "")
}
