package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"flotilla/cluster"
)

// EditHostSpec changes what operators say of a host, on the newest word, and raises the
// hosts' epoch in the same transaction, so that no decision made on the old word is written
// any more. ifMatch is the mod revision that the word must have, 0 for any and MustNotExist for
// none: ErrConflict. edit may be called more than once; its error is returned. A change that
// changes nothing is not written. It returns the spec and its mod revision.
//
// A change that leaves the host removed while it is away also deletes its statuses, in
// the same transaction: nobody else would, and what it reported last is no longer true.
func (s *Store) EditHostSpec(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (cluster.HostSpec, int64, error) {
	return s.editHost(ctx, id, ifMatch, nil, edit)
}

// Leaving is a host's own word that it leaves.
type Leaving struct {
	Host     cluster.HostID
	Boot     string // the host's present boot: the life of another is not touched
	UnitsRun bool   // units of the cluster still run there
	By       cluster.Note
}

// Leave marks a host as removed by itself, and ends its life and deletes its statuses in the
// same transaction: when it returns nil, no order for the host is written any more, and it may
// join again at once. Call it when the host's agent has ended. Where units still run the life
// stays to lapse by itself, so that fenced ones end before they are started elsewhere. An
// operator's removal stays as it is. A *TakenError says that another boot, or another host
// with the same id, lives: nothing was written.
func (s *Store) Leave(ctx context.Context, l Leaving) error {
	_, _, err := s.editHost(ctx, l.Host, 0, &l, func(h *cluster.HostSpec) error {
		if h.Removed == nil {
			h.Removed, h.Left = &l.By, true
		}
		return nil
	})
	return err
}

// Rejoin ends the removal of a host that left by itself. That of an operator stays.
func (s *Store) Rejoin(ctx context.Context, id cluster.HostID) error {
	spec, _, err := s.HostSpec(ctx, id)
	if err != nil || !spec.Left { // nothing to write, as for each host that is new
		return err
	}
	_, _, err = s.EditHostSpec(ctx, id, 0, func(h *cluster.HostSpec) error {
		if h.Left {
			h.Readmit()
		}
		return nil
	})
	return err
}

// editHost is EditHostSpec, and Leave with l.
func (s *Store) editHost(ctx context.Context, id cluster.HostID, ifMatch int64, l *Leaving, edit func(*cluster.HostSpec) error) (cluster.HostSpec, int64, error) {
	if err := checkPart(string(id)); err != nil {
		return cluster.HostSpec{}, 0, fmt.Errorf("host id %q: %w", id, err)
	}
	for range maxTries {
		spec, rev, err := s.editHostOnce(ctx, id, ifMatch, l, edit)
		if err == nil || !errors.Is(err, ErrStale) {
			return spec, rev, err
		}
		if ifMatch != 0 {
			break
		}
	}
	return cluster.HostSpec{}, 0, fmt.Errorf("host %s: %w", id, ErrConflict)
}

func (s *Store) editHostOnce(ctx context.Context, id cluster.HostID, ifMatch int64, l *Leaving, edit func(*cluster.HostSpec) error) (cluster.HostSpec, int64, error) {
	none := cluster.HostSpec{}
	kvs, err := s.ours(ctx, []string{s.keys.host(id), s.keys.alive(id)})
	if err != nil {
		return none, 0, err
	}
	said, alive := kvs[0], kvs[1]
	rev := said.ModRev
	if err := matches(ifMatch, rev); err != nil {
		return none, 0, fmt.Errorf("host %s: %w", id, err)
	}
	var old, next cluster.HostSpec // two, because labels are a map
	if rev != 0 {
		if old, err = decode[cluster.HostSpec](said); err != nil {
			return none, 0, err
		}
		if next, err = decode[cluster.HostSpec](said); err != nil {
			return none, 0, err
		}
	}
	if err := edit(&next); err != nil {
		return none, 0, err
	}
	ends, err := l.ends(alive)
	if err != nil {
		return none, 0, err
	}
	if rev != 0 && reflect.DeepEqual(old, next) && !ends {
		return next, rev, nil
	}
	it, err := s.hostItem(id, said, alive, next, ends)
	if err != nil {
		return none, 0, err
	}
	revs, errs := s.commitItems(ctx, nil, nil, []item{it})
	if errs[0] != nil {
		return none, 0, fmt.Errorf("host %s: %w", id, errs[0])
	}
	if ends { // nothing hangs on the lease any more
		s.drop(ctx, alive.Lease)
	}
	return next, revs[0], nil
}

// ends says whether a leave ends the life that alive is.
func (l *Leaving) ends(alive KeyValue) (bool, error) {
	if l == nil || alive.CreateRev == 0 {
		return false, nil
	}
	a, err := decode[cluster.Alive](alive)
	if err != nil {
		return false, err
	}
	if id, _, _ := strings.Cut(a.Boot, "+"); id != l.Boot { // soft reboots of it are this boot too
		return false, &TakenError{Lease: Lease{Host: l.Host, ID: alive.Lease, AliveRev: alive.CreateRev, Nonce: a.Nonce}, Alive: a}
	}
	return !l.UnitsRun, nil
}

// hostItem writes what operators say of a host, with all that must hold along with it.
func (s *Store) hostItem(id cluster.HostID, said, alive KeyValue, next cluster.HostSpec, end bool) (item, error) {
	value, err := encode(next)
	if err != nil {
		return item{}, err
	}
	it := item{
		If:   []Compare{{Key: said.Key, Target: ModRev, Rev: said.ModRev}},
		Then: []Op{{Key: said.Key, Value: value}, {Key: s.keys.hostsEpoch(), Value: []byte(id)}},
	}
	if end {
		it.Then = append(it.Then, Op{Key: alive.Key, Delete: true})
	}
	if next.Removed != nil && (end || alive.CreateRev == 0) {
		it.If = append(it.If, Compare{Key: alive.Key, Target: CreateRev, Rev: alive.CreateRev})
		it.Then = append(it.Then, Op{Key: s.keys.statusesOf(id), DeletePrefix: true})
	}
	return it, nil
}
