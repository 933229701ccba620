package memory

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster/store"
)

// twin is the slow and obvious history: a copy of all keys at each revision.
type twin map[int64]map[string]store.KeyValue

func (tw twin) read(r store.Range) []store.KeyValue {
	var out []store.KeyValue
	for key, kv := range tw[r.Revision] {
		if within(key, r) {
			out = append(out, kv)
		}
	}
	slices.SortFunc(out, func(a, b store.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (tw twin) apply(rev int64, events []store.Event) {
	next := map[string]store.KeyValue{}
	for k, kv := range tw[rev-1] {
		next[k] = kv
	}
	for _, ev := range events {
		delete(next, ev.Key)
		if !ev.Deleted {
			next[ev.Key] = ev.KeyValue
		}
	}
	tw[rev] = next
}

// The history answers as its twin does at every revision that is not compacted, with
// enough keys that the index has many blocks.
func TestHistoryTwin(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 0))
		h, tw := newHistory(), twin{1: {}}
		key := func() string { return fmt.Sprintf("k/%d/%d", rng.IntN(20), rng.IntN(60)) }
		for range 150 {
			var ops []store.Op
			for range rng.IntN(30) + 1 {
				switch rng.IntN(10) {
				case 0:
					ops = append(ops, store.Op{Key: key(), Delete: true})
				case 1:
					ops = append(ops, store.Op{Key: fmt.Sprintf("k/%d/", rng.IntN(200)), DeletePrefix: true})
				default:
					ops = append(ops, store.Op{Key: key(), Value: []byte(fmt.Sprint(rng.Int()))})
				}
			}
			if (store.Txn{Then: ops}).Check() != nil {
				continue // a key twice
			}
			events, err := h.changes(ops)
			if err != nil {
				t.Fatal(err)
			}
			if len(events) > 0 {
				h.record(events)
				tw.apply(h.rev, events)
			}
			if rng.IntN(30) == 0 && h.compacted < h.rev {
				if err := h.compact(h.compacted + 1 + rng.Int64N(h.rev-h.compacted)); err != nil {
					t.Fatal(err)
				}
			}
			compareWithTwin(t, rng, &h, tw, key())
		}
	}
}

func compareWithTwin(t *testing.T, rng *rand.Rand, h *history, tw twin, key string) {
	t.Helper()
	for _, r := range []store.Range{store.Prefix("k/"), store.Prefix(key[:4]), {Key: key}, {Key: key, End: "k/9"}} {
		r.Revision = max(h.compacted, 1) + rng.Int64N(h.rev-max(h.compacted, 1)+1)
		got, err := h.read(r)
		if err != nil {
			t.Fatalf("read(%+v): %v", r, err)
		}
		want := tw.read(r)
		if !slices.EqualFunc(want, got.KVs, sameKey) {
			t.Fatalf("read(%+v) at %d, compacted %d = got (+), want (-):\n%s", r, h.rev, h.compacted, cmp.Diff(want, got.KVs))
		}
	}
}

func sameKey(a, b store.KeyValue) bool {
	return a.Key == b.Key && a.ModRev == b.ModRev && a.CreateRev == b.CreateRev && bytes.Equal(a.Value, b.Value)
}

// What nobody can read any more is gone, deleted keys too.
func TestCompactForgets(t *testing.T) {
	h := newHistory()
	for i := range 1000 {
		events, err := h.changes([]store.Op{{Key: fmt.Sprint(i), Value: []byte("v")}, {Key: fmt.Sprint(i - 1), Delete: true}})
		if err != nil {
			t.Fatal(err)
		}
		h.record(events)
	}
	if err := h.compact(h.rev); err != nil {
		t.Fatal(err)
	}
	// The last deletion stays: a watch may start at the compacted revision.
	if len(h.keys) != 2 || len(h.log) != 1 {
		t.Errorf("after compaction = got %d keys and %d revisions, want 2 and 1", len(h.keys), len(h.log))
	}
}
