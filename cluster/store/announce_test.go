package store_test

import (
	"context"
	"testing"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// mute loses the answer of the next write, and counts revoked leases.
type mute struct {
	store.Backend
	lose    bool
	revoked int
}

func (m *mute) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	r, err := m.Backend.Txn(ctx, t)
	if m.lose && err == nil && len(t.Then) > 0 {
		m.lose = false
		return store.TxnResult{}, store.ErrAmbiguous
	}
	return r, err
}

func (m *mute) Revoke(ctx context.Context, id store.LeaseID) error {
	m.revoked++
	return m.Backend.Revoke(ctx, id)
}

// A sign of life whose answer was lost may be there: to revoke its lease could end the life
// after the next announcement went on with it.
func TestUnclearAnnouncementIsNotRevoked(t *testing.T) {
	b := memory.New(memory.Options{Kind: true})
	defer b.Close()
	m := &mute{Backend: b}
	s := store.New(m, "", store.Options{})
	if _, err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.lose = true
	me := cluster.Alive{Boot: "b", Nonce: "n"}
	if _, err := s.Announce(t.Context(), host(1), me, store.Lease{}); err == nil {
		t.Fatal("Announce without an answer = no error")
	}
	if m.revoked != 0 {
		t.Error("the lease was revoked although the key may hang on it")
	}
	l, err := s.Announce(t.Context(), host(1), me, store.Lease{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Holds(t.Context(), l); err != nil || m.revoked != 1 { // the second attempt's own, unused
		t.Errorf("Holds = %v after %d revoked leases, want the first life to go on and one", err, m.revoked)
	}
}
