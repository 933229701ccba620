package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// decoder turns keys into a snapshot. What it cannot decode is never taken for absent: a
// unit's head or status makes that unit Bad and a placement itself, so that nobody touches the unit; anything else
// makes the whole snapshot incomplete, so that nothing is decided, until it is mended.
type decoder struct {
	keys   keys
	clock  func() time.Time
	snap   *cluster.Snapshot
	blobs  *blobCache
	broken map[string]broken                // by key
	of     map[cluster.Unit]map[string]bool // the keys of broken by the unit whose head they make Bad, "" = by all
}

type broken struct {
	unit cluster.Unit // whose head it makes Bad; "" = it concerns the whole cluster
	err  error
}

func newDecoder(k keys, clock func() time.Time, blobs *blobCache) *decoder {
	return &decoder{keys: k, clock: clock, snap: cluster.NewSnapshot(), blobs: blobs, broken: map[string]broken{}, of: map[cluster.Unit]map[string]bool{}}
}

// finish ends a batch: the snapshot is complete if nothing that concerns all is unreadable.
func (d *decoder) finish(rev int64) {
	d.blobs.sweep()
	d.snap.Revision = rev
	d.snap.Complete = d.snap.Store.ID != "" && len(d.of[""]) == 0
}

// setBroken notes that a key cannot be decoded, and mended that it can.
func (d *decoder) setBroken(key string, b broken) {
	d.broken[key] = b
	if d.of[b.unit] == nil {
		d.of[b.unit] = map[string]bool{}
	}
	d.of[b.unit][key] = true
}

func (d *decoder) mended(key string) {
	u := d.broken[key].unit
	delete(d.broken, key)
	if delete(d.of[u], key); len(d.of[u]) == 0 {
		delete(d.of, u)
	}
}

// faultsNamed is how many keys a fault names; the rest it counts.
const faultsNamed = 5

// fault names what cannot be decoded or is missing, or nil.
func (d *decoder) fault() error {
	var errs []error
	if d.snap.Store.ID == "" {
		errs = append(errs, ErrNoStore)
	}
	if len(d.broken) == 0 {
		return errors.Join(errs...)
	}
	for _, k := range slices.Sorted(maps.Keys(d.broken))[:min(len(d.broken), faultsNamed)] {
		errs = append(errs, d.broken[k].err)
	}
	if more := len(d.broken) - faultsNamed; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more keys: %w", more, ErrCorrupt))
	}
	return errors.Join(errs...)
}

// event applies one change.
func (d *decoder) event(e Event, fetched map[units.Hash][]byte) {
	k := d.keys.parse(e.Key)
	old, was := d.broken[e.Key]
	if was {
		d.mended(e.Key)
	}
	if e.Deleted {
		d.remove(k, e.ModRev)
	} else if err := d.put(k, e.KeyValue, fetched); err != nil && k.kind == kindPlace {
		d.broken[e.Key] = broken{k.unit, err}
	} else if err != nil {
		b := broken{err: err}
		if k.kind == kindUnit || k.kind == kindStatus {
			b.unit = k.unit
		}
		d.setBroken(e.Key, b)
		d.rehead(b.unit)
	}
	if was {
		d.rehead(old.unit)
	}
}

// put applies a written key.
func (d *decoder) put(k parsed, kv KeyValue, fetched map[units.Hash][]byte) (err error) {
	switch k.kind {
	case kindStore:
		d.snap.Store, err = decode[cluster.Identity](kv)
	case kindFailover:
		d.snap.Resumed = kv.ModRev
	case kindHostsEpoch:
		d.snap.HostsEpoch = kv.ModRev
	case kindBlob:
		d.arrived(k.blob, fetched[k.blob])
	case kindUnit:
		err = d.putHead(k.unit, kv, fetched)
	case kindHost:
		var spec cluster.HostSpec
		if spec, err = decode[cluster.HostSpec](kv); err == nil {
			d.snap.SetHostSpec(k.host, spec, kv.ModRev, d.clock())
		}
	case kindInfo:
		var info cluster.HostInfo
		if info, err = decode[cluster.HostInfo](kv); err == nil {
			d.snap.SetHostInfo(k.host, &info, d.clock())
		}
	case kindAlive:
		// The key's being there is the sign of life, whatever it says.
		var a cluster.Alive
		a, err = decode[cluster.Alive](kv)
		d.snap.SetAlive(k.host, &a, kv.CreateRev)
	case kindPlace:
		var p cluster.Placement
		placed := &cluster.Placed{Host: k.host, Unit: k.unit, Rev: kv.ModRev}
		if p, err = decode[cluster.Placement](kv); err == nil {
			placed.Placement = p
		} else {
			placed.Bad = err.Error()
			placed.State, placed.Reason = cluster.Launched, "cannot be read: "+placed.Bad
		}
		d.snap.SetPlaced(placed)
	case kindStatus:
		var st cluster.Status
		if st, err = decode[cluster.Status](kv); err == nil {
			st.Seen = d.clock()
			d.snap.SetStatus(k.where(), &st)
		} else {
			d.snap.DeleteStatus(k.where())
		}
	case kindOrphan:
		d.snap.SetOrphanStop(k.where(), kv.ModRev)
	case kindDestroyed:
		d.snap.SetDestroyed(k.unit, kv.ModRev)
	case kindReboots, kindNotified, kindGroup, kindWindow, kindGrant, kindBooting, kindHistory:
		err = d.putReboot(k, kv)
	case kindOther, kindLeader:
	default:
		err = fmt.Errorf("key %s: unknown kind %d", kv.Key, int(k.kind))
	}
	return err
}

// remove applies a deletion.
func (d *decoder) remove(k parsed, rev int64) {
	switch k.kind {
	case kindStore:
		d.snap.Store = cluster.Identity{}
	case kindFailover:
		d.snap.Resumed = 0
	case kindHostsEpoch:
		d.snap.HostsEpoch = 0
	case kindUnit:
		d.dropHead(k.unit)
	case kindHost:
		d.snap.DeleteHostSpec(k.host)
	case kindInfo:
		d.snap.SetHostInfo(k.host, nil, d.clock())
	case kindAlive:
		d.snap.DeleteAlive(k.host, rev, d.clock())
	case kindPlace:
		d.snap.DeletePlaced(k.where())
	case kindStatus:
		d.snap.DeleteStatus(k.where())
	case kindOrphan:
		d.snap.DeleteOrphanStop(k.where())
	case kindDestroyed:
		d.snap.DeleteDestroyed(k.unit)
	case kindReboots, kindNotified, kindGroup, kindWindow, kindGrant, kindBooting, kindHistory:
		d.removeReboot(k)
	case kindBlob, kindLeader, kindOther:
		// A head keeps the content it was given; nothing else rests on these.
	}
}
