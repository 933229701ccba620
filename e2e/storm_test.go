//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// TestFiveHosts is a cluster of three etcd members and two clients of theirs: what is about
// hosts rather than units.
func TestFiveHosts(t *testing.T) {
	ownLab(t, "storm", 5)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := bed.Hosts[0].Exec(ctx, nil, testbed.Installed, "init", "-o", "json"); err != nil {
		t.Fatal(err)
	}
	for i, h := range bed.Hosts[1:] {
		var flags []string
		if i >= 2 {
			flags = []string{"--no-etcd"}
		}
		if err := bed.Join(ctx, h, flags...); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("storm brake", stormBrake)
	t.Run("remove and restore", removeAndRestore)
	t.Run("labels", labels)
	t.Run("lost replies", fenceLostReplies)
}

// place starts a unit on one host and lets it move anywhere afterwards: the host alone has the label at first.
func place(t *testing.T, ctx context.Context, h *hosts.Host, label string, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, h := range bed.Hosts {
			if _, _, err := bed.CLI(context.Background(), bed.Hosts[0], "host", "label", h.Name(), label+"-"); err != nil {
				t.Error(err)
			}
		}
	})
	flotilla(t, ctx, "host", "label", h.Name(), label+"=here")
	flotilla(t, ctx, append([]string{"start"}, names...)...)
	for name, i := range running(t, ctx, bed.Hosts[0], names...) {
		if i.Host != h.MachineID() {
			t.Fatalf("%s is on %s, want %s", name, i.HostName, h.Name())
		}
	}
	for _, o := range others(h) {
		flotilla(t, ctx, "host", "label", o.Name(), label+"=here")
	}
}

// stormBrake: two of five hosts go at once. Nothing moves, and everybody is told how to make it.
func stormBrake(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{"plain@.service": testbed.SleepUnit})
	flotilla(t, ctx, "start", "plain@{1..10}")
	before := running(t, ctx, bed.Hosts[0])
	gone := bed.Hosts[3:5]
	for _, h := range gone {
		if err := h.Kill(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const says = "failover is paused: 2 of 5 hosts are absent ("
	err := hosts.Wait(ctx, time.Minute, "status tells of the brake", func(ctx context.Context) error {
		out, _, err := bed.CLI(ctx, bed.Hosts[0], "status")
		if err == nil && (!strings.Contains(out, says) || !strings.Contains(out, "flotilla failover resume")) {
			err = fmt.Errorf("it says %q", out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Renewals of the others show that time goes on: a TTL more, and nothing moved.
	for _, h := range bed.Hosts[:3] {
		awaitRenewals(t, ctx, h, 5)
	}
	list, err := testbed.Units(ctx, bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	stranded := ""
	for _, u := range list {
		was, launched := before[u.Name]
		if !launched {
			continue
		}
		if len(u.Instances) != 1 || u.Instances[0].Host != was.Host {
			t.Errorf("%s has instances %+v, want one on %s", u.Name, u.Instances, was.HostName)
		}
		if was.Host == gone[0].MachineID() {
			stranded = u.Name
		}
	}
	if out := flotilla(t, ctx, "explain", stranded); !strings.Contains(out, "flotilla failover resume") {
		t.Errorf("explain %s = %q, want the command that moves it", stranded, out)
	}
	flotilla(t, ctx, "failover", "resume")
	after := running(t, ctx, bed.Hosts[0])
	untouched(t, before, after, gone...)
	for name, i := range after {
		if i.Host == gone[0].MachineID() || i.Host == gone[1].MachineID() {
			t.Errorf("%s is on %s after resume", name, i.HostName)
		}
	}
	for _, h := range gone {
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range gone {
		if err := testbed.AwaitHost(ctx, bed.Hosts[0], h, "alive"); err != nil {
			t.Fatal(err)
		}
	}
	untouched(t, after, running(t, ctx, bed.Hosts[0]))
	demandOnce(t, ctx, after)
	if out := flotilla(t, ctx, "status"); strings.Contains(out, "paused") {
		t.Errorf("status with all hosts alive = %q, want no word of the brake", out)
	}
}

// removeAndRestore: a living host is not removed; an absent one gives up its units at once, and is
// taken back.
func removeAndRestore(t *testing.T) {
	ctx := scenario(t)
	victim := bed.Hosts[4]
	submit(t, ctx, map[string]string{"plain@.service": testbed.SleepUnit + "[X-Flotilla]\nMachineMetadata=move=here\n"})
	place(t, ctx, victim, "move", "plain@1", "plain@2")
	if said := refused(t, ctx, "host", "remove", victim.Name()); !strings.Contains(said, victim.Name()) {
		t.Errorf("removal of a living host said %q, want a refusal that names it", said)
	}
	if err := victim.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := testbed.AwaitHost(ctx, bed.Hosts[0], victim, "absent"); err != nil {
		t.Fatal(err)
	}
	flotilla(t, ctx, "host", "remove", victim.Name())
	after := running(t, ctx, bed.Hosts[0])
	for name, i := range after {
		if i.Host == victim.MachineID() {
			t.Errorf("%s is on %s, which was removed", name, i.HostName)
		}
	}
	if err := victim.Start(ctx); err != nil {
		t.Fatal(err)
	}
	flotilla(t, ctx, "host", "restore", victim.Name())
	if err := testbed.AwaitHost(ctx, bed.Hosts[0], victim, "alive"); err != nil {
		t.Fatal(err)
	}
	untouched(t, after, running(t, ctx, bed.Hosts[0]))
	demandOnce(t, ctx, after)
}

// labels: a unit goes where its metadata says, follows the label, and says why when no host has it.
func labels(t *testing.T) {
	ctx := scenario(t)
	submit(t, ctx, map[string]string{
		"picky.service": testbed.SleepUnit + "[X-Flotilla]\nMachineMetadata=disk=ssd\n",
		"other.service": testbed.SleepUnit,
	})
	flotilla(t, ctx, "start", "other")
	other := running(t, ctx, bed.Hosts[0], "other.service")
	said := refused(t, ctx, "start", "--timeout=3s", "picky")
	if !strings.Contains(said, "picky.service") || !strings.Contains(said, "disk=ssd") {
		t.Errorf("start of a unit that no host satisfies said %q, want the unit and what is missing", said)
	}
	out := flotilla(t, ctx, "explain", "picky")
	for _, h := range bed.Hosts {
		if !strings.Contains(out, h.Name()+": lacks label disk=ssd") {
			t.Errorf("explain = %q, want why %s can not", out, h.Name())
		}
	}
	if out := flotilla(t, ctx, "status"); !strings.Contains(out, "picky.service: ") {
		t.Errorf("status = %q, want the unit that waits", out)
	}
	follow := func(to *hosts.Host) {
		t.Helper()
		err := hosts.Wait(ctx, time.Minute, "picky.service is on "+to.Name(), func(ctx context.Context) error {
			now, err := testbed.Running(ctx, bed.Hosts[0], "picky.service")
			if err == nil && now["picky.service"].Host != to.MachineID() {
				err = errors.New("it is on " + now["picky.service"].HostName)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		demandOnce(t, ctx, map[string]api.Instance{"picky.service": {Host: to.MachineID()}})
	}
	first, second := bed.Hosts[1], bed.Hosts[3]
	flotilla(t, ctx, "host", "label", first.Name(), "disk=ssd")
	follow(first)
	flotilla(t, ctx, "host", "label", second.Name(), "disk=ssd")
	flotilla(t, ctx, "host", "label", first.Name(), "disk-")
	follow(second)
	untouched(t, other, running(t, ctx, bed.Hosts[0], "other.service"))
	flotilla(t, ctx, "host", "label", second.Name(), "disk-")
}

// fenceLostReplies: renewals arrive, their replies do not. The lease lives, and yet the switch
// fires, because nothing is confirmed; no unit starts elsewhere. The host has no etcd of its own, so
// that all replies come over the network.
func fenceLostReplies(t *testing.T) {
	ctx := scenario(t)
	f := onFenceAt(t, ctx, bed.Hosts[3])
	f.fault(func() error { return f.home.CutReplies(f.ctx, 7118) })
	f.fell()
	if err := f.home.Heal(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.once()
}
