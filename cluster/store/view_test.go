package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

func testView(e *env) {
	lead := e.lead(e.s)
	orders := make([]cluster.Orders, 2500) // more than two pages
	for i := range orders {
		orders[i].Put = []cluster.Placed{place(host(1), name(i), int64(i)), place(host(2), name(i), 1)}
	}
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	e.noErr("Apply", errors.Join(errs...))
	e.put("to/"+string(host(1))+"/grant", "of a later flotilla")
	v, err := e.s.View(e.ctx, host(1))
	e.noErr("View", err)
	if len(v.Place) != 2500 || v.Place[name(2400)].Generation != 2400 || v.Accepted != nil {
		e.Errorf("View = got %d placements, accepted %v, want 2500 and nil", len(v.Place), v.Accepted)
	}
	_, err = e.s.AcceptStore(e.ctx, cluster.Acceptance{Old: "x"})
	e.noErr("AcceptStore", err)
	v, err = e.s.View(e.ctx, host(3))
	if err != nil || len(v.Place) != 0 || v.Accepted == nil || v.Accepted.Old != "x" {
		e.Errorf("View of an empty host = got %+v, %v, want nothing but the acceptance", v, err)
	}
	e.put("to/"+string(host(1))+"/place/x.service", `{"state":"dancing"}`)
	v, err = e.s.View(e.ctx, host(1))
	if err != nil || len(v.Place) != 2500 || len(v.Bad) != 1 || !strings.Contains(v.Bad["x.service"], "dancing") {
		e.Errorf("View with an unreadable placement = got %d placements, bad %v, %v, want the others and why not that one", len(v.Place), v.Bad, err)
	}
}

// followView runs FollowView and hands the views out.
func (e *env) followView(s *store.Store, h cluster.HostID) (views chan cluster.View, end chan error, stop func()) {
	ctx, cancel := context.WithCancel(e.ctx)
	views, end = make(chan cluster.View, 10_000), make(chan error, 1)
	go func() { end <- s.FollowView(ctx, h, func(v cluster.View) { views <- v }) }()
	e.Cleanup(cancel)
	return views, end, cancel
}

func (e *env) next(views chan cluster.View) cluster.View {
	e.Helper()
	select {
	case v := <-views:
		return v
	case <-e.ctx.Done():
		e.Fatalf("FollowView delivered nothing more")
		return cluster.View{}
	}
}

func testFollowViewWhole(e *env) {
	lead := e.lead(e.s)
	views, end, stop := e.followView(e.s, host(1))
	if v := e.next(views); len(v.Place) != 0 || v.Store.ID == "" {
		e.Errorf("first view = got %+v, want an empty one with the store's identity", v)
	}
	// Each orders sets all units of the host at once: no view may show a mixture.
	const width, times = 40, 30
	var written int64
	for g := range int64(times) {
		var o cluster.Orders
		for i := range width {
			o.Put = append(o.Put, place(host(1), name(i), g+1))
		}
		rev, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{o})
		e.noErr("Apply", errs[0])
		written = rev
	}
	for last := int64(0); last < times; {
		v := e.next(views)
		if last = wholeView(e.T, v, width); last == times && v.Revision < written {
			e.Errorf("view of the last orders = got revision %d, want at least %d", v.Revision, written)
		}
	}
	// The identity changes: the whole view is read again.
	id, _ := e.s.Pinned()
	id.Generation++
	raw, err := json.Marshal(id)
	e.noErr("encode", err)
	e.put("store", string(raw))
	for v := e.next(views); v.Store != id; v = e.next(views) {
		wholeView(e.T, v, width)
	}
	stop()
	e.wantErr("FollowView after its context ended", <-end, context.Canceled)
}

// wholeView demands that all units have one generation, and returns it.
func wholeView(t *testing.T, v cluster.View, width int) int64 {
	t.Helper()
	g := v.Place[name(0)].Generation
	if len(v.Place) != width {
		t.Errorf("view at %d = got %d placements, want %d", v.Revision, len(v.Place), width)
	}
	for u, p := range v.Place {
		if p.Generation != g {
			t.Errorf("view at %d = %s has generation %d and %s %d, want one", v.Revision, name(0), g, u, p.Generation)
		}
	}
	return g
}

func testFollowViewUnreadable(e *env) {
	views, end, _ := e.followView(e.s, host(1))
	e.next(views)
	e.put("to/"+string(host(1))+"/place/x.service", `{"state":"dancing"}`)
	if v := e.next(views); len(v.Bad) != 1 || len(v.Place) != 0 {
		e.Errorf("view with an unreadable placement = got %+v, want it named bad", v)
	}
	e.del("store")
	e.wantErr("FollowView of a wiped store", <-end, store.ErrNoStore)
	if len(views) != 0 {
		e.Errorf("FollowView delivered %+v from a wiped store", <-views)
	}
}

// A view of a host without new orders says how far the store has come.
func TestFollowViewSaysWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		e := newEnv(t, b)
		views, _, _ := e.followView(e.s, host(1))
		first := e.next(views)
		e.put("other", "x")
		e.put("other", "y")
		again := e.next(views)
		if first.Seen != 0 || again.Revision != first.Revision || again.Seen != first.Revision+2 {
			t.Errorf("views = %+v, then %+v, want the same again with Seen %d", first, again, first.Revision+2)
		}
	})
}

// An order of a newer leader concerns its unit alone, in a watch as well.
func TestFollowViewWithAnUnreadableOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		e := newEnv(t, b)
		views, _, _ := e.followView(e.s, host(1))
		e.next(views)
		key := "to/" + string(host(1)) + "/place/"
		for _, step := range []struct {
			unit, order string
			place, bad  int
		}{
			{"a.service", `{"state":"launched"}`, 1, 0},
			{"b.service", `{"state":"dancing"}`, 1, 1},
			{"a.service", `{"state":"dancing"}`, 0, 2},
			{"b.service", `{"state":"gone"}`, 1, 1},
			{"a.service", "", 1, 0},
		} {
			if step.order == "" {
				e.del(key + step.unit)
			} else {
				e.put(key+step.unit, step.order)
			}
			if v := e.next(views); len(v.Place) != step.place || len(v.Bad) != step.bad {
				t.Errorf("view after %s %q = %+v, want %d placements and %d bad", step.unit, step.order, v, step.place, step.bad)
			}
		}
	})
}

// On an unkind store, with a watch that breaks, dawdles and is compacted: views are whole,
// never go back, and reach the end.
func TestFollowViewUnkind(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { followViewUnkind(t, seed) })
		})
	}
}

func followViewUnkind(t *testing.T, seed uint64) {
	const width, times = 20, 200
	b := memory.New(memory.Options{Seed: seed})
	defer b.Close()
	e := newEnv(t, b.Observer())
	lead := e.lead(e.s)
	set := func(g int64) {
		var o cluster.Orders
		for i := range width {
			o.Put = append(o.Put, place(host(1), name(i), g))
		}
		_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{o})
		e.noErr("Apply", errs[0])
	}
	set(1)
	agent := store.New(b.Of("agent"), e.prefix, store.Options{})
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan struct{})
	var last, rev int64
	go func() {
		defer close(done)
		for ctx.Err() == nil && last < times {
			_ = agent.FollowView(ctx, host(1), func(v cluster.View) {
				last = wholeView(t, v, width)
				if v.Revision < rev {
					t.Errorf("view went back from revision %d to %d", rev, v.Revision)
				}
				if rev = v.Revision; last == times {
					cancel()
				}
			})
			pauseFor(ctx, 50*time.Millisecond)
		}
	}()
	for g := range int64(times) {
		pauseFor(ctx, time.Duration(g%7)*5*time.Millisecond)
		set(g + 1)
	}
	select {
	case <-done:
	case <-e.ctx.Done():
		t.Errorf("FollowView reached generation %d, want %d", last, times)
	}
	cancel()
	<-done
}
