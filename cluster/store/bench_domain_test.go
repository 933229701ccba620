package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

// benchCluster is a store with n units, each with its own content, and a leader.
func benchCluster(b *testing.B, back store.Backend, n int) (*store.Store, cluster.Term, []store.UnitResult) {
	b.Helper()
	s := store.New(back, "/"+b.Name(), store.Options{TTL: time.Hour})
	if _, err := s.Init(b.Context()); err != nil {
		b.Fatal(err)
	}
	l, err := s.Campaign(b.Context(), cluster.LeaderInfo{Host: host(1)}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Resign(b.Context()) })
	changes := make([]unitChange, n)
	for i := range changes {
		changes[i] = unitChange{Name: name(i), Raw: unit(i), Target: to(units.Launched)}
	}
	results := change(b.Context(), s, changes)
	for _, r := range results {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	return s, l.Term, results
}

// benchApply places 5,000 units on 100 hosts, each with all its conditions.
func benchApply(b *testing.B, back store.Backend) {
	const n = 5000
	s, term, heads := benchCluster(b, back, n)
	lives := make([]store.Lease, 100)
	for i := range lives {
		var err error
		if lives[i], err = s.Announce(b.Context(), host(i), cluster.Alive{Nonce: fmt.Sprint(i)}, store.Lease{}); err != nil {
			b.Fatal(err)
		}
	}
	placed := make([]int64, n)
	for b.Loop() {
		orders := make([]cluster.Orders, n)
		for i, h := range heads {
			orders[i] = decided(lives[i%len(lives)], h.Name, h.Rev)
			orders[i].If[2].Revision = placed[i]
		}
		_, errs := s.Apply(b.Context(), term, orders)
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		snap, err := s.Load(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for i, h := range heads {
			placed[i] = snap.Placed[h.Name][lives[i%len(lives)].Host].Rev
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// benchLoad loads 10,000 units with 10,000 contents.
func benchLoad(b *testing.B, back store.Backend) {
	s, _, _ := benchCluster(b, back, 10_000)
	for b.Loop() {
		snap, err := s.Load(b.Context())
		if err != nil || len(snap.Units) != 10_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply5000(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		back := memory.New(memory.Options{Kind: true})
		defer back.Close()
		benchApply(b, back)
	})
	b.Run("etcd", func(b *testing.B) { benchApply(b, startEtcd(b)) })
}

func BenchmarkLoad10000(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		back := memory.New(memory.Options{Kind: true})
		defer back.Close()
		benchLoad(b, back)
	})
	b.Run("etcd", func(b *testing.B) { benchLoad(b, startEtcd(b)) })
}
