package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/coreos/go-semver/semver"

	"flotilla/cluster"
)

// Schema is the version of the key layout that this flotilla writes:
//
//	1.0  units, hosts and orders
//	1.1  grants to reboot: who does not know them takes a host that reboots for a dead one
const Schema = "1.1.0"

// schemaOfGrants is the first schema with grants.
const schemaOfGrants = "1.1.0"

// checkSchema refuses a store whose layout is newer than ours.
func checkSchema(schema string) error {
	theirs, err := semver.NewVersion(schema)
	if err != nil {
		return fmt.Errorf("%w: its schema version %q is unreadable: %w", ErrSchema, schema, err)
	}
	if ours := semver.New(Schema); newerMinor(theirs, ours) {
		return fmt.Errorf("%w: the store has schema %s, this binary knows %s: upgrade flotilla on this host",
			ErrSchema, schema, Schema)
	}
	return nil
}

// demandSchema makes the store's schema at least so new, under a term, so that no older flotilla writes any more. It
// rises with the first value that an older one would misread, not with the first newer binary: until
// then the two may write side by side.
func (s *Store) demandSchema(ctx context.Context, t cluster.Term, schema string) error {
	guard, err := s.identityGuard(ctx)
	if err != nil {
		return err
	}
	id, err := decode[cluster.Identity](KeyValue{Key: guard.Key, Value: guard.Value})
	if err != nil {
		return err
	}
	if v, err := semver.NewVersion(id.Schema); err != nil || !newerMinor(semver.New(schema), v) {
		return err
	}
	id.Schema = schema
	value, err := encode(id)
	if err != nil {
		return err
	}
	res, err := s.commit(ctx, Txn{If: s.termCompare(t), Then: []Op{{Key: guard.Key, Value: value}}})
	switch {
	case err != nil:
		return fmt.Errorf("raise the schema to %s: %w", schema, err)
	case !res.Succeeded:
		return ErrDeposed
	}
	s.learn(id, value)
	return nil
}

// newerMinor says whether a is newer than b by major or minor.
func newerMinor(a, b *semver.Version) bool {
	return a.Major > b.Major || a.Major == b.Major && a.Minor > b.Minor
}

// CheckVersion says whether a daemon of version self may write to a store with
// this schema beside daemons of the versions others. It refuses a binary that is too old
// for the schema, and one that is more than one minor version away from a live daemon.
func CheckVersion(self, schema string, others map[cluster.HostID]string) error {
	if err := checkSchema(schema); err != nil {
		return err
	}
	mine, err := semver.NewVersion(self)
	if err != nil {
		return fmt.Errorf("%w: own version %q is unreadable: %w", ErrSchema, self, err)
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		theirs, err := semver.NewVersion(others[id])
		if err != nil {
			return fmt.Errorf("%w: host %s says version %q, which is unreadable: %w", ErrSchema, id.Short(), others[id], err)
		}
		apart := mine.Minor - theirs.Minor
		if mine.Major != theirs.Major || apart < -1 || apart > 1 {
			return fmt.Errorf("%w: host %s runs %s and this one %s, more than one minor version apart: upgrade one step at a time",
				ErrSchema, id.Short(), theirs, mine)
		}
	}
	return nil
}

// refusedFor is how long a refusal is believed: reading all signs of life costs as much as
// there are hosts, and after an outage all of them ask.
const refusedFor = 30 * time.Second

// versionVerdict is what the versions of the others said of one daemon of this process.
type versionVerdict struct {
	err   error
	until time.Time // of a refusal; a permission holds for this process
}

// CheckVersion reads the schema and the versions of the other live daemons and judges
// by them; a daemon asks before it announces itself. The others are read once: from then on
// the leader watches the versions.
func (s *Store) CheckVersion(ctx context.Context, self string, me cluster.HostID) error {
	id, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	if err := checkSchema(id.Schema); err != nil {
		return err
	}
	who := string(me) + " " + self
	s.mu.Lock()
	v, known := s.verdicts[who]
	s.mu.Unlock()
	if known && (v.err == nil || time.Now().Before(v.until)) {
		return v.err
	}
	live, err := s.Alive(ctx)
	if err != nil {
		return err
	}
	others := map[cluster.HostID]string{}
	for host, a := range live {
		if host != me {
			others[host] = a.Version
		}
	}
	v = versionVerdict{CheckVersion(self, id.Schema, others), time.Now().Add(refusedFor)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdicts == nil {
		s.verdicts = map[string]versionVerdict{}
	}
	s.verdicts[who] = v
	return v.err
}
