package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

func cut(how memory.Cut) func(*World, *Host) error {
	return func(w *World, h *Host) error {
		w.Store.Partition(h.client(), how)
		return nil
	}
}

// drawFault draws one fault of this name.
func (s *schedule) drawFault(name string, at time.Duration) {
	const second = time.Second
	switch name {
	case "cut":
		s.ownFault(at, "cut", second, 45*second, cut(memory.CutAll), cut(memory.CutNone))
	case "deaf":
		s.ownFault(at, "no replies to", second, 30*second, cut(memory.CutReplies), cut(memory.CutNone))
	case "flap":
		s.drawFlap(at)
	case "freeze":
		s.ownFault(at, "freeze", second, 40*second,
			func(_ *World, h *Host) error { h.Freeze(true); return nil },
			func(_ *World, h *Host) error { h.Freeze(false); return nil })
	case "kill":
		s.ownFault(at, "kill the daemon of", 200*time.Millisecond, 25*second,
			func(_ *World, h *Host) error { h.Kill(); return nil },
			func(_ *World, h *Host) error { return h.Start() })
	case "fuse":
		n := 1 + s.rng.IntN(60)
		s.ownFault(at, fmt.Sprintf("kill the daemon at door %d of", n), 2*second, 12*second,
			func(_ *World, h *Host) error { h.Fuse(n); return nil },
			func(_ *World, h *Host) error { h.Fuse(0); return h.Start() })
	case "power":
		s.drawPower(at)
	case "slow cut":
		s.drawSlowCut(at)
	case "bus":
		s.ownFault(at, "no bus on", second, 20*second,
			func(_ *World, h *Host) error { h.machine.Disconnect(); return nil },
			func(_ *World, h *Host) error { h.machine.Connect(); return nil })
	case "stall", "hand over":
		s.drawStall(at, name == "hand over")
	case "late order":
		s.drawLateOrder(at)
	case "late cordon":
		s.drawLateCordon(at)
	case "down":
		s.storeFault(at, "store is away", second, 45*second, func(w *World, on bool) { w.Store.Down(on) })
	case "read only":
		s.storeFault(at, "store takes no writes", second, 20*second, func(w *World, on bool) { w.Store.ReadOnly(on) })
	case "leader change":
		s.add(at, "store has a new leader", func(w *World) { w.Store.LeaderChange() })
	case "compact":
		s.add(at, "store is compacted", compact)
	case "crash":
		s.drawCrash(at)
	case "remove", "retire":
		s.drawRemoval(at)
	case "vandal":
		s.drawVandal(at)
	case "cordon":
		s.drawCordon(at)
	case "reboot", "typed", "need", "clock", "people", "trap", "policy", "illness":
		s.drawReboots(name, at)
	case "label":
		i, zone := s.rng.IntN(len(s.busy)), string(rune('a'+s.rng.IntN(3)))
		s.add(at, "", func(w *World) {
			w.Edit("label zone="+zone, w.Hosts[i], func(h *cluster.HostSpec) { h.Labels = map[string]string{"zone": zone} })
		})
	}
}

// drawFlap cuts a host off for about as long as it takes to be judged, and holds the
// leader's writes up while it returns.
func (s *schedule) drawFlap(at time.Duration) {
	d := s.between(9*time.Second, 15*time.Second)
	i, ok := s.free(at, at+d)
	if !ok || at+d > s.end {
		return
	}
	name := fmt.Sprintf("flap h%d for %s", i+1, d.Round(time.Millisecond))
	s.add(at, name, func(w *World) {
		w.Judge.troubled(w.Hosts[i].truth, true)
		w.Store.Partition(w.Hosts[i].client(), memory.CutAll)
	})
	s.add(at+d, "end of "+name, func(w *World) {
		w.Store.Partition(w.Hosts[i].client(), memory.CutNone)
		w.Judge.troubled(w.Hosts[i].truth, false)
	})
	hold := at + d - s.between(200*time.Millisecond, 2500*time.Millisecond)
	s.stall(hold, s.between(2*time.Second, 4*time.Second), false)
}

// drawStall holds the present leader's writes up; with another, the leader loses its place meanwhile.
func (s *schedule) drawStall(at time.Duration, another bool) {
	d := s.between(200*time.Millisecond, 3*time.Second)
	if another {
		d = s.between(5*time.Second, 14*time.Second)
	}
	s.stall(at, d, another)
	for range s.rng.IntN(4) {
		s.drawUser(at + s.between(0, d))
	}
}

// stall holds the writes of whoever leads then up for a while. With depose it is also cut
// off from the store's answers, so that another leads before its writes arrive.
func (s *schedule) stall(at, d time.Duration, depose bool) {
	var held *Host
	s.add(at, "", func(w *World) {
		if held = w.Leader(); held == nil {
			return
		}
		w.Judge.Note("stall the leader %s for %s, depose %v", held.name, d.Round(time.Millisecond), depose)
		w.Judge.stalled(true)
		held.Stall(true)
		if depose {
			w.depose(held)
		}
	})
	s.add(min(at+d, s.end), "", func(w *World) {
		if held != nil {
			w.Judge.Note("end of the stall of %s", held.name)
			held.Stall(false)
			w.Judge.stalled(false)
		}
	})
}

// depose ends the lease of the leader's key, as if its renewals had been lost.
func (w *World) depose(h *Host) {
	res, err := w.Store.Observer().Range(context.Background(), store.Range{Key: prefix + "leader"})
	if err != nil || len(res.KVs) == 0 {
		return
	}
	if err := w.Store.Observer().Revoke(context.Background(), res.KVs[0].Lease); err != nil {
		w.Judge.Note("depose %s: %v", h.name, err)
	}
}

// drawBurst has the user submit new units within a span.
func (s *schedule) drawBurst(at, span time.Duration, n int) {
	for range n {
		u := cluster.Unit(fmt.Sprintf("%s-%d.service", plain, 900+len(s.units)))
		s.units = append(s.units, u)
		s.models[u] = &model{exists: true, version: 1}
		s.add(at+s.between(0, span), "", func(w *World) { w.Submit(u, content(u, 1), units.Launched) })
	}
}

// drawLateOrder has orders of the leader time out and arrive later all the same, while it
// has decided anew and with more units in view.
func (s *schedule) drawLateOrder(at time.Duration) {
	d := s.between(150*time.Millisecond, 2*time.Second)
	s.add(at, "", func(w *World) {
		if h := w.Leader(); h != nil && h.process() != nil {
			w.Judge.Note("the next order of %s arrives %s late", h.name, d.Round(time.Millisecond))
			h.process().gate.mislay(1, d)
		}
	})
	s.drawBurst(at+10*time.Millisecond, 150*time.Millisecond, 2+s.rng.IntN(4))
}

// drawLateCordon cordons or drains most hosts while the leader's orders are held up.
func (s *schedule) drawLateCordon(at time.Duration) {
	s.stall(at, s.between(1500*time.Millisecond, 3*time.Second), false)
	s.drawBurst(at+50*time.Millisecond, 300*time.Millisecond, 3)
	spare := s.rng.IntN(len(s.busy))
	until := min(at+10*time.Second, s.end)
	for i := range min(len(s.busy), 10) {
		if i == spare {
			continue
		}
		s.add(at+time.Second, "", func(w *World) { shut(w, i) })
		s.add(until, "", func(w *World) { reopen(w, i) })
	}
}

// drawPower takes a host's power; sometimes it boots without the store.
func (s *schedule) drawPower(at time.Duration) {
	alone := s.rng.IntN(4) == 0
	var off bool
	s.ownFault(at, "no power for", time.Second, 60*time.Second,
		func(_ *World, h *Host) error { h.PowerOff(); off = true; return nil },
		func(w *World, h *Host) error {
			if !off {
				return nil
			}
			if !alone {
				return h.Boot()
			}
			w.Judge.troubled(h.truth, true)
			w.Store.Partition(h.client(), memory.CutAll)
			w.after(80*time.Second, func() {
				w.Store.Partition(h.client(), memory.CutNone)
				w.Judge.troubled(h.truth, false)
			})
			return h.Boot()
		})
}

// drawSlowCut has the store's answers come late, then not at all.
func (s *schedule) drawSlowCut(at time.Duration) {
	lag := s.between(500*time.Millisecond, 1950*time.Millisecond)
	slow := s.between(3*time.Second, 10*time.Second)
	s.ownFault(at, fmt.Sprintf("answers late by %s, then none, for", lag.Round(time.Millisecond)), slow+10*time.Second, slow+30*time.Second,
		func(w *World, h *Host) error {
			h.Slow(lag)
			w.after(slow, func() { w.Store.Partition(h.client(), memory.CutReplies) })
			w.after(slow+time.Second, func() { w.Store.Partition(h.client(), memory.CutAll) })
			return nil
		},
		func(w *World, h *Host) error {
			h.Slow(0)
			w.Store.Partition(h.client(), memory.CutNone)
			w.after(12*time.Second, func() { w.Store.Partition(h.client(), memory.CutNone) })
			return nil
		})
}

// compact forgets the store's history, also while nobody reaches it.
func compact(w *World) {
	above, ok := w.Store.Observer().(*memory.Client)
	if !ok {
		return
	}
	res, err := above.Range(context.Background(), store.Range{Key: prefix + "store"})
	if err != nil {
		w.Judge.Note("compact: %v", err)
		return
	}
	if err := above.Compact(context.Background(), res.Revision); err != nil {
		w.Judge.Note("compact: %v", err)
	}
}

// drawCrash kills the process of one unit.
func (s *schedule) drawCrash(at time.Duration) {
	u := s.units[s.rng.IntN(len(s.units))]
	s.add(at, "crash "+string(u), func(w *World) {
		for _, h := range w.Hosts {
			h.machine.Crash(string(u))
		}
	})
}

// drawCordon cordons a host for a while, or drains it.
func (s *schedule) drawCordon(at time.Duration) {
	i := s.rng.IntN(len(s.busy))
	until := min(at+s.between(5*time.Second, 60*time.Second), s.end)
	s.add(at, "", func(w *World) { shut(w, i) })
	s.add(until, "", func(w *World) { reopen(w, i) })
}

// shut cordons every other host, and drains the rest.
func shut(w *World, i int) {
	if i%2 == 0 {
		w.Edit("cordon", w.Hosts[i], func(h *cluster.HostSpec) { n := me(); h.Cordon = &n })
		return
	}
	on := []cluster.OnBlocked{cluster.AbortDrain, cluster.SkipUnit}[i/2%2]
	w.Edit("drain", w.Hosts[i], func(h *cluster.HostSpec) {
		h.Drain = &cluster.DrainWish{By: me(), OnBlocked: on, Timeout: 10 * time.Second}
	})
}

func reopen(w *World, i int) {
	w.Edit("uncordon", w.Hosts[i], func(h *cluster.HostSpec) { h.Cordon, h.Drain = nil, nil })
}

// drawRemoval cuts a host off and removes it while it is away; it returns, with all that
// it ran, and is taken back.
func (s *schedule) drawRemoval(at time.Duration) {
	var away bool
	s.ownFault(at, "cut and remove", 35*time.Second, 70*time.Second,
		func(w *World, h *Host) error {
			away = true
			w.Store.Partition(h.client(), memory.CutAll)
			w.after(20*time.Second, func() {
				w.Edit("remove", h, func(s *cluster.HostSpec) { n := me(); s.Removed = &n })
			})
			return nil
		},
		func(w *World, h *Host) error {
			if !away {
				return nil
			}
			w.Store.Partition(h.client(), memory.CutNone)
			w.after(21*time.Second, func() {
				w.Store.Partition(h.client(), memory.CutNone)
				w.Edit("take back", h, func(s *cluster.HostSpec) { s.Removed = nil })
			})
			return nil
		})
}

// drawVandal deletes orders behind everybody's back, as somebody with etcdctl might.
func (s *schedule) drawVandal(at time.Duration) {
	i := s.rng.IntN(len(s.busy))
	s.add(at, fmt.Sprintf("delete the orders of h%d", i+1), func(w *World) {
		key := prefix + "to/" + string(w.Hosts[i].id) + "/"
		_, err := w.Store.Observer().Txn(context.Background(), store.Txn{Then: []store.Op{
			{Key: key, DeletePrefix: true}, {Key: signature, Value: []byte(vandal + "@0")},
		}})
		if err != nil {
			w.Judge.Note("vandal: %v", err)
		}
	})
}

// drawWipe empties the store, and much later has the operator accept what is there.
func (s *schedule) drawWipe(at time.Duration) {
	s.end = at
	s.add(at, "wipe the store", func(w *World) {
		w.Judge.troubled(nil, true)
		w.Store.Wipe()
		w.meet()
	})
	s.add(at+40*time.Second, "", func(w *World) {
		for _, h := range w.Hosts {
			if p := h.process(); p != nil && !strings.Contains(p.agent.State().Frozen, "frozen") {
				w.Judge.Breach("the store was wiped 40 s ago and %s does not say that it is frozen: %+v", h.name, p.agent.State())
			}
		}
	})
	s.try(at+42*time.Second, "init the store anew and accept it", func(w *World) error {
		old := w.Judge.identityBefore()
		w.meet()
		if _, err := w.Above().Init(context.Background()); err != nil {
			return err
		}
		w.Type("accept the store", func(ctx context.Context) error {
			_, err := w.User().AcceptStore(ctx, cluster.Acceptance{Old: old, By: me()})
			return err
		})
		for _, u := range s.units {
			m := s.models[u]
			if m.exists {
				w.Submit(u, content(u, m.version), units.Launched)
			}
		}
		w.after(25*time.Second, func() { w.Judge.troubled(nil, false) })
		return nil
	})
}

// drawGuest boots a second machine with the id of the first.
func (s *schedule) drawGuest() {
	on, off := s.between(warmup, warmup+10*time.Second), s.end
	s.busy[0] = s.end // nothing else happens to the first
	s.try(on, "a second machine boots with the id of h1", func(w *World) error {
		return w.addGuest(w.Hosts[0])
	})
	s.try(off, "the second machine is switched off", func(w *World) error {
		g := w.Hosts[len(w.Hosts)-1]
		if p := g.process(); p == nil || p.agent.State().Taken == "" {
			w.Judge.Breach("the second machine does not say that its id is taken")
		}
		g.PowerOff()
		return nil
	})
}
