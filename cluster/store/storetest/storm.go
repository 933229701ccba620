package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster/store"
)

// Writers and steps of each in the storm.
const (
	stormWriters = 4
	stormSteps   = 60
)

// fate is what a writer was told of one of its transactions.
type fate int

const (
	happened fate = iota + 1
	refused
	unknown
)

// told is one transaction and its fate.
type told struct {
	fate fate
	rev  int64 // of one that happened
}

// storm is several writers that count one counter up, while a watch follows. Whatever
// the store does to them, what it told them and what it shows must fit together.
type storm struct {
	*env
	mu   sync.Mutex
	told map[string]told // by the value that the transaction wrote
}

// testStorm copes with every error that a Backend may return.
func testStorm(e *env) {
	s := &storm{env: e, told: map[string]told{}}
	start := s.newest()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	f := &follower{storm: s, keys: map[string]store.KeyValue{}, progress: make(chan struct{}, 1)}
	var following sync.WaitGroup
	following.Go(func() { f.follow(ctx, start.Revision+1) })

	var writing sync.WaitGroup
	for w := range stormWriters {
		writing.Go(func() { s.write(w) })
	}
	writing.Wait()
	end := s.newest()
	f.await(counterOf(end.KVs, e.dir).ModRev)
	cancel()
	following.Wait()
	f.check(end)
}

// newest reads everything, until it is answered.
func (s *storm) newest() store.RangeResult {
	for s.ctx.Err() == nil {
		if res, err := s.b.Range(s.ctx, s.all()); err == nil {
			return res
		}
	}
	s.Errorf("Range was not answered within %v", limit)
	return store.RangeResult{}
}

func counterOf(kvs []store.KeyValue, dir string) store.KeyValue {
	for _, kv := range kvs {
		if kv.Key == dir+"counter" {
			return kv
		}
	}
	return store.KeyValue{}
}

// write counts up. The counter's value is "n writer step", the writer's own key is
// written in the same transaction with the same value.
func (s *storm) write(w int) {
	for step := range stormSteps {
		counter := counterOf(s.newest().KVs, s.dir)
		n, _, _ := bytes.Cut(counter.Value, []byte(" "))
		old, _ := strconv.Atoi(string(n)) // "" before the first is 0
		value := fmt.Sprintf("%d %d %d", old+1, w, step)
		res, err := s.b.Txn(s.ctx, store.Txn{
			If:   []store.Compare{{Key: s.dir + "counter", Target: store.ModRev, Rev: counter.ModRev}},
			Then: []store.Op{s.put("counter", value), s.put(fmt.Sprintf("writer%d", w), value)},
		})
		s.mu.Lock()
		switch {
		case err == nil && res.Succeeded:
			s.told[value] = told{happened, res.Revision}
		case errors.Is(err, store.ErrAmbiguous):
			s.told[value] = told{fate: unknown}
		default:
			s.told[value] = told{fate: refused}
		}
		s.mu.Unlock()
	}
}

// follower rebuilds the keys from the watch, as every user of a Backend does: reload
// when the watch cannot go on, else resume after the last revision seen.
type follower struct {
	*storm
	progress chan struct{}

	mu       sync.Mutex
	keys     map[string]store.KeyValue
	events   []store.Event // those seen by watching, not by reloading
	next     int64
	reloaded bool // some revisions may be missing in events
}

func (f *follower) follow(ctx context.Context, from int64) {
	f.next = from
	for ctx.Err() == nil {
		for batch := range f.b.Watch(ctx, f.dir, f.next) {
			if errors.Is(batch.Err, store.ErrCompacted) {
				f.reload(f.newest())
			} else if batch.Err == nil {
				f.apply(batch)
			}
			select {
			case f.progress <- struct{}{}:
			default:
			}
		}
	}
}

func (f *follower) reload(res store.RangeResult) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloaded = true
	clear(f.keys)
	for _, kv := range res.KVs {
		f.keys[kv.Key] = kv
	}
	f.next = res.Revision + 1
}

func (f *follower) apply(batch store.WatchEvents) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev := range batch.Events {
		if ev.ModRev < f.next {
			f.Errorf("Watch(from %d) delivered revision %d", f.next, ev.ModRev)
		}
		f.keys[ev.Key] = ev.KeyValue
		f.events = append(f.events, ev)
	}
	f.next = max(f.next, batch.Revision+1)
}

// await waits until the follower has reached a revision of the counter.
func (f *follower) await(rev int64) {
	for {
		f.mu.Lock()
		there := f.keys[f.dir+"counter"].ModRev >= rev
		f.mu.Unlock()
		if there {
			return
		}
		select {
		case <-f.progress:
		case <-f.ctx.Done():
			f.Errorf("Watch did not reach revision %d within %v", rev, limit)
			return
		}
	}
}

func (f *follower) check(end store.RangeResult) {
	// A transaction that was told of as unknown may happen after end was read.
	if counterOf(end.KVs, f.dir).ModRev == f.keys[f.dir+"counter"].ModRev {
		want := map[string]store.KeyValue{}
		for _, kv := range end.KVs {
			want[kv.Key] = kv
		}
		if diff := cmp.Diff(want, f.keys); diff != "" {
			f.Errorf("keys by watching = got (+), want those read (-):\n%s", diff)
		}
	}
	seen := map[string]int64{}
	for i := 0; i < len(f.events); i += 2 {
		counter := f.events[i]
		if i+1 == len(f.events) || f.events[i+1].ModRev != counter.ModRev {
			f.Fatalf("Watch delivered a part of revision %d", counter.ModRev)
		}
		f.checkCommit(counter, f.events[i+1])
		seen[string(counter.Value)] = counter.ModRev
	}
	f.checkTold(seen)
}

// checkCommit holds one revision against what its writer was told.
func (f *follower) checkCommit(counter, writer store.Event) {
	value := string(counter.Value)
	if value != string(writer.Value) || counter.Key != f.dir+"counter" {
		f.Errorf("revision %d = got %q and %q, want one transaction", counter.ModRev, value, writer.Value)
	}
	switch t := f.told[value]; t.fate {
	case happened:
		if t.rev != counter.ModRev {
			f.Errorf("transaction %q was told revision %d, has %d", value, t.rev, counter.ModRev)
		}
	case refused:
		f.Errorf("transaction %q was told that it did not happen, has revision %d", value, counter.ModRev)
	case unknown:
	default:
		f.Errorf("transaction %q at revision %d was never sent", value, counter.ModRev)
	}
}

// checkTold looks for each number of the counter: at most one transaction made it, and
// none that happened is missing, unless a reload skipped it.
func (f *follower) checkTold(seen map[string]int64) {
	made := map[string]string{}
	for value, t := range f.told {
		if t.fate != happened {
			continue
		}
		n, _, _ := bytes.Cut([]byte(value), []byte(" "))
		if other := made[string(n)]; other != "" {
			f.Errorf("transactions %q and %q both made number %s", value, other, n)
		}
		made[string(n)] = value
		if _, ok := seen[value]; !ok && !f.reloaded {
			f.Errorf("transaction %q at revision %d was not delivered", value, t.rev)
		}
	}
}
