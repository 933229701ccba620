package storetest

import (
	"time"

	"flotilla/cluster/store"
)

// ttl is the shortest that every etcd grants as asked.
const ttl = 2 * time.Second

func (e *env) grant(ttl time.Duration) store.LeaseID {
	e.Helper()
	id, err := e.b.Grant(e.ctx, ttl)
	if err != nil || id == 0 {
		e.Fatalf("Grant(%v) = got %d, %v, want a lease", ttl, id, err)
	}
	return id
}

func (e *env) leased(key string, id store.LeaseID) store.Op {
	op := e.put(key, "leased")
	op.Lease = id
	return op
}

func testLeaseRevoke(e *env) {
	id := e.grant(time.Minute)
	base := e.commit(e.leased("a", id), e.leased("b", id), e.put("c", "stays"))
	if kv := e.mustRange(e.all()).KVs[0]; kv.Lease != id {
		e.Errorf("Lease of a = got %d, want %d", kv.Lease, id)
	}
	ch := e.b.Watch(e.ctx, e.dir, base+1)
	if err := e.b.Revoke(e.ctx, id); err != nil {
		e.Fatalf("Revoke: %v", err)
	}
	e.same("events of Revoke", e.showEvents(e.collect(ch, count(2)), base), []string{"1-a", "1-b"})
	e.same("keys after Revoke", e.show(e.mustRange(e.all()).KVs), []string{"c=stays"})
	e.wantErr("Revoke again", e.b.Revoke(e.ctx, id), store.ErrLeaseNotFound)
}

func testLeaseExpires(e *env) {
	start := time.Now()
	id := e.grant(ttl)
	base := e.commit(e.leased("a", id), e.leased("b", id))
	ch := e.b.Watch(e.ctx, e.dir, base+1)
	e.same("events of expiry", e.showEvents(e.collect(ch, count(2)), base), []string{"1-a", "1-b"})
	if lived := time.Since(start); lived < ttl {
		e.Errorf("lease of %v ended after %v", ttl, lived)
	}
	_, err := e.b.Renew(e.ctx, id)
	e.wantErr("Renew(expired)", err, store.ErrLeaseNotFound)
	_, err = e.b.Remaining(e.ctx, id)
	e.wantErr("Remaining(expired)", err, store.ErrLeaseNotFound)
}

// A renewed lease outlives its time to live, and ends when nobody renews it.
func testLeaseRenew(e *env) {
	start := time.Now()
	id := e.grant(ttl)
	base := e.commit(e.leased("a", id))
	ch := e.b.Watch(e.ctx, e.dir, base+1)
	tick := time.NewTicker(ttl / 5)
	defer tick.Stop()
	for time.Since(start) < ttl*3/2 {
		got, err := e.b.Renew(e.ctx, id)
		if err != nil || got < ttl || got > 2*ttl {
			e.Fatalf("Renew = got %v, %v, want about %v", got, err, ttl)
		}
		<-tick.C
	}
	left, err := e.b.Remaining(e.ctx, id)
	if err != nil || left > 2*ttl || left < 0 {
		e.Errorf("Remaining = got %v, %v, want at most about %v", left, err, ttl)
	}
	e.same("key of a renewed lease", e.show(e.mustRange(e.all()).KVs), []string{"a=leased"})
	e.same("events of expiry", e.showEvents(e.collect(ch, count(1)), base), []string{"1-a"})
}

// A put without a lease, or with another, takes the key from the lease it had.
func testLeaseDetach(e *env) {
	old, other := e.grant(time.Minute), e.grant(time.Minute)
	e.commit(e.leased("a", old), e.leased("b", old), e.leased("c", old), e.leased("d", old))
	e.commit(e.put("a", "free"), e.leased("b", other), e.del("c"))
	e.commit(e.put("c", "new"))
	if err := e.b.Revoke(e.ctx, old); err != nil {
		e.Fatalf("Revoke: %v", err)
	}
	e.same("keys after Revoke", e.show(e.mustRange(e.all()).KVs), []string{"a=free", "b=leased", "c=new"})
	if err := e.b.Revoke(e.ctx, other); err != nil {
		e.Fatalf("Revoke: %v", err)
	}
	e.same("keys after both Revokes", e.show(e.mustRange(e.all()).KVs), []string{"a=free", "c=new"})
}

func testLeaseNotFound(e *env) {
	const none = store.LeaseID(0x1234567)
	_, err := e.b.Renew(e.ctx, none)
	e.wantErr("Renew(none)", err, store.ErrLeaseNotFound)
	_, err = e.b.Remaining(e.ctx, none)
	e.wantErr("Remaining(none)", err, store.ErrLeaseNotFound)
	e.wantErr("Revoke(none)", e.b.Revoke(e.ctx, none), store.ErrLeaseNotFound)
	_, err = e.b.Txn(e.ctx, store.Txn{Then: []store.Op{e.put("b", "1"), e.leased("a", none)}})
	e.wantErr("Txn(lease none)", err, store.ErrLeaseNotFound)
	if n := len(e.mustRange(e.all()).KVs); n != 0 {
		e.Errorf("keys after a refused transaction = got %d, want 0", n)
	}
}
