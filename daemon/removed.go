package daemon

import (
	"context"
	"sync"
	"time"

	"flotilla/cluster"
)

// removals remembers which hosts an operator gave up, so that a busy API does not ask the
// store for each request of a host.
type removals struct {
	mu   sync.Mutex
	last map[cluster.HostID]removal
}

type removal struct {
	is   bool
	read time.Time
}

// removedFor is how old that word may be.
const removedFor = 10 * time.Second

// givenUp says whether an operator gave a host up. One that left by itself was not. It asks the
// store, which knows what the host said a moment ago.
func (d *Daemon) givenUp(ctx context.Context, id cluster.HostID) (bool, error) {
	spec, _, err := d.store.HostSpec(ctx, id)
	return spec.Removed != nil && !spec.Left, err
}

// removed says whether an operator gave a host up, or it left: the mirror says so, or the store. While
// neither can, the last word stays.
func (d *Daemon) removed(ctx context.Context, id cluster.HostID) (bool, error) {
	if d.mirror != nil && d.mirror.Err() == nil {
		is := false
		d.mirror.Read(func(snap *cluster.Snapshot) {
			h := snap.Hosts[id]
			is = h != nil && h.Spec.Removed != nil
		})
		return is, nil
	}
	r := &d.removals
	r.mu.Lock()
	last, known := r.last[id]
	r.mu.Unlock()
	if known && time.Since(last.read) < removedFor {
		return last.is, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	is, err := d.store.IsRemoved(ctx, id)
	if err != nil {
		if !known {
			return false, err
		}
		is = last.is
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[cluster.HostID]removal{}
	}
	r.last[id] = removal{is, time.Now()}
	return is, nil
}

// isRemoved is removed for the API: nobody is shut out for want of an answer.
func (d *Daemon) isRemoved(ctx context.Context, id cluster.HostID) bool {
	is, err := d.removed(ctx, id)
	if err != nil {
		d.log.Debug("ask whether a host was removed", "host", id, "err", err)
	}
	return is
}
