// Package store is the door to etcd: keys, codec, load and watch, fenced
// transactions, leases, campaign. A Store speaks the nouns of package cluster over
// a Backend; Etcd is one, store/memory the other.
//
// The caller makes one Store per process with New, pins the identity it remembers
// (Pin) if it has one, and then reads and writes. Each write compares the key
// store, so that a wiped or replaced store is never written. A read that failed, is
// partial or cannot be decoded is an error, never an empty result. DESIGN.md holds the
// protocol.
package store
