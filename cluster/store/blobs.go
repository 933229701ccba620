package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// blobChunk is how many contents one read asks for: at MaxContent each, 32 MiB.
const blobChunk = 64

// Blobs reads contents by hash and verifies each. A missing one is ErrNotFound and a
// wrong one ErrCorrupt: the map is complete or there is none.
func (s *Store) Blobs(ctx context.Context, hashes []units.Hash) (map[units.Hash][]byte, error) {
	out, bad, err := s.blobs(ctx, hashes)
	if err := cmp.Or(err, bad); err != nil {
		return nil, err
	}
	return out, nil
}

// blobs reads contents and returns those that are there and right; bad tells of the first
// that is missing or not what its name says, err of a read that failed.
func (s *Store) blobs(ctx context.Context, hashes []units.Hash) (got map[units.Hash][]byte, bad, err error) {
	names := make([]string, len(hashes))
	for i, h := range hashes {
		if err := checkPart(string(h)); err != nil {
			return nil, nil, fmt.Errorf("content hash %q: %w", h, err)
		}
		names[i] = s.keys.blob(h)
	}
	kvs, err := s.many(ctx, names, blobChunk)
	if err != nil {
		return nil, nil, err
	}
	out := make(map[units.Hash][]byte, len(hashes))
	for i, h := range hashes {
		switch {
		case kvs[i].ModRev == 0:
			bad = cmp.Or(bad, fmt.Errorf("content %s: %w", h.Short(), ErrNotFound))
		case units.HashOf(kvs[i].Value) != h:
			bad = cmp.Or(bad, fmt.Errorf("content %s: %w: its bytes have another hash", h.Short(), ErrCorrupt))
		default:
			out[h] = kvs[i].Value
		}
	}
	return out, bad, nil
}

// unnamedBlob is a content that nothing named when it was last looked at.
type unnamedBlob struct {
	rev   int64     // its mod revision then
	since time.Time // when this process first saw it so
}

// CollectBlobs deletes contents that nothing has named for olderThan, as seen by this
// process: a call notes what is unnamed, later calls delete what stayed so. The leader
// calls it now and then. Putting a head that names other content also puts that content, so
// its mod revision rises; the deletion compares it, and a content
// that was named meanwhile stays. It returns how many were deleted.
func (s *Store) CollectBlobs(ctx context.Context, term cluster.Term, olderThan time.Duration) (int, error) {
	s.collectMu.Lock()
	defer s.collectMu.Unlock()
	found, err := s.findUnnamed(ctx)
	if err != nil {
		return 0, fmt.Errorf("collect contents: %w", err)
	}
	now := time.Now()
	old := s.unnamed
	s.unnamed = make(map[units.Hash]unnamedBlob, len(found))
	var items []item
	for h, rev := range found {
		b := unnamedBlob{rev: rev, since: now}
		if before, ok := old[h]; ok && before.rev == rev {
			b = before
		}
		s.unnamed[h] = b
		if now.Sub(b.since) < olderThan {
			continue
		}
		key := s.keys.blob(h)
		items = append(items, item{
			If:   []Compare{{Key: key, Target: ModRev, Rev: rev}},
			Then: []Op{{Key: key, Delete: true}},
		})
	}
	_, errs := s.commitItems(ctx, s.termCompare(term), ErrDeposed, items)
	return countCommitted(errs)
}

// countCommitted counts; a stale deletion is one that was named again, and no error.
func countCommitted(errs []error) (n int, err error) {
	for _, e := range errs {
		switch {
		case e == nil:
			n++
		case errors.Is(e, ErrStale):
		case err == nil:
			err = fmt.Errorf("collect contents: %w", e)
		}
	}
	return n, err
}

// findUnnamed reads at one revision which contents neither a head nor a placement names.
func (s *Store) findUnnamed(ctx context.Context) (map[units.Hash]int64, error) {
	found := map[units.Hash]int64{}
	all := Prefix(s.keys.blobs())
	all.KeysOnly = true
	rev, err := s.scan(ctx, all, func(kv KeyValue) error {
		found[s.keys.blobOf(kv.Key)] = kv.ModRev
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	heads := Prefix(s.keys.units())
	heads.Revision = rev
	if _, err := s.scan(ctx, heads, func(kv KeyValue) error {
		spec, err := decode[cluster.UnitSpec](kv)
		delete(found, spec.Blob)
		delete(found, spec.DropIns)
		delete(found, spec.TemplateDropIns)
		return err
	}); err != nil {
		return nil, err
	}
	places := Prefix(s.keys.orders())
	places.Revision = rev
	_, err = s.scan(ctx, places, func(kv KeyValue) error {
		if s.keys.parse(kv.Key).kind != kindPlace {
			return nil
		}
		p, err := decode[cluster.Placement](kv)
		delete(found, p.Blob)
		delete(found, p.DropIns)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
