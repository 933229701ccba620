package main

import (
	"context"
	"fmt"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
	"flotilla/units"
)

const (
	loadUnits  = 100
	settleFor  = 20 * time.Second // after the last start
	idleWindow = 60 * time.Second
)

// usage is what a service uses at a moment.
type usage struct {
	rss, pss, anon int // kB
	cpu            time.Duration
	at             time.Time
}

// usageScript prints resident, proportional and anonymous memory in kB and the
// processor time in ns of a service.
const usageScript = `set -e
p=$(systemctl show -p MainPID --value "$1")
awk '/^Rss:/{r=$2} /^Pss:/{s=$2} /^Anonymous:/{a=$2} END{print r, s, a}' /proc/$p/smaps_rollup
systemctl show -p CPUUsageNSec --value "$1"`

func usageOf(ctx context.Context, h *hosts.Host, service string) (usage, error) {
	out, err := h.Exec(ctx, nil, "bash", "-c", usageScript, "usage", service)
	if err != nil {
		return usage{}, err
	}
	u := usage{at: time.Now()}
	var ns int64
	if _, err := fmt.Sscan(out, &u.rss, &u.pss, &u.anon, &ns); err != nil {
		return usage{}, fmt.Errorf("read what %s on %s uses: %q: %w", service, h.Name(), out, err)
	}
	u.cpu = time.Duration(ns)
	return u, nil
}

// percent is the part of one core that was used between two moments.
func percent(a, b usage) float64 { return 100 * float64(b.cpu-a.cpu) / float64(b.at.Sub(a.at)) }

// watched is a service whose use is measured.
type watched struct {
	what    string
	host    *hosts.Host
	service string
	first   usage
}

// footprint measures daemons with a hundred units that run and nothing to do.
func footprint(ctx context.Context, b *bench, bed *testbed.Bed) error {
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		return err
	}
	leader, err := leaderOf(ctx, c, bed)
	if err != nil {
		return err
	}
	client, member := bed.Hosts[3], bed.Hosts[1]
	if member == leader {
		member = bed.Hosts[2]
	}
	for _, h := range []*hosts.Host{client, member} {
		if err := fill(ctx, c, h); err != nil {
			return err
		}
	}
	if !pauseFor(ctx, settleFor) {
		return ctx.Err()
	}
	all := []watched{
		{"agent of a client host", client, testbed.Agent, usage{}},
		{"agent of an etcd member", member, testbed.Agent, usage{}},
		{"etcd of a member", member, testbed.Etcd, usage{}},
	}
	for i := range all {
		if all[i].first, err = usageOf(ctx, all[i].host, all[i].service); err != nil {
			return err
		}
	}
	if !pauseFor(ctx, idleWindow) {
		return ctx.Err()
	}
	for _, w := range all {
		last, err := usageOf(ctx, w.host, w.service)
		if err != nil {
			return err
		}
		b.addUsage(w, last)
	}
	var names []string
	for _, h := range []*hosts.Host{client, member} {
		names = append(names, instances(h)...)
	}
	return destroy(ctx, c, names...)
}

func (b *bench) addUsage(w watched, last usage) {
	cpu, mb := percent(w.first, last), float64(last.rss)/1024
	memory := row{
		what:   fmt.Sprintf("memory, %s, %d units run there", w.what, loadUnits),
		figure: fmt.Sprintf("%.1f MB resident (%.1f anonymous, %.1f with shared pages divided)", mb, float64(last.anon)/1024, float64(last.pss)/1024),
	}
	busy := row{what: fmt.Sprintf("idle CPU over %s, %s, the same", idleWindow, w.what), figure: fmt.Sprintf("%.2f %% of a core", cpu)}
	if w.service == testbed.Agent {
		memory.aim, memory.met, memory.anchor, memory.ratio = "< 30 MB", mb < 30, "Nomad 87 MB, no task", times(87, mb)
		busy.aim, busy.met, busy.anchor, busy.ratio = "< 0.3 %", cpu < 0.3, "Nomad 0.45 %, no task", times(0.45, cpu)
	}
	b.add(memory)
	b.add(busy)
}

func template(h *hosts.Host) string { return "load-" + h.Name() + "@.service" }

func instances(h *hosts.Host) []string {
	var out []string
	for n := range loadUnits {
		out = append(out, fmt.Sprintf("load-%s@%d.service", h.Name(), n+1))
	}
	return out
}

// fill runs a hundred units on one host.
func fill(ctx context.Context, c *api.Client, h *hosts.Host) error {
	text, target := testbed.SleepUnit+"[X-Flotilla]\nMachineID="+h.MachineID()+"\n", units.Launched
	all := []api.Change{{Name: template(h), Content: &text}}
	for _, name := range instances(h) {
		all = append(all, api.Change{Name: name, Target: &target})
	}
	return change(ctx, c, all...)
}

// pauseFor lets time pass; false when ctx ended.
func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
