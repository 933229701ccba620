package cluster

import (
	"errors"
	"fmt"
)

// LeaseID names a lease in the store.
type LeaseID int64

// Lease is one life of a host in the store: its leased key alive/<host>. The agent keeps it
// in /run, so that a restarted agent renews the same life.
type Lease struct {
	Host     HostID  `json:"host"`
	ID       LeaseID `json:"id"`
	AliveRev int64   `json:"alive_rev"` // create revision of alive/<host>
	Nonce    string  `json:"nonce"`
}

// What the store says of a host's life, and whether this flotilla may write there.
var (
	ErrNoStore   = errors.New("store is not initialised: run flotilla init once")
	ErrSchema    = errors.New("flotilla is too old for this store")
	ErrHostTaken = errors.New("another host lives with this machine id")
	ErrLapsed    = errors.New("sign of life has lapsed")
)

// TakenError says that alive/<host> belongs to somebody else: another host with our
// id, or this host before its last boot. errors.Is(err, ErrHostTaken) holds.
type TakenError struct {
	Lease Lease // of the other life; hand it to Remaining and, when it is surely dead, to Announce
	Alive Alive
}

// Error names who holds the id.
func (e *TakenError) Error() string {
	return fmt.Sprintf("%v at %s (boot %s)", ErrHostTaken, e.Alive.Address, e.Alive.Boot)
}

// Unwrap makes errors.Is(err, ErrHostTaken) true.
func (e *TakenError) Unwrap() error { return ErrHostTaken }
