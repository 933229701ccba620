// Package store is the door to etcd: keys, codec, load and watch, fenced
// transactions, leases, campaign. A Store speaks the nouns of package cluster over
// a Backend; Etcd is one, store/memory the other.
package store
