package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
)

// busyDisk is a store whose watch tells something while a view is put on disk.
type busyDisk struct {
	Views
	during func()
}

func (d busyDisk) Pin(cluster.Identity) { d.during() }

func testKeeper(t *testing.T) *keeper {
	t.Helper()
	k, err := newKeeper(nil, hostID, "boot", t.TempDir(), time.Second, &link{}, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestProgressSeenDuringASaveIsKept: what the host saw of its store must not step back, or a
// store that was set back to it is followed.
func TestProgressSeenDuringASaveIsKept(t *testing.T) {
	at := func(revision, seen int64) cluster.View {
		return cluster.View{Store: cluster.Identity{ID: "aaaa", Generation: 1}, Revision: revision, Seen: seen}
	}
	k := testKeeper(t)
	k.mem, k.held = Memory{View: at(10, 0)}, true
	k.views = busyDisk{during: func() { k.saw(at(10, 20)) }}
	if err := k.take(t.Context(), at(12, 0)); err != nil {
		t.Fatal(err)
	}
	if got := k.mem.seen(); got != 20 {
		t.Errorf("seen = %d after 20 was seen while revision 12 was saved, want 20", got)
	}
	if got := k.orders().view.Revision; got != 12 {
		t.Errorf("orders are those of revision %d, want 12", got)
	}
}

// TestWaitForTheTurnEnds: a caller whose time is up must not wait until another's view is saved.
func TestWaitForTheTurnEnds(t *testing.T) {
	k := testKeeper(t)
	if err := k.taking.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.check(over); !errors.Is(err, context.Canceled) {
		t.Errorf("check() of a caller that is gone = %v, want its own end", err)
	}
	if !k.step(over) {
		t.Error("step() after the end asks for another try")
	}
	k.taking.unlock()
}

// listening remembers the context of who listens to systemd.
type listening struct {
	listener
	ctx *context.Context
}

// listener is Changes by another name: its method shall not be hidden by the field's.
type listener interface{ Changes }

func (d listening) Changes(ctx context.Context) (<-chan []string, error) {
	*d.ctx = ctx
	return d.listener.Changes(ctx)
}

// TestFailedPartEndsListening: what a part's failure leaves behind would listen to systemd for
// as long as the process lives.
func TestFailedPartEndsListening(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		var ctx context.Context
		w.bend = func(d *Doors) { d.Changes = listening{d.Changes, &ctx} }
		w.step = func(string) error { return errStep }
		w.start()
		w.launch("web.service", "/bin/web")
		if err := <-w.ended; !errors.Is(err, errStep) {
			t.Fatalf("Run = %v, want the failed step", err)
		}
		w.ended <- nil // for stop
		if ctx.Err() == nil {
			t.Error("Run ended and still listens to systemd")
		}
	})
}

// looking counts how often the host's own folders were searched for a name.
type looking struct {
	UnitFiles
	n map[string]int
}

func (d looking) Elsewhere(name string) (string, bool) {
	d.n[name]++
	return d.UnitFiles.Elsewhere(name)
}

// TestHostsFoldersAreSearchedOnce: a pass looks into all of systemd's folders only for what is
// new, until the host's units may be others.
func TestHostsFoldersAreSearchedOnce(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		looked := looking{n: map[string]int{}}
		w.bend = func(d *Doors) { looked.UnitFiles = d.Files; d.Files = looked }
		w.start()
		w.settled(map[string]cluster.Placement{"web.service": w.launch("web.service", "/bin/web")})
		w.pass(time.Minute)
		before := looked.n["web.service"]
		for range 5 {
			w.settled(map[string]cluster.Placement{"other.service": w.launch("other.service", "/bin/other")})
			w.forget("other.service")
			if _, err := w.host.Restart(t.Context(), "web.service"); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Second)
		}
		if n := looked.n["web.service"] - before; n > 5 {
			t.Errorf("folders were searched for web.service %d times in passes that other units caused, want at most once for each change of the host's units", n)
		}
		w.host.AddHostUnit("late.service", "/usr/lib/systemd/system/late.service", "[Service]\nExecStart=/bin/late\n")
		w.launch("late.service", "/bin/mine")
		w.until("the refusal", func() bool { return w.statuses()["late.service"].Message != "" })
	})
}
