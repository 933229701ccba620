package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flotilla/cluster"
	"flotilla/units"
)

// Errors of the domain layer. Other errors are temporary unless a Backend's say otherwise.
var (
	ErrNoStore      = cluster.ErrNoStore
	ErrForeignStore = errors.New("store is not the one this host knows: it was wiped, replaced or restored")
	ErrSchema       = cluster.ErrSchema
	ErrCorrupt      = errors.New("value cannot be decoded")
	ErrStale        = errors.New("decided on an old view")
	ErrBadOrders    = errors.New("orders can never be written as they are")
	ErrDeposed      = errors.New("leadership is over")
	ErrConflict     = errors.New("changed meanwhile")
	ErrNotFound     = errors.New("not found")
	ErrHostTaken    = cluster.ErrHostTaken
	ErrLapsed       = cluster.ErrLapsed
)

// Options are what a Store may be told; the zero value is usual.
type Options struct {
	TTL  time.Duration // of a host's lease; 0 = that of cluster.DefaultTiming
	Rand io.Reader     // source of the store's id; nil = crypto/rand
	Log  *slog.Logger  // nil = silent
}

// Store reads and writes one cluster's state. It is safe for use by many goroutines.
type Store struct {
	b    Backend
	keys keys
	ttl  time.Duration
	rand io.Reader
	log  *slog.Logger

	mu      sync.Mutex
	want    *cluster.Identity // the store this process belongs to, once known
	guard   []byte            // the bytes of key store, compared by each write; nil = not read yet
	barrier barrier           // the newest one that a leader of this process wrote
	reports map[cluster.HostID]reported

	verdicts map[string]versionVerdict // on this process' versions

	together together

	collectMu sync.Mutex
	unnamed   map[units.Hash]unnamedBlob
}

// New makes a Store over b. prefix "" is DefaultPrefix.
func New(b Backend, prefix string, opt Options) *Store {
	s := &Store{b: b, keys: newKeys(prefix), ttl: opt.TTL, rand: opt.Rand, log: opt.Log}
	if s.ttl <= 0 {
		s.ttl = cluster.DefaultTiming().TTL
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.unnamed = map[units.Hash]unnamedBlob{}
	s.reports = map[cluster.HostID]reported{}
	return s
}

// TTL is the time to live of a host's lease.
func (s *Store) TTL() time.Duration { return s.ttl }

// one reads one key, newest, linearizable. A missing key is ok = false.
func (s *Store) one(ctx context.Context, key string) (kv KeyValue, ok bool, rev int64, err error) {
	return s.oneAt(ctx, key, 0)
}

func (s *Store) oneAt(ctx context.Context, key string, at int64) (kv KeyValue, ok bool, rev int64, err error) {
	r, err := s.b.Range(ctx, Range{Key: key, Revision: at})
	if err != nil {
		return KeyValue{}, false, 0, fmt.Errorf("read %s: %w", key, err)
	}
	if len(r.KVs) == 0 {
		return KeyValue{}, false, r.Revision, nil
	}
	return r.KVs[0], true, r.Revision, nil
}

// page is how many keys one read of a long range asks for.
const page = 1000

// scan reads all keys with a prefix at one revision (0 = newest), page by page, and
// returns that revision. An error means that f saw only a part.
func (s *Store) scan(ctx context.Context, r Range, f func(KeyValue) error) (int64, error) {
	first := r.Key
	r.Limit = page
	for {
		res, err := s.b.Range(ctx, r)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", first, err)
		}
		if r.Revision == 0 {
			r.Revision = res.Revision
		}
		for _, kv := range res.KVs {
			if err := f(kv); err != nil {
				return 0, err
			}
		}
		if !res.More {
			return r.Revision, nil
		}
		if len(res.KVs) == 0 {
			return 0, fmt.Errorf("read %s: a page came back empty although more keys exist", first)
		}
		r.Key = res.KVs[len(res.KVs)-1].Key + "\x00"
	}
}

// maxReads is how many parts of one large reading are asked for at once.
const maxReads = 4

// many reads single keys, up to chunk of them in one transaction and several at a time; a
// missing key is a KeyValue with ModRev 0. Two chunks need not be of the same revision.
func (s *Store) many(ctx context.Context, names []string, chunk int) ([]KeyValue, error) {
	out := make([]KeyValue, len(names))
	if len(names) <= chunk {
		return out, s.few(ctx, names, out)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxReads)
	for at := 0; at < len(names); at += chunk {
		end := min(at+chunk, len(names))
		g.Go(func() error { return s.few(ctx, names[at:end], out[at:end]) })
	}
	return out, g.Wait()
}

// few reads keys in one transaction.
func (s *Store) few(ctx context.Context, names []string, out []KeyValue) error {
	if len(names) == 0 {
		return nil
	}
	// A compare that never holds makes the transaction read its Else.
	t := Txn{If: []Compare{{Key: s.keys.store(), Target: CreateRev, Rev: 1 << 62}}}
	for _, k := range names {
		t.Else = append(t.Else, Range{Key: k})
	}
	res, err := s.b.Txn(ctx, t)
	if err != nil {
		return fmt.Errorf("read %d keys from %s on: %w", len(names), names[0], err)
	}
	if res.Succeeded || len(res.Else) != len(names) {
		return fmt.Errorf("read %d keys from %s on: %d answers", len(names), names[0], len(res.Else))
	}
	for i, r := range res.Else {
		out[i] = KeyValue{Key: names[i]}
		if len(r.KVs) > 0 {
			out[i] = r.KVs[0]
		}
	}
	return nil
}
