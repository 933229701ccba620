package store_test

import (
	"fmt"
	"testing"

	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// benchTxns measures full transactions: as many puts as a transaction may hold, over 100,000 keys.
func benchTxns(b *testing.B, s store.Backend) {
	b.Helper()
	value := make([]byte, 200)
	n := 0
	for b.Loop() {
		ops := make([]store.Op, store.MaxOps)
		for i := range ops {
			ops[i] = store.Op{Key: fmt.Sprintf("/bench/%05d", n%100_000), Value: value}
			n++
		}
		if _, err := s.Txn(b.Context(), store.Txn{Then: ops}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
}

func benchRenew(b *testing.B, s store.Backend) {
	b.Helper()
	id, err := s.Grant(b.Context(), 60_000_000_000)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Renew(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}

// benchRange reads 20 keys by prefix among 100,000.
func benchRange(b *testing.B, s store.Backend) {
	b.Helper()
	for n := 0; n < 100_000; {
		ops := make([]store.Op, store.MaxOps)
		for i := range ops {
			ops[i] = store.Op{Key: fmt.Sprintf("/range/%04d/%02d", n/20, n%20), Value: []byte("v")}
			n++
		}
		if _, err := s.Txn(b.Context(), store.Txn{Then: ops}); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	for b.Loop() {
		n++
		res, err := s.Range(b.Context(), store.Prefix(fmt.Sprintf("/range/%04d/", n%5000)))
		if err != nil || len(res.KVs) != 20 {
			b.Fatalf("Range = got %d keys, %v", len(res.KVs), err)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	s := memory.New(memory.Options{Kind: true})
	defer s.Close()
	b.Run("Txn128", func(b *testing.B) { benchTxns(b, s) })
	b.Run("Range20", func(b *testing.B) { benchRange(b, s) })
	b.Run("Renew", func(b *testing.B) { benchRenew(b, s) })
}

func BenchmarkEtcd(b *testing.B) {
	s := dial(b, startMember(b, embedConfig(b)).endpoint())
	b.Run("Txn128", func(b *testing.B) { benchTxns(b, s) })
	b.Run("Range20", func(b *testing.B) { benchRange(b, s) })
	b.Run("Renew", func(b *testing.B) { benchRenew(b, s) })
}
