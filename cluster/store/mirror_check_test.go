package store

import (
	"context"
	"testing"
	"time"
)

// never is a backend that answers nothing but reads of one key.
type never struct{ Backend }

func (never) Range(context.Context, Range) (RangeResult, error) {
	return RangeResult{Revision: 7, KVs: []KeyValue{{Key: "store", Value: []byte(`{"id":"x","generation":1}`)}}}, nil
}

// TestCheckTakesNoLock: a plan of a large cluster reads for longer than a TTL while a change
// waits for the lock. The store answers all the while: the pulse must not wait with them,
// or it takes that for an outage and Watched begins anew.
func TestCheckTakesNoLock(t *testing.T) {
	m := NewMirror(New(never{}, "", Options{}), nil)
	d := newDecoder(m.s.keys, time.Now, newBlobCache())
	d.snap.Store.ID, d.snap.Store.Generation, d.snap.Revision = "x", 1, 7
	m.install(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- m.check(t.Context()) }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("check = got %v, want none", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("check waits for the mirror's lock")
	}
}
