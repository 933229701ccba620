//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// fencedUnits are the workloads of each fence scenario. The stubborn ones end only by SIGKILL;
// second waits for the stop of first, which uses up the whole budget.
func fencedUnits() map[string]string {
	const fence = "\n[X-Flotilla]\nFence=yes\nMachineMetadata=fence=here\n"
	return map[string]string{
		"plain.service":    testbed.BeatUnit("", "Restart=always\n"+fence),
		"pod.service":      testbed.BeatPod("", 2, fence),
		"stubborn.service": testbed.BeatPod("-ignore-term", 60, fence),
		"slowstop.service": testbed.BeatUnit("-ignore-term", "ExecStop=/bin/sleep 60\nTimeoutStopSec=60\nRestart=always\n"+fence),
		"second.service":   strings.Replace(testbed.BeatUnit("-ignore-term", fence), "[Unit]\n", "[Unit]\nBefore=first.service\n", 1),
		"first.service":    testbed.BeatUnit("-ignore-term", fence),
	}
}

// freeUnit is the control: nothing fences it.
const freeUnit = "free.service"

// fenceCase is fenced units on one host, with a witness of their runs.
type fenceCase struct {
	t     *testing.T
	ctx   context.Context
	home  *hosts.Host // where they run at first
	away  *hosts.Host // another host
	units []string
	began time.Duration
}

// onFence is onFenceAt a host that does not lead.
func onFence(t *testing.T) *fenceCase {
	t.Helper()
	ctx := scenario(t)
	return onFenceAt(t, ctx, others(leader(t, ctx, bed.Hosts[0]))[1])
}

// onFenceAt starts the fenced units, and the control, on one host; then lets them move anywhere.
func onFenceAt(t *testing.T, ctx context.Context, home *hosts.Host) *fenceCase {
	t.Helper()
	if err := bed.PrepareWitness(); err != nil {
		t.Fatal(err)
	}
	f := &fenceCase{t: t, ctx: ctx, home: home, away: others(home)[0]}
	files := fencedUnits()
	files[freeUnit] = testbed.BeatUnit("", "[X-Flotilla]\nMachineMetadata=fence=here\n")
	submit(t, ctx, files)
	for name := range files {
		if name != freeUnit {
			f.units = append(f.units, name)
		}
	}
	place(t, ctx, home, "fence", append(f.units, freeUnit)...)
	return f
}

// fault notes the instant and does it.
func (f *fenceCase) fault(do func() error) {
	f.t.Helper()
	now, err := testbed.Boottime()
	if err != nil {
		f.t.Fatal(err)
	}
	f.began = now
	if err := do(); err != nil {
		f.t.Fatal(err)
	}
}

// moved waits until all units run elsewhere.
func (f *fenceCase) moved(names ...string) {
	f.t.Helper()
	err := hosts.Wait(f.ctx, 90*time.Second, "the fenced units run elsewhere", func(ctx context.Context) error {
		for _, name := range names {
			runs, err := bed.Runs(name)
			if err != nil {
				return err
			}
			if len(runs) == 0 || runs[len(runs)-1].Host == f.home.Name() {
				return fmt.Errorf("%s has not started elsewhere", name)
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// fell waits until the switch has stopped the units at home.
func (f *fenceCase) fell() {
	f.t.Helper()
	err := hosts.Wait(f.ctx, time.Minute, "the fence falls", func(ctx context.Context) error {
		for _, name := range f.units {
			if isActive(ctx, f.home, name) {
				return fmt.Errorf("%s is active", name)
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// once waits until every unit runs exactly once, and demands that none ever overlapped.
func (f *fenceCase) once() {
	f.t.Helper()
	for _, h := range bed.Hosts {
		if err := testbed.AwaitHost(f.ctx, f.away, h, "alive"); err != nil {
			f.t.Fatal(err)
		}
	}
	demandOnce(f.t, f.ctx, running(f.t, f.ctx, f.away))
	for _, name := range f.units {
		runs, err := bed.Runs(name)
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Logf("%s: %s", name, f.figures(runs))
		f.inTime(name, runs)
		if over := testbed.Overlap(runs); over > 0 {
			f.t.Errorf("%s ran on two hosts at once for %d ms", name, over.Milliseconds())
		}
		for i := 1; i < len(runs); i++ {
			if runs[i].Host != runs[i-1].Host && runs[i].Token <= runs[i-1].Token {
				f.t.Errorf("%s: token %d on %s after %d on %s, want a larger one", name, runs[i].Token, runs[i].Host, runs[i-1].Token, runs[i-1].Host)
			}
		}
	}
}

// inTime demands that what ran when the fault came, and was stopped because of it, ended
// before the lease could: the last renewal was sent before the fault.
func (f *fenceCase) inTime(name string, runs []testbed.Run) {
	f.t.Helper()
	for i, r := range runs {
		if i+1 == len(runs) || r.First > f.began || r.Last < f.began {
			continue
		}
		if took := r.Last - f.began; took > cluster.DefaultTiming().TTL {
			f.t.Errorf("%s ran for %d ms after the fault, longer than a lease", name, took.Milliseconds())
		}
	}
}

// figures are the instants of a unit's runs, from the fault on.
func (f *fenceCase) figures(runs []testbed.Run) string {
	var b strings.Builder
	for _, r := range runs {
		fmt.Fprintf(&b, "%s %d..%d ms (token %d)  ", r.Host, (r.First - f.began).Milliseconds(), (r.Last - f.began).Milliseconds(), r.Token)
	}
	return fmt.Sprintf("overlap %d ms  %s", testbed.Overlap(runs).Milliseconds(), b.String())
}

// untouchedRuns demands that each unit has had one run only.
func (f *fenceCase) untouchedRuns() {
	f.t.Helper()
	for _, name := range f.units {
		runs, err := bed.Runs(name)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(runs) != 1 {
			f.t.Errorf("%s ran %d times, want once: %s", name, len(runs), f.figures(runs))
		}
	}
}

// TestFenceAgentFrozen: the agent stands still past its lease. The switch is systemd's.
func TestFenceAgentFrozen(t *testing.T) {
	f := onFence(t)
	f.fault(func() error { return f.home.FreezeProcess(f.ctx, testbed.Agent) })
	thaw := func() error { return f.home.ThawProcess(f.ctx, testbed.Agent) }
	defer func() {
		if thaw != nil {
			_ = thaw() // the test has failed already
		}
	}()
	f.moved(f.units...)
	if err := thaw(); err != nil {
		t.Fatal(err)
	}
	thaw = nil
	f.once()
}

// TestFenceCutOff: the host loses the network for longer than its lease. What is not fenced
// runs twice meanwhile: the witness sees it.
func TestFenceCutOff(t *testing.T) {
	f := onFence(t)
	f.fault(func() error { return f.home.Cut(f.ctx) })
	f.moved(append(f.units, freeUnit)...)
	if err := f.home.Heal(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.once()
	free, err := bed.Runs(freeUnit)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("control without a fence: %s", f.figures(free))
	if testbed.Overlap(free) == 0 {
		t.Error("the control never overlapped: the witness sees nothing")
	}
}

// TestFenceLongReload: systemd itself is busy when the switch should fire, because a
// generator takes 20 s, once.
func TestFenceLongReload(t *testing.T) {
	f := onFence(t)
	const generator = "/run/systemd/system-generators/slow"
	if err := f.home.WriteFile(f.ctx, generator, 0o755, []byte("#!/bin/sh\nrm $0\nsleep 20\n")); err != nil {
		t.Fatal(err)
	}
	reload := f.home.Command(f.ctx, "systemctl", "daemon-reload")
	f.fault(func() error { return errors.Join(f.home.Cut(f.ctx), reload.Start()) })
	f.moved(f.units...)
	if err := reload.Wait(); err != nil {
		t.Errorf("daemon-reload: %v", err)
	}
	if err := f.home.Heal(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.once()
}

// TestFenceEtcd: a new etcd leader restarts nothing; no etcd at all stops what is fenced,
// until it is back.
func TestFenceEtcd(t *testing.T) {
	f := onFence(t)
	f.fault(func() error { return etcdLeader(t, f.ctx).KillProcess(f.ctx, testbed.Etcd) })
	for _, h := range bed.Hosts { // two renewals of everybody under the new leader
		awaitRenewals(t, f.ctx, h, 3)
	}
	f.untouchedRuns()
	f.once()
	for _, h := range bed.Hosts {
		exec(t, f.ctx, h, "systemctl", "stop", testbed.Etcd)
	}
	f.fault(func() error { return nil }) // renewals were answered until the second of three had stopped
	f.fell()
	for _, h := range bed.Hosts {
		exec(t, f.ctx, h, "systemctl", "start", "--no-block", testbed.Etcd)
	}
	f.once()
}

// TestFenceHostFrozen: a host that stands still as a whole, like a paused machine, can not be
// fenced from inside. The token is what tells its stale writes from good ones.
func TestFenceHostFrozen(t *testing.T) {
	f := onFence(t)
	f.fault(func() error { return f.home.Freeze(f.ctx) })
	f.moved(f.units...)
	if err := f.home.Thaw(f.ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(f.ctx, f.away, f.home, "alive"); err != nil {
		t.Fatal(err)
	}
	demandOnce(t, f.ctx, running(t, f.ctx, f.away))
	for _, name := range f.units {
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, f.figures(runs))
		if first, last := runs[0], runs[len(runs)-1]; first.Host == last.Host || last.Token <= first.Token || first.Token == 0 {
			t.Errorf("%s: token %d on %s, then %d on %s, want a larger one elsewhere", name, first.Token, first.Host, last.Token, last.Host)
		}
	}
}

// etcdLeader is the host whose etcd member leads the others, as the members' own metrics say.
func etcdLeader(t *testing.T, ctx context.Context) *hosts.Host {
	t.Helper()
	const ask = `use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new("/var/lib/flotilla/etcd/http.sock") or die $!;
print $s "GET /metrics HTTP/1.0\r\n\r\n"; while (<$s>) { print if /^etcd_server_is_leader / }`
	for _, h := range bed.Hosts {
		if strings.TrimSpace(exec(t, ctx, h, "perl", "-e", ask)) == "etcd_server_is_leader 1" {
			return h
		}
	}
	t.Fatal("no etcd member leads")
	return nil
}

// awaitRenewals waits until a host's agent has had so many more renewals confirmed.
func awaitRenewals(t *testing.T, ctx context.Context, h *hosts.Host, more int) {
	t.Helper()
	before, err := renewals(ctx, h)
	if err == nil {
		err = hosts.Wait(ctx, time.Minute, "renewals of "+h.Name(), func(ctx context.Context) error {
			now, err := renewals(ctx, h)
			if err == nil && now < before+more {
				err = fmt.Errorf("%d after %d", now, before)
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// renewals is how many renewals of a host were confirmed.
func renewals(ctx context.Context, h *hosts.Host) (int, error) {
	return metric(ctx, h, `flotilla_agent_renewals_total{result="confirmed"}`)
}

// metric is a whole number that a host's daemon tells of itself; what it does not tell is 0.
func metric(ctx context.Context, h *hosts.Host, name string) (n int, err error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.Socket(testbed.Socket))
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://host/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), name+" %d", &n); err == nil {
			return n, nil
		}
	}
	return 0, nil
}
