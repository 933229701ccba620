package agent

import (
	"slices"
	"strings"
	"testing"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/units"

	"github.com/google/go-cmp/cmp"
)

// bundle puts drop-ins into the store; names and contents alternate.
func (w *world) bundle(pairs ...string) units.Hash {
	w.t.Helper()
	var d units.DropIns
	for pair := range slices.Chunk(pairs, 2) {
		d = append(d, units.DropIn{Name: pair[0], Raw: []byte(pair[1])})
	}
	raw, err := d.Bundle()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.blob(string(raw))
}

// others are the user's drop-ins of a unit on the host.
func (w *world) others(name string) map[string]string {
	w.t.Helper()
	entries, err := w.host.Dir().List()
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if e.Name != name {
			continue
		}
		for _, d := range e.Others {
			out[d.Name] = string(d.Raw)
		}
	}
	return out
}

func (w *world) wantOthers(name string, want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.others(name)); diff != "" {
		w.t.Errorf("drop-ins of %s differ (-want +got):\n%s", name, diff)
	}
}

const (
	memoryConf = "[Service]\nMemoryMax=1G\n"
	envConf    = "[Service]\nEnvironment=A=1\n"
)

func TestDropInsComeAndGo(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		p.DropIns = w.bundle("10-memory.conf", memoryConf, "20-env.conf", envConf)
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.wantOthers("web.service", map[string]string{"10-memory.conf": memoryConf, "20-env.conf": envConf})
		if st := w.statuses()["web.service"]; st.DropIns != p.DropIns {
			t.Errorf("status has drop-ins %q, want %q", st.DropIns.Short(), p.DropIns.Short())
		}
		before := w.invocations()
		w.host.Dir().PutForeign("web.service.d/99-hand.conf", []byte("[Service]\n"))

		p.DropIns = w.bundle("20-env.conf", memoryConf, "30-new.conf", envConf)
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.wantOthers("web.service", map[string]string{"20-env.conf": memoryConf, "30-new.conf": envConf})
		w.same(before) // content alone restarts nothing
		p.Restart = 1
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		if n := w.count("start", "web.service"); n != 2 {
			t.Errorf("web.service was started %d times, want 2", n)
		}

		p.DropIns = ""
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.wantOthers("web.service", map[string]string{})
		u, err := w.host.Units(t.Context(), []string{"web.service"})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"/run/systemd/system/web.service.d/50-flotilla.conf", "/run/systemd/system/web.service.d/99-hand.conf"}
		if diff := cmp.Diff(want, u[0].DropInPaths); diff != "" {
			t.Errorf("drop-ins that systemd reads differ (-want +got):\n%s", diff)
		}
	})
}

// TestDropInsWithoutAStore: what was ordered is on disk, and comes back after a boot.
func TestDropInsWithoutAStore(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		p.DropIns = w.bundle("10-memory.conf", memoryConf)
		p = w.order("web.service", p)
		w.settled(map[string]cluster.Placement{"web.service": p})
		w.stop()
		w.mem.Close() // etcd is gone for good
		w.host.Boot()
		w.start()
		w.until("the unit to run again", func() bool { return len(w.invocations()) == 1 })
		w.wantOthers("web.service", map[string]string{"10-memory.conf": memoryConf})
	})
}

func TestDropInsThatCannotBeWritten(t *testing.T) {
	inWorld(t, kind(), fake.Options{}, func(w *world) {
		w.start()
		p := w.launch("web.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"web.service": p})
		before := w.invocations()
		w.host.Dir().PutForeign("web.service.d/10-memory.conf", []byte("[Service]\n"))
		p.DropIns = w.bundle("10-memory.conf", memoryConf)
		w.order("web.service", p)
		w.until("the reason", func() bool {
			return strings.Contains(w.statuses()["web.service"].Message, systemd.ErrNotOurs.Error())
		})
		w.same(before)
		p.DropIns = w.blob(`[{"raw":"","name":"10-memory.conf"}]`)
		w.order("web.service", p)
		w.until("the reason", func() bool {
			return strings.Contains(w.statuses()["web.service"].Message, "not in the form")
		})
		p.DropIns = units.HashOf([]byte("nowhere"))
		w.order("web.service", p)
		w.until("the reason", func() bool {
			return strings.Contains(w.statuses()["web.service"].Message, "and its drop-ins")
		})
		w.same(before)
	})
}

// TestDeathAmongDropIns: whichever step the agent dies before, the next one ends with exactly the ordered
// drop-ins, and starts each unit as often as it was ordered, after all of them were written.
func TestDeathAmongDropIns(t *testing.T) {
	for k, all := 0, false; !all; k++ {
		inWorld(t, kind(), fake.Options{}, func(w *world) {
			old := w.launch("old.service", "/bin/web")
			old.DropIns = w.bundle("10-a.conf", memoryConf, "20-b.conf", envConf, "30-c.conf", envConf)
			old = w.order("old.service", old)
			w.start()
			w.settled(map[string]cluster.Placement{"old.service": old})
			w.stop()
			old.DropIns, old.Restart = w.bundle("20-b.conf", memoryConf, "40-d.conf", envConf), 1
			old = w.order("old.service", old)
			fresh := w.launch("new.service", "/bin/web")
			fresh.DropIns = w.bundle("10-a.conf", memoryConf, "20-b.conf", envConf)
			fresh = w.order("new.service", fresh)
			all = !w.runUntilDeath(k)
			fresh.DropIns = w.bundle("20-b.conf", envConf) // what the death left of the first must not stay
			fresh = w.order("new.service", fresh)
			w.start()
			w.settled(map[string]cluster.Placement{"old.service": old, "new.service": fresh})
			w.wantOthers("old.service", map[string]string{"20-b.conf": memoryConf, "40-d.conf": envConf})
			w.wantOthers("new.service", map[string]string{"20-b.conf": envConf})
			for name, want := range map[string]int{"old.service": 2, "new.service": 1} {
				if got := w.count("start", name); got != want {
					t.Errorf("death at step %d: %s was started %d times, want %d", k, name, got, want)
				}
			}
			u, err := w.host.Units(t.Context(), []string{"old.service", "new.service"})
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range u {
				if u.NeedDaemonReload {
					t.Errorf("death at step %d: systemd has not read all of %s", k, u.Name)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}
