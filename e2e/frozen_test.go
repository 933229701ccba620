//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

const (
	storePort = 7118 // of etcd, for clients
	lateUnits = 24
	// The old leader puts all late units on one worker, which has fewer units by ballast. The next puts all on
	// the other, because the first has got more by then: no compare but the term's refuses the old orders.
	ballast, counterweight = lateUnits + 6, 3 * lateUnits

	ordersBytes = 3 << 10 // fewer than the orders of ten units take, more than anything else that a quiet host sends
)

// TestLeaderFrozen: the leader stands still while a write of orders is on its way, past its
// lease; another leads and decides differently. When the write arrives, and when the leader
// goes on, nothing changes.
func TestLeaderFrozen(t *testing.T) {
	ctx := scenario(t)
	old := bed.Hosts[0]
	workers := others(old)
	witness := workers[0]
	label(t, ctx, "work", workers...)
	relay := leadBehind(t, ctx, old)
	files := map[string]string{
		"plain@.service": testbed.SleepUnit,
		"here@.service":  testbed.SleepUnit + "[X-Flotilla]\nMachineID=" + workers[0].MachineID() + "\n",
		"there@.service": testbed.SleepUnit + "[X-Flotilla]\nMachineID=" + workers[1].MachineID() + "\n",
	}
	for i := range lateUnits { // no family: that would be spread over the workers
		files[fmt.Sprintf("late-%d.service", i+1)] = testbed.SleepUnit + "[X-Flotilla]\nMachineMetadata=work=here\n"
	}
	submit(t, ctx, files)
	flotilla(t, ctx, "start", "plain@{1..6}")
	flotilla(t, ctx, "load", fmt.Sprintf("there@{1..%d}", ballast))
	before := running(t, ctx, witness)
	since := cursors(t, ctx, workers)

	holdOrders(t, ctx, relay, old)
	thawed := false
	defer func() {
		if !thawed {
			_ = old.ThawProcess(ctx, testbed.Agent) // the test has failed already
		}
	}()
	flotillaOn(t, ctx, witness, "load", "--no-wait", fmt.Sprintf("here@{1..%d}", counterweight))
	// An etcd ends connections that are silent for 10 s, so this must not wait for more than it needs.
	awaitPlaced(t, ctx, witness, old, workers[1])
	sent, err := relay.Release()
	if err != nil || sent < ordersBytes {
		t.Fatalf("%d bytes of the old leader's were delivered late: %v, want %d at least", sent, err, ordersBytes)
	}
	t.Logf("%d bytes of orders arrived after another host led", sent)
	if err := testbed.AwaitHost(ctx, witness, old, "absent"); err != nil {
		t.Fatal(err)
	}
	moved := running(t, ctx, witness)
	untouched(t, before, moved, old)
	if err := old.ThawProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	thawed = true
	if err := testbed.AwaitHost(ctx, witness, old, "alive"); err != nil {
		t.Fatal(err)
	}
	demandOnce(t, ctx, moved)
	untouched(t, moved, running(t, ctx, witness))
	if now := leader(t, ctx, witness); now == old {
		t.Errorf("%s leads again although another led", old.Name())
	}
	// A late order that was obeyed would be a second one for its unit, and the new leader would end it at once.
	if n, err := metric(ctx, leader(t, ctx, witness), `flotilla_leader_decisions_total{kind="stop"}`); err != nil || n > 0 {
		t.Errorf("the new leader ended %d placements: %v, want none: late orders came through", n, err)
	}
	started := starts(t, ctx, since)
	for i := range lateUnits {
		if name := fmt.Sprintf("late-%d.service", i+1); started[name] != 1 {
			t.Errorf("%s was started %d times, want once: a late order was obeyed", name, started[name])
		}
	}
}

// awaitPlaced waits until another host than the old leader leads and has placed all late units on to.
func awaitPlaced(t *testing.T, ctx context.Context, witness, old, to *hosts.Host) {
	t.Helper()
	err := hosts.Wait(ctx, time.Minute, "another leader places the late units", func(ctx context.Context) error {
		list, err := testbed.Units(ctx, witness, "late-*.service")
		if err != nil {
			return err
		}
		n := 0
		for _, u := range list {
			for _, i := range u.Instances {
				if i.Host != to.MachineID() {
					return hosts.Final(fmt.Errorf("%s is on %s, where the old leader wanted it: nothing would be shown", u.Name, i.HostName))
				}
				n++
			}
		}
		if n != lateUnits {
			return fmt.Errorf("%d of %d are placed", n, lateUnits)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if now := leader(t, ctx, witness); now == old {
		t.Fatalf("%s leads still", old.Name())
	}
}

// leadBehind makes a host lead that reaches every etcd member, its own too, through a relay.
func leadBehind(t *testing.T, ctx context.Context, h *hosts.Host) *testbed.Relay {
	t.Helper()
	relay, err := bed.NewRelay(ctx, h, storePort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := relay.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, o := range others(h) {
		exec(t, ctx, o, "systemctl", "stop", testbed.Agent)
	}
	exec(t, ctx, h, "systemctl", "restart", testbed.Agent)
	err = hosts.Wait(ctx, time.Minute, h.Name()+" leads", func(ctx context.Context) error {
		n, err := metric(ctx, h, "flotilla_leader_leading") // its own word: others may tell of an earlier term
		if err == nil && n != 1 {
			err = errors.New("it does not lead")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range others(h) {
		exec(t, ctx, o, "systemctl", "start", testbed.Agent)
	}
	for _, o := range bed.Hosts {
		if err := testbed.AwaitHost(ctx, h, o, "alive"); err != nil {
			t.Fatal(err)
		}
	}
	return relay
}

// holdOrders freezes the leader while the relay keeps back a write of its orders.
func holdOrders(t *testing.T, ctx context.Context, relay *testbed.Relay, old *hosts.Host) {
	t.Helper()
	if now := leader(t, ctx, others(old)[0]); now != old {
		t.Fatalf("%s leads, want %s", now.Name(), old.Name())
	}
	relay.Hold()
	flotillaOn(t, ctx, others(old)[0], "start", "--no-wait", fmt.Sprintf("late-{1..%d}", lateUnits))
	err := hosts.Wait(ctx, 10*time.Second, "orders are on their way", func(context.Context) error {
		if held := relay.Held(); held < ordersBytes {
			return fmt.Errorf("the leader has sent %d bytes", held)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.FreezeProcess(ctx, testbed.Agent); err != nil {
		t.Fatal(err)
	}
	if held := relay.Held(); held < ordersBytes {
		t.Fatalf("the leader gave up its connection before it stood still: %d bytes are held", held)
	}
}

// label gives hosts alone a label until the test ends.
func label(t *testing.T, ctx context.Context, key string, on ...*hosts.Host) {
	t.Helper()
	t.Cleanup(func() {
		for _, h := range on {
			if _, _, err := bed.CLI(context.Background(), bed.Hosts[0], "host", "label", h.Name(), key+"-"); err != nil {
				t.Error(err)
			}
		}
	})
	for _, h := range on {
		flotilla(t, ctx, "host", "label", h.Name(), key+"=here")
	}
}
