package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// decided is an order to launch a new unit, with all that the planner rests it on.
func decided(l store.Lease, u cluster.Unit, rev int64) cluster.Orders {
	return cluster.Orders{
		Put: []cluster.Placed{place(l.Host, u, rev)},
		If: []cluster.Condition{
			{Kind: cluster.UnitAt, Unit: u, Revision: rev},
			{Kind: cluster.AliveAt, Host: l.Host, Revision: l.AliveRev},
			{Kind: cluster.PlacedAt, Host: l.Host, Unit: u, Revision: 0},
			{Kind: cluster.HostsAt, Revision: 0},
		},
	}
}

// decisions places n units on one host.
func (e *env) decisions(l store.Lease, n int) []cluster.Orders {
	e.Helper()
	orders := make([]cluster.Orders, n)
	for i, rev := range e.submit(n) {
		orders[i] = decided(l, name(i), rev)
	}
	return orders
}

func (e *env) placed(h cluster.HostID, u cluster.Unit) bool {
	e.Helper()
	_, ok := e.get(fmt.Sprintf("to/%s/place/%s", h, u))
	return ok
}

func testApplyStaleAlone(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	gone := e.announce(e.s, 2, "n")
	orders := e.decisions(life, 40)
	wantStale := map[int]bool{7: true, 8: true, 20: true}
	e.noErr("stop", change(e.ctx, e.s, []unitChange{{Name: name(7), Restart: restartAlways}})[0].Err)
	e.noErr("destroy", change(e.ctx, e.s, []unitChange{{Name: name(8), Delete: true}})[0].Err)
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, gone))
	orders[20].If[1] = cluster.Condition{Kind: cluster.AliveAt, Host: host(2), Revision: gone.AliveRev}
	rev, errs := e.s.Apply(e.ctx, lead.Term, orders)
	if rev == 0 {
		e.Errorf("Apply = got revision 0, want that of the commit")
	}
	for i, err := range errs {
		if wantStale[i] {
			e.wantErr(fmt.Sprintf("orders %d", i), err, store.ErrStale)
		} else if err != nil {
			e.Errorf("orders %d = got %v, want none", i, err)
		}
		if got := e.placed(host(1), name(i)); got == wantStale[i] {
			e.Errorf("placement %d exists = got %v, want %v", i, got, !wantStale[i])
		}
	}
	_, errs = e.s.Apply(e.ctx, lead.Term, orders[:3])
	for i, err := range errs {
		e.wantErr(fmt.Sprintf("same orders again %d", i), err, store.ErrStale)
	}
	_, err := e.s.PutHostSpec(e.ctx, host(1), 0, cluster.HostSpec{Cordon: &cluster.Note{Why: "test"}})
	e.noErr("PutHostSpec", err)
	fresh := decided(life, "late.service", 0)
	_, errs = e.s.Apply(e.ctx, lead.Term, []cluster.Orders{fresh})
	e.wantErr("orders decided before a cordon", errs[0], store.ErrStale)
}

func testApplyOrder(e *env) {
	lead := e.lead(e.s)
	put := func(generation int64) cluster.Orders {
		return cluster.Orders{Put: []cluster.Placed{place(host(1), "a.service", generation)}}
	}
	first := put(1)
	first.If = []cluster.Condition{{Kind: cluster.PlacedAt, Host: host(1), Unit: "a.service"}}
	second := put(2)
	second.If = first.If
	// It writes another key, so that nothing but the order of the two makes it stale.
	third := cluster.Orders{Put: []cluster.Placed{place(host(1), "b.service", 1)}, If: first.If}
	crooked := put(3)
	crooked.Put = append(crooked.Put, place(host(1), "a.service", 4))
	_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{first, third, second, crooked, {}, put(5)})
	if errs[0] != nil || errs[5] != nil {
		e.Errorf("Apply = got %v and %v, want first and last written", errs[0], errs[5])
	}
	for _, i := range []int{1, 2} {
		e.wantErr("orders that rest on what the one before changed", errs[i], store.ErrStale)
	}
	for _, i := range []int{3, 4} {
		if errs[i] == nil || errors.Is(errs[i], store.ErrStale) {
			e.Errorf("orders %d = got %v, want a refusal", i, errs[i])
		}
	}
	v, err := e.s.View(e.ctx, host(1))
	e.noErr("View", err)
	e.same("generation", v.Place["a.service"].Generation, int64(5))

	// Two orders on one key that does not change in between: both conditions hold together.
	del := cluster.Orders{Delete: []cluster.Where{{Host: host(1), Unit: "a.service"}}}
	_, errs = e.s.Apply(e.ctx, lead.Term, []cluster.Orders{del, put(6)})
	if errs[0] != nil || errs[1] != nil || !e.placed(host(1), "a.service") {
		e.Errorf("Apply(delete, put) = got %v, placed %v, want both in this order", errs, e.placed(host(1), "a.service"))
	}
}

func testApplyDeposed(e *env) {
	first := e.lead(e.s)
	life := e.announce(e.s, 1, "n")
	orders := e.decisions(life, 3)
	e.noErr("Resign", first.Resign(e.ctx))
	_, errs := e.s.Apply(e.ctx, first.Term, orders)
	e.wantErr("Apply after the end of the term", errs[0], store.ErrDeposed)
	second := e.lead(e.open())
	if second.Term.Revision <= first.Term.Revision {
		e.Errorf("Campaign = got term %d after %d, want a later one", second.Term.Revision, first.Term.Revision)
	}
	_, errs = e.s.Apply(e.ctx, first.Term, orders)
	for _, err := range errs {
		e.wantErr("Apply under another leader", err, store.ErrDeposed)
	}
	_, err := e.s.Barrier(e.ctx, first.Term)
	e.wantErr("Barrier under another leader", err, store.ErrDeposed)
	if e.placed(host(1), name(0)) {
		e.Errorf("a deposed leader's orders were written")
	}
	_, errs = e.s.Apply(e.ctx, second.Term, orders)
	e.noErr("Apply of the new leader", errors.Join(errs...))
}

func testApplyAmbiguous(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	m, _ := e.follow(e.s)
	orders := e.decisions(life, 1500)       // more than are on their way at once
	_, err := e.s.Barrier(e.ctx, lead.Term) // the first of a term would count as a write
	e.noErr("Barrier", err)
	e.b.count(2, 3)
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	e.b.count()
	kinds := map[string]int{}
	for i, err := range errs {
		switch {
		case err == nil:
			kinds["written"]++
		case errors.Is(err, store.ErrAmbiguous):
			kinds["unclear"]++
			if !e.placed(host(1), name(i)) {
				e.Errorf("placement %d is missing though its transaction was carried out", i)
			}
		default:
			kinds["not tried"]++
			if e.placed(host(1), name(i)) {
				e.Errorf("placement %d = written, error %v says not tried", i, err)
			}
		}
	}
	if kinds["written"] == 0 || kinds["unclear"] == 0 || kinds["not tried"] == 0 {
		e.Errorf("Apply with a lost reply = got %v, want some of each", kinds)
	}
	rev, err := e.s.Barrier(e.ctx, lead.Term)
	e.noErr("Barrier after a lost reply", err)
	e.noErr("WaitRevision", m.WaitRevision(e.ctx, rev))
	m.Read(func(s *cluster.Snapshot) {
		if got, want := len(s.Placed), kinds["written"]+kinds["unclear"]; got != want {
			e.Errorf("mirror after the barrier = got %d placements, want %d", got, want)
		}
	})
}

// A write that lingers comes after the leader has caught up: too late.
func testApplyLate(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	orders := e.decisions(life, 2)
	_, err := e.s.Barrier(e.ctx, lead.Term)
	e.noErr("Barrier", err)
	e.b.hold = true
	_, errs := e.s.Apply(e.ctx, lead.Term, orders[:1])
	e.wantErr("Apply of a write that lingers", errs[0], store.ErrAmbiguous)
	_, err = e.s.Barrier(e.ctx, lead.Term)
	e.noErr("Barrier", err)
	res, err := e.b.arrive(e.ctx)
	if err != nil || res.Succeeded || e.placed(host(1), name(0)) {
		e.Errorf("late write = got succeeded %v, %v, want it refused", res.Succeeded, err)
	}
	_, errs = e.s.Apply(e.ctx, lead.Term, orders)
	e.noErr("Apply after the barrier", errors.Join(errs...))

	// The same with the barrier itself: orders wait for another one.
	e.b.hold = true
	_, err = e.s.Barrier(e.ctx, lead.Term)
	e.wantErr("Barrier that lingers", err, store.ErrAmbiguous)
	_, err = e.b.arrive(e.ctx)
	e.noErr("late barrier", err)
	del := []cluster.Orders{{Delete: []cluster.Where{{Host: host(1), Unit: name(0)}}}}
	_, errs = e.s.Apply(e.ctx, lead.Term, del)
	if errs[0] == nil || errors.Is(errs[0], store.ErrDeposed) || errors.Is(errs[0], store.ErrStale) || !e.placed(host(1), name(0)) {
		e.Errorf("Apply after a late barrier = got %v, want a refusal that another barrier mends", errs[0])
	}
	_, err = e.s.Barrier(e.ctx, lead.Term)
	e.noErr("Barrier", err)
	_, errs = e.s.Apply(e.ctx, lead.Term, del)
	e.noErr("Apply after another barrier", errs[0])
}

func testApplyPacks(e *env) {
	lead := e.lead(e.s)
	var lives []store.Lease
	for i := range 10 {
		lives = append(lives, e.announce(e.s, i, "n"))
	}
	const n = 5000
	orders := make([]cluster.Orders, n)
	for i, rev := range e.submit(n) {
		orders[i] = decided(lives[i%10], name(i), rev)
	}
	e.b.count()
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	e.noErr("Apply", errors.Join(errs...))
	// Two compares of its own each, of at most 128.
	if got := e.b.counted(); got > 90 {
		e.Errorf("Apply(%d orders) = got %d transactions, want at most 90", n, got)
	}
	for i := range 10 {
		v, err := e.s.View(e.ctx, host(i))
		e.noErr("View", err)
		if len(v.Place) != n/10 {
			e.Errorf("View(host %d) = got %d placements, want %d", i, len(v.Place), n/10)
		}
	}
}

// Orders by name, as a plan makes them, come from a different host each. They are
// written host by host, so that those of one transaction share their host's sign of life.
func testApplyByHost(e *env) {
	lead := e.lead(e.s)
	const hosts, n = 50, 2000
	var lives []store.Lease
	for i := range hosts {
		lives = append(lives, e.announce(e.s, i, "n"))
	}
	orders := make([]cluster.Orders, n)
	for i, rev := range e.submit(n) {
		orders[i] = decided(lives[i%hosts], name(i), rev)
	}
	lost := 7 // its error must come back to its place
	orders[lost].If[1].Revision++
	bad := 11
	orders[bad].Put = nil
	e.b.count()
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	for i, err := range errs {
		switch i {
		case lost:
			e.wantErr("stale orders", err, store.ErrStale)
		case bad:
			e.wantErr("empty orders", err, store.ErrBadOrders)
		default:
			e.noErr(fmt.Sprintf("orders %d", i), err)
		}
	}
	if got := e.b.counted(); got > 37 {
		e.Errorf("Apply(%d orders for %d hosts) = got %d transactions, want at most 37", n, hosts, got)
	}
	e.same("placed", e.placed(host(lost), name(lost)), false)
	e.same("placed", e.placed(host(lost), name(lost+hosts)), true)
}

// Of many transactions some find out that the term is over: they and all later ones say so.
func testApplyDeposedMidway(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	orders := e.decisions(life, 1500)
	_, err := e.s.Barrier(e.ctx, lead.Term)
	e.noErr("Barrier", err)
	e.b.hook(func() { e.del("leader") })
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	deposed := 0
	for i, err := range errs {
		if e.placed(host(1), name(i)) != (err == nil) {
			e.Errorf("orders %d = got %v, written %v", i, err, e.placed(host(1), name(i)))
		}
		if err != nil {
			e.wantErr(fmt.Sprintf("orders %d", i), err, store.ErrDeposed)
			deposed++
		}
	}
	if deposed == 0 {
		e.Errorf("no orders were refused after the end of the term")
	}
}

// A unit file that asks for more than a transaction holds is refused alone.
func testApplyTooLarge(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	orders := e.decisions(life, 3)
	for i := range 130 {
		c := cluster.Condition{Kind: cluster.UnitAt, Unit: cluster.Unit(fmt.Sprintf("peer%d.service", i))}
		orders[1].If = append(orders[1].If, c)
	}
	_, errs := e.s.Apply(e.ctx, lead.Term, orders)
	e.noErr("Apply", errors.Join(errs[0], errs[2]))
	e.wantErr("orders with too many conditions", errs[1], store.ErrBadOrders)
	e.wantErr("orders with too many conditions", errs[1], store.ErrTooLarge)
}

func testApplyEndsOrphanStop(e *env) {
	lead := e.lead(e.s)
	w := cluster.Where{Host: host(1), Unit: "o.service"}
	_, err := e.s.StopOrphan(e.ctx, w, cluster.Note{Who: "ann"})
	e.noErr("StopOrphan", err)
	key := "orphan/" + string(w.Host) + "/" + string(w.Unit)
	if _, ok := e.get(key); !ok {
		e.Fatalf("StopOrphan wrote no key")
	}
	gone := place(w.Host, w.Unit, 3)
	gone.State = cluster.Gone
	_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{{Put: []cluster.Placed{gone}}})
	e.noErr("Apply", errs[0])
	if _, ok := e.get(key); ok || !e.placed(w.Host, w.Unit) {
		e.Errorf("tombstone = placed %v, wish left %v, want true and false", e.placed(w.Host, w.Unit), ok)
	}
}

// testDestroyLeavesMark: deleting a head is an order, and says so by a key of its own, which
// the leader takes away on the head as it is.
func testDestroyLeavesMark(e *env) {
	lead := e.lead(e.s)
	e.submit(1)
	list, _, err := e.s.Units(e.ctx)
	e.noErr("Units", err)
	var name cluster.Unit
	var spec cluster.UnitSpec
	for name, spec = range list {
	}
	destroy := func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
		return store.Edit{Delete: true, By: cluster.Note{Who: "ann"}}, nil
	}
	mark := "destroyed/" + string(name)
	for _, r := range e.s.EditUnits(e.ctx, []cluster.Unit{name}, destroy) {
		e.noErr("destroy", r.Err)
	}
	if _, ok := e.get(mark); !ok {
		e.Fatalf("destroying %s left no mark", name)
	}
	for _, r := range e.s.EditUnits(e.ctx, []cluster.Unit{name}, func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
		return store.Edit{Spec: &spec}, nil
	}) {
		e.noErr("submit again", r.Err)
	}
	for _, r := range e.s.EditUnits(e.ctx, []cluster.Unit{name}, destroy) {
		e.noErr("destroy again", r.Err)
	}
	forget := func(rev int64) error {
		_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{{
			Forget: []cluster.Unit{name}, If: []cluster.Condition{{Kind: cluster.UnitAt, Unit: name, Revision: rev}},
		}})
		return errs[0]
	}
	e.wantErr("Apply on a head that is gone", forget(1), store.ErrStale)
	if _, ok := e.get(mark); !ok {
		e.Errorf("stale orders took the mark away")
	}
	e.noErr("Apply", forget(0))
	if _, ok := e.get(mark); ok {
		e.Errorf("the leader could not take the mark away")
	}
}

// testWishDropped: the leader takes back a wish to stop an orphan only as it knew it.
func testWishDropped(e *env) {
	lead := e.lead(e.s)
	w := cluster.Where{Host: host(1), Unit: "x.service"}
	old, err := e.s.StopOrphan(e.ctx, w, cluster.Note{Who: "ann"})
	e.noErr("StopOrphan", err)
	again, err := e.s.StopOrphan(e.ctx, w, cluster.Note{Who: "ben"})
	e.noErr("StopOrphan", err)
	drop := func(rev int64) error {
		_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{{
			Drop: []cluster.Where{w}, If: []cluster.Condition{{Kind: cluster.OrphanAt, Host: w.Host, Unit: w.Unit, Revision: rev}},
		}})
		return errs[0]
	}
	key := "orphan/" + string(w.Host) + "/" + string(w.Unit)
	e.wantErr("Apply on a wish that was repeated", drop(old), store.ErrStale)
	if _, ok := e.get(key); !ok {
		e.Errorf("stale orders took the wish away")
	}
	e.noErr("Apply", drop(again))
	if _, ok := e.get(key); ok {
		e.Errorf("the leader could not take the wish away")
	}
}

func testCampaignHandsOver(e *env) {
	first := e.lead(e.s)
	info, term, err := e.s.Leader(e.ctx)
	if err != nil || term != first.Term || info.Host != host(1) {
		e.Errorf("Leader = got %+v %+v %v, want %+v", info, term, err, first.Term)
	}
	won := make(chan *store.Leadership)
	go func() {
		l, err := e.open().Campaign(e.ctx, cluster.LeaderInfo{Host: host(2)}, 5*time.Second)
		if err != nil {
			e.Errorf("Campaign: %v", err)
		}
		won <- l
	}()
	select {
	case <-won:
		e.Fatalf("a second candidate won while the first one leads")
	case <-time.After(300 * time.Millisecond):
	}
	e.noErr("Resign", first.Resign(e.ctx))
	if first.Ctx().Err() == nil || !errors.Is(context.Cause(first.Ctx()), store.ErrDeposed) {
		e.Errorf("Ctx after Resign = got cause %v, want %v", context.Cause(first.Ctx()), store.ErrDeposed)
	}
	second := <-won
	if second == nil || second.Ctx().Err() != nil {
		e.Fatalf("Campaign = got no leadership")
	}
	e.noErr("Resign", second.Resign(e.ctx))
	_, _, err = e.s.Leader(e.ctx)
	e.wantErr("Leader when nobody leads", err, store.ErrNotFound)

	ctx, cancel := context.WithCancel(e.ctx)
	third := e.lead(e.s)
	cancel()
	_, err = e.open().Campaign(ctx, cluster.LeaderInfo{Host: host(2)}, 5*time.Second)
	e.wantErr("Campaign under an ended context", err, context.Canceled)
	if third.Ctx().Err() != nil {
		e.Errorf("leadership ended with somebody else's context")
	}
}

func testCampaignAmbiguous(e *env) {
	e.b.count(1)
	_, err := e.s.Campaign(e.ctx, cluster.LeaderInfo{Host: host(1)}, 5*time.Second)
	e.b.count()
	e.wantErr("Campaign with a lost reply", err, store.ErrAmbiguous)
	// The attempt left nothing behind that others would have to wait for.
	if _, ok := e.get("leader"); ok {
		e.Errorf("the leader key stands though nobody knows that he leads")
	}
	e.lead(e.s)
}

// Two candidates on an unkind store, cut off and connected again at random: their
// contexts never live at once.
func TestCampaignNeverTwo(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { campaignNeverTwo(t, seed) })
		})
	}
}

func campaignNeverTwo(t *testing.T, seed uint64) {
	b := memory.New(memory.Options{Seed: seed})
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if _, err := store.New(b.Observer(), "", store.Options{}).Init(ctx); err != nil {
		t.Fatalf("Init: %v", err)
	}
	leading := make(chan string, 3)
	done := make(chan int, 3)
	for _, who := range []string{"a", "b", "c"} {
		go func() {
			s := store.New(b.Of(who), "", store.Options{})
			terms := 0
			for ctx.Err() == nil {
				l, err := s.Campaign(ctx, cluster.LeaderInfo{Address: who}, 10*time.Second)
				if err != nil {
					pauseFor(ctx, 100*time.Millisecond)
					continue
				}
				if l.Ctx().Err() == nil {
					terms++
					leading <- who
					if len(leading) > 1 {
						t.Errorf("%s leads while another does", who)
					}
					pauseFor(l.Ctx(), time.Duration(20+seed)*time.Second)
					<-leading
				}
				short, stop := context.WithTimeout(ctx, time.Second)
				_ = l.Resign(short)
				stop()
			}
			done <- terms
		}()
	}
	for i := 0; ctx.Err() == nil; i++ {
		who := string("abc"[(i+int(seed))%3])
		b.Partition(who, memory.Cut(1+i%2))
		pauseFor(ctx, time.Duration(5+i%13)*time.Second)
		b.Partition(who, memory.CutNone)
		pauseFor(ctx, time.Duration(3+i%7)*time.Second)
	}
	b.SetKind(true)
	terms := <-done + <-done + <-done
	if terms < 10 {
		t.Errorf("got %d terms in ten minutes of trouble, want more", terms)
	}
}

// pauseFor waits for d or the context's end.
func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
