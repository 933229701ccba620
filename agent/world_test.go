package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

const hostID cluster.HostID = "0123456789abcdef0123456789abcdef"

// world is one store and one host with its agent, inside a synctest bubble.
type world struct {
	t      *testing.T
	mem    *memory.Store
	judge  store.Backend // above all faults
	user   *store.Store
	host   *fake.Host
	dir    string
	number int

	agent  *Agent
	cancel context.CancelFunc
	ended  chan error
	step   func(string) error
	bend   func(*Doors)  // a test's way to faulty doors
	down   <-chan string // kinds of shutdown that took the host down
}

// inWorld runs a test in a world whose store is initialised.
func inWorld(t *testing.T, mem memory.Options, host fake.Options, f func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, mem: memory.New(mem), dir: dir, host: fake.New(host)}
		defer w.mem.Close()
		w.judge = w.mem.Observer()
		w.user = store.New(w.judge, "", store.Options{})
		if _, err := w.user.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		f(w)
	})
}

func (w *world) newAgent(run string, host *fake.Host, client string) *Agent {
	w.t.Helper()
	s := store.New(w.mem.Of(client), "", store.Options{})
	doors := Doors{
		Systemd: systemdDoor{host}, Changes: host, Timers: host, Killer: killerDoor{host}, Files: filesDoor{host.Dir()}, Journal: journalDoor{host}, Images: systemd.NewImages(host, host, host),
		Clock: clockDoor{host}, Views: s, Presence: s, Reporter: s,
		Logind: logindDoor{host.Logind()}, Machine: host, Grants: s,
	}
	soft, err := host.SoftReboots(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.bend != nil {
		w.bend(&doors)
	}
	a, err := New(doors, Options{
		Host: hostID, Info: cluster.HostInfo{Boot: host.BootID(), Name: client, Address: client + ":7117", Version: "1.0.0", Reboot: &cluster.RebootReport{Soft: soft}},
		StateDir: filepath.Join(w.dir, client, "lib"), RunDir: filepath.Join(w.dir, client, run), Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// start runs an agent; RunDir is that of the present boot.
func (w *world) start() {
	w.t.Helper()
	w.number++
	w.agent = w.newAgent("run-"+w.host.BootID(), w.host, "one")
	if w.step != nil {
		w.agent.step = w.step
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel, w.ended = cancel, make(chan error, 1)
	go func(a *Agent, ended chan error) { ended <- a.Run(ctx) }(w.agent, w.ended)
}

// stop ends the agent, as SIGTERM does.
func (w *world) stop() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	if err := <-w.ended; err != nil && !errors.Is(err, errStep) {
		w.t.Errorf("Run = %v", err)
	}
	w.cancel = nil
}

func (w *world) put(key string, v any) int64 {
	w.t.Helper()
	raw, ok := v.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			w.t.Fatal(err)
		}
	}
	r, err := w.judge.Txn(w.t.Context(), store.Txn{Then: []store.Op{{Key: "/flotilla/" + key, Value: raw}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Revision
}

func (w *world) delete(key string) {
	w.t.Helper()
	if _, err := w.judge.Txn(w.t.Context(), store.Txn{Then: []store.Op{{Key: "/flotilla/" + key, Delete: true}}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) blob(content string) units.Hash {
	h := units.HashOf([]byte(content))
	w.put("blob/"+string(h), []byte(content))
	return h
}

// order writes a placement; its generation is the number of the order.
func (w *world) order(name string, p cluster.Placement) cluster.Placement {
	w.number++
	p.Generation, p.Reason = int64(w.number), "ordered"
	w.put("to/"+string(hostID)+"/place/"+name, p)
	return p
}

func (w *world) launch(name, exec string) cluster.Placement {
	return w.order(name, cluster.Placement{State: cluster.Launched, Blob: w.blob("[Service]\nExecStart=" + exec + "\n"), Run: 1})
}

func (w *world) forget(name string) { w.delete("to/" + string(hostID) + "/place/" + name) }

// statuses is what the store has of the host.
func (w *world) statuses() map[cluster.Unit]cluster.Status {
	w.t.Helper()
	_, all, err := w.user.Reported(w.t.Context(), hostID)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) alive() (rev int64) {
	r, err := w.judge.Range(w.t.Context(), store.Range{Key: "/flotilla/alive/" + string(hostID)})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(r.KVs) == 0 {
		return 0
	}
	return r.KVs[0].CreateRev
}

// invocations of all units that run, our own left out.
func (w *world) invocations() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, n := range w.host.Running() {
		if strings.HasPrefix(n, "flotilla-") {
			continue
		}
		u, err := w.host.Units(w.t.Context(), []string{n})
		if err != nil {
			w.t.Fatal(err)
		}
		out[n] = u[0].InvocationID
	}
	return out
}

// until waits in the bubble's time.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 3000 {
		synctest.Wait()
		if ok() {
			return
		}
		w.pass(100 * time.Millisecond)
	}
	w.t.Fatalf("waited five minutes for %s\nstate: %+v\nstatuses: %+v\nrunning: %v", what, w.agent.State(), w.agent.Statuses(), w.host.Running())
}

// pass lets the bubble's time go on.
func (w *world) pass(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
	synctest.Wait()
}

// settled waits until the store knows that every order was obeyed.
func (w *world) settled(orders map[string]cluster.Placement) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d orders to be obeyed", len(orders)), func() bool {
		has := w.statuses()
		for n, p := range orders {
			st, ok := has[cluster.Unit(n)]
			if !ok || st.Generation != p.Generation || st.Order != p.State || p.State == cluster.Launched && !st.State.Running() {
				return false
			}
		}
		return true
	})
}

// count is how often something happened to a unit.
func (w *world) count(op, unit string) int {
	n := 0
	for _, e := range w.host.Events() {
		if e.Op == op && (unit == "" && !isFenceUnit(cluster.Unit(e.Unit)) || e.Unit == unit) {
			n++
		}
	}
	return n
}

// same fails unless all that ran before still runs, the same.
func (w *world) same(before map[string]string) {
	w.t.Helper()
	if now := w.invocations(); !maps.Equal(before, now) {
		w.t.Errorf("running units = %v, want %v", now, before)
	}
}
