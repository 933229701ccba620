package agent

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store/memory"
)

// dieAt makes the next agent end before its k-th step. The returned function says
// whether it did.
func (w *world) dieAt(k int) (died func() bool) {
	n := 0
	hit := make(chan struct{})
	w.step = func(string) error {
		n++
		if n == k+1 {
			close(hit)
		}
		if n > k {
			return errStep
		}
		return nil
	}
	return func() bool {
		select {
		case <-hit:
			return true
		default:
			return false
		}
	}
}

// runUntilDeath runs an agent that ends before its k-th step, and says whether it came so far. It is
// stopped either way, and the next one lives.
func (w *world) runUntilDeath(k int) bool {
	died := w.dieAt(k)
	w.start()
	for range 100 {
		if died() {
			break
		}
		w.pass(50 * time.Millisecond)
	}
	dead := died()
	w.stop()
	w.step = nil
	return dead
}

// deathOrders puts 20 units on the host, and then asks for one of everything.
func deathOrders(w *world) (orders map[string]cluster.Placement, kept map[string]string) {
	orders = map[string]cluster.Placement{}
	for i := range 10 {
		n := fmt.Sprintf("old%d.service", i)
		orders[n] = w.launch(n, "/bin/web")
	}
	w.start()
	w.settled(orders)
	kept = w.invocations()
	w.stop()
	for i := range 10 {
		n := fmt.Sprintf("new%d.service", i)
		orders[n] = w.launch(n, "/bin/web")
	}
	change := func(name string, f func(*cluster.Placement)) {
		p := orders[name]
		f(&p)
		orders[name] = w.order(name, p)
	}
	change("old0.service", func(p *cluster.Placement) { p.State = cluster.Gone })
	change("old1.service", func(p *cluster.Placement) { p.State = cluster.Gone })
	change("old2.service", func(p *cluster.Placement) { p.State = cluster.Loaded })
	change("old3.service", func(p *cluster.Placement) { p.Restart = 1 })
	change("old4.service", func(p *cluster.Placement) { p.Restart, p.Blob = 1, w.blob("[Service]\nExecStart=/bin/other\n") })
	change("old5.service", func(p *cluster.Placement) { p.Blob = w.blob("[Service]\nExecStart=/bin/other\n") })
	for _, n := range []string{"old0.service", "old1.service", "old2.service", "old3.service", "old4.service"} {
		delete(kept, n)
	}
	return orders, kept
}

func TestDeathBetweenAnyTwoSteps(t *testing.T) {
	for k, all := 0, false; !all; k++ {
		inWorld(t, kind(), fake.Options{}, func(w *world) {
			orders, kept := deathOrders(w)
			all = !w.runUntilDeath(k)
			w.start()
			w.settled(orders)
			w.pass(10 * time.Second)
			now := w.invocations()
			for n, id := range kept {
				if now[n] != id {
					t.Errorf("death at step %d: %s has invocation %s, had %s", k, n, now[n], id)
				}
			}
			for n, p := range orders {
				want := 1 + int(p.Restart)
				if got := w.count("start", n); got != want {
					t.Errorf("death at step %d: %s was started %d times, want %d", k, n, got, want)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}

// TestRandomOrdersUnderAnUnkindStore lets orders, deaths, boots and outages come as they
// like. In the end everything is as ordered, and nothing was stopped unasked.
func TestRandomOrdersUnderAnUnkindStore(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			host := fake.Options{Seed: seed, StartTime: fake.Range{To: 2 * time.Second}, StopTime: fake.Range{To: 3 * time.Second}, ReloadTime: fake.Range{To: 200 * time.Millisecond}}
			inWorld(t, memory.Options{Seed: seed}, host, func(w *world) { randomOrders(w, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func randomOrders(w *world, r *rand.Rand) {
	orders := map[string]cluster.Placement{}
	w.start()
	for range 60 {
		n := fmt.Sprintf("u%d.service", r.IntN(6))
		switch r.IntN(14) {
		case 0:
			w.stop()
			w.start()
		case 1:
			w.dieAt(r.IntN(10))
			w.stop()
			w.start()
			w.pass(time.Second)
			w.step = nil
			w.stop()
			w.start()
		case 2:
			w.mem.Partition("one", memory.CutAll)
		case 3, 4:
			w.mem.Partition("one", memory.CutNone)
		case 5:
			w.mem.LeaderChange()
		case 6:
			p, ok := orders[n]
			if ok {
				p.State = cluster.Gone
				orders[n] = w.order(n, p)
			}
		case 7:
			p, ok := orders[n]
			if ok && p.State == cluster.Launched {
				p.Restart++
				orders[n] = w.order(n, p)
			}
		default:
			p := orders[n]
			p.State, p.Blob = cluster.Launched, w.blob(fmt.Sprintf("[Service]\nExecStart=/bin/web %d\n", r.IntN(2)))
			p.Run++
			orders[n] = w.order(n, p)
		}
		w.pass(time.Duration(r.IntN(8000)) * time.Millisecond)
	}
	w.mem.Partition("one", memory.CutNone)
	w.settled(orders)
	for _, e := range w.host.Events() {
		if e.Op != "stop" || isFenceUnit(cluster.Unit(e.Unit)) {
			continue
		}
		if p := orders[e.Unit]; p.State == 0 {
			w.t.Errorf("%s was stopped and never ordered", e.Unit)
		}
	}
}
