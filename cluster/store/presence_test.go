package store_test

import (
	"context"
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

func testAnnounce(e *env) {
	a := cluster.Alive{Nonce: "n1", Boot: "b1", Address: "old:1"}
	l, err := e.s.Announce(e.ctx, host(1), a, store.Lease{})
	e.noErr("Announce", err)
	if ttl, err := e.s.Renew(e.ctx, l); err != nil || ttl < time.Second {
		e.Errorf("Renew = got %v, %v, want some seconds", ttl, err)
	}
	if left, err := e.s.Remaining(e.ctx, l); err != nil || left <= 0 {
		e.Errorf("Remaining = got %v, %v, want some seconds", left, err)
	}
	// A restarted agent goes on with the same life, and may say something new.
	a.Address = "new:1"
	again, err := e.s.Announce(e.ctx, host(1), a, l)
	e.noErr("Announce again", err)
	e.same("lease of a restarted agent", again, l)
	live, err := e.s.Alive(e.ctx)
	e.noErr("Alive", err)
	e.same("Alive", live, map[cluster.HostID]cluster.Alive{host(1): a})
	// One that lost its note finds its own life by the nonce.
	again, err = e.s.Announce(e.ctx, host(1), a, store.Lease{})
	e.noErr("Announce without the note", err)
	e.same("lease found by its nonce", again, l)
	// After its life lapsed it begins a new one.
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, l))
	_, err = e.s.Renew(e.ctx, l)
	e.wantErr("Renew of a lapsed life", err, store.ErrLapsed)
	_, err = e.s.Remaining(e.ctx, l)
	e.wantErr("Remaining of a lapsed life", err, store.ErrLapsed)
	e.wantErr("Holds of a lapsed life", e.s.Holds(e.ctx, l), store.ErrLapsed)
	fresh, err := e.s.Announce(e.ctx, host(1), a, l)
	e.noErr("Announce after the lapse", err)
	if fresh.AliveRev <= l.AliveRev || fresh.ID == l.ID {
		e.Errorf("Announce after the lapse = got %+v, want a later life than %+v", fresh, l)
	}
	// A reply that is lost: the next attempt finds what the first one did.
	e.b.count(1)
	_, err = e.s.Announce(e.ctx, host(2), cluster.Alive{Nonce: "n"}, store.Lease{})
	e.b.count()
	e.wantErr("Announce with a lost reply", err, store.ErrAmbiguous)
	_, err = e.s.Announce(e.ctx, host(2), cluster.Alive{Nonce: "n"}, store.Lease{})
	e.noErr("Announce after a lost reply", err)
}

func testTakeover(e *env) {
	first := e.announce(e.s, 1, "n1")
	_, err := e.s.Announce(e.ctx, host(1), cluster.Alive{Nonce: "n2", Boot: "b2"}, store.Lease{})
	var taken *store.TakenError
	if !errors.As(err, &taken) || !errors.Is(err, store.ErrHostTaken) {
		e.Fatalf("Announce of a second host = got %v, want a TakenError", err)
	}
	e.same("who has it", taken.Lease, first)
	second, err := e.s.Announce(e.ctx, host(1), cluster.Alive{Nonce: "n2", Boot: "b2"}, taken.Lease)
	e.noErr("takeover", err)
	if second.AliveRev <= first.AliveRev {
		e.Errorf("takeover = got life %d after %d, want a later one", second.AliveRev, first.AliveRev)
	}
	_, err = e.s.Renew(e.ctx, first)
	e.wantErr("Renew of a life that was taken over", err, store.ErrLapsed)
	e.wantErr("Holds of a life that was taken over", e.s.Holds(e.ctx, first), store.ErrHostTaken)
	e.noErr("Holds", e.s.Holds(e.ctx, second))
	// The first one, had it slept, learns of it instead of taking it back.
	_, err = e.s.Announce(e.ctx, host(1), cluster.Alive{Nonce: "n1", Boot: "bn1"}, first)
	e.wantErr("Announce of the first host", err, store.ErrHostTaken)
	// A takeover of a life that is no longer the present one takes nothing.
	_, err = e.s.Announce(e.ctx, host(1), cluster.Alive{Nonce: "n3"}, first)
	e.wantErr("takeover of an old life", err, store.ErrHostTaken)
	e.noErr("Holds", e.s.Holds(e.ctx, second))
}

func status(generation int64) cluster.Status {
	return cluster.Status{Generation: generation, Order: cluster.Launched, Boot: "b"}
}

func testReportMany(e *env) {
	l := e.announce(e.s, 1, "n")
	put := map[cluster.Unit]cluster.Status{}
	for i := range 300 {
		put[name(i)] = status(int64(i))
	}
	big := status(1000)
	for range 10 {
		big.Tail = append(big.Tail, strings.Repeat("x", 30<<10))
	}
	put["big1.service"], put["big2.service"], put["big3.service"], put["big4.service"] = big, big, big, big
	info := &cluster.HostInfo{Name: "one", Boot: "b"}
	e.noErr("Report", e.s.Report(e.ctx, l, info, put, nil))
	gotInfo, got, err := e.s.Reported(e.ctx, host(1))
	e.noErr("Reported", err)
	e.same("info", gotInfo, info)
	if len(got) != 304 || got[name(299)].Generation != 299 {
		e.Errorf("Reported = got %d statuses, want 304", len(got))
	}
	var del []cluster.Unit
	for i := 1; i < 300; i++ {
		del = append(del, name(i))
	}
	e.noErr("Report", e.s.Report(e.ctx, l, nil, map[cluster.Unit]cluster.Status{name(0): status(7)}, append(del, "never.service")))
	_, got, err = e.s.Reported(e.ctx, host(1))
	e.noErr("Reported", err)
	if len(got) != 5 || got[name(0)].Generation != 7 {
		e.Errorf("Reported = got %d statuses, want 5", len(got))
	}
	e.noErr("empty Report", e.s.Report(e.ctx, l, nil, nil, nil))
	if err := e.s.Report(e.ctx, l, nil, put, []cluster.Unit{name(0)}); err == nil {
		e.Errorf("Report of a unit both written and deleted = got no error")
	}
	_, none, err := e.s.Reported(e.ctx, host(2))
	if err != nil || len(none) != 0 {
		e.Errorf("Reported of a silent host = got %v, %v, want nothing", none, err)
	}
	e.put("status/"+string(host(1))+"/x.service", `{"order":"dance"}`)
	_, _, err = e.s.Reported(e.ctx, host(1))
	e.wantErr("Reported with an unreadable status", err, store.ErrCorrupt)
}

func testReportRefused(e *env) {
	report := func(l store.Lease) error {
		return e.s.Report(e.ctx, l, nil, map[cluster.Unit]cluster.Status{"a.service": status(1)}, nil)
	}
	l := e.announce(e.s, 1, "n1")
	_, err := e.s.Announce(e.ctx, host(1), cluster.Alive{Nonce: "n2"}, l)
	e.noErr("takeover", err)
	e.wantErr("Report after another host took the id", report(l), store.ErrHostTaken)
	l = e.announce(e.s, 2, "n1")
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, l))
	e.wantErr("Report after the lease lapsed", report(l), store.ErrLapsed)
	l = e.announce(e.s, 3, "n1")
	e.noErr("Report", report(l))
	e.del("status/" + string(host(3)) + "/a.service")
	e.del("store")
	e.wantErr("Report to a wiped store", report(l), store.ErrForeignStore)
	_, err = e.open().Init(e.ctx)
	e.noErr("Init", err)
	e.wantErr("Report to a store that was wiped and made anew", report(l), store.ErrForeignStore)
	for i := range 4 {
		if _, ok := e.get("status/" + string(host(i)) + "/a.service"); ok {
			e.Errorf("host %d was written", i)
		}
	}
}

// A store that is wiped under everybody: nothing is written to it, and nothing read
// from it is taken for an answer.
func TestWipedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		e := newEnv(t, b)
		l, lead := e.announce(e.s, 1, "n"), e.lead(e.s)
		orders := e.decisions(l, 3)
		m, _ := e.follow(e.s)
		e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete })
		b.Wipe()
		_, err := e.s.Renew(e.ctx, l)
		e.wantErr("Renew", err, store.ErrLapsed)
		e.wantErr("Report", e.s.Report(e.ctx, l, &cluster.HostInfo{}, nil, nil), store.ErrForeignStore)
		_, err = e.s.View(e.ctx, host(1))
		e.wantErr("View", err, store.ErrNoStore)
		_, errs := e.s.Apply(e.ctx, lead.Term, orders)
		e.wantErr("Apply", errs[0], store.ErrForeignStore)
		<-lead.Ctx().Done()
		if err := e.s.CheckVersion(e.ctx, "0.1.0", host(1)); !errors.Is(err, store.ErrNoStore) {
			t.Errorf("CheckVersion = got %v, want %v", err, store.ErrNoStore)
		}
		e.until(m, "incomplete", func(s *cluster.Snapshot) bool { return !s.Complete })
		// Another cluster is made in its place; the mirror shows it for what it is.
		other := e.open()
		id, err := other.Init(e.ctx)
		e.noErr("Init", err)
		for i := range 200 {
			e.put(fmt.Sprintf("other/%d", i), "x")
		}
		e.until(m, "the other store", func(s *cluster.Snapshot) bool { return s.Complete && s.Store == id && len(s.Units) == 0 })
		_, errs = e.s.Apply(e.ctx, lead.Term, orders)
		e.wantErr("Apply", errs[0], store.ErrForeignStore)
	})
}

// The same without a word from the watch: mirror and view find out by themselves.
func TestWipedStoreInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		e := newEnv(t, b)
		e.b.deaf = true
		e.submit(3)
		m, stop := e.follow(e.s)
		defer stop()
		e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete })
		views, end, _ := e.followView(e.s, host(1))
		e.next(views)
		b.Wipe()
		id, err := e.open().Init(e.ctx)
		e.noErr("Init", err)
		e.until(m, "the other store", func(s *cluster.Snapshot) bool { return s.Store == id && len(s.Units) == 0 })
		if err := <-end; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("FollowView over a silent wipe = got %v, want an error of its own", err)
		}
	})
}
