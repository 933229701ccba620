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

// late withholds writes while it is told to: their sender sees an unclear error, and
// deliver carries them out afterwards.
type late struct {
	store.Backend
	on   bool
	held []store.Txn
}

func (l *late) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if l.on && len(t.Then) > 0 {
		l.held = append(l.held, t)
		return store.TxnResult{}, fmt.Errorf("%w: timed out", store.ErrAmbiguous)
	}
	return l.Backend.Txn(ctx, t)
}

// deliver carries out what was withheld and says whether anything was written.
func (l *late) deliver(t *testing.T) (wrote bool) {
	t.Helper()
	if len(l.held) == 0 {
		t.Fatal("nothing was withheld")
	}
	for _, txn := range l.held {
		res, err := l.Backend.Txn(t.Context(), txn)
		if err != nil {
			t.Fatal(err)
		}
		wrote = wrote || res.Succeeded
	}
	return wrote
}

// lateWorld has one candidate that leads and one host that lives.
func lateWorld(t *testing.T, b store.Backend) (*late, *store.Store, *store.Leadership, store.Lease) {
	t.Helper()
	l := &late{Backend: b}
	s := store.New(l, "", store.Options{TTL: 10 * time.Second})
	if _, err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	life, err := s.Announce(t.Context(), host(1), cluster.Alive{Boot: "b", Nonce: "n"}, store.Lease{})
	if err != nil {
		t.Fatal(err)
	}
	lead, err := s.Campaign(t.Context(), cluster.LeaderInfo{Host: host(1)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return l, s, lead, life
}

func TestOrdersDoNotArriveAfterABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		l, s, lead, life := lateWorld(t, b)
		order := []cluster.Orders{decided(life, "a.service", 0)}
		if _, errs := s.Apply(t.Context(), lead.Term, []cluster.Orders{decided(life, "b.service", 0)}); errs[0] != nil {
			t.Fatalf("Apply = %v, want nil", errs[0])
		}
		l.on = true
		if _, errs := s.Apply(t.Context(), lead.Term, order); !errors.Is(errs[0], store.ErrAmbiguous) {
			t.Fatalf("Apply = %v, want %v", errs[0], store.ErrAmbiguous)
		}
		l.on = false
		if _, err := s.Barrier(t.Context(), lead.Term); err != nil {
			t.Fatal(err)
		}
		if l.deliver(t) {
			t.Error("orders arrived after a later barrier = written, want refused")
		}
		if _, errs := s.Apply(t.Context(), lead.Term, order); errs[0] != nil {
			t.Errorf("Apply after the barrier = %v, want nil", errs[0])
		}
		if err := lead.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReportDoesNotArriveAfterALaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{Kind: true})
		defer b.Close()
		l, s, lead, life := lateWorld(t, b)
		info := &cluster.HostInfo{Boot: "b", Name: "h"}
		report := func(info *cluster.HostInfo, message string) error {
			put := map[cluster.Unit]cluster.Status{"a.service": {Boot: "b", Message: message}}
			if message == "" {
				put = nil
			}
			return s.Report(t.Context(), life, info, put, nil)
		}
		if err := report(info, ""); err != nil {
			t.Fatal(err)
		}
		l.on = true
		if err := report(nil, "old"); !errors.Is(err, store.ErrAmbiguous) {
			t.Fatalf("Report = %v, want %v", err, store.ErrAmbiguous)
		}
		l.on = false
		if err := report(info, ""); err != nil {
			t.Fatal(err)
		}
		if err := report(nil, "new"); err != nil {
			t.Errorf("Report after the barrier = %v, want nil", err)
		}
		if l.deliver(t) {
			t.Error("a report arrived after a later one = written, want refused")
		}
		if err := lead.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
