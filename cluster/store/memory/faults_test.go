package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
)

// kind runs f in a bubble with an exact store.
func kind(t *testing.T, f func(*testing.T, *memory.Store)) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{Kind: true})
		defer s.Close()
		f(t, s)
	})
}

func put(key, value string, lease store.LeaseID) store.Txn {
	return store.Txn{Then: []store.Op{{Key: key, Value: []byte(value), Lease: lease}}}
}

func mustPut(t *testing.T, b store.Backend, key, value string, lease store.LeaseID) int64 {
	t.Helper()
	res, err := b.Txn(t.Context(), put(key, value, lease))
	if err != nil {
		t.Fatalf("Txn(put %s): %v", key, err)
	}
	return res.Revision
}

func mustGrant(t *testing.T, b store.Backend, ttl time.Duration) store.LeaseID {
	t.Helper()
	id, err := b.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	return id
}

// values reads everything past all faults.
func values(t *testing.T, s *memory.Store) map[string]string {
	t.Helper()
	res, err := s.Observer().Range(t.Context(), store.Prefix(""))
	if err != nil {
		t.Fatalf("Range: %v", err)
	}
	out := map[string]string{}
	for _, kv := range res.KVs {
		out[kv.Key] = string(kv.Value)
	}
	return out
}

func wantValues(t *testing.T, s *memory.Store, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, values(t, s)); diff != "" {
		t.Errorf("keys = got (+), want (-):\n%s", diff)
	}
}

func TestPartition(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		near, far := s.Of("near"), s.Of("far")
		mustPut(t, far, "a", "1", 0)
		s.Partition("far", memory.CutAll)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := far.Txn(ctx, put("a", "2", 0)); !errors.Is(err, store.ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Txn(cut) = got %v, want an ambiguous deadline", err)
		}
		if _, err := far.Range(ctx, store.Range{Key: "a"}); err == nil {
			t.Error("Range(cut) = got no error")
		}
		wantValues(t, s, map[string]string{"a": "1"})
		mustPut(t, near, "b", "2", 0)

		done := make(chan error, 1)
		go func() {
			_, err := far.Txn(t.Context(), put("c", "3", 0))
			done <- err
		}()
		synctest.Wait()
		s.Partition("far", memory.CutNone)
		if err := <-done; err != nil {
			t.Errorf("Txn(cut, then healed) = got %v, want success", err)
		}
		wantValues(t, s, map[string]string{"a": "1", "b": "2", "c": "3"})
	})
}

func TestCutReplies(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		far := s.Of("far")
		rev := mustPut(t, far, "a", "1", 0)
		ch := far.Watch(t.Context(), "a", rev+1)
		s.Partition("far", memory.CutReplies)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := far.Txn(ctx, put("a", "2", 0)); !errors.Is(err, store.ErrAmbiguous) {
			t.Errorf("Txn(replies cut) = got %v, want ErrAmbiguous", err)
		}
		wantValues(t, s, map[string]string{"a": "2"})
		synctest.Wait()
		select {
		case batch := <-ch:
			t.Errorf("Watch(replies cut) = got %+v, want nothing", batch)
		default:
		}
		s.Partition("far", memory.CutNone)
		if batch := <-ch; len(batch.Events) != 1 || string(batch.Events[0].Value) != "2" {
			t.Errorf("Watch(healed) = got %+v, want the change", batch)
		}
	})
}

// A watch that was cut off while its revisions were compacted says so.
func TestCutAndCompacted(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		rev := mustPut(t, s, "a", "1", 0)
		ch := s.Of("far").Watch(t.Context(), "a", rev+1)
		synctest.Wait()
		s.Partition("far", memory.CutAll)
		mustPut(t, s, "a", "2", 0)
		last := mustPut(t, s, "a", "3", 0)
		synctest.Wait()
		if err := s.Compact(t.Context(), last); err != nil {
			t.Fatalf("Compact: %v", err)
		}
		s.Partition("far", memory.CutNone)
		if batch := <-ch; !errors.Is(batch.Err, store.ErrCompacted) {
			t.Errorf("Watch = got %+v, want ErrCompacted", batch)
		}
	})
}

// While the store is down no lease ends; when it is back all have their full time.
func TestDown(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		id := mustGrant(t, s, 10*time.Second)
		rev := mustPut(t, s, "alive", "", id)
		ch := s.Watch(t.Context(), "alive", rev+1)
		s.Down(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.Renew(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Renew(down) = got %v, want a deadline", err)
		}
		wantValues(t, s, map[string]string{"alive": ""})
		s.Down(false)
		back := time.Now()
		if batch := <-ch; len(batch.Events) != 1 || time.Since(back) != 10*time.Second {
			t.Errorf("lease after an outage ended after %v with %+v, want after its full 10s", time.Since(back), batch)
		}
	})
}

// TestRefuse: no etcd at all is not one that says nothing.
func TestRefuse(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		id := mustGrant(t, s, 10*time.Second)
		rev := mustPut(t, s, "alive", "", id)
		ch := s.Watch(t.Context(), "alive", rev+1)
		synctest.Wait()
		began := time.Now()
		s.Refuse()
		if batch := <-ch; batch.Err == nil {
			t.Errorf("Watch(refused) = got %+v, want an error", batch)
		}
		if _, err := s.Renew(t.Context(), id); err == nil || errors.Is(err, store.ErrLeaseNotFound) {
			t.Errorf("Renew(refused) = got %v, want a temporary error", err)
		}
		if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{{Key: "a"}}}); err == nil || errors.Is(err, store.ErrAmbiguous) {
			t.Errorf("Txn(refused) = got %v, want an error that says that nothing was written", err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("a refusal took %v, want none", waited)
		}
		time.Sleep(time.Minute) // virtual: longer than the lease
		s.Down(false)
		wantValues(t, s, map[string]string{"alive": ""})
	})
}

func TestLeaderChange(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		start := time.Now()
		id := mustGrant(t, s, 10*time.Second)
		rev := mustPut(t, s, "alive", "", id)
		ch := s.Watch(t.Context(), "alive", rev+1)
		timer := time.AfterFunc(8*time.Second, s.LeaderChange)
		defer timer.Stop()
		<-ch
		if lived := time.Since(start); lived != 18*time.Second {
			t.Errorf("lease lived %v across a leader change, want 18s", lived)
		}
	})
}

func TestReadOnly(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		id := mustGrant(t, s, time.Minute)
		mustPut(t, s, "a", "1", id)
		s.ReadOnly(true)
		if _, err := s.Txn(t.Context(), put("b", "2", 0)); !errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrAmbiguous) {
			t.Errorf("Txn(read-only) = got %v, want ErrReadOnly", err)
		}
		if _, err := s.Grant(t.Context(), time.Minute); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("Grant(read-only) = got %v, want ErrReadOnly", err)
		}
		if _, err := s.Renew(t.Context(), id); err != nil {
			t.Errorf("Renew(read-only): %v", err)
		}
		if _, err := s.Txn(t.Context(), store.Txn{Then: []store.Op{{Key: "a", Delete: true}}}); err != nil {
			t.Errorf("Txn(delete, read-only): %v", err)
		}
		s.ReadOnly(false)
		mustPut(t, s, "b", "2", 0)
	})
}

func TestWipe(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		id := mustGrant(t, s, time.Minute)
		rev := mustPut(t, s, "a", "1", id)
		ch := s.Watch(t.Context(), "a", rev+1)
		synctest.Wait()
		s.Wipe()
		if batch := <-ch; batch.Err == nil || errors.Is(batch.Err, store.ErrCompacted) {
			t.Errorf("Watch(wiped) = got %+v, want a temporary error", batch)
		}
		if _, err := s.Renew(t.Context(), id); !errors.Is(err, store.ErrLeaseNotFound) {
			t.Errorf("Renew(wiped) = got %v, want ErrLeaseNotFound", err)
		}
		wantValues(t, s, map[string]string{})
		if rev := mustPut(t, s, "b", "1", 0); rev != 2 {
			t.Errorf("first revision after a wipe = got %d, want 2", rev)
		}
	})
}

func TestOnCommitAndStats(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		var got []string
		s.OnCommit(func(rev int64, events []store.Event) {
			for _, ev := range events {
				got = append(got, fmt.Sprintf("%d %s %v", rev, ev.Key, ev.Deleted))
			}
		})
		id := mustGrant(t, s, time.Second)
		mustPut(t, s, "a", "1", id)
		mustPut(t, s, "b", "22", 0)
		<-s.Watch(t.Context(), "b", 3)
		<-s.Watch(t.Context(), "a", 4) // when the lease ends
		if diff := cmp.Diff([]string{"2 a false", "3 b false", "4 a true"}, got); diff != "" {
			t.Errorf("OnCommit = got (+), want (-):\n%s", diff)
		}
		want := memory.Stats{Txns: 2, Commits: 3, Puts: 2, Deletes: 1, Watches: 2, Events: 2, EventBytes: 4, Grants: 1}
		if diff := cmp.Diff(want, s.Stats()); diff != "" {
			t.Errorf("Stats = got (+), want (-):\n%s", diff)
		}
	})
}

// Close ends whoever waits; synctest fails when a goroutine is left.
func TestClose(t *testing.T) {
	kind(t, func(t *testing.T, s *memory.Store) {
		ch := s.Watch(t.Context(), "", 1)
		s.Down(true)
		done := make(chan error, 1)
		go func() {
			_, err := s.Range(t.Context(), store.Prefix(""))
			done <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-done; err == nil {
			t.Error("Range(closed) = got no error")
		}
		for range ch {
		}
	})
}
