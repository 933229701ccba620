package memory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"flotilla/cluster/store"
)

// history is the multi-version map: every key with its versions, and the log of all
// revisions since the last compaction.
type history struct {
	rev       int64
	compacted int64 // reads below and watches below are refused
	keys      map[string]*entry
	sorted    index
	log       [][]store.Event // log[i] is what revision logBase+i changed
	logBase   int64
}

// entry is one key. Its versions are in order; the last one may be a deletion.
type entry struct {
	key      string
	versions []store.Event
}

func newHistory() history {
	return history{rev: 1, keys: map[string]*entry{}, logBase: 2}
}

// at returns the key's state at a revision, or nil where it did not exist.
func (e *entry) at(rev int64) *store.KeyValue {
	i := len(e.versions) - 1
	if rev > 0 && e.versions[i].ModRev > rev {
		n, found := slices.BinarySearchFunc(e.versions, rev, func(v store.Event, rev int64) int {
			return cmp.Compare(v.ModRev, rev)
		})
		if i = n; !found {
			i--
		}
	}
	if i < 0 || e.versions[i].Deleted {
		return nil
	}
	return &e.versions[i].KeyValue
}

func (h *history) newest(key string) *store.KeyValue {
	e := h.keys[key]
	if e == nil {
		return nil
	}
	return e.at(0)
}

// read answers a range. etcd keeps the compacted revision itself readable, so does this.
func (h *history) read(r store.Range) (store.RangeResult, error) {
	if r.Revision > h.rev {
		return store.RangeResult{}, fmt.Errorf("revision %d is in the future, store is at %d", r.Revision, h.rev)
	}
	if r.Revision > 0 && r.Revision < h.compacted {
		return store.RangeResult{}, store.ErrCompacted
	}
	res := store.RangeResult{Revision: r.Revision}
	if res.Revision == 0 {
		res.Revision = h.rev
	}
	add := func(e *entry) bool {
		if !within(e.key, r) {
			return false
		}
		kv := e.at(r.Revision)
		if kv == nil {
			return true
		}
		if r.Limit > 0 && int64(len(res.KVs)) == r.Limit {
			res.More = true
			return false
		}
		out := *kv
		if r.KeysOnly {
			out.Value = nil
		}
		res.KVs = append(res.KVs, out)
		return true
	}
	if r.End != "" {
		h.sorted.ascend(r.Key, add)
		return res, nil
	}
	if e := h.keys[r.Key]; e != nil {
		add(e)
	}
	return res, nil
}

// within says whether a key lies in a range; End "\x00" is the end of all keys.
func within(key string, r store.Range) bool {
	switch r.End {
	case "":
		return key == r.Key
	case "\x00":
		return key >= r.Key
	}
	return key >= r.Key && key < r.End
}

func (h *history) holds(compares []store.Compare) (bool, error) {
	for _, c := range compares {
		kv := h.newest(c.Key)
		var ok bool
		switch c.Target {
		case store.ModRev:
			ok = (kv == nil && c.Rev == 0) || (kv != nil && kv.ModRev == c.Rev)
		case store.CreateRev:
			ok = (kv == nil && c.Rev == 0) || (kv != nil && kv.CreateRev == c.Rev)
		case store.Value:
			ok = kv != nil && bytes.Equal(kv.Value, c.Value)
		default:
			return false, fmt.Errorf("compare of %s has unknown target %d", c.Key, c.Target)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// changes works out the events of the ops at the next revision, without storing them.
func (h *history) changes(ops []store.Op) ([]store.Event, error) {
	rev := h.rev + 1
	gone := map[string]bool{}
	var out []store.Event
	remove := func(key string) {
		if h.newest(key) == nil || gone[key] {
			return
		}
		gone[key] = true
		out = append(out, store.Event{Deleted: true, KeyValue: store.KeyValue{Key: key, ModRev: rev}})
	}
	for _, op := range ops {
		switch {
		case op.Key == "" && !op.DeletePrefix:
			return nil, errors.New("operation has no key")
		case op.DeletePrefix:
			r := store.Prefix(op.Key)
			h.sorted.ascend(r.Key, func(e *entry) bool {
				if !within(e.key, r) {
					return false
				}
				remove(e.key)
				return true
			})
		case op.Delete:
			remove(op.Key)
		default:
			create := rev
			if kv := h.newest(op.Key); kv != nil {
				create = kv.CreateRev
			}
			out = append(out, store.Event{KeyValue: store.KeyValue{
				Key: op.Key, Value: op.Value, CreateRev: create, ModRev: rev, Lease: op.Lease,
			}})
		}
	}
	return out, nil
}

// record makes events the next revision.
func (h *history) record(events []store.Event) {
	h.rev++
	for _, ev := range events {
		e := h.keys[ev.Key]
		if e == nil {
			e = &entry{key: ev.Key}
			h.keys[ev.Key] = e
			h.sorted.insert(e)
		}
		e.versions = append(e.versions, ev)
	}
	h.log = append(h.log, events)
}

// compact forgets what came before rev. Only keys that changed since the last
// compaction can have anything to forget.
func (h *history) compact(rev int64) error {
	if rev > h.rev {
		return fmt.Errorf("compact at revision %d: store is at %d", rev, h.rev)
	}
	if rev <= h.compacted {
		return store.ErrCompacted
	}
	h.compacted = rev
	n := max(rev-h.logBase, 0) // the log keeps rev itself, a watch may start there
	for _, events := range h.log[:n] {
		for _, ev := range events {
			h.trim(ev.Key, rev)
		}
	}
	h.log = slices.Clone(h.log[n:])
	h.logBase += n
	return nil
}

// trim drops the versions of a key that nobody can read any more.
func (h *history) trim(key string, rev int64) {
	e := h.keys[key]
	if e == nil {
		return
	}
	first := 0
	for first+1 < len(e.versions) && e.versions[first+1].ModRev <= rev {
		first++
	}
	if e.versions[first].Deleted && e.versions[first].ModRev < rev {
		first++
	}
	if first == len(e.versions) {
		delete(h.keys, key)
		h.sorted.remove(key)
		return
	}
	e.versions = slices.Clone(e.versions[first:])
}
