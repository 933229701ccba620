package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

func TestRestartedAgentKeepsItsLife(t *testing.T) {
	inWorld(t, memory.Options{Seed: 1}, fake.Options{}, func(w *world) {
		w.start()
		w.until("the host to be alive", func() bool { return w.alive() != 0 })
		w.pass(20 * time.Second)
		life := w.alive()
		for range 5 {
			w.stop()
			w.pass(2 * time.Second)
			w.start()
			w.pass(30 * time.Second)
		}
		if now := w.alive(); now != life {
			t.Errorf("the host's life is %d, want %d as before the restarts", now, life)
		}
	})
}

func TestLapsedLeaseIsAnnouncedAgain(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before, life := w.invocations(), w.alive()
		w.mem.Partition("one", memory.CutAll)
		w.until("the lease to end", func() bool { return w.alive() == 0 })
		w.mem.Partition("one", memory.CutNone)
		w.until("the host to be alive", func() bool { return w.alive() != 0 })
		if w.alive() == life {
			t.Error("a new life has the revision of the old one")
		}
		w.same(before)
		p.Restart++ // reports go on in the new life
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
	})
}

func TestVanishedAliveKeyIsAnnouncedAgain(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		w.until("the host to be alive", func() bool { return w.alive() != 0 })
		w.delete("alive/" + string(hostID))
		w.launch("web.service", "/bin/web") // a report finds out
		w.until("the host to be alive again", func() bool { return w.alive() != 0 })
	})
}

func TestHostThatBootsFastTakesOverItsOldLife(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		life := w.alive()
		w.stop()
		w.host.Reboot()
		w.start()
		begun := time.Now()
		w.until("the old life to be watched", func() bool { return w.agent.State().Taken != "" })
		if got, want := w.agent.State().Taken, "booted before its old lease ended; waits up to 10s"; got != want {
			t.Errorf("a host that meets its own old life says %q, want %q", got, want)
		}
		w.until("a new life", func() bool { rev := w.alive(); return rev != 0 && rev != life })
		if d := time.Since(begun); d < 4*time.Second || d > 8*time.Second {
			t.Errorf("the old life was taken over after %s, want about two renewal intervals", d)
		}
		w.until("the unit to run", func() bool { return len(w.invocations()) == 1 })
	})
}

func TestDuplicateHostIsRefused(t *testing.T) {
	inWorld(t, kind(), fake.Options{Seed: 1}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before, life := w.invocations(), w.alive()

		other := fake.New(fake.Options{Seed: 2})
		twin := w.newAgent("run", other, "two")
		ctx, cancel := context.WithCancel(w.t.Context())
		ended := make(chan error, 1)
		go func() { ended <- twin.Run(ctx) }()
		w.until("the refusal", func() bool { return strings.HasPrefix(twin.State().Taken, "refused") })
		w.pass(10 * time.Minute)
		if n := len(other.Running()); n != 0 || w.alive() != life || !strings.HasPrefix(twin.State().Taken, "refused") {
			t.Errorf("the second host runs %d units, its state is %+v; the life is %d, want %d", n, twin.State(), w.alive(), life)
		}
		w.same(before)
		w.stop() // the first host goes away: the second keeps checking, and takes over
		w.until("the second host to live", func() bool { return twin.State().Taken == "" && len(other.Running()) == 1 })
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestWatchTellsALivingTwin reads a lease in whole seconds about as often as it is
// renewed, in every phase: one that is renewed is never over, one that is not soon is.
func TestWatchTellsALivingTwin(t *testing.T) {
	for _, ttl := range []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second} {
		renewal := ttl / 5
		for phase := time.Duration(0); phase < renewal; phase += renewal / 40 {
			for _, jitter := range []time.Duration{0, 15 * time.Millisecond} {
				for _, lives := range []bool{true, false} {
					w, over := watch{left: -1}, false
					for i := range 12 {
						now := phase + time.Duration(i)*renewal/2 - time.Duration(i%2)*jitter
						age := now
						if lives {
							age = (now + 2*renewal) % renewal
						}
						left := (ttl - age).Truncate(time.Second)
						_, ended := w.read(left, now, longEnough(cluster.Timing{TTL: ttl}, false))
						over = over || ended || left <= 0 // it lapses
					}
					if over == lives {
						t.Errorf("watch(TTL %s, phase %s, jitter %s, lives %v) = over %v", ttl, phase, jitter, lives, over)
					}
				}
			}
		}
	}
}

// refusing is a store that lets no announcement of this version through.
type refusing struct {
	*store.Store
	on *atomic.Bool
}

func (d refusing) CheckVersion(ctx context.Context, version string, host cluster.HostID) error {
	if d.on.Load() {
		return fmt.Errorf("%w: two minor versions apart", cluster.ErrSchema)
	}
	return d.Store.CheckVersion(ctx, version, host)
}

// An upgrade that goes too far costs the host nothing but its reports: its life goes on.
func TestRefusedVersionKeepsItsLife(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		var refuse atomic.Bool
		w.bend = func(d *Doors) { d.Presence = refusing{d.Presence.(*store.Store), &refuse} }
		w.start()
		orders := map[string]cluster.Placement{"web.service": w.launch("web.service", "/bin/web"), "single.service": w.launchFenced("single.service")}
		w.settled(orders)
		before, life := w.invocations(), w.alive()
		w.stop()
		refuse.Store(true)
		w.start()
		w.until("the refusal", func() bool { return w.agent.State().Refused != "" })
		gone := orders["web.service"]
		gone.State = cluster.Gone
		gone = w.order("web.service", gone)
		for range 50 {
			w.pass(10 * time.Second)
			if w.alive() != life {
				t.Fatalf("the host's life is %d, want %d", w.alive(), life)
			}
		}
		w.same(before)
		if st := w.agent.State(); !strings.Contains(st.Waiting, "two minor versions apart") || st.Waiting != st.Refused {
			t.Errorf("state = %+v, want why nothing is carried out", st)
		}
		if st := w.statuses()["web.service"]; st.Order == cluster.Gone {
			t.Errorf("status = %+v, want nothing reported", st)
		}
		refuse.Store(false)
		w.settled(map[string]cluster.Placement{"web.service": gone})
		if st := w.agent.State(); st.Refused != "" || w.alive() != life {
			t.Errorf("state = %+v, life %d, want %d and no refusal", st, w.alive(), life)
		}
	})
}

// A host that was refused and has no life goes by no orders, those on its disk included.
func TestRefusedVersionWithoutALifeTouchesNothing(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		var refuse atomic.Bool
		w.bend = func(d *Doors) { d.Presence = refusing{d.Presence.(*store.Store), &refuse} }
		refuse.Store(true)
		w.start()
		w.launch("web.service", "/bin/web")
		w.pass(5 * time.Minute)
		if n := len(w.invocations()); n != 0 || w.alive() != 0 {
			t.Errorf("%d units run, life %d, want none", n, w.alive())
		}
		refuse.Store(false)
		w.until("the unit to run", func() bool { return len(w.invocations()) == 1 })
	})
}

// A life that a cut-off twin may hold is not ended before the twin's fenced units must be.
func TestHostWithFencedUnitsWatchesItsOldLifeLonger(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launchFenced("single.service")
		w.settled(map[string]cluster.Placement{"single.service": p})
		life, timing := w.alive(), cluster.DefaultTiming()
		w.pass(20 * time.Second)
		w.stop()
		w.host.Reboot()
		w.start()
		begun := time.Now()
		w.until("the old life to end", func() bool { return w.alive() != life })
		if d, least := time.Since(begun), timing.Switch+cluster.Accuracy+timing.StopBudget; d < least {
			t.Errorf("the old life was ended after %s, want at least %s", d, least)
		}
		w.settled(map[string]cluster.Placement{"single.service": p})
	})
}

// TestLeaseOfAnOlderAgentIsOurs: what an agent wrote into /run that did not note the host is the
// same life, and reports are written for that host.
func TestLeaseOfAnOlderAgentIsOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lease.json")
	if err := os.WriteFile(path, []byte(`{"id":7,"alive_rev":9,"nonce":"n","boot":"b"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := presence{path: path, host: hostID, me: cluster.Alive{Boot: "b"}}
	if err := p.load("other"); err != nil {
		t.Fatal(err)
	}
	want := cluster.Lease{Host: hostID, ID: 7, AliveRev: 9, Nonce: "n"}
	if got := p.current(); got.lease != want || !got.known {
		t.Errorf("lease = %+v, known %v, want %+v, known", got.lease, got.known, want)
	}
}

// TestVersionThatMayNotWriteAnnouncesNothing: the store itself says so, in the words that the
// agent understands.
func TestVersionThatMayNotWriteAnnouncesNothing(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		other := cluster.HostID(strings.Repeat("b", 32))
		if _, err := w.user.Announce(t.Context(), other, cluster.Alive{Boot: "b", Nonce: "n", Version: "1.2.0"}, cluster.Lease{}); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.until("the refusal", func() bool { return strings.Contains(w.agent.State().Refused, "more than one minor version apart") })
		if rev := w.alive(); rev != 0 {
			t.Error("a host of a version that may not write is alive in the store")
		}
	})
}
