package sim

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flotilla/cluster/store"
)

// prefix is where all keys of a simulated cluster stand.
const prefix = store.DefaultPrefix + "/"

// signature is a key that a leader's transactions write in a simulation besides theirs: who
// wrote, and in which term it believed itself.
const signature = prefix + "signature"

// wire is one process' way to the store: through its gate, with its leader's writes signed.
type wire struct {
	store.Backend
	gate  *gate
	name  string
	after func(time.Duration, func())
	heard func() // called at each answer; nil = nobody asks
}

// ask carries out one request of the process.
func ask[T any](w wire, ctx context.Context, do func() (T, error)) (T, error) {
	var none T
	if err := w.gate.pass(); err != nil {
		return none, err
	}
	out, err := do()
	if gone := w.gate.answered(ctx); gone != nil {
		return none, fmt.Errorf("%w: %w", store.ErrAmbiguous, gone)
	}
	if err == nil && w.heard != nil {
		w.heard()
	}
	return out, err
}

// Range implements store.KV.
func (w wire) Range(ctx context.Context, r store.Range) (store.RangeResult, error) {
	return ask(w, ctx, func() (store.RangeResult, error) { return w.Backend.Range(ctx, r) })
}

// Txn implements store.KV. It signs what a leader writes.
func (w wire) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if orders(t) {
		t.Then = append(bytesOf(t.Then), store.Op{Key: signature, Value: fmt.Appendf(nil, "%s@%d", w.name, termOf(t))})
	}
	return ask(w, ctx, func() (store.TxnResult, error) {
		if d, lost := w.mislaid(t); lost {
			w.after(d, func() { _, _ = w.Backend.Txn(context.WithoutCancel(ctx), t) }) // nobody waits for the answer
			return store.TxnResult{}, fmt.Errorf("%w: request timed out", store.ErrAmbiguous)
		}
		return w.Backend.Txn(ctx, t)
	})
}

func (w wire) mislaid(t store.Txn) (time.Duration, bool) {
	if !orders(t) {
		return 0, false
	}
	return w.gate.mislaid()
}

// bytesOf copies operations, so that appending leaves the caller's alone.
func bytesOf(ops []store.Op) []store.Op { return append(make([]store.Op, 0, len(ops)+1), ops...) }

func orders(t store.Txn) bool {
	for _, op := range t.Then {
		if strings.HasPrefix(op.Key, prefix+"to/") {
			return true
		}
	}
	return false
}

// termOf is the leadership that a transaction demands, 0 without one.
func termOf(t store.Txn) int64 {
	for _, c := range t.If {
		if c.Key == prefix+"leader" && c.Target == store.CreateRev {
			return c.Rev
		}
	}
	return 0
}

// signed takes a signature apart.
func signed(value []byte) (name string, term int64) {
	n, rev, ok := bytes.Cut(value, []byte{'@'})
	if !ok {
		return "", 0
	}
	term, err := strconv.ParseInt(string(rev), 10, 64)
	if err != nil {
		return "", 0
	}
	return string(n), term
}

// Watch implements store.KV. What a frozen process is told waits for it.
func (w wire) Watch(ctx context.Context, prefix string, from int64) <-chan store.WatchEvents {
	in, out := w.Backend.Watch(ctx, prefix, from), make(chan store.WatchEvents)
	go func() {
		defer close(out)
		for batch := range in {
			if w.gate.pass() != nil {
				return
			}
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// Grant implements store.Leases.
func (w wire) Grant(ctx context.Context, ttl time.Duration) (store.LeaseID, error) {
	return ask(w, ctx, func() (store.LeaseID, error) { return w.Backend.Grant(ctx, ttl) })
}

// Renew implements store.Leases.
func (w wire) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	return ask(w, ctx, func() (time.Duration, error) { return w.Backend.Renew(ctx, id) })
}

// Revoke implements store.Leases.
func (w wire) Revoke(ctx context.Context, id store.LeaseID) error {
	_, err := ask(w, ctx, func() (struct{}, error) { return struct{}{}, w.Backend.Revoke(ctx, id) })
	return err
}

// Remaining implements store.Leases.
func (w wire) Remaining(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	return ask(w, ctx, func() (time.Duration, error) { return w.Backend.Remaining(ctx, id) })
}
