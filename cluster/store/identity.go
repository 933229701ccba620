package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"flotilla/cluster"
)

// Init gives a new store its identity, or returns the one it has. It is for the
// first host of a cluster alone: a daemon that finds no identity waits, because
// an empty store may be one that was wiped.
func (s *Store) Init(ctx context.Context) (cluster.Identity, error) {
	drawn, err := s.randomID()
	if err != nil {
		return cluster.Identity{}, fmt.Errorf("draw a store id: %w", err)
	}
	id := cluster.Identity{ID: drawn, Generation: 1, Schema: Schema}
	value, err := encode(id)
	if err != nil {
		return cluster.Identity{}, err
	}
	key := s.keys.store()
	_, err = s.b.Txn(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: 0}},
		Then: []Op{{Key: key, Value: value}},
	})
	if err != nil && !errors.Is(err, ErrAmbiguous) {
		return cluster.Identity{}, fmt.Errorf("init store: %w", err)
	}
	// Whoever was first, and whatever became of an unclear write, the key says.
	return s.Identity(ctx)
}

// randomID is 32 hex digits that nobody drew before.
func (s *Store) randomID() (string, error) {
	raw := make([]byte, 16)
	_, err := io.ReadFull(s.rand, raw)
	return hex.EncodeToString(raw), err
}

// Identity reads the store's identity. It does not judge it: ErrNoStore when there is
// none. A Store that was told no identity to expect takes this one for its own.
func (s *Store) Identity(ctx context.Context) (cluster.Identity, error) {
	kv, ok, _, err := s.one(ctx, s.keys.store())
	if err != nil {
		return cluster.Identity{}, err
	}
	if !ok {
		return cluster.Identity{}, ErrNoStore
	}
	id, err := decode[cluster.Identity](kv)
	if err != nil {
		return cluster.Identity{}, err
	}
	s.learn(id, kv.Value)
	return id, nil
}

// Pin says which store this process belongs to: the one it remembers, or the one
// that an operator accepted. From now on every write to another one is
// ErrForeignStore. Reads are never refused, so that an agent can see what is there.
func (s *Store) Pin(id cluster.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want == nil || !same(*s.want, id) {
		s.guard = nil
	}
	s.want = &id
}

// Pinned is the identity that writes demand; ok is false while none is known.
func (s *Store) Pinned() (id cluster.Identity, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want == nil {
		return cluster.Identity{}, false
	}
	return *s.want, true
}

// same says whether two identities name one store. The schema may rise in between.
func same(a, b cluster.Identity) bool { return a.ID == b.ID && a.Generation == b.Generation }

// learn keeps the bytes of key store for later writes if they are those of our store.
func (s *Store) learn(id cluster.Identity, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want == nil {
		s.want = &id
	}
	if same(*s.want, id) && checkSchema(id.Schema) == nil {
		s.guard = bytes.Clone(raw)
	}
}

// identityGuard is the compare that every write carries.
func (s *Store) identityGuard(ctx context.Context) (Compare, error) {
	s.mu.Lock()
	raw := s.guard
	s.mu.Unlock()
	if raw == nil {
		kv, ok, _, err := s.one(ctx, s.keys.store())
		if err != nil {
			return Compare{}, err
		}
		if raw, err = s.judge(kv, ok); err != nil {
			return Compare{}, err
		}
	}
	return Compare{Key: s.keys.store(), Target: Value, Value: raw}, nil
}

// judge says whether a reading of key store is our store, and returns the bytes to compare.
func (s *Store) judge(kv KeyValue, ok bool) ([]byte, error) {
	want, pinned := s.Pinned()
	if !ok && pinned {
		return nil, fmt.Errorf("%w: it has no identity, ours was %s", ErrForeignStore, want.ID)
	}
	if !ok {
		return nil, ErrNoStore
	}
	id, err := decode[cluster.Identity](kv)
	if err != nil {
		return nil, err
	}
	if pinned && !same(want, id) {
		return nil, fmt.Errorf("%w: it is %s generation %d, ours is %s generation %d",
			ErrForeignStore, id.ID, id.Generation, want.ID, want.Generation)
	}
	if err := checkSchema(id.Schema); err != nil {
		return nil, err
	}
	s.learn(id, kv.Value)
	return kv.Value, nil
}

// errReplaced says that the store is not the one that was read before: it has another
// identity, or it is behind the revision seen.
var errReplaced = errors.New("store was replaced or set back since it was read")

// stillSame asks whether a store that was read as id at revision rev still is that
// store. A watch cannot tell: on a store that was wiped it waits in silence for its next
// revision, and then mixes two histories. It returns the store's revision.
func (s *Store) stillSame(ctx context.Context, id cluster.Identity, rev int64) (int64, error) {
	kv, ok, at, err := s.one(ctx, s.keys.store())
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("%w: %w", errReplaced, ErrNoStore)
	}
	now, err := decode[cluster.Identity](kv)
	if err != nil {
		return 0, err
	}
	if !same(now, id) || at < rev {
		return 0, fmt.Errorf("%w: it was %s generation %d at revision %d, it is %s generation %d at %d",
			errReplaced, id.ID, id.Generation, rev, now.ID, now.Generation, at)
	}
	return at, nil
}

// ours reads keys for a change, of our store only: a change that turns out to change
// nothing is no more acknowledged on a foreign store than a write.
func (s *Store) ours(ctx context.Context, names []string) ([]KeyValue, error) {
	kvs, err := s.many(ctx, append([]string{s.keys.store()}, names...), MaxOps)
	if err != nil {
		return nil, err
	}
	if _, err := s.judge(kvs[0], kvs[0].ModRev != 0); err != nil {
		return nil, err
	}
	return kvs[1:], nil
}

// commit runs a write with the identity compare in front. When the compares failed,
// it tells a foreign store from a condition of the caller's, and hides the identity's
// part of the answer. The caller leaves room for one compare and one read.
func (s *Store) commit(ctx context.Context, t Txn) (TxnResult, error) {
	for {
		guard, err := s.identityGuard(ctx)
		if err != nil {
			return TxnResult{}, err
		}
		full := Txn{
			If:   append([]Compare{guard}, t.If...),
			Then: t.Then,
			Else: append([]Range{{Key: guard.Key}}, t.Else...),
		}
		res, err := s.b.Txn(ctx, full)
		if err != nil || res.Succeeded {
			return res, err
		}
		if len(res.Else) != len(full.Else) {
			return TxnResult{}, fmt.Errorf("transaction: %d answers to %d reads", len(res.Else), len(full.Else))
		}
		kv, ok := first(res.Else[0])
		raw, err := s.judge(kv, ok)
		if err != nil {
			return TxnResult{}, err
		}
		if bytes.Equal(raw, guard.Value) {
			res.Else = res.Else[1:]
			return res, nil
		}
		// The same store with a newer schema text: compare what it says now.
	}
}

// first is the only key of a single-key read.
func first(r RangeResult) (KeyValue, bool) {
	if len(r.KVs) == 0 {
		return KeyValue{}, false
	}
	return r.KVs[0], true
}
