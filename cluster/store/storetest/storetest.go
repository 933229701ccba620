// Package storetest holds the contract of store.Backend as tests. Every backend runs
// them: Run does, or Cases where each needs a synctest bubble of its own.
//
// The cases share nothing but the store: each uses keys under a prefix of its own and
// presumes no revision, so that all can run one after another on one etcd.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster/store"
)

// Case is one test of the contract.
type Case struct {
	Name string
	// Unkind says that the case also holds for a store that refuses, forgets replies
	// and breaks watches; the others need a store that answers each request exactly.
	Unkind bool
	// Run tests a backend. Keys lie under a prefix made of the test's name.
	Run func(t *testing.T, b store.Backend)
}

// Compacter is what a backend must have beside the contract, for the cases about compaction.
type Compacter interface {
	Compact(ctx context.Context, rev int64) error
}

// limit is how long a case may wait for anything.
const limit = 30 * time.Second

// Cases lists the contract.
func Cases() []Case {
	list := []struct {
		name string
		run  func(*env)
	}{
		{"RangeOrder", testRangeOrder},
		{"RangeLimit", testRangeLimit},
		{"RangeAtRevision", testRangeAtRevision},
		{"TxnCompare", testTxnCompare},
		{"TxnElse", testTxnElse},
		{"TxnOneRevision", testTxnOneRevision},
		{"TxnNothing", testTxnNothing},
		{"TxnLimits", testTxnLimits},
		{"TxnDuplicate", testTxnDuplicate},
		{"TxnGivenUp", testTxnGivenUp},
		{"CreateRevision", testCreateRevision},
		{"DeletePrefix", testDeletePrefix},
		{"WatchOrder", testWatchOrder},
		{"WatchPast", testWatchPast},
		{"WatchFuture", testWatchFuture},
		{"WatchCompacted", testWatchCompacted},
		{"WatchLarge", testWatchLarge},
		{"WatchEnds", testWatchEnds},
		{"LeaseRevoke", testLeaseRevoke},
		{"LeaseExpires", testLeaseExpires},
		{"LeaseRenew", testLeaseRenew},
		{"LeaseDetach", testLeaseDetach},
		{"LeaseNotFound", testLeaseNotFound},
	}
	var cases []Case
	for _, c := range list {
		cases = append(cases, Case{Name: c.name, Run: func(t *testing.T, b store.Backend) { c.run(newEnv(t, b)) }})
	}
	storm := func(t *testing.T, b store.Backend) { testStorm(newEnv(t, b)) }
	return append(cases, Case{Name: "Storm", Unkind: true, Run: storm})
}

// Run tests the backend that open returns. open may return the same one each time.
func Run(t *testing.T, open func(t *testing.T) store.Backend) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, open(t)) })
	}
}

// env is what a case works with.
type env struct {
	*testing.T
	b   store.Backend
	ctx context.Context
	dir string // ends in a slash
}

func newEnv(t *testing.T, b store.Backend) *env {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return &env{T: t, b: b, ctx: ctx, dir: "/" + t.Name() + "/"}
}

func (e *env) put(key, value string) store.Op {
	return store.Op{Key: e.dir + key, Value: []byte(value)}
}

func (e *env) del(key string) store.Op {
	return store.Op{Key: e.dir + key, Delete: true}
}

// commit carries out a transaction that must succeed and returns its revision.
func (e *env) commit(ops ...store.Op) int64 {
	e.Helper()
	res, err := e.b.Txn(e.ctx, store.Txn{Then: ops})
	if err != nil {
		e.Fatalf("Txn(%d ops): %v", len(ops), err)
	}
	if !res.Succeeded {
		e.Fatalf("Txn(%d ops) without compares did not succeed", len(ops))
	}
	return res.Revision
}

// mustRange reads a range whose keys lie under dir.
func (e *env) mustRange(r store.Range) store.RangeResult {
	e.Helper()
	res, err := e.b.Range(e.ctx, r)
	if err != nil {
		e.Fatalf("Range(%+v): %v", r, err)
	}
	return res
}

func (e *env) all() store.Range { return store.Prefix(e.dir) }

// show writes keys as "key=value", without dir.
func (e *env) show(kvs []store.KeyValue) []string {
	out := []string{}
	for _, kv := range kvs {
		out = append(out, kv.Key[len(e.dir):]+"="+string(kv.Value))
	}
	return out
}

// showEvents writes events as "revision+key=value" or "revision-key", the revision
// counted from base.
func (e *env) showEvents(events []store.Event, base int64) []string {
	out := []string{}
	for _, ev := range events {
		line := fmt.Sprintf("%d-%s", ev.ModRev-base, ev.Key[len(e.dir):])
		if !ev.Deleted {
			line = fmt.Sprintf("%d+%s=%s", ev.ModRev-base, ev.Key[len(e.dir):], ev.Value)
		}
		out = append(out, line)
	}
	return out
}

func (e *env) same(what string, got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("%s = got (+), want (-):\n%s", what, diff)
	}
}

func (e *env) wantErr(what string, err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s = got error %v, want %v", what, err, want)
	}
	if errors.Is(err, store.ErrAmbiguous) {
		e.Errorf("%s = got error %v, which says ambiguous, want a plain one", what, err)
	}
}

// collect reads a watch until done is true of all events read so far. It holds the
// watch to its contract: whole revisions that rise.
func (e *env) collect(ch <-chan store.WatchEvents, done func([]store.Event) bool) []store.Event {
	e.Helper()
	var events []store.Event
	var seen int64
	for !done(events) {
		var batch store.WatchEvents
		var open bool
		select {
		case batch, open = <-ch:
		case <-e.ctx.Done():
			e.Fatalf("Watch delivered %v, then nothing within %v", e.showEvents(events, 0), limit)
		}
		if !open || batch.Err != nil {
			e.Fatalf("Watch ended after %v with %v", e.showEvents(events, 0), batch.Err)
		}
		for i, ev := range batch.Events {
			if ev.ModRev <= seen || (i > 0 && ev.ModRev < batch.Events[i-1].ModRev) {
				e.Fatalf("Watch delivered revision %d after a batch up to %d", ev.ModRev, seen)
			}
			if ev.ModRev > batch.Revision {
				e.Fatalf("Watch delivered revision %d in a batch that says %d", ev.ModRev, batch.Revision)
			}
		}
		if batch.Revision < seen {
			e.Fatalf("Watch says revision %d after %d", batch.Revision, seen)
		}
		seen = batch.Revision
		events = append(events, batch.Events...)
	}
	return events
}

func count(n int) func([]store.Event) bool {
	return func(events []store.Event) bool { return len(events) >= n }
}
