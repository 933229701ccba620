package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store/memory"
)

func (w *world) launchFenced(name string) cluster.Placement {
	return w.order(name, cluster.Placement{State: cluster.Launched, Run: 1, Fence: true, Blob: w.blob("[Service]\nExecStart=/bin/web\n")})
}

// stubborn units end only by SIGKILL.
func stubborn(name string) (fake.Behaviour, bool) {
	return fake.Behaviour{IgnoreTerm: true}, !isFenceUnit(cluster.Unit(name))
}

func TestFenceStaysArmedAndQuiet(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		orders := map[string]cluster.Placement{"single.service": w.launchFenced("single.service"), "web.service": w.launch("web.service", "/bin/web")}
		w.settled(orders)
		before := w.invocations()
		for range 120 {
			w.pass(5 * time.Second)
			timers := 0
			for _, n := range w.host.Running() {
				if isFenceUnit(cluster.Unit(n)) && cluster.Unit(n).Type() == "timer" {
					timers++
				}
			}
			if timers == 0 || timers > 2 {
				t.Fatalf("%d timers are armed, want one", timers)
			}
		}
		w.same(before)
		gone := orders["single.service"]
		gone.State = cluster.Gone
		gone = w.order("single.service", gone)
		w.settled(map[string]cluster.Placement{"single.service": gone})
		w.until("the fence to come down", func() bool { return len(w.host.Running()) == 1 })
		if now := w.invocations(); now["web.service"] != before["web.service"] {
			t.Error("web.service was touched")
		}
	})
}

func TestFencedUnitsStopBeforeTheLeaseEnds(t *testing.T) {
	for _, how := range []string{"cut off", "agent dead"} {
		t.Run(how, func(t *testing.T) {
			inWorld(t, kind(), fake.Options{Behave: stubborn}, func(w *world) {
				w.start()
				orders := map[string]cluster.Placement{"single.service": w.launchFenced("single.service"), "web.service": w.launch("web.service", "/bin/web")}
				w.settled(orders)
				web := w.invocations()["web.service"]
				if how == "cut off" {
					w.mem.Partition("one", memory.CutAll)
				} else {
					w.stop()
				}
				for w.invocations()["single.service"] != "" {
					if w.alive() == 0 {
						t.Fatal("the lease ended while single.service still ran")
					}
					w.pass(50 * time.Millisecond)
				}
				w.pass(time.Minute)
				if how == "cut off" {
					w.mem.Partition("one", memory.CutNone)
				} else {
					w.start()
				}
				w.settled(orders) // the same order: it starts again
				if now := w.invocations(); now["web.service"] != web || now["single.service"] == "" {
					t.Errorf("running = %v, want web.service untouched and single.service", now)
				}
				if n := w.count("start", "single.service"); n != 2 {
					t.Errorf("single.service was started %d times, want 2", n)
				}
			})
		})
	}
}

func TestFencedUnitThatMovedAwayIsNotStarted(t *testing.T) {
	inWorld(t, memory.Options{Seed: 4}, fake.Options{}, func(w *world) {
		w.start()
		p := w.launchFenced("single.service")
		w.settled(map[string]cluster.Placement{"single.service": p})
		w.mem.Partition("one", memory.CutAll)
		w.until("the lease to end", func() bool { return w.alive() == 0 })
		p.State = cluster.Gone
		p = w.order("single.service", p)
		w.mem.Partition("one", memory.CutNone)
		w.settled(map[string]cluster.Placement{"single.service": p})
		w.pass(time.Minute)
		if n := w.count("start", "single.service"); n != 1 {
			t.Errorf("single.service was started %d times, want once", n)
		}
	})
}

// skewed is a systemd whose wall clock was set while units ran.
type skewed struct{ Systemd }

func (d skewed) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]Observed, error) {
	seen, err := d.Systemd.Units(ctx, names)
	for n, o := range seen {
		o.Since = o.Since.Add(time.Hour)
		seen[n] = o
	}
	return seen, err
}

func TestFencedUnitThatFailedBeforeIsNotStartedByTheFence(t *testing.T) {
	t.Run("clock kept", func(t *testing.T) { failedBefore(t, nil) })
	t.Run("clock set", func(t *testing.T) { failedBefore(t, func(d *Doors) { d.Systemd = skewed{d.Systemd} }) })
}

func failedBefore(t *testing.T, bend func(*Doors)) {
	bad := func(name string) (fake.Behaviour, bool) {
		return fake.Behaviour{Exits: true, Run: 5 * time.Second, Status: 3}, name == "bad.service"
	}
	inWorld(t, kind(), fake.Options{Behave: bad}, func(w *world) {
		w.bend = bend
		w.start()
		w.launchFenced("bad.service")
		good := map[string]cluster.Placement{"good.service": w.launchFenced("good.service")}
		w.settled(good)
		w.until("the failure", func() bool { return w.statuses()["bad.service"].State.Failed() })
		w.pass(20 * time.Second)
		w.mem.Partition("one", memory.CutAll)
		w.until("the fence to fire", func() bool { return len(w.invocations()) == 0 })
		w.mem.Partition("one", memory.CutNone)
		w.settled(good)
		if n := w.count("start", "bad.service"); n != 1 {
			t.Errorf("bad.service was started %d times, want once", n)
		}
	})
}

// PID 1 is busy with a long reload when the switch should fire: the agent kills past it. After
// that the switch fires all the same, and no restart of systemd's own comes before it.
func TestFencedUnitsEndAlthoughSystemdIsBusy(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		blob := w.blob("[Service]\nExecStart=/bin/web\nRestart=always\n")
		orders := map[string]cluster.Placement{
			"single.service": w.order("single.service", cluster.Placement{State: cluster.Launched, Run: 1, Fence: true, Blob: blob}),
			"web.service":    w.order("web.service", cluster.Placement{State: cluster.Launched, Run: 1, Blob: blob}),
		}
		w.settled(orders)
		web := w.invocations()["web.service"]
		w.mem.Partition("one", memory.CutAll)
		w.host.Stall()
		for w.count("kill", "single.service") == 0 {
			if w.alive() == 0 {
				t.Fatal("the lease ended while single.service still ran")
			}
			w.pass(50 * time.Millisecond)
		}
		w.pass(time.Minute)
		w.host.Resume()
		w.pass(time.Minute)
		if now := w.invocations(); now["single.service"] != "" || now["web.service"] != web {
			t.Errorf("running = %v, want web.service alone, untouched", now)
		}
		if n := w.count("start", "single.service"); n != 1 {
			t.Errorf("single.service was started %d times while the host was cut off, want once", n)
		}
		w.mem.Partition("one", memory.CutNone)
		w.settled(orders)
		if n := w.count("kill", ""); n != 1 {
			t.Errorf("%d units were killed, want one", n)
		}
	})
}

// While the lease is confirmed nobody is killed, however long systemd is busy.
func TestBusySystemdAloneKillsNobody(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		orders := map[string]cluster.Placement{"single.service": w.launchFenced("single.service")}
		w.settled(orders)
		w.host.Stall()
		w.pass(time.Minute)
		w.host.Resume()
		w.settled(orders)
		if n := w.count("kill", ""); n != 0 {
			t.Errorf("%d units were killed, want none", n)
		}
	})
}

// deaf is a systemd whose daemon-reload fails.
type deaf struct {
	Systemd
	on *atomic.Bool
}

func (d deaf) Reload(ctx context.Context) error {
	if d.on.Load() {
		return errors.New("no space left on device")
	}
	return d.Systemd.Reload(ctx)
}

// Files without the fence are no reason to lower it: what systemd has read is.
func TestUnfencingWaitsForTheReload(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		var failing atomic.Bool
		w.bend = func(d *Doors) { d.Systemd = deaf{d.Systemd, &failing} }
		w.start()
		p := w.launchFenced("single.service")
		w.settled(map[string]cluster.Placement{"single.service": p})
		before := w.invocations()
		failing.Store(true)
		p.Fence = false
		p = w.order("single.service", p)
		w.pass(3 * time.Minute)
		w.same(before)
		w.stop()
		w.start() // the next agent knows no better
		w.pass(3 * time.Minute)
		w.same(before)
		failing.Store(false)
		w.settled(map[string]cluster.Placement{"single.service": p})
		w.until("the fence to come down", func() bool { return len(w.host.Running()) == 1 })
		w.same(before)
	})
}
