package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flotilla/api"
	"flotilla/e2e/testbed"
)

const (
	family   = "examples/family"   // a template unit for web servers, and one for what runs beside them
	changed  = ".flotilla/changed" // the family's web server with another version
	rendered = ".flotilla/shop"    // unit files made of the Compose file
	singles  = 13                  // units that run once in the cluster; those of tidy run on every host

	webServers = 4 // instances of the family's web server

	// settle is how long an instance has been up before the next one is changed.
	settle = 2 * time.Second
)

// raw applies a folder of unit files as they are.
func (d *demo) raw(ctx context.Context) error {
	if err := d.flotilla(ctx, "apply", "examples/raw"); err != nil {
		return err
	}
	d.steps.done("unit files: apply examples/raw: a clock, a writer that runs at most once, a timer on every host")
	return nil
}

// family starts instances of templates: web servers in Podman, and a plain process beside each.
func (d *demo) family(ctx context.Context) error {
	if err := d.flotilla(ctx, "apply", family); err != nil {
		return err
	}
	if err := d.flotilla(ctx, "start", "web@{1..4}", "log@{1..4}"); err != nil {
		return err
	}
	d.steps.done("a family: apply %s, start 'web@{1..4}' 'log@{1..4}': in Podman %s", family, d.spread(ctx, "web@"))
	return nil
}

// compose renders a Compose file for Docker and starts what it asks for.
func (d *demo) compose(ctx context.Context) error {
	if err := d.flotilla(ctx, "render", "-f", "examples/compose/compose.yaml", "--runtime", "docker", "-o", rendered); err != nil {
		return err
	}
	if err := d.flotilla(ctx, "start", rendered+"/shop.web@{1..2}", rendered+"/shop.worker@1"); err != nil {
		return err
	}
	d.steps.done("a Compose file: render, start 'shop.web@{1..2}' shop.worker@1: in Docker %s", d.spread(ctx, "shop."))
	return nil
}

// change applies the family's template with another version, and checks that its instances went one
// after another and that nothing else was touched.
func (d *demo) change(ctx context.Context) error {
	before, err := d.instances(ctx)
	if err != nil {
		return err
	}
	file, err := changedFile()
	if err != nil {
		return err
	}
	if err := d.flotilla(ctx, "apply", file); err != nil {
		return err
	}
	after, err := d.instances(ctx)
	if err != nil {
		return err
	}
	n, err := rolled(before, after, "web@")
	if err != nil {
		return err
	}
	d.steps.done("a change: apply web@.service with VERSION=2: %d restarted one at a time, no other touched", n)
	return nil
}

// changedFile writes the family's template with another version and returns its path.
func changedFile() (string, error) {
	text, err := os.ReadFile(filepath.Join(family, "web@.service"))
	if err != nil {
		return "", err
	}
	next := strings.Replace(string(text), "VERSION=1", "VERSION=2", 1)
	if next == string(text) {
		return "", errors.New(family + "/web@.service has no VERSION=1")
	}
	if err := os.MkdirAll(changed, 0o755); err != nil {
		return "", err
	}
	return testbed.Put(changed, "web@.service", next)
}

// rolled counts the units with a prefix, which each began anew where they were, one after another. It is
// an error when one did not, when two began together, or when any other unit was touched.
func rolled(before, after map[string]api.Instance, prefix string) (n int, err error) {
	var began []time.Time
	rest := maps.Clone(before)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		delete(rest, name)
		was, now := before[name], after[name]
		if now.Host != was.Host || now.Invocation == was.Invocation {
			err = errors.Join(err, fmt.Errorf("%s was not restarted: it ran on %s as %s, and runs on %q as %q", name, was.HostName, was.Invocation, now.HostName, now.Invocation))
		}
		began = append(began, now.Since)
	}
	slices.SortFunc(began, time.Time.Compare)
	for i := 1; i < len(began); i++ {
		if gap := began[i].Sub(began[i-1]); gap < settle {
			err = errors.Join(err, fmt.Errorf("two of %s* were restarted within %v", prefix, gap))
		}
	}
	_, _, touched := compare(rest, after, "")
	return len(began), errors.Join(err, touched)
}

// spread says how many units with a prefix run on each host.
func (d *demo) spread(ctx context.Context, prefix string) string {
	list, err := d.running(ctx)
	if err != nil {
		return err.Error()
	}
	count := map[string]int{}
	for name, i := range list {
		if strings.HasPrefix(name, prefix) {
			count[i.HostName]++
		}
	}
	var words []string
	for _, h := range d.bed.Hosts {
		words = append(words, fmt.Sprintf("%d on %s", count[h.Name()], h.Name()))
	}
	return strings.Join(words, ", ")
}

// running are the demo's units that run once in the cluster, by name: all of them active, or
// an error that says which is not.
func (d *demo) running(ctx context.Context) (map[string]api.Instance, error) {
	return testbed.Running(ctx, d.bed.Hosts[0], "clock.service", "writer.service", "web@*", "log@*", "shop.*")
}

// instances is running once all are started.
func (d *demo) instances(ctx context.Context) (map[string]api.Instance, error) {
	found, err := d.running(ctx)
	if err == nil && len(found) != singles {
		err = fmt.Errorf("%d of %d units are known", len(found), singles)
	}
	return found, err
}
