//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	command "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// work is how far an agent is with the units of a prefix, as its files show it.
type work struct {
	units int // ordered
	files int // unit files written
	noted int // applied records: orders that were carried out, or are about to be
	doing int // of those: a start that was about to be enqueued, or is
}

// moments are where the agent is killed: reached says when to do it, hit whether the death
// left the work at that step.
var moments = []struct {
	name         string
	reached, hit func(w work) bool
}{
	{
		"files are written", func(w work) bool { return w.files > 0 },
		func(w work) bool { return 0 < w.files && w.files < w.units },
	},
	{
		"systemd reloads", func(w work) bool { return w.files == w.units },
		func(w work) bool { return w.files == w.units && w.noted == 0 },
	},
	{
		"starts are noted", func(w work) bool { return w.noted > 0 },
		func(w work) bool { return 0 < w.doing && w.noted < w.units },
	},
	{
		"units start", func(w work) bool { return w.noted == w.units },
		func(w work) bool { return w.noted == w.units && w.doing > 0 },
	},
}

// TestAgentKilled: the agents of two hosts die by SIGKILL while they write files, while systemd
// reloads, and while they start what they were told: 200 units, containers among them. In the end
// all run, each was started once, and none that ran was touched. So it is with an upgrade.
func TestAgentKilled(t *testing.T) {
	ctx := scenario(t)
	lead := leader(t, ctx, bed.Hosts[0])
	victims := others(lead)
	submit(t, ctx, map[string]string{"first@.service": testbed.SleepUnit + "[X-Flotilla]\nMachineID=" + victims[0].MachineID() + "\n"})
	flotilla(t, ctx, "start", "first@{1..5}")
	before := running(t, ctx, lead)
	since := cursors(t, ctx, bed.Hosts)
	for _, h := range victims {
		pin := "[X-Flotilla]\nMachineID=" + h.MachineID() + "\n"
		submit(t, ctx, map[string]string{
			h.Name() + "many@.service": testbed.SleepUnit + pin, h.Name() + "manypod@.service": testbed.PodmanUnit(pin, "-port 0"),
			h.Name() + "manydock@.service": testbed.DockerUnit(pin, "-port 0"),
		})
	}
	end := yieldToUs(t, ctx, victims)
	var group errgroup.Group
	hits := make([]map[string]int, len(victims))
	for i, h := range victims {
		group.Go(func() (err error) { hits[i], err = killAtWork(t, ctx, lead, h); return err })
	}
	err := group.Wait()
	end()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range moments {
		n := hits[0][m.name] + hits[1][m.name]
		t.Logf("died while %s: %d of %d", m.name, n, len(victims))
		if n == 0 {
			t.Errorf("no agent died while %s: this was not shown", m.name)
		}
	}
	after := running(t, ctx, lead)
	if want := 200 + len(before); len(after) != want {
		t.Errorf("%d units run, want %d", len(after), want)
	}
	untouched(t, before, after)
	upgrade(t, ctx)
	now := running(t, ctx, lead)
	untouched(t, after, now)
	demandOnce(t, ctx, now)
	started := starts(t, ctx, since)
	for name := range now {
		if _, old := before[name]; !old && started[name] != 1 {
			t.Errorf("%s was started %d times, want once", name, started[name])
		}
	}
}

// yieldToUs gives agents, from their next start, a lower share of a busy processor than this
// process has, which else might look at their work too late. After end it is so no more from the
// start that follows.
func yieldToUs(t *testing.T, ctx context.Context, of []*hosts.Host) (end func()) {
	t.Helper()
	const file = "/run/systemd/system/" + testbed.Agent + ".d/yield.conf"
	for _, h := range of {
		if err := h.WriteFile(ctx, file, 0o644, []byte("[Service]\nNice=19\n")); err != nil {
			t.Fatal(err)
		}
		exec(t, ctx, h, "systemctl", "daemon-reload")
	}
	return func() {
		for _, h := range of {
			exec(t, ctx, h, "rm", file)
			exec(t, ctx, h, "systemctl", "daemon-reload")
		}
	}
}

// killAtWork orders 100 units for a host while its agent is dead, and kills the agent at each moment
// of its work on them. It returns how often the death left the work at that step.
func killAtWork(t *testing.T, ctx context.Context, lead, h *hosts.Host) (map[string]int, error) {
	if err := h.KillService(ctx, testbed.Agent); err != nil {
		return nil, err
	}
	n := h.Name() + "many"
	if _, _, err := bed.CLI(ctx, lead, "start", "--no-wait", n+"@{1..97}", n+"pod@{1..2}", n+"dock@1"); err != nil {
		return nil, err
	}
	hits := map[string]int{}
	for _, m := range moments {
		if err := awaitWork(ctx, h, m.reached); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", h.Name(), m.name, err)
		}
		// It may be on its way up from its last death, if that came late.
		err := hosts.Wait(ctx, time.Minute, "an agent to kill", func(ctx context.Context) error { return h.KillService(ctx, testbed.Agent) })
		if err != nil {
			return nil, err
		}
		w, err := workOf(h, true)
		if err != nil {
			return nil, err
		}
		t.Logf("%s: killed while %s: %d of %d files, %d noted, %d of these about to start", h.Name(), m.name, w.files, w.units, w.noted, w.doing)
		if m.hit(w) {
			hits[m.name]++
		}
	}
	return hits, nil
}

// awaitWork looks at an agent's work every millisecond, so as not to miss a step of it.
func awaitWork(ctx context.Context, h *hosts.Host, reached func(work) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		w, err := workOf(h, false)
		if err != nil {
			return err
		}
		if reached(w) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %+v", ctx.Err(), w)
		case <-tick.C:
		}
	}
}

// workOf reads how far the agent of a host is with its many units; what is being done only
// if it is asked for, because that takes longer.
func workOf(h *hosts.Host, full bool) (work, error) {
	w := work{units: 100}
	dir, err := h.Path("/run/systemd/system")
	if err != nil {
		return w, err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return w, err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), h.Name()+"many") && strings.HasSuffix(f.Name(), ".service") {
			w.files++
		}
	}
	records := h.Socket("/run/flotilla/applied")
	noted, err := os.ReadDir(records)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	for _, f := range noted {
		if !strings.HasPrefix(f.Name(), h.Name()+"many") {
			continue
		}
		w.noted++
		if !full {
			continue
		}
		data, err := os.ReadFile(filepath.Join(records, f.Name()))
		if err != nil {
			return w, err
		}
		var r struct{ Doing string }
		if err := json.Unmarshal(data, &r); err != nil {
			return w, fmt.Errorf("read the record of %s: %w", f.Name(), err)
		}
		if r.Doing == "start" {
			w.doing++
		}
	}
	return w, nil
}

// newer is the version that upgrade installs.
const newer = "0.2.0"

// upgrade installs a newer binary on each host and restarts its agent; the older one is back
// at the test's end.
func upgrade(t *testing.T, ctx context.Context) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "flotilla")
	build := command.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+newer, "-o", binary, "flotilla/cmd/flotilla")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a newer flotilla: %v: %s", err, out)
	}
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	older := versions(t, ctx, c)
	install := func(ctx context.Context, binary string, want func(id string) string) {
		for _, h := range bed.Hosts {
			if err := h.CopyIn(ctx, binary, testbed.Installed); err != nil {
				t.Fatal(err)
			}
			exec(t, ctx, h, "systemctl", "restart", testbed.Agent)
		}
		err := hosts.Wait(ctx, time.Minute, "every host runs the version that was installed", func(ctx context.Context) error {
			list, err := c.Hosts(ctx)
			for _, h := range list {
				if w := want(h.ID); h.Version != w {
					err = errors.Join(err, fmt.Errorf("%s runs %q, want %q", h.Name, h.Version, w))
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		install(context.Background(), bed.Binary, func(id string) string { return older[id] })
	})
	for id, v := range older {
		if v == newer {
			t.Fatalf("%s runs %s already: nothing would be shown", id, v)
		}
	}
	install(ctx, binary, func(string) string { return newer })
}

// versions are what the hosts run, by their ids.
func versions(t *testing.T, ctx context.Context, c *api.Client) map[string]string {
	t.Helper()
	list, err := c.Hosts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, h := range list {
		out[h.ID] = h.Version
	}
	return out
}

// unitStarted is the id of systemd's message that a unit was started (systemd.journal-fields(7)).
const unitStarted = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"

// cursors are the ends of the hosts' journals.
func cursors(t *testing.T, ctx context.Context, of []*hosts.Host) map[*hosts.Host]string {
	t.Helper()
	out := map[*hosts.Host]string{}
	for _, h := range of {
		_, cursor, ok := strings.Cut(exec(t, ctx, h, "journalctl", "--no-pager", "-q", "-n", "0", "--show-cursor"), "-- cursor: ")
		if !ok {
			t.Fatalf("the journal of %s shows no cursor", h.Name())
		}
		out[h] = strings.TrimSpace(cursor)
	}
	return out
}

// starts counts how often systemd, on whichever host, has started each unit since then.
func starts(t *testing.T, ctx context.Context, since map[*hosts.Host]string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for h, cursor := range since {
		lines := json.NewDecoder(strings.NewReader(exec(t, ctx, h, "journalctl", "--no-pager", "-q", "-o", "json", "--output-fields=UNIT", "--after-cursor="+cursor, "_PID=1", unitStarted)))
		for {
			var line struct{ UNIT string }
			err := lines.Decode(&line)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			out[line.UNIT]++
		}
	}
	return out
}
