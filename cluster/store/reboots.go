package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"flotilla/cluster"
)

// grantOps adds the writes about reboots to those of orders.
func (s *Store) grantOps(it *item, o cluster.Orders) error {
	for _, g := range o.Grants {
		if g.Grant == nil {
			it.Then = append(it.Then, Op{Key: s.keys.grant(g.Host), Delete: true})
			continue
		}
		value, err := encode(g.Grant)
		if err != nil {
			return err
		}
		it.Then = append(it.Then, Op{Key: s.keys.grant(g.Host), Value: value})
	}
	for _, r := range o.Records {
		value, err := encode(r)
		if err != nil {
			return err
		}
		it.Then = append(it.Then, Op{Key: s.keys.history(cluster.HistoryKey{Host: r.Host, Generation: r.Generation}), Value: value})
	}
	for _, k := range o.Trim {
		it.Then = append(it.Then, Op{Key: s.keys.history(k), Delete: true})
	}
	if o.Notified != nil {
		value, err := encode(o.Notified)
		if err != nil {
			return err
		}
		it.Then = append(it.Then, Op{Key: s.keys.notified(), Value: value})
	}
	return nil
}

// UseGrant commits a host to reboot: it puts boot/<host> if the grant has that very mod revision still, and the
// host its life. ErrConflict says that the grant is another one by now, or none: the host must not
// reboot. After any other error it is not known, and the host must not reboot either.
func (s *Store) UseGrant(ctx context.Context, l cluster.Lease, g cluster.Granting, boot cluster.Boot) error {
	return s.putBooting(ctx, l, g, cluster.Booting{Generation: g.Generation, Grant: g.Rev, Boot: boot})
}

// RefuseGrant takes that back: the host could not reboot, and says why. The leader may have
// noted the use meanwhile, so that the grant's revision is not compared.
func (s *Store) RefuseGrant(ctx context.Context, l cluster.Lease, g cluster.Granting, boot cluster.Boot, why string) error {
	g.Rev = 0
	return s.putBooting(ctx, l, g, cluster.Booting{Generation: g.Generation, Boot: boot, Refused: why})
}

// Booting reads a host's own word on its grant, with a quorum; nil if it never gave one. It tells a host
// whose agent ended in between, or whose use was not answered, whether it is committed.
func (s *Store) Booting(ctx context.Context, host cluster.HostID) (*cluster.Booting, error) {
	kvs, err := s.ours(ctx, []string{s.keys.booting(host)})
	if err != nil {
		return nil, fmt.Errorf("read whether host %s uses its grant: %w", host, err)
	}
	if kvs[0].ModRev == 0 {
		return nil, nil
	}
	b, err := decode[cluster.Booting](kvs[0])
	if err != nil {
		return nil, fmt.Errorf("read whether host %s uses its grant: %w", host, err)
	}
	return &b, nil
}

func (s *Store) putBooting(ctx context.Context, l cluster.Lease, g cluster.Granting, b cluster.Booting) error {
	value, err := encode(b)
	if err != nil {
		return err
	}
	it := item{
		If:   []Compare{{Key: s.keys.alive(l.Host), Target: CreateRev, Rev: l.AliveRev}},
		Then: []Op{{Key: s.keys.booting(l.Host), Value: value}},
	}
	if g.Rev != 0 {
		it.If = append(it.If, Compare{Key: s.keys.grant(l.Host), Target: ModRev, Rev: g.Rev})
	}
	_, errs := s.commitItems(ctx, nil, nil, []item{it})
	switch {
	case errors.Is(errs[0], ErrStale):
		return fmt.Errorf("use the grant of host %s: %w", l.Host, ErrConflict)
	case errs[0] != nil:
		return fmt.Errorf("use the grant of host %s: %w", l.Host, errs[0])
	}
	return nil
}

// EditGroup changes a group on its newest value, which is nil where there is none; a nil result deletes it. Like
// each write about reboots it raises the hosts' epoch, so that nothing decided before is written any
// more. ifMatch and the errors are those of EditHostSpec. It returns the store's revision.
func (s *Store) EditGroup(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Group) (*cluster.Group, error)) (int64, error) {
	if err := checkPart(name); err != nil {
		return 0, fmt.Errorf("group %q: %w", name, err)
	}
	return editReboots(ctx, s, s.keys.group(name), ifMatch, edit)
}

// EditWindow is EditGroup for a window.
func (s *Store) EditWindow(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Window) (*cluster.Window, error)) (int64, error) {
	if err := checkPart(name); err != nil {
		return 0, fmt.Errorf("window %q: %w", name, err)
	}
	return editReboots(ctx, s, s.keys.window(name), ifMatch, edit)
}

// EditRebootPolicy is EditGroup for what holds for all groups.
func (s *Store) EditRebootPolicy(ctx context.Context, ifMatch int64, edit func(*cluster.RebootPolicy) (*cluster.RebootPolicy, error)) (int64, error) {
	return editReboots(ctx, s, s.keys.reboots(), ifMatch, edit)
}

// editReboots changes one value.
func editReboots[T any](ctx context.Context, s *Store, key string, ifMatch int64, edit func(*T) (*T, error)) (int64, error) {
	for range maxTries {
		rev, err := editRebootsOnce(ctx, s, key, ifMatch, edit)
		if err == nil || !errors.Is(err, ErrStale) {
			return rev, err
		}
		if ifMatch != 0 {
			break
		}
	}
	return 0, fmt.Errorf("%s: %w", key, ErrConflict)
}

func editRebootsOnce[T any](ctx context.Context, s *Store, key string, ifMatch int64, edit func(*T) (*T, error)) (int64, error) {
	kvs, err := s.ours(ctx, []string{key})
	if err != nil {
		return 0, err
	}
	kv := kvs[0]
	if err := matches(ifMatch, kv.ModRev); err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	var old, given *T // two, for edit may change what it gets
	if kv.ModRev != 0 {
		for _, to := range []**T{&old, &given} {
			v, err := decode[T](kv)
			if err != nil && ifMatch == 0 {
				return 0, err
			}
			if err == nil {
				*to = &v
			}
		}
	}
	next, err := edit(given)
	if err != nil {
		return 0, err
	}
	if reflect.DeepEqual(old, next) && (old != nil || kv.ModRev == 0) {
		return kv.ModRev, nil
	}
	op := Op{Key: key, Delete: true}
	if next != nil {
		value, err := encode(next)
		if err != nil {
			return 0, err
		}
		op = Op{Key: key, Value: value}
	}
	it := item{
		If:   []Compare{{Key: key, Target: ModRev, Rev: kv.ModRev}},
		Then: []Op{op, {Key: s.keys.hostsEpoch(), Value: []byte(key)}},
	}
	revs, errs := s.commitItems(ctx, nil, nil, []item{it})
	if errs[0] != nil {
		return 0, fmt.Errorf("%s: %w", key, errs[0])
	}
	return revs[0], nil
}
