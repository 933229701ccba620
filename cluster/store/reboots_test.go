package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
)

// grants are orders that say this of a host's reboot if the last word is of revision was.
func grants(h cluster.HostID, g cluster.Grant, was int64, rests ...cluster.Condition) cluster.Orders {
	return cluster.Orders{
		Grants: []cluster.HostGrant{{Host: h, Grant: &g}},
		If:     append([]cluster.Condition{{Kind: cluster.GrantAt, Host: h, Revision: was}}, rests...),
	}
}

// granted writes a grant and returns it as the host's agent sees it.
func (e *env) granted(lead *store.Leadership, h cluster.HostID, g cluster.Grant, was int64) cluster.Granting {
	e.Helper()
	_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{grants(h, g, was)})
	e.noErr("Apply of a grant", errs[0])
	v, err := e.s.View(e.ctx, h)
	e.noErr("View", err)
	if v.Grant == nil {
		e.Fatalf("View has no grant")
	}
	return *v.Grant
}

func testGrants(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	want := cluster.Grant{
		Generation: 7, Phase: cluster.PhaseGranted, Groups: []string{"web"}, Boot: cluster.Boot{ID: "bn"}, Cause: "kernel",
		Within: time.Minute, Checks: []cluster.Check{{TCP: "localhost:80"}}, Reason: "it may reboot", Times: 1,
	}
	got := e.granted(lead, life.Host, want, 0)
	e.same("grant in the view", got.Grant, want)

	_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{grants(life.Host, want, 0)})
	e.wantErr("grant decided on an old one", errs[0], store.ErrStale)
	e.noErr("UseGrant", e.s.UseGrant(e.ctx, life, got, want.Boot))
	_, errs = e.s.Apply(e.ctx, lead.Term, []cluster.Orders{
		grants(life.Host, cluster.Grant{Phase: cluster.PhaseAbandoned}, got.Rev, cluster.Condition{Kind: cluster.BootingAt, Host: life.Host}),
	})
	e.wantErr("taking a grant back that was used", errs[0], store.ErrStale)

	rebooting := want
	rebooting.Phase = cluster.PhaseRebooting
	e.granted(lead, life.Host, rebooting, got.Rev)
	e.wantErr("UseGrant of a grant that changed", e.s.UseGrant(e.ctx, life, got, want.Boot), store.ErrConflict)
	e.noErr("RefuseGrant after the leader noted the use", e.s.RefuseGrant(e.ctx, life, got, want.Boot, "logind said no"))

	m, stop := e.follow(e.s)
	defer stop()
	e.until(m, "refused", func(s *cluster.Snapshot) bool {
		h := s.Hosts[life.Host]
		return h != nil && h.Grant != nil && h.Booting != nil && h.Booting.Refused == "logind said no" && !h.Used() && h.HoldsSlot()
	})
	e.put("to/"+string(life.Host)+"/grant", `{"phase":"dancing"}`)
	e.until(m, "unreadable", func(s *cluster.Snapshot) bool {
		h := s.Hosts[life.Host]
		return h.Grant == nil && h.GrantBad != "" && h.HoldsSlot()
	})
	v, err := e.s.View(e.ctx, life.Host)
	if err != nil || v.Grant != nil {
		e.Errorf("View with an unreadable grant = %+v, %v, want none", v.Grant, err)
	}
}

// testGrantNeedsLife: whose lease is over does not know what was decided of it.
func testGrantNeedsLife(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	got := e.granted(lead, life.Host, cluster.Grant{Generation: 7, Phase: cluster.PhaseGranted}, 0)
	e.noErr("Withdraw", e.s.Withdraw(e.ctx, life))
	e.wantErr("UseGrant without a life", e.s.UseGrant(e.ctx, life, got, cluster.Boot{ID: "bn"}), store.ErrConflict)
	e.wantErr("RefuseGrant without a life", e.s.RefuseGrant(e.ctx, life, got, cluster.Boot{ID: "bn"}, "x"), store.ErrConflict)
	if _, ok := e.get("boot/" + string(life.Host)); ok {
		e.Error("a host without a life used its grant")
	}
}

// testGrantUsedOrTakenBack: of a host that uses its grant and a leader that takes it back, one wins.
func testGrantUsedOrTakenBack(e *env) {
	lead := e.lead(e.s)
	for i := 1; i <= 20; i++ {
		life := e.announce(e.s, i, fmt.Sprint("n", i))
		got := e.granted(lead, life.Host, cluster.Grant{Generation: int64(i), Phase: cluster.PhaseGranted}, 0)
		var used, taken error
		var both sync.WaitGroup
		both.Go(func() { used = e.s.UseGrant(e.ctx, life, got, cluster.Boot{ID: "b"}) })
		both.Go(func() {
			_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{grants(
				life.Host, cluster.Grant{Generation: int64(i), Phase: cluster.PhaseAbandoned}, got.Rev,
				cluster.Condition{Kind: cluster.BootingAt, Host: life.Host},
			)})
			taken = errs[0]
		})
		both.Wait()
		switch {
		case used == nil && errors.Is(taken, store.ErrStale), taken == nil && errors.Is(used, store.ErrConflict):
		default:
			e.Errorf("host %d: using it = %v, taking it back = %v, want that one of the two is done", i, used, taken)
		}
	}
}

// testGrantsDeposed: of two that believe they lead, the older one grants nothing.
func testGrantsDeposed(e *env) {
	old := e.lead(e.s)
	e.noErr("Resign", old.Resign(e.ctx))
	other := e.open()
	e.lead(other)
	_, errs := e.s.Apply(e.ctx, old.Term, []cluster.Orders{grants(host(1), cluster.Grant{Phase: cluster.PhaseGranted}, 0)})
	e.wantErr("grant of an old leader", errs[0], store.ErrDeposed)
	if _, ok := e.get("to/" + string(host(1)) + "/grant"); ok {
		e.Error("an old leader granted a reboot")
	}
}

// testFollowGrant: an agent is told of its grant, of each change of it and of its end.
func testFollowGrant(e *env) {
	lead := e.lead(e.s)
	views, _, _ := e.followView(e.s, host(1))
	await := func(what string, ok func(*cluster.Granting) bool) cluster.Granting {
		e.Helper()
		for {
			if v := e.next(views); ok(v.Grant) {
				if v.Grant == nil {
					return cluster.Granting{}
				}
				return *v.Grant
			}
			if e.ctx.Err() != nil {
				e.Fatalf("never a view with %s", what)
			}
		}
	}
	e.granted(lead, host(1), cluster.Grant{Generation: 1, Phase: cluster.PhaseDraining}, 0)
	seen := await("the grant", func(g *cluster.Granting) bool { return g != nil && g.Phase == cluster.PhaseDraining })
	e.granted(lead, host(1), cluster.Grant{Generation: 1, Phase: cluster.PhaseDrained}, seen.Rev)
	seen = await("the next phase", func(g *cluster.Granting) bool { return g != nil && g.Phase == cluster.PhaseDrained })
	gone := grants(host(1), cluster.Grant{}, seen.Rev)
	gone.Grants[0].Grant = nil
	_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{gone})
	e.noErr("Apply of the end", errs[0])
	await("no grant", func(g *cluster.Granting) bool { return g == nil })
}

func testHistory(e *env) {
	lead := e.lead(e.s)
	m, stop := e.follow(e.s)
	defer stop()
	for i := range int64(3) {
		o := cluster.Orders{Records: []cluster.Record{{Host: host(1), Name: "h1", Generation: i, Outcome: cluster.PhaseDone, Boot: cluster.Boot{ID: "b"}}}}
		if i == 2 {
			o.Trim = []cluster.HistoryKey{{Host: host(1), Generation: 0}}
		}
		_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{o})
		e.noErr("Apply of a record", errs[0])
	}
	e.until(m, "two records", func(s *cluster.Snapshot) bool {
		return len(s.History) == 2 && s.History[cluster.HistoryKey{Host: host(1), Generation: 2}] != nil &&
			s.History[cluster.HistoryKey{Host: host(1), Generation: 1}].Boot.ID == "b"
	})
}

// testRebootEdits: what people say of reboots makes stale what was decided before.
func testRebootEdits(e *env) {
	lead, life := e.lead(e.s), e.announce(e.s, 1, "n")
	edits := []struct {
		what string
		edit func() (int64, error)
	}{
		{"group", func() (int64, error) {
			return e.s.EditGroup(e.ctx, "web", 0, func(g *cluster.Group) (*cluster.Group, error) { return &cluster.Group{Spread: "zone"}, nil })
		}},
		{"window", func() (int64, error) {
			return e.s.EditWindow(e.ctx, "night", 0, func(*cluster.Window) (*cluster.Window, error) {
				return &cluster.Window{Calendar: "*-*-* 02:00", Duration: time.Hour}, nil
			})
		}},
		{"policy", func() (int64, error) {
			return e.s.EditRebootPolicy(e.ctx, 0, func(*cluster.RebootPolicy) (*cluster.RebootPolicy, error) {
				return &cluster.RebootPolicy{Freeze: &cluster.Freeze{By: cluster.Note{Who: "ann"}}}, nil
			})
		}},
		{"group that goes", func() (int64, error) {
			return e.s.EditGroup(e.ctx, "web", 0, func(*cluster.Group) (*cluster.Group, error) { return nil, nil })
		}},
	}
	epoch := func() int64 {
		kv, _ := e.get("epoch/hosts")
		return kv.ModRev
	}
	for _, tt := range edits {
		before := epoch()
		_, err := tt.edit()
		e.noErr(tt.what, err)
		_, errs := e.s.Apply(e.ctx, lead.Term, []cluster.Orders{
			grants(life.Host, cluster.Grant{Phase: cluster.PhaseDraining}, 0, cluster.Condition{Kind: cluster.HostsAt, Revision: before}),
		})
		e.wantErr("grant decided before the edit of a "+tt.what, errs[0], store.ErrStale)
		after := epoch()
		if _, err := tt.edit(); err != nil || epoch() != after {
			e.Errorf("the same edit of a %s again = %v, epoch %d, want no change of %d", tt.what, err, epoch(), after)
		}
	}
}

// testSchemaOfGrants: who does not know grants writes nothing any more once there was one, and may until then.
func testSchemaOfGrants(e *env) {
	id, err := e.s.Identity(e.ctx)
	e.noErr("Identity", err)
	older := id
	older.Schema = "1.0.0"
	raw, err := json.Marshal(older)
	e.noErr("encode", err)
	e.put("store", string(raw))
	s := e.open()
	schema := func() cluster.Identity {
		got, err := s.Identity(e.ctx)
		e.noErr("Identity", err)
		return got
	}
	life, lead := e.announce(s, 1, "n"), e.lead(s)
	_, errs := s.Apply(e.ctx, lead.Term, []cluster.Orders{{Put: []cluster.Placed{place(life.Host, "a.service", 1)}}})
	e.noErr("Apply", errs[0])
	e.same("identity before a grant", schema(), older)
	_, errs = s.Apply(e.ctx, lead.Term, []cluster.Orders{grants(life.Host, cluster.Grant{Phase: cluster.PhaseDraining}, 0)})
	e.noErr("Apply of a grant", errs[0])
	e.same("identity after a grant", schema(), id)
	_, err = e.s.ResumeFailover(e.ctx, cluster.Note{})
	e.noErr("write of a process that saw the older schema", err)
}
