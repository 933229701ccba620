package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flotilla/cluster/store"
)

func testWatchOrder(e *env) {
	base := e.commit(e.put("in/a", "0"), e.put("out", "0"))
	ch := e.b.Watch(e.ctx, e.dir+"in/", base+1)
	var want []string
	for i := int64(1); i <= 40; i++ {
		v := fmt.Sprint(i)
		e.commit(e.put("in/b", v), e.put("in/a", v), e.put("out", v))
		want = append(want, fmt.Sprintf("%d+in/b=%s", i, v), fmt.Sprintf("%d+in/a=%s", i, v))
	}
	e.commit(e.del("in/a"), e.del("out"))
	want = append(want, "41-in/a")
	events := e.collect(ch, count(len(want)))
	e.same("Watch", e.showEvents(events, base), want)
	for i, ev := range events[:len(events)-1] {
		create := base
		if i%2 == 0 {
			create = base + 1
		}
		if ev.CreateRev != create {
			e.Errorf("CreateRev of event %d = got %d, want %d", i, ev.CreateRev, create)
		}
	}
}

func testWatchPast(e *env) {
	base := e.commit(e.put("a", "0"))
	for i := range 300 {
		e.commit(e.put("a", fmt.Sprint(i+1)), e.put("b", "x"))
	}
	for _, from := range []int64{0, 1, 150, 300} {
		ctx, cancel := context.WithCancel(e.ctx)
		n := int(300-from+1) * 2
		if from == 0 {
			n = 300*2 + 1
		}
		got := e.collect(e.b.Watch(ctx, e.dir, base+from), count(n))
		cancel()
		if len(got) != n || got[0].ModRev != base+from {
			e.Errorf("Watch(from %d) = got %d events from %d, want %d", from, len(got), got[0].ModRev-base, n)
		}
	}
}

// A watch from a revision ahead of the store waits for it and skips what comes before.
func testWatchFuture(e *env) {
	base := e.commit(e.put("a", "0"))
	ch := e.b.Watch(e.ctx, e.dir, base+3)
	for i := range 4 {
		e.commit(e.put("a", fmt.Sprint(i+1)))
	}
	e.same("Watch(future)", e.showEvents(e.collect(ch, count(2)), base), []string{"3+a=3", "4+a=4"})
}

func testWatchCompacted(e *env) {
	c, ok := e.b.(Compacter)
	if !ok {
		e.Fatalf("backend %T has no Compact, which this case needs", e.b)
	}
	base := e.commit(e.put("a", "0"), e.put("b", "0"))
	e.commit(e.put("a", "1"))
	e.commit(e.del("b"))
	last := e.commit(e.put("a", "3"))
	alive := e.b.Watch(e.ctx, e.dir, last+1)
	if err := c.Compact(e.ctx, base+2); err != nil {
		e.Fatalf("Compact: %v", err)
	}
	old := e.all()
	old.Revision = base + 1
	_, err := e.b.Range(e.ctx, old)
	e.wantErr("Range(compacted)", err, store.ErrCompacted)
	old.Revision = base + 2
	e.same("Range(at the compaction)", e.show(e.mustRange(old).KVs), []string{"a=1"})
	e.same("Range(newest)", e.show(e.mustRange(e.all()).KVs), []string{"a=3"})

	var batch store.WatchEvents
	ch := e.b.Watch(e.ctx, e.dir, base+1)
	for open := true; open && batch.Err == nil; {
		batch, open = <-ch
	}
	e.wantErr("Watch(compacted)", batch.Err, store.ErrCompacted)
	if _, open := <-ch; open {
		e.Error("Watch(compacted): channel is open after its error")
	}
	got := e.collect(e.b.Watch(e.ctx, e.dir, base+3), count(1))
	e.same("Watch(after the compaction)", e.showEvents(got, base), []string{"3+a=3"})
	e.commit(e.put("a", "4"))
	e.same("Watch(across the compaction)", e.showEvents(e.collect(alive, count(1)), base), []string{"4+a=4"})
}

// Revisions that are larger than one message arrive whole all the same.
func testWatchLarge(e *env) {
	const revisions, keys = 6, 100
	value := strings.Repeat("x", store.MaxBytes*9/10/keys)
	base := e.commit(e.put("start", ""))
	for range revisions {
		var ops []store.Op
		for k := range keys {
			ops = append(ops, e.put(fmt.Sprintf("%03d", k), value))
		}
		e.commit(ops...)
	}
	got := e.collect(e.b.Watch(e.ctx, e.dir, base+1), count(revisions*keys))
	if len(got) != revisions*keys {
		e.Fatalf("Watch(large) = got %d events, want %d", len(got), revisions*keys)
	}
	for i, ev := range got {
		if want := fmt.Sprintf("%s%03d", e.dir, i%keys); ev.Key != want || ev.ModRev != base+1+int64(i/keys) || string(ev.Value) != value {
			e.Fatalf("event %d = got %s at %d with %d bytes, want %s", i, ev.Key, ev.ModRev-base, len(ev.Value), want)
		}
	}
}

func testWatchEnds(e *env) {
	base := e.commit(e.put("a", "0"))
	ctx, cancel := context.WithCancel(e.ctx)
	idle := e.b.Watch(ctx, e.dir, base+1)
	unread := e.b.Watch(ctx, e.dir, base)
	cancel()
	for _, ch := range []<-chan store.WatchEvents{idle, unread} {
		for batch := range ch {
			if batch.Err != nil && !errors.Is(batch.Err, context.Canceled) {
				e.Errorf("Watch(ended context) = got error %v, want none", batch.Err)
			}
		}
	}
	for range e.b.Watch(ctx, e.dir, base) {
		e.Error("Watch(context that had ended) = got a delivery, want none")
	}
}
