package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// seen counts what an unkind store did.
type seen struct {
	refused, lost, never, late         int // transactions: by error, and what became of them
	broken, compacted, dawdled, merged int // watches
	lateLease                          int
	delayed                            time.Duration
}

// An unkind store does everything that it promises to do, in each few hundred requests.
func TestUnkindness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{Seed: 1})
		defer s.Close()
		var got seen
		for i := range 2000 {
			got.transact(t, s, fmt.Sprintf("k%d", i%50), fmt.Sprint(i))
			if i%100 == 0 {
				got.lease(t, s)
			}
		}
		for range 3000 {
			got.watch(t, s)
		}
		for what, n := range map[string]int{
			"refused before anything was done": got.refused, "reply lost after a commit": got.lost,
			"committed after the error": got.late, "watch broken": got.broken, "watch compacted": got.compacted,
			"one revision at a time": got.dawdled, "several revisions at once": got.merged, "lease ended late": got.lateLease,
		} {
			if n == 0 {
				t.Errorf("%s: never happened", what)
			}
		}
		if got.delayed == 0 {
			t.Error("no request was delayed")
		}
	})
}

func (g *seen) value(t *testing.T, s *memory.Store, key string) string {
	t.Helper()
	return values(t, s)[key]
}

func (g *seen) transact(t *testing.T, s *memory.Store, key, value string) {
	t.Helper()
	start := time.Now()
	_, err := s.Txn(t.Context(), put(key, value, 0))
	g.delayed += time.Since(start)
	there := g.value(t, s, key) == value
	switch {
	case err == nil && !there:
		t.Errorf("Txn(%s) succeeded, but wrote nothing", value)
	case err != nil && !errors.Is(err, store.ErrAmbiguous):
		g.refused++
		if there {
			t.Errorf("Txn(%s) = got %v, but it wrote", value, err)
		}
	case err != nil && there:
		g.lost++
	case err != nil:
		time.Sleep(time.Second) // virtual: as long as a late commit may take
		if g.value(t, s, key) == value {
			g.late++
			return
		}
		g.never++
	}
}

func (g *seen) lease(t *testing.T, s *memory.Store) {
	t.Helper()
	id, err := s.Observer().Grant(t.Context(), time.Second)
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	mustPut(t, s.Observer(), "leased", "", id)
	time.Sleep(time.Second + time.Nanosecond) // virtual
	if _, ok := values(t, s)["leased"]; ok {
		g.lateLease++
	}
	if _, err := s.Observer().Renew(t.Context(), id); !errors.Is(err, store.ErrLeaseNotFound) {
		t.Errorf("Renew(ended) = got %v, want ErrLeaseNotFound: an ended lease never comes back", err)
	}
	time.Sleep(time.Second) // virtual: the bound of lateness
	if _, ok := values(t, s)["leased"]; ok {
		t.Error("a lease's key outlived it by more than Late")
	}
}

// watch follows 20 revisions from a little before the newest one.
func (g *seen) watch(t *testing.T, s *memory.Store) {
	t.Helper()
	now, err := s.Observer().Range(t.Context(), store.Range{Key: "k0"})
	if err != nil {
		t.Fatalf("Range: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ch := s.Watch(ctx, "k", max(1, now.Revision-10))
	for i := range 10 {
		mustPut(t, s.Observer(), fmt.Sprintf("k%d", i), "w", 0)
	}
	for batch := range ch {
		switch {
		case errors.Is(batch.Err, store.ErrCompacted):
			g.compacted++
		case batch.Err != nil:
			g.broken++
		case len(batch.Events) == 1:
			g.dawdled++
		case len(batch.Events) > 1:
			g.merged++
		}
		if batch.Revision >= now.Revision+10 {
			return
		}
	}
}

// The same seed and the same requests give the same answers.
func TestSeed(t *testing.T) {
	run := func(seed uint64) (log string) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(memory.Options{Seed: seed})
			defer s.Close()
			start := time.Now()
			for i := range 300 {
				_, err := s.Of("host").Txn(t.Context(), put("k", fmt.Sprint(i), 0))
				log += fmt.Sprintln(i, err, time.Since(start))
			}
		})
		return log
	}
	if first, second := run(7), run(7); first != second {
		t.Error("two runs with one seed differ")
	}
	if run(7) == run(8) {
		t.Error("two seeds give the same run")
	}
}

func TestSetKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{Seed: 3})
		defer s.Close()
		s.SetKind(true)
		start := time.Now()
		for i := range 500 {
			mustPut(t, s, "k", fmt.Sprint(i), 0)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("500 transactions of a kind store took %v, want no time", d)
		}
	})
}
