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
	"flotilla/units"

	"github.com/google/go-cmp/cmp"
)

func kind() memory.Options { return memory.Options{Kind: true} }

func TestLaunchReportsAndGone(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		st := w.statuses()["web.service"]
		if st.Blob != p.Blob || st.DropIn == "" || st.Invocation == "" || st.Boot != w.host.BootID() || st.Message != "" {
			t.Errorf("status = %+v, want what runs", st)
		}
		gone := p
		gone.State = cluster.Gone
		gone = w.order("web.service", gone)
		w.settled(map[string]cluster.Placement{"web.service": gone})
		if st := w.statuses()["web.service"]; !st.Acknowledged(gone) {
			t.Errorf("status = %+v, want the tombstone acknowledged", st)
		}
		if n := len(w.invocations()); n != 0 {
			t.Errorf("%d units run, want none", n)
		}
		w.forget("web.service")
		w.until("the status key to go", func() bool { return len(w.statuses()) == 0 })
	})
}

func TestLoadedStopsWhatWasLaunched(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		p.State = cluster.Loaded
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		if n := len(w.invocations()); n != 0 {
			t.Errorf("%d units run, want none", n)
		}
		p.State = cluster.Launched
		p.Run = 2
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
	})
}

func TestRestartHappensOnce(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		p.Restart = 1
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.stop()
		w.start()
		w.pass(2 * time.Minute)
		if n := w.count("start", "web.service"); n != 2 {
			t.Errorf("web.service was started %d times, want 2", n)
		}
	})
}

func TestChangedContentAloneRestartsNothing(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before := w.invocations()
		p.Blob = w.blob("[Service]\nExecStart=/bin/web --new\n")
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.same(before)
		if st := w.statuses()["web.service"]; st.Blob != p.Blob {
			t.Errorf("blob = %s, want %s", st.Blob, p.Blob)
		}
	})
}

func TestStoreAwayTouchesNothing(t *testing.T) {
	inWorld(t, memory.Options{Seed: 3}, fake.Options{}, func(w *world) {
		w.start()
		orders := map[string]cluster.Placement{}
		for i := range 5 {
			n := fmt.Sprintf("u%d.service", i)
			orders[n] = w.launch(n, "/bin/web")
		}
		w.settled(orders)
		before, starts := w.invocations(), w.count("start", "")
		w.mem.Down(true)
		w.pass(10 * time.Minute)
		if w.agent.State().Away.IsZero() {
			t.Error("the agent does not know that the store is away")
		}
		w.stop() // an upgrade meanwhile
		w.start()
		w.pass(5 * time.Minute)
		w.same(before)
		w.mem.Down(false)
		w.pass(3 * time.Minute)
		w.same(before)
		if n := w.count("start", ""); n != starts {
			t.Errorf("%d starts, want %d", n, starts)
		}
		if w.alive() == 0 {
			t.Error("the host is not alive again")
		}
	})
}

func TestWipedStoreFreezes(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("initialised again %v", again), func(t *testing.T) {
			inWorld(t, kind(), fake.Options{}, func(w *world) {
				w.start()
				p := w.launch("web.service", "/bin/web")
				w.settled(map[string]cluster.Placement{"web.service": p})
				before := w.invocations()
				old := w.agent.State().Store.ID
				w.mem.Wipe()
				if again {
					user := store.New(w.judge, "", store.Options{})
					if _, err := user.Init(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.user = user
				}
				gone := p
				gone.State = cluster.Gone
				w.order("web.service", gone)
				w.until("the agent to freeze", func() bool { return w.agent.State().Frozen != "" })
				w.pass(5 * time.Minute)
				w.stop()
				w.start()
				w.pass(5 * time.Minute)
				w.same(before)
				if w.alive() != 0 || w.agent.State().Frozen == "" {
					t.Error("the agent follows a store that it does not know")
				}
				if !again {
					return
				}
				w.forget("web.service")
				w.put("accepted", cluster.Acceptance{ID: "one", Old: old, By: cluster.Note{Who: "op", When: time.Now()}})
				w.until("the unit to be an orphan", func() bool { return w.statuses()["web.service"].Orphan })
				w.same(before)
				p = w.launch("web.service", "/bin/web") // adopted without a restart
				w.settled(map[string]cluster.Placement{"web.service": p})
				w.same(before)
			})
		})
	}
}

func TestVanishedOrderKeepsTheUnit(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before := w.invocations()
		w.forget("web.service")
		w.until("the orphan to be told", func() bool { return w.statuses()["web.service"].Orphan })
		w.stop()
		w.start()
		w.pass(2 * time.Minute)
		w.same(before)
	})
}

func TestSlowStopDelaysNobody(t *testing.T) {
	slow := func(name string) (fake.Behaviour, bool) {
		return fake.Behaviour{Stop: 80 * time.Second}, name == "slow.service"
	}
	inWorld(t, kind(), fake.Options{Behave: slow}, func(w *world) {
		w.start()
		p := w.launch("slow.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"slow.service": p})
		p.State = cluster.Gone
		p = w.order("slow.service", p)
		fast := map[string]cluster.Placement{"fast.service": w.launch("fast.service", "/bin/web")}
		begun := time.Now()
		w.settled(fast)
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("fast.service took %s beside a slow stop", d)
		}
		if w.count("stop", "slow.service") != 1 {
			t.Error("slow.service is not stopping")
		}
		w.settled(map[string]cluster.Placement{"slow.service": p})
	})
}

func TestHostsOwnNameIsRefused(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.host.AddHostUnit("ssh.service", "/usr/lib/systemd/system/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd\n")
		if _, err := w.host.Start(t.Context(), "ssh.service"); err != nil {
			t.Fatal(err)
		}
		w.start()
		before := w.invocations()
		p := w.launch("ssh.service", "/bin/mine")
		w.until("the refusal", func() bool {
			st := w.statuses()["ssh.service"]
			return st.Refused && st.Message == "name belongs to the host: /usr/lib/systemd/system/ssh.service" && st.Generation == p.Generation && !st.State.Running()
		})
		p.State = cluster.Gone
		p = w.order("ssh.service", p)
		w.settled(map[string]cluster.Placement{"ssh.service": p})
		w.same(before)
	})
}

func TestReturningHostStopsWhatMovedFirst(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		old := w.launch("moved.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"moved.service": old})
		w.stop()
		old.State = cluster.Gone
		old = w.order("moved.service", old)
		fresh := w.launch("fresh.service", "/bin/web")
		w.start()
		w.settled(map[string]cluster.Placement{"moved.service": old, "fresh.service": fresh})
		var order []string
		for _, e := range w.host.Events() {
			if e.Op == "stop" && e.Unit == "moved.service" || e.Op == "start" && e.Unit == "fresh.service" {
				order = append(order, e.Op+" "+e.Unit)
			}
		}
		if diff := cmp.Diff([]string{"stop moved.service", "start fresh.service"}, order); diff != "" {
			t.Errorf("order of events (-want +got):\n%s", diff)
		}
	})
}

func TestFailedUnitSaysWhyWithItsLastLines(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		w.launch("bad.service", "/bin/false")
		w.until("the failure to be told", func() bool {
			st := w.statuses()["bad.service"]
			return st.State.Failed() && st.Message == "exit status 1" && len(st.Tail) > 0 && st.Generation > 0
		})
		starts := w.count("start", "bad.service")
		w.pass(5 * time.Minute)
		if n := w.count("start", "bad.service"); n != starts {
			t.Errorf("the agent started a failed unit again: %d starts, then %d", starts, n)
		}
	})
}

func TestMissingContentHoldsBackOnlyItsUnit(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		hash := strings.Repeat("ab", 32)
		w.order("lost.service", cluster.Placement{State: cluster.Launched, Blob: units.Hash(hash), Run: 1})
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.until("the reason", func() bool {
			return strings.Contains(w.statuses()["lost.service"].Message, "waiting for the unit file's content")
		})
	})
}

func TestBootWithoutStore(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		orders := map[string]cluster.Placement{"web.service": w.launch("web.service", "/bin/web")}
		once := w.order("once.service", cluster.Placement{State: cluster.Launched, Run: 1, Blob: w.blob("[Service]\nType=oneshot\nExecStart=/bin/true\n")})
		fenced := w.order("single.service", cluster.Placement{State: cluster.Launched, Run: 1, Fence: true, Blob: w.blob("[Service]\nExecStart=/bin/web\n")})
		orders["single.service"] = fenced
		w.settled(orders)
		w.until("the one-shot to be done", func() bool { return w.statuses()["once.service"].Generation == once.Generation })
		w.stop()
		w.mem.Down(true)
		w.host.Reboot()
		w.start()
		w.pass(49 * time.Second)
		if n := len(w.invocations()); n != 0 {
			t.Errorf("%d units run before the grace period ended", n)
		}
		w.pass(10 * time.Second)
		if got := w.invocations(); len(got) != 1 || got["web.service"] == "" {
			t.Errorf("running = %v, want web.service alone", got)
		}
		if st := w.agent.Statuses(); st["once.service"].Message == "" || st["single.service"].Message == "" {
			t.Errorf("statuses = %+v, want reasons", st)
		}
		before := w.invocations()
		w.mem.Down(false)
		w.settled(orders)
		if now := w.invocations(); now["web.service"] != before["web.service"] {
			t.Error("web.service was restarted when the store came back")
		}
	})
}

func TestDamagedFilesStopNothing(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before := w.invocations()
		w.stop()
		run := filepath.Join(w.dir, "one", "run-"+w.host.BootID())
		for _, f := range []string{
			filepath.Join(w.dir, "one", "lib", "view.json"), filepath.Join(w.dir, "one", "lib", "blob", string(p.Blob)),
			filepath.Join(run, "lease.json"), filepath.Join(run, "applied", "web.service"), filepath.Join(run, "fence.json"),
		} {
			if err := os.WriteFile(f, []byte("{broken"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.start()
		if w.agent.State().Problem == "" {
			t.Error("damaged files are not told")
		}
		w.pass(2 * time.Minute)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.same(before)
	})
}

func TestNewUnitsNeedNoReloadWhereSystemdNoticesThem(t *testing.T) {
	for _, notices := range []bool{false, true} {
		t.Run(fmt.Sprint(notices), func(t *testing.T) {
			inWorld(t, kind(), fake.Options{Notices: notices}, func(w *world) {
				w.start()
				first := w.launch("first.service", "/bin/a") // an agent's first pass always reloads
				w.settled(map[string]cluster.Placement{"first.service": first})
				before := w.count("reload", "")
				p := w.launch("web.service", "/bin/web")
				w.settled(map[string]cluster.Placement{"web.service": p})
				want := 1
				if notices {
					want = 0
				}
				if n := w.count("reload", "") - before; n != want {
					t.Errorf("%d reloads for a new unit, want %d", n, want)
				}
				u, err := w.host.Units(t.Context(), []string{"web.service"})
				if err != nil || len(u[0].DropInPaths) != 1 || u[0].NeedDaemonReload {
					t.Errorf("Units = %+v, %v, want our drop-in read", u, err)
				}
				p.Blob = w.blob("[Service]\nExecStart=/bin/new\n")
				p = w.order("web.service", p)
				w.until("the new file to be reported", func() bool { return w.statuses()["web.service"].Blob == p.Blob })
				if n := w.count("reload", "") - before; n != want+1 {
					t.Errorf("%d reloads after a change, want %d: systemd does not read a known unit again by itself", n, want+1)
				}
			})
		})
	}
}

// setBack does what an operator does with an old backup: the store is emptied and gets keys
// of before, in a new history. Announcements and statuses then raise its revision.
func (w *world) setBack(keys []store.KeyValue) {
	w.t.Helper()
	w.mem.Wipe()
	var t store.Txn
	for _, kv := range keys {
		if kv.Lease == 0 {
			t.Then = append(t.Then, store.Op{Key: kv.Key, Value: kv.Value})
		}
	}
	if _, err := w.judge.Txn(w.t.Context(), t); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) backup() []store.KeyValue {
	w.t.Helper()
	r, err := w.judge.Range(w.t.Context(), store.Prefix("/flotilla/"))
	if err != nil {
		w.t.Fatal(err)
	}
	return r.KVs
}

func TestSetBackStoreIsFollowedOnlyOnceAccepted(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		gone := w.launch("moved.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"moved.service": gone})
		kept := w.backup() // moved.service is launched here
		gone.State = cluster.Gone
		gone = w.order("moved.service", gone)
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"moved.service": gone, "web.service": web})
		before, old := w.invocations(), w.agent.State().Store.ID
		w.setBack(kept)
		// Not only at the moment when the store was empty.
		w.until("the agent to see that it went back", func() bool { return strings.Contains(w.agent.State().Frozen, "went back") })
		for range 200 { // the restored store grows past what was seen
			w.put("other", "x")
		}
		w.pass(5 * time.Minute)
		w.stop()
		w.start()
		if w.agent.State().Frozen == "" {
			t.Error("a restarted agent forgot that the store went back")
		}
		w.pass(5 * time.Minute)
		w.same(before)
		if w.alive() != 0 || w.agent.State().Frozen == "" {
			t.Errorf("state = %+v, want frozen until somebody accepts the store", w.agent.State())
		}
		w.put("accepted", cluster.Acceptance{ID: "one", Old: old, By: cluster.Note{Who: "op", When: time.Now()}})
		w.until("the store to be followed", func() bool { return w.agent.State().Frozen == "" && w.invocations()["moved.service"] != "" })
		if now := w.invocations(); now["web.service"] != before["web.service"] {
			t.Error("web.service was touched")
		}
	})
}

// Between two looks of a frozen host its emptied store may be restored and grow past all that the
// host saw: the look at the empty store must have been enough.
func TestEmptiedAndRestoredStoreStaysFrozen(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", restarted), func(t *testing.T) {
			inWorld(t, kind(), fake.Options{}, func(w *world) {
				w.start()
				moved := w.launch("moved.service", "/bin/web")
				w.settled(map[string]cluster.Placement{"moved.service": moved})
				kept := w.backup() // moved.service is launched here
				moved.State = cluster.Gone
				moved = w.order("moved.service", moved)
				w.settled(map[string]cluster.Placement{"moved.service": moved})
				w.mem.Wipe()
				w.put("other", "x")
				w.until("the agent to see the empty store", func() bool { return strings.Contains(w.agent.State().Frozen, "no identity") })
				if restarted {
					w.stop()
				}
				w.setBack(kept)
				for range 200 {
					w.put("other", "x")
				}
				if restarted {
					w.start()
				}
				w.until("the agent to see that the store is back", func() bool { return strings.Contains(w.agent.State().Frozen, "may have been set back") })
				w.pass(5 * time.Minute)
				if got := w.invocations(); len(got) > 0 {
					t.Errorf("%v runs: an order was carried out that was taken back", got)
				}
				w.put("accepted", cluster.Acceptance{ID: "one", Old: w.agent.State().Store.ID, By: cluster.Note{Who: "op", When: time.Now()}})
				w.until("the store to be followed", func() bool { return w.agent.State().Frozen == "" && w.invocations()["moved.service"] != "" })
			})
		})
	}
}

// A host that had no orders for days notices a backup that is younger than its last one.
func TestIdleHostNoticesABackup(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", restarted), func(t *testing.T) {
			inWorld(t, kind(), fake.Options{}, func(w *world) {
				w.start()
				web := w.launch("web.service", "/bin/web")
				w.settled(map[string]cluster.Placement{"web.service": web})
				w.pass(time.Minute)
				for range 100 {
					w.put("other", "x")
				}
				kept := w.backup()
				for range 100 {
					w.put("other", "x")
				}
				w.pass(15 * time.Minute)
				if restarted {
					w.stop()
				}
				w.setBack(kept)
				for range 120 { // past the host's last order, before what it saw
					w.put("other", "x")
				}
				if restarted {
					w.start()
				}
				w.until("the agent to freeze", func() bool { return strings.Contains(w.agent.State().Frozen, "went back") })
			})
		})
	}
}

// A newer leader may know orders that this agent does not: their units are left as they
// are, and the others' orders are obeyed.
func TestUnreadableOrderHoldsBackOnlyItsUnit(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		odd := w.launch("odd.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"odd.service": odd})
		before := w.invocations()
		for _, unit := range []string{"odd.service", "new.service"} {
			w.put("to/"+string(hostID)+"/place/"+unit, []byte(`{"generation":99,"state":"dancing"}`))
		}
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": web})
		w.stop()
		w.start()
		w.pass(time.Minute)
		for _, unit := range []cluster.Unit{"odd.service", "new.service"} {
			if st := w.statuses()[unit]; !strings.Contains(st.Message, "cannot be read") || st.Orphan {
				t.Errorf("status of %s = %+v, want why it is left alone", unit, st)
			}
		}
		if st := w.statuses()["odd.service"]; st.Generation != odd.Generation || !st.State.Running() {
			t.Errorf("status = %+v, want it as it was ordered before", st)
		}
		now := w.invocations()
		if now["odd.service"] != before["odd.service"] || len(now) != 2 {
			t.Errorf("running = %v, want odd.service untouched and web.service", now)
		}
		odd.Restart++
		odd = w.order("odd.service", odd)
		w.forget("new.service")
		w.settled(map[string]cluster.Placement{"odd.service": odd, "web.service": web})
		if n := w.count("start", "odd.service"); n != 2 {
			t.Errorf("odd.service was started %d times, want 2", n)
		}
	})
}

// hung is a systemd that answers nothing while it is on.
type hung struct {
	Systemd
	on *atomic.Bool
}

func (d hung) Units(ctx context.Context, names []cluster.Unit) (map[cluster.Unit]Observed, error) {
	if d.on.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.Systemd.Units(ctx, names)
}

func TestHungSystemdIsTold(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		var on atomic.Bool
		w.bend = func(d *Doors) { d.Systemd = hung{d.Systemd, &on} }
		w.start()
		web := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": web})
		before := w.invocations()
		on.Store(true)
		late := w.launch("late.service", "/bin/web")
		w.until("the problem to be told", func() bool { return strings.Contains(w.agent.State().Problem, "systemd does not answer") })
		on.Store(false)
		w.settled(map[string]cluster.Placement{"late.service": late})
		if st := w.agent.State(); st.Problem != "" {
			t.Errorf("problem = %q after systemd answered, want none", st.Problem)
		}
		if now := w.invocations(); now["web.service"] != before["web.service"] {
			t.Error("web.service was touched")
		}
	})
}

// TestRefusedStartSaysSo: systemd does not start a timer whose unit is missing, and the timer never fails.
func TestRefusedStartSaysSo(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.order("lone.timer", cluster.Placement{State: cluster.Launched, Run: 1, Blob: w.blob("[Timer]\nOnActiveSec=1h\n")})
		w.until("the refusal", func() bool {
			st := w.statuses()["lone.timer"]
			return st.Refused && st.Generation == p.Generation && strings.Contains(st.Message, "systemd refuses to start it") &&
				len(st.Tail) == 1 && strings.Contains(st.Tail[0], "unit lone.service to trigger not loaded")
		})
		w.launch("lone.service", "/bin/lone")
		p.Run++
		w.order("lone.timer", p)
		w.until("the timer to wait", func() bool {
			st := w.statuses()["lone.timer"]
			return st.State.Running() && !st.Refused && st.Message == "" && len(st.Tail) == 0
		})
	})
}
