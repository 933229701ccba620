package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// KV is the part of etcd's v3 API that flotilla uses, with etcd's semantics: one
// revision for the whole store that rises by one with each transaction that
// writes, multi-version reads, ordered watches. Etcd implements it here, the
// memory package in memory; storetest holds both to the same contract.
type KV interface {
	// Range reads keys in order, at Revision (0 = newest, linearizable). A compacted
	// revision is ErrCompacted.
	Range(ctx context.Context, r Range) (RangeResult, error)
	// Txn compares and writes atomically. Succeeded says whether the compares held. An
	// error that is ErrAmbiguous means that the write may have happened, or may still.
	Txn(ctx context.Context, t Txn) (TxnResult, error)
	// Watch delivers every change of the keys with the prefix, in order, whole
	// revisions at a time, starting at revision from (> 0), which may be ahead of the
	// store. When the watch fails, the channel closes after a WatchEvents with Err set
	// (ErrCompacted when from is no longer there); when ctx ends, it only closes.
	Watch(ctx context.Context, prefix string, from int64) <-chan WatchEvents
}

// Leases is the lease part of etcd's v3 API.
type Leases interface {
	// Grant makes a lease. A store may round its time to live up.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// Renew sends one keep-alive and returns the new time to live. ErrLeaseNotFound is final.
	Renew(ctx context.Context, id LeaseID) (time.Duration, error)
	// Revoke ends a lease; its keys are deleted in one revision.
	Revoke(ctx context.Context, id LeaseID) error
	// Remaining is the time to live that is left, in whole seconds, rounded down.
	// ErrLeaseNotFound when it ended.
	Remaining(ctx context.Context, id LeaseID) (time.Duration, error)
}

// Backend is a store's outside: etcd, or memory.
type Backend interface {
	KV
	Leases
}

// LeaseID names a lease; 0 is none.
type LeaseID = cluster.LeaseID

// Limits of one transaction, those of an etcd with default flags.
const (
	MaxCompares = 128
	MaxOps      = 128
	MaxBytes    = 1 << 20
)

// Errors of a Backend. Everything else that a Backend returns is temporary.
var (
	ErrCompacted     = errors.New("revision was compacted")
	ErrLeaseNotFound = fmt.Errorf("%w: lease not found", cluster.ErrLapsed)
	ErrTooLarge      = errors.New("transaction exceeds 128 compares, 128 operations or 1 MiB")
	ErrDuplicateKey  = errors.New("transaction writes a key twice")
	ErrReadOnly      = errors.New("store takes no writes (NOSPACE alarm)")
	ErrAmbiguous     = errors.New("outcome unknown") // wrapped when a write may have happened
)

// Range asks for the keys in [Key, End); End "" means the one key, and Prefix(k) all keys that begin with k.
type Range struct {
	Key, End string
	Revision int64
	Limit    int64 // 0 = all; More says that some were left
	KeysOnly bool
}

// KeyValue is one key with its revisions.
type KeyValue struct {
	Key       string
	Value     []byte
	CreateRev int64
	ModRev    int64
	Lease     LeaseID
}

// RangeResult holds the keys in order and the revision they were read at.
type RangeResult struct {
	KVs      []KeyValue
	Revision int64
	More     bool
}

// CompareTarget is what a Compare looks at.
type CompareTarget int

// The targets of a Compare.
const (
	ModRev    CompareTarget = iota + 1 // 0 = the key does not exist
	CreateRev                          // 0 = the key does not exist
	Value
)

// Compare demands that a key's revision or value equals what is given.
type Compare struct {
	Key    string
	Target CompareTarget
	Rev    int64
	Value  []byte
}

// Op writes or deletes one key, or (DeletePrefix) all keys with a prefix.
type Op struct {
	Key          string
	Value        []byte
	Lease        LeaseID
	Delete       bool
	DeletePrefix bool
}

// Txn writes Then when all compares of If hold, else reads Else.
type Txn struct {
	If   []Compare
	Then []Op
	Else []Range // read at the same revision when a compare failed
}

// Bytes is the size of a transaction as MaxBytes counts it: its keys and values.
func (t Txn) Bytes() int {
	n := 0
	for _, c := range t.If {
		n += len(c.Key) + len(c.Value)
	}
	for _, op := range t.Then {
		n += len(op.Key) + len(op.Value)
	}
	for _, r := range t.Else {
		n += len(r.Key) + len(r.End)
	}
	return n
}

// Check refuses what an etcd would refuse: a transaction beyond the limits, or one
// that puts a key twice or both puts and deletes it.
func (t Txn) Check() error {
	if len(t.If) > MaxCompares || len(t.Then) > MaxOps || len(t.Else) > MaxOps || t.Bytes() > MaxBytes {
		return ErrTooLarge
	}
	puts := make(map[string]bool, len(t.Then))
	for _, op := range t.Then {
		if op.Delete || op.DeletePrefix {
			continue
		}
		if puts[op.Key] {
			return fmt.Errorf("%w: %s", ErrDuplicateKey, op.Key)
		}
		puts[op.Key] = true
	}
	for _, op := range t.Then {
		if op.Delete && !op.DeletePrefix && puts[op.Key] {
			return fmt.Errorf("%w: %s", ErrDuplicateKey, op.Key)
		}
		if !op.DeletePrefix {
			continue
		}
		for key := range puts {
			if strings.HasPrefix(key, op.Key) {
				return fmt.Errorf("%w: %s", ErrDuplicateKey, key)
			}
		}
	}
	return nil
}

// TxnResult says what became of a Txn.
type TxnResult struct {
	Succeeded bool
	Revision  int64
	Else      []RangeResult
}

// Event is one change. A deletion carries no value; Prev is not delivered.
type Event struct {
	KeyValue
	Deleted bool
}

// WatchEvents is what happened up to Revision. Events may be empty (progress).
type WatchEvents struct {
	Events   []Event
	Revision int64
	Err      error
}

// Prefix is the range of all keys that begin with p.
func Prefix(p string) Range {
	end := []byte(p)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return Range{Key: p, End: string(end[:i+1])}
		}
	}
	return Range{Key: p, End: "\x00"}
}
