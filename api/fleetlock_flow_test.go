package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"flotilla/api"
	"flotilla/api/apitest"
	"flotilla/cluster"
)

// lockCluster is a cluster whose hosts obey grants, in a group whose times are short.
func lockCluster(t *testing.T, hosts int, edit func(*cluster.Group)) *apitest.Cluster {
	t.Helper()
	c := newCluster(t, hosts)
	lockGroup(t, c, func(g *cluster.Group) {
		g.Times.Settle = time.Millisecond
		if edit != nil {
			edit(g)
		}
	})
	return c
}

// lockGroup changes the group default.
func lockGroup(t *testing.T, c *apitest.Cluster, edit func(*cluster.Group)) {
	t.Helper()
	_, err := c.Store.EditGroup(t.Context(), "default", 0, func(g *cluster.Group) (*cluster.Group, error) {
		if g == nil {
			g = &cluster.Group{}
		}
		edit(g)
		return g, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lockOnce has the client of host of ask at.
func lockOnce(t *testing.T, at, of *apitest.Host, operation string) (int, api.LockRefusal) {
	t.Helper()
	status, _, refusal := zincati(t, at.Address, operation, string(of.ID), "default")
	return status, refusal
}

// lockUntil asks again, as a client does, until the answer is no 503.
func lockUntil(t *testing.T, at, of *apitest.Host, operation string) (int, api.LockRefusal) {
	t.Helper()
	for {
		status, refusal := lockOnce(t, at, of, operation)
		if status != http.StatusServiceUnavailable || t.Context().Err() != nil {
			return status, refusal
		}
	}
}

// wantLock demands an answer.
func wantLock(t *testing.T, what string, status int, refusal api.LockRefusal, want int, kind, value string) {
	t.Helper()
	if status != want || refusal.Kind != kind || !strings.Contains(refusal.Value, value) {
		t.Errorf("%s = %d %s %q, want %d %s %q", what, status, refusal.Kind, refusal.Value, want, kind, value)
	}
}

// phaseIs waits until a host's grant is in a phase.
func phaseIs(t *testing.T, c *apitest.Cluster, h *apitest.Host, phase cluster.Phase) cluster.Grant {
	t.Helper()
	var g cluster.Grant
	err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool {
		x := s.Hosts[h.ID]
		if x == nil || x.Grant == nil || x.Grant.Phase != phase {
			return false
		}
		g = *x.Grant
		return true
	})
	if err != nil {
		t.Fatalf("wait for %s to be %s: %v", h.Name, phase, err)
	}
	return g
}

// bootAgain has a host boot.
func bootAgain(t *testing.T, c *apitest.Cluster, h *apitest.Host) {
	t.Helper()
	if err := c.GoDown(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if err := c.ComeUp(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

// TestLockRound: two hosts in turn, one slot; through any daemon, also one without a mirror.
func TestLockRound(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 3, nil)
	h1, h2, h3 := c.Hosts[0], c.Hosts[1], c.Hosts[2]
	status, refusal := lockUntil(t, h3, h1, "pre-reboot")
	wantLock(t, "the first", status, refusal, 200, "", "")
	g := phaseIs(t, c, h1, cluster.PhaseRebooting)
	if !g.External || g.Boot.ID != "boot-1" || !strings.Contains(g.Cause, "FleetLock") {
		t.Errorf("grant of h1 = %+v, want an external one for FleetLock", g)
	}
	for range 3 {
		status, refusal = lockOnce(t, h2, h1, "pre-reboot")
		wantLock(t, "again in the same boot", status, refusal, 200, "", "")
	}
	status, header, refusal := zincati(t, h3.Address, "pre-reboot", string(h2.ID), "default")
	wantLock(t, "another host", status, refusal, 423, "slots_full", "h1 is rebooting since")
	if header.Get("Retry-After") == "" || header.Get("Content-Type") != "application/json" {
		t.Errorf("header = %v, want JSON and Retry-After, through the leader too", header)
	}
	status, refusal = lockOnce(t, h2, h3, "steady-state")
	wantLock(t, "unlock by who holds nothing", status, refusal, 200, "", "")

	if err := c.GoDown(t.Context(), h1); err != nil {
		t.Fatal(err)
	}
	status, refusal = lockOnce(t, h2, h2, "pre-reboot")
	wantLock(t, "another host, while h1 is away", status, refusal, 423, "slots_full", "h1")
	if err := c.ComeUp(t.Context(), h1); err != nil {
		t.Fatal(err)
	}
	status, refusal = lockUntil(t, h1, h1, "steady-state")
	wantLock(t, "back and well", status, refusal, 200, "", "")
	status, refusal = lockOnce(t, h1, h1, "steady-state")
	wantLock(t, "back and well, again", status, refusal, 200, "", "")
	phaseIs(t, c, h1, cluster.PhaseDone)
	status, refusal = lockUntil(t, h1, h2, "pre-reboot")
	wantLock(t, "the second", status, refusal, 200, "", "")
	phaseIs(t, c, h2, cluster.PhaseRebooting)
}

// TestLockStampede: 50 hosts ask at once for one slot, and one gets it; then all of 60 say at once that they are
// back, and all are heard (scenarios F11 and F12 of docs/reboots.md).
func TestLockStampede(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 60, nil)
	type answer struct {
		status  int
		refusal api.LockRefusal
	}
	all := func(hosts []*apitest.Host, operation string) map[*apitest.Host]answer {
		var mu sync.Mutex
		var wg sync.WaitGroup
		out := map[*apitest.Host]answer{}
		for _, h := range hosts {
			wg.Go(func() {
				status, refusal := lockUntil(t, h, h, operation)
				mu.Lock()
				defer mu.Unlock()
				out[h] = answer{status, refusal}
			})
		}
		wg.Wait()
		return out
	}
	var holder *apitest.Host
	for h, a := range all(c.Hosts[:50], "pre-reboot") {
		switch {
		case a.status == 200 && holder == nil:
			holder = h
		case a.status == 200:
			t.Errorf("%s and %s may reboot at once", h.Name, holder.Name)
		default:
			wantLock(t, h.Name, a.status, a.refusal, 423, "slots_full", "")
		}
	}
	if holder == nil {
		t.Fatal("no host may reboot")
	}
	bootAgain(t, c, holder)
	for h, a := range all(c.Hosts, "steady-state") {
		wantLock(t, h.Name, a.status, a.refusal, 200, "", "")
	}
	phaseIs(t, c, holder, cluster.PhaseDone)
	// The wish of the holder was served; the others gave theirs back.
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool {
		for id, h := range s.Hosts {
			if (h.Spec.Reboot != nil) != (id == holder.ID) {
				return false
			}
		}
		return true
	}); err != nil {
		t.Errorf("wishes stand other than that of %s: %v", holder.Name, err)
	}
}

// TestLockDrain: no success before the units have left, however often the client asks and hangs up, and the
// drain is one (scenario F38 of docs/reboots.md).
func TestLockDrain(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 3, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	place(t, c, "only.service", "MachineMetadata=host=h1", h1)
	status, refusal := lockOnce(t, h1, h1, "pre-reboot")
	wantLock(t, "while a unit is there", status, refusal, 503, "drain_in_progress", "only.service")
	g := phaseIs(t, c, h1, cluster.PhaseDraining)
	for i := range 20 {
		ctx, hangUp := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h2.Address+"/v1/pre-reboot", strings.NewReader(lockBody(string(h1.ID), "default")))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Fleet-Lock-Protocol", "true")
		stop := time.AfterFunc(time.Duration(i)*time.Millisecond, hangUp)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close()
			t.Errorf("a client that hangs up has the answer %s", answer.Status)
		}
		stop.Stop()
		hangUp()
	}
	if r := call(t, h1, "PATCH", "/v1/hosts/h2", `{"labels":{"host":"h1"}}`); r.status != 200 {
		t.Fatalf("label h2: %d %s", r.status, r.body)
	}
	status, refusal = lockUntil(t, h2, h1, "pre-reboot")
	wantLock(t, "once it is empty", status, refusal, 200, "", "")
	if now := phaseIs(t, c, h1, cluster.PhaseRebooting); now.Generation != g.Generation {
		t.Errorf("generation %d, was %d: the drain began anew", now.Generation, g.Generation)
	}
}

// place submits and starts a unit and waits until it is on a host.
func place(t *testing.T, c *apitest.Cluster, name, options string, h *apitest.Host) {
	t.Helper()
	call(t, c.Hosts[0], "POST", "/v1/changes", change(name, content(plainUnit+"[X-Flotilla]\n"+options+"\n")+`,"target":"launched"`))
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Placed[cluster.Unit(name)][h.ID] != nil }); err != nil {
		t.Fatal(err)
	}
}

// unwell makes a host's checks red, or green.
func unwell(t *testing.T, h *apitest.Host, why string) {
	t.Helper()
	if err := h.SetUnwell(t.Context(), why); err != nil {
		t.Fatal(err)
	}
}

// TestLockRefusals: what holds a host up, in the kinds of the protocol.
func TestLockRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		given func(t *testing.T, c *apitest.Cluster)
		want  int
		kind  string
		value string
	}{
		{"outside the window", func(t *testing.T, c *apitest.Cluster) {
			year := time.Now().Year() + 2
			if _, err := c.Store.EditWindow(t.Context(), "night", 0, func(*cluster.Window) (*cluster.Window, error) {
				return &cluster.Window{Calendar: fmt.Sprintf("%d-01-01 02:00", year), Duration: time.Hour}, nil
			}); err != nil {
				t.Fatal(err)
			}
			lockGroup(t, c, func(g *cluster.Group) { g.Windows = []string{"night"} })
		}, 423, "outside_window", "window night opens"},
		{"group frozen", func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Freeze = &cluster.Freeze{By: cluster.Note{Who: "alice", Why: "fair"}} })
		}, 423, "frozen", "frozen by alice until it is thawed: fair"},
		{"no slots", func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Max = cluster.Slots{Given: true} })
		}, 423, "slots_full", "max 0"},
		{"checks red", func(t *testing.T, c *apitest.Cluster) {
			unwell(t, c.Hosts[0], "alert is firing")
		}, 423, "health_gate", "alert is firing"},
		{"checks red for long", func(t *testing.T, c *apitest.Cluster) {
			unwell(t, c.Hosts[0], "alert is firing")
			lockGroup(t, c, func(g *cluster.Group) { g.Times.Gate, g.Times.Hooks = 500*time.Millisecond, 500*time.Millisecond })
			lockOnce(t, c.Hosts[0], c.Hosts[0], "pre-reboot")
			phaseIs(t, c, c.Hosts[0], cluster.PhaseBlocked)
		}, 423, "health_gate", "alert is firing"},
		{"a unit has no place", func(t *testing.T, c *apitest.Cluster) {
			place(t, c, "only.service", "MachineMetadata=host=h1", c.Hosts[0])
			lockGroup(t, c, func(g *cluster.Group) { g.Times.Drain = time.Millisecond })
			lockOnce(t, c.Hosts[0], c.Hosts[0], "pre-reboot")
			phaseIs(t, c, c.Hosts[0], cluster.PhaseBlocked)
		}, 409, "drain_blocked", "only.service"},
		{"a person reboots it", func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Max = cluster.Slots{Given: true} })
			if _, _, err := c.Store.EditHostSpec(t.Context(), c.Hosts[0].ID, 0, func(s *cluster.HostSpec) error {
				s.Reboot = &cluster.RebootWish{ID: 1, By: cluster.Note{Who: "alice"}}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Hosts[c.Hosts[0].ID].Spec.Reboot != nil }); err != nil {
				t.Fatal(err)
			}
		}, 423, "reboot_underway", "max 0"},
		{"no sign of life", func(t *testing.T, c *apitest.Cluster) {
			if err := c.Stop(t.Context(), c.Hosts[0]); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Hosts[c.Hosts[0].ID].Alive == nil }); err != nil {
				t.Fatal(err)
			}
		}, 503, "not_healthy", "flotilla-agent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := lockCluster(t, 2, nil)
			test.given(t, c)
			status, refusal := lockOnce(t, c.Hosts[0], c.Hosts[0], "pre-reboot")
			wantLock(t, test.name, status, refusal, test.want, test.kind, test.value)
		})
	}
}

// TestLockOverdue: a host that was told to reboot and did not in time may still, while nothing else holds it up
// (scenario F39 of docs/reboots.md).
func TestLockOverdue(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 2, func(g *cluster.Group) { g.Times.Return = time.Millisecond })
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	phaseIs(t, c, h1, cluster.PhaseOverdue)
	status, refusal = lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot once it is overdue", status, refusal, 200, "", "")
	status, refusal = lockOnce(t, h1, h2, "pre-reboot")
	wantLock(t, "pre-reboot of another host", status, refusal, 423, "health_gate", "h1 is overdue")
	lockGroup(t, c, func(g *cluster.Group) { g.Freeze = &cluster.Freeze{By: cluster.Note{Who: "alice"}} })
	if err := c.Wait(t.Context(), func(s *cluster.Snapshot) bool { return s.Groups["default"].Freeze != nil }); err != nil {
		t.Fatal(err)
	}
	status, refusal = lockOnce(t, h1, h1, "pre-reboot")
	for status == 200 { // the last plan is good for a moment
		status, refusal = lockOnce(t, h1, h1, "pre-reboot")
	}
	wantLock(t, "pre-reboot once all is frozen", status, refusal, 423, "frozen", "alice")
}

// TestLockAskedAgain: a yes holds only while nothing has come between: a host that asks again in the same boot is refused then, and
// told yes once that is over.
func TestLockAskedAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		given, over func(t *testing.T, c *apitest.Cluster)
		kind, value string
	}{
		{"frozen", func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Freeze = &cluster.Freeze{By: cluster.Note{Who: "alice"}} })
		}, func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Freeze = nil })
		}, "frozen", "alice"},
		{"window closed", func(t *testing.T, c *apitest.Cluster) {
			if _, err := c.Store.EditWindow(t.Context(), "night", 0, func(*cluster.Window) (*cluster.Window, error) {
				return &cluster.Window{Calendar: fmt.Sprintf("%d-01-01 02:00", time.Now().Year()+2), Duration: time.Hour}, nil
			}); err != nil {
				t.Fatal(err)
			}
			lockGroup(t, c, func(g *cluster.Group) { g.Windows = []string{"night"} })
		}, func(t *testing.T, c *apitest.Cluster) {
			lockGroup(t, c, func(g *cluster.Group) { g.Windows = nil })
		}, "outside_window", "window night opens"},
		{"another host fails", func(t *testing.T, c *apitest.Cluster) {
			order(t, c, &cluster.Grant{Generation: 3, Phase: cluster.PhaseOverdue, Groups: []string{"default"}, Reason: "gone"})
		}, func(t *testing.T, c *apitest.Cluster) {
			order(t, c, nil)
		}, "health_gate", "h2 is overdue"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := lockCluster(t, 3, nil)
			h1 := c.Hosts[0]
			status, refusal := lockUntil(t, h1, h1, "pre-reboot")
			wantLock(t, "pre-reboot", status, refusal, 200, "", "")
			phaseIs(t, c, h1, cluster.PhaseRebooting)
			test.given(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for ctx.Err() == nil && (status == http.StatusOK || status == http.StatusServiceUnavailable) { // until the daemon has heard of it
				status, refusal = lockOnce(t, h1, h1, "pre-reboot")
			}
			wantLock(t, "pre-reboot again", status, refusal, 423, test.kind, test.value)
			test.over(t, c)
			for ctx.Err() == nil && status != http.StatusOK {
				status, refusal = lockOnce(t, h1, h1, "pre-reboot")
			}
			wantLock(t, "pre-reboot after that", status, refusal, 200, "", "")
		})
	}
}

// order writes a grant of h2 as the leader would; nil takes it away.
func order(t *testing.T, c *apitest.Cluster, g *cluster.Grant) {
	t.Helper()
	if g != nil {
		g.Boot = cluster.Boot{ID: "boot-1"}
	}
	if err := c.Order(t.Context(), cluster.Orders{Grants: []cluster.HostGrant{{Host: c.Hosts[1].ID, Grant: g}}}); err != nil {
		t.Fatal(err)
	}
}

// TestLockGivenBack: a client that starts anew in the same boot ends what it asked for, wherever that stands
// (scenario F40 of docs/reboots.md).
func TestLockGivenBack(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 3, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	status, refusal = lockOnce(t, h2, h2, "pre-reboot")
	wantLock(t, "pre-reboot of h2", status, refusal, 423, "slots_full", "")
	status, refusal = lockOnce(t, h1, h2, "steady-state")
	wantLock(t, "steady-state of h2, which waits", status, refusal, 200, "", "")
	status, refusal = lockOnce(t, h2, h1, "steady-state")
	wantLock(t, "steady-state of h1, which holds", status, refusal, 200, "", "")
	g := phaseIs(t, c, h1, cluster.PhaseAbandoned)
	if !strings.Contains(g.Reason, "gave the lock back") {
		t.Errorf("reason %q, want that the client gave it back", g.Reason)
	}
	c.Mirror.Read(func(s *cluster.Snapshot) {
		for _, h := range []*apitest.Host{h1, h2} {
			if w := s.Hosts[h.ID].Spec.Reboot; w != nil {
				t.Errorf("the wish of %s stands: %+v", h.Name, w)
			}
		}
	})
	status, refusal = lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot after that", status, refusal, 200, "", "")
}

// TestLockForgotten: a host that is back and well is done, also if its client never says so (scenario F41 of
// docs/reboots.md).
func TestLockForgotten(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 2, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	bootAgain(t, c, h1)
	phaseIs(t, c, h1, cluster.PhaseDone)
	status, refusal = lockUntil(t, h1, h2, "pre-reboot")
	wantLock(t, "pre-reboot of the next", status, refusal, 200, "", "")
}

// TestLockNotWell: a client that is back is not let on before its host is well; and a daemon that hears of the
// new boot late takes the client for neither.
func TestLockNotWell(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 3, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h2, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	if err := c.GoDown(t.Context(), h1); err != nil {
		t.Fatal(err)
	}
	status, refusal = lockOnce(t, h2, h1, "steady-state")
	wantLock(t, "steady-state before the agent is up", status, refusal, 503, "not_healthy", "h1")
	unwell(t, h1, "boot-complete.target failed")
	if err := c.ComeUp(t.Context(), h1); err != nil {
		t.Fatal(err)
	}
	phaseIs(t, c, h1, cluster.PhaseReturning)
	status, refusal = lockOnce(t, h1, h1, "steady-state")
	wantLock(t, "steady-state while red", status, refusal, 503, "not_healthy", "boot-complete.target failed")
	status, refusal = lockOnce(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot while red", status, refusal, 423, "health_gate", "boot-complete.target failed")
	unwell(t, h1, "")
	status, refusal = lockUntil(t, h1, h1, "steady-state")
	wantLock(t, "steady-state once green", status, refusal, 200, "", "")
	phaseIs(t, c, h1, cluster.PhaseDone)
}

// TestLockBackUnheard: a host that has rebooted is not told yes again for the boot that is over, while the store has its sign of
// life of that boot still.
func TestLockBackUnheard(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 3, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h2, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	h1.SetLocal(api.Local{Boot: cluster.Boot{ID: "boot-2"}})
	for _, at := range c.Hosts {
		status, refusal = lockOnce(t, at, h1, "pre-reboot")
		wantLock(t, "pre-reboot in the next boot, at "+at.Name, status, refusal, 503, "store_unavailable", "h1 has rebooted")
	}
	h1.Stall(true)
	status, refusal = lockOnce(t, h2, h1, "pre-reboot")
	wantLock(t, "pre-reboot while it says nothing", status, refusal, 503, "store_unavailable", "in which boot")
	h1.Stall(false)
}

// TestLockWithoutStore: without a store or a leader nothing is granted, however much is known.
func TestLockWithoutStore(t *testing.T) {
	t.Parallel()
	c := lockCluster(t, 2, nil)
	h1, h2 := c.Hosts[0], c.Hosts[1]
	status, refusal := lockUntil(t, h1, h1, "pre-reboot")
	wantLock(t, "pre-reboot", status, refusal, 200, "", "")
	c.Backend.Down(true)
	var wg sync.WaitGroup
	for _, at := range c.Hosts {
		for _, of := range c.Hosts {
			wg.Go(func() {
				status, refusal := lockOnce(t, at, of, "pre-reboot")
				wantLock(t, "pre-reboot of "+of.Name+" at "+at.Name, status, refusal, 503, "store_unavailable", "")
			})
		}
	}
	wg.Wait()
	h1.SetLocal(api.Local{StoreOut: time.Now().Add(-time.Minute)})
	status, refusal = lockOnce(t, h1, h2, "steady-state")
	wantLock(t, "steady-state", status, refusal, 503, "store_unavailable", "etcd does not answer since")
}

// TestLockMetrics counts what clients ask and hear, where they ask.
func TestLockMetrics(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	h2 := c.Hosts[1]
	for range 2 {
		lockOnce(t, h2, h2, "steady-state")
	}
	zincati(t, h2.Address, "pre-reboot", "nobody", "default")
	call(t, h2, "GET", "/v1/nothing", "", "Fleet-Lock-Protocol: true")
	families, err := h2.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"flotilla_fleetlock_requests_total steady-state":           2,
		"flotilla_fleetlock_requests_total pre-reboot":             1,
		"flotilla_fleetlock_answers_total ok steady-state":         2,
		"flotilla_fleetlock_answers_total unknown_host pre-reboot": 1,
		"flotilla_fleetlock_answers_total unknown_resource none":   1,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v (all: %v)", name, got[name], want, got)
		}
	}
}
