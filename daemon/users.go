package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// users shows the API the store, in the API's words.
type users struct {
	store   *store.Store
	backend store.Backend
	prefix  string
	seen    func() (known cluster.Identity, frozen, ok bool) // the store that this host's agent remembers
}

// EditUnits changes unit heads.
func (u users) EditUnits(ctx context.Context, names []cluster.Unit, edit func(int, *cluster.UnitHead) (api.Edit, error)) []api.Outcome {
	results := u.store.EditUnits(ctx, names, func(i int, old *cluster.UnitSpec, rev int64) (store.Edit, error) {
		var head *cluster.UnitHead
		if old != nil {
			head = &cluster.UnitHead{Name: names[i], Spec: *old, Rev: rev}
		}
		e, err := edit(i, head)
		if err != nil || e.Keep {
			return store.Edit{}, err
		}
		return store.Edit{Spec: e.Spec, Raw: e.Blob, Bundle: e.Bundle, Delete: e.Spec == nil, By: e.By}, nil
	})
	out := make([]api.Outcome, len(results))
	for i, r := range results {
		out[i] = api.Outcome{Revision: r.Rev, Err: r.Err}
	}
	return out
}

// EditHost changes what the operator says of a host.
func (u users) EditHost(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (int64, error) {
	_, rev, err := u.store.EditHostSpec(ctx, id, ifMatch, edit)
	return rev, err
}

// Blob reads one content.
func (u users) Blob(ctx context.Context, h units.Hash) ([]byte, error) {
	blobs, err := u.store.Blobs(ctx, []units.Hash{h})
	if err != nil {
		return nil, err
	}
	return blobs[h], nil
}

// ResumeFailover lets go of the storm brake.
func (u users) ResumeFailover(ctx context.Context, by cluster.Note) error {
	_, err := u.store.ResumeFailover(ctx, by)
	return err
}

// AcceptStore lets hosts follow the store that is there now although they remember
// the one that this host remembers, or remember more of it: it may have been set back.
func (u users) AcceptStore(ctx context.Context, by cluster.Note) (string, error) {
	old, frozen, ok := u.seen()
	if !ok {
		return "", api.Refuse(http.StatusConflict, "run it on a host that is frozen", "this host remembers no store")
	}
	there := store.New(u.backend, u.prefix, store.Options{})
	id, err := there.Init(ctx)
	switch {
	case err != nil:
		return "", err
	case id.ID == old.ID && id.Generation == old.Generation && !frozen:
		return "the store is the one that this host knows: nothing to accept", nil
	}
	if _, err := there.AcceptStore(ctx, cluster.Acceptance{Old: old.ID, By: by}); err != nil {
		return "", err
	}
	if id.ID == old.ID {
		return fmt.Sprintf("hosts that know store %.8s follow it again as it is; nothing was stopped", old.ID), nil
	}
	return fmt.Sprintf("hosts that know store %.8s now follow store %.8s; nothing was stopped", old.ID, id.ID), nil
}

// StopOrphan asks for the end of a unit that runs without any order.
func (u users) StopOrphan(ctx context.Context, w cluster.Where, by cluster.Note) (int64, error) {
	return u.store.StopOrphan(ctx, w, by)
}

// EditGroup changes a group; a nil result deletes it.
func (u users) EditGroup(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Group) (*cluster.Group, error)) (int64, error) {
	return u.store.EditGroup(ctx, name, ifMatch, edit)
}

// EditWindow changes a window; a nil result deletes it.
func (u users) EditWindow(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Window) (*cluster.Window, error)) (int64, error) {
	return u.store.EditWindow(ctx, name, ifMatch, edit)
}

// EditRebootPolicy changes what holds for all groups.
func (u users) EditRebootPolicy(ctx context.Context, ifMatch int64, edit func(*cluster.RebootPolicy) (*cluster.RebootPolicy, error)) (int64, error) {
	return u.store.EditRebootPolicy(ctx, ifMatch, edit)
}

// UseGrant commits a host to reboot, on its behalf.
func (u users) UseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting) error {
	return u.store.UseGrant(ctx, store.Lease{Host: id, AliveRev: alive}, g, g.Boot)
}

// RefuseGrant takes that back.
func (u users) RefuseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting, why string) error {
	return u.store.RefuseGrant(ctx, store.Lease{Host: id, AliveRev: alive}, g, g.Boot, why)
}

// fault is an error of a room behind the API, with its HTTP status and remedy.
type fault struct {
	err  error
	code int
	hint string
}

func faults() []fault {
	return []fault{
		{store.ErrNotFound, http.StatusNotFound, "flotilla status shows what there is"},
		{store.ErrConflict, http.StatusConflict, "read it again and repeat"},
		{store.ErrTooLarge, http.StatusRequestEntityTooLarge, "send less at once"},
		{store.ErrForeignStore, http.StatusServiceUnavailable, "flotilla accept-store, if that is meant"},
		{store.ErrNoStore, http.StatusServiceUnavailable, "flotilla accept-store, if etcd was wiped on purpose"},
		{store.ErrReadOnly, http.StatusServiceUnavailable, "free space in etcd, then etcdctl alarm disarm"},
		{store.ErrSchema, http.StatusServiceUnavailable, "upgrade flotilla on this host"},
		{store.ErrAmbiguous, http.StatusGatewayTimeout, "it may have happened: look, then repeat"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "does etcd have a majority? see flotilla status"},
	}
}

// classify gives an error its HTTP status and remedy.
func classify(err error) (int, string) {
	for _, f := range faults() {
		if errors.Is(err, f.err) {
			return f.code, f.hint
		}
	}
	return http.StatusInternalServerError, ""
}
