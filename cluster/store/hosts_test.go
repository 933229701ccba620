package store_test

import (
	"errors"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
)

// statuses counts the statuses of a host in the store.
func (e *env) statuses(n int) int {
	_, all, err := e.s.Reported(e.ctx, host(n))
	e.noErr("Reported", err)
	return len(all)
}

func (e *env) report(l store.Lease) {
	st := cluster.Status{Order: cluster.Launched}
	put := map[cluster.Unit]cluster.Status{"a.service": st, "b.service": st}
	e.noErr("Report", e.s.Report(e.ctx, l, &cluster.HostInfo{Name: "h"}, put, nil))
}

// testLeave: a host that leaves is removed, and its sign of life and its statuses are gone,
// in one revision; then it may come back at once.
func testLeave(e *env) {
	e.noErr("Rejoin of a host that is new", e.s.Rejoin(e.ctx, host(1)))
	life := e.announce(e.s, 1, "n1")
	e.report(life)
	bye := store.Leaving{Host: host(1), Boot: "bn1", By: cluster.Note{Who: "x"}}
	e.noErr("Leave", e.s.Leave(e.ctx, bye))
	spec, rev, err := e.s.HostSpec(e.ctx, host(1))
	e.noErr("HostSpec", err)
	if spec.Removed == nil || !spec.Left {
		e.Errorf("after Leave the host is %+v, want removed by itself", spec)
	}
	if epoch, _ := e.get("epoch/hosts"); epoch.ModRev != rev {
		e.Errorf("epoch/hosts is at %d, want %d", epoch.ModRev, rev)
	}
	if alive, err := e.s.IsAlive(e.ctx, host(1)); alive || err != nil || e.statuses(1) != 0 {
		e.Errorf("after Leave it is alive %v (%v) with %d statuses, want away with none", alive, err, e.statuses(1))
	}
	_, err = e.s.Renew(e.ctx, life)
	e.wantErr("Renew of a life that Leave ended", err, store.ErrLapsed)
	e.noErr("Leave again", e.s.Leave(e.ctx, bye))
	if _, again, _ := e.s.HostSpec(e.ctx, host(1)); again != rev {
		e.Errorf("Leave again wrote revision %d, want nothing written after %d", again, rev)
	}
	e.noErr("Rejoin", e.s.Rejoin(e.ctx, host(1)))
	if is, err := e.s.IsRemoved(e.ctx, host(1)); is || err != nil {
		e.Errorf("after Rejoin it is removed: %v, %v", is, err)
	}
}

// testLeaveKeeps: what a leave does not touch: the life of units that still run, that of another
// boot or host, and an operator's removal.
func testLeaveKeeps(e *env) {
	life := e.announce(e.s, 1, "n1")
	e.report(life)
	other := e.s.Leave(e.ctx, store.Leaving{Host: host(1), Boot: "another"})
	var taken *store.TakenError
	if is, _ := e.s.IsRemoved(e.ctx, host(1)); !errors.As(other, &taken) || is {
		e.Errorf("Leave of another boot = %v, removed %v, want a TakenError and nothing written", other, is)
	}
	e.noErr("Leave while units run", e.s.Leave(e.ctx, store.Leaving{Host: host(1), Boot: "bn1", UnitsRun: true}))
	e.noErr("Holds", e.s.Holds(e.ctx, life))
	if is, err := e.s.IsRemoved(e.ctx, host(1)); !is || err != nil || e.statuses(1) != 2 {
		e.Errorf("Leave while units run: removed %v (%v) with %d statuses, want removed with 2", is, err, e.statuses(1))
	}
	// The agent's life lapses, or begins anew, between the reading and the write.
	e.b.hook(func() { e.noErr("Withdraw", e.s.Withdraw(e.ctx, life)) })
	e.noErr("Leave", e.s.Leave(e.ctx, store.Leaving{Host: host(1), Boot: "bn1"}))

	_, err := e.s.PutHostSpec(e.ctx, host(2), 0, cluster.HostSpec{Removed: &cluster.Note{Who: "operator"}})
	e.noErr("PutHostSpec", err)
	e.noErr("Leave of a removed host", e.s.Leave(e.ctx, store.Leaving{Host: host(2), Boot: "b"}))
	e.noErr("Rejoin of a removed host", e.s.Rejoin(e.ctx, host(2)))
	if spec, _, err := e.s.HostSpec(e.ctx, host(2)); err != nil || spec.Removed == nil || spec.Removed.Who != "operator" || spec.Left {
		e.Errorf("an operator's removal became %+v, %v, want it as it was", spec, err)
	}
}

// testRemovalForgets: the removal of a host that is away takes its statuses along; that of a
// host that lives does not, because its agent reports what becomes of them.
func testRemovalForgets(e *env) {
	remove := func(n int) {
		_, _, err := e.s.EditHostSpec(e.ctx, host(n), 0, func(h *cluster.HostSpec) error {
			h.Removed = &cluster.Note{Who: "x", When: time.Unix(1, 0)}
			return nil
		})
		e.noErr("EditHostSpec", err)
	}
	for n := 1; n < 4; n++ {
		e.report(e.announce(e.s, n, "n"))
	}
	alive := func(n int) store.Lease {
		l, err := e.s.Announce(e.ctx, host(n), cluster.Alive{Nonce: "n", Boot: "bn"}, store.Lease{})
		e.noErr("Announce", err)
		return l
	}
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, alive(1)))
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, alive(3)))
	e.b.hook(func() { alive(1) }) // it comes back between the reading and the write
	remove(1)
	remove(2)
	remove(3)
	if a, b, c := e.statuses(1), e.statuses(2), e.statuses(3); a != 2 || b != 2 || c != 0 {
		e.Errorf("statuses of a host that came back, one that lives, one that is away: %d, %d, %d, want 2, 2, 0", a, b, c)
	}
}
