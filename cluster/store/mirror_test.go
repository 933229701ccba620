package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

// differs compares a mirror's snapshot with a fresh load, but for what depends on when
// the reader came.
func differs(mirror, load *cluster.Snapshot) string {
	return cmp.Diff(load, mirror,
		cmpopts.IgnoreFields(cluster.Snapshot{}, "Watched", "Loaded", "Revision"),
		cmpopts.IgnoreFields(cluster.Host{}, "Absent", "AbsentRev"),
		cmpopts.IgnoreFields(cluster.Status{}, "Seen"),
		cmpopts.IgnoreUnexported(units.File{}),
		cmpopts.EquateEmpty())
}

// chaos does random things to the cluster, as users, leader and agents would.
type chaos struct {
	*env
	rng   *rand.Rand
	lives map[int]store.Lease
	term  cluster.Term
}

func (e *env) chaos(seed uint64) *chaos {
	l := e.lead(e.s)
	return &chaos{env: e, rng: rand.New(rand.NewPCG(seed, 1)), lives: map[int]store.Lease{}, term: l.Term}
}

func (c *chaos) step() {
	u, h := name(c.rng.IntN(12)), c.rng.IntN(5)
	w := cluster.Where{Host: host(h), Unit: u}
	switch c.rng.IntN(14) {
	case 0, 1, 2:
		change(c.ctx, c.s, []unitChange{{Name: u, Raw: unit(c.rng.IntN(4)), Target: to(units.Target(c.rng.IntN(3)))}})
	case 3:
		change(c.ctx, c.s, []unitChange{{Name: u, Raw: []byte("[Service]\nthis is no unit file\n")}})
	case 4:
		change(c.ctx, c.s, []unitChange{{Name: u, Delete: true}})
	case 5:
		change(c.ctx, c.s, []unitChange{{Name: u, Restart: restartAlways}})
	case 6:
		spec := cluster.HostSpec{Labels: map[string]string{"n": fmt.Sprint(c.rng.IntN(3))}}
		if _, err := c.s.PutHostSpec(c.ctx, host(h), 0, spec); err != nil {
			c.Errorf("PutHostSpec: %v", err)
		}
	case 7, 8:
		p := place(w.Host, u, int64(c.rng.IntN(100)))
		p.State = cluster.Order(1 + c.rng.IntN(4))
		c.s.Apply(c.ctx, c.term, []cluster.Orders{{Put: []cluster.Placed{p}}})
	case 9:
		c.s.Apply(c.ctx, c.term, []cluster.Orders{{Delete: []cluster.Where{w}}})
	case 10:
		if l, ok := c.lives[h]; ok {
			_ = c.s.Withdraw(c.ctx, l)
			delete(c.lives, h)
			return
		}
		c.lives[h] = c.announce(c.s, h, fmt.Sprint(c.rng.Int()))
	case 11, 12:
		c.report(h, u)
	case 13:
		_, _ = c.s.StopOrphan(c.ctx, w, cluster.Note{})
		_, _ = c.s.ResumeFailover(c.ctx, cluster.Note{Who: "x"})
	}
}

func (c *chaos) report(h int, u cluster.Unit) {
	l, ok := c.lives[h]
	if !ok {
		return
	}
	if c.rng.IntN(3) == 0 {
		_ = c.s.Report(c.ctx, l, nil, nil, []cluster.Unit{u})
		return
	}
	st := status(int64(c.rng.IntN(100)))
	st.Orphan = c.rng.IntN(3) == 0
	_ = c.s.Report(c.ctx, l, &cluster.HostInfo{Name: fmt.Sprint("h", h)}, map[cluster.Unit]cluster.Status{u: st}, nil)
}

// settle waits until the mirror has seen everything, and compares it with a fresh load.
func (c *chaos) settle(m *store.Mirror) {
	c.Helper()
	for h, l := range c.lives {
		if _, err := c.s.Renew(c.ctx, l); err != nil {
			c.lives[h] = c.announce(c.s, h, fmt.Sprint(c.rng.Int()))
		}
	}
	// Not by Barrier: in virtual time the term may be over.
	rev, err := c.s.ResumeFailover(c.ctx, cluster.Note{Who: "settle"})
	c.noErr("ResumeFailover", err)
	c.noErr("WaitRevision", m.WaitRevision(c.ctx, rev))
	load, err := c.s.Load(c.ctx)
	c.noErr("Load", err)
	m.Read(func(s *cluster.Snapshot) {
		if diff := differs(s, load); diff != "" {
			c.Errorf("mirror (+) is not a fresh load (-):\n%s", diff)
		}
		if !s.Complete {
			c.Errorf("mirror is not complete: %v", m.Err())
		}
	})
}

func testMirrorEqualsLoad(e *env) {
	c := e.chaos(1)
	m, stop := e.follow(e.s)
	for range 10 {
		for range 40 {
			c.step()
		}
		c.settle(m)
	}
	// Another that begins in the middle, and one whose revisions were compacted.
	late, _ := e.follow(e.open())
	c.settle(late)
	stop()
	late.Read(func(s *cluster.Snapshot) {
		if s.Loaded == 0 || s.Watched.IsZero() {
			e.Errorf("loaded mirror = got Loaded %d, Watched %v, want both set", s.Loaded, s.Watched)
		}
	})
}

func TestMirrorUnkind(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.New(memory.Options{Seed: seed, Keep: 50})
				defer b.Close()
				e := newEnv(t, b.Observer())
				c := e.chaos(seed)
				m, stop := e.follow(store.New(b.Of("mirror"), e.prefix, store.Options{}))
				for range 8 {
					for range 50 {
						c.step()
						pauseFor(e.ctx, time.Duration(c.rng.IntN(20))*time.Millisecond)
					}
					c.settle(m)
				}
				stop()
			})
		})
	}
}

// A mirror that is cut off for long begins Watched anew; one whose watch just broke does not.
func TestMirrorWatched(t *testing.T) {
	tests := []struct {
		name    string
		trouble func(*env, *memory.Store)
		anew    bool
	}{
		{"nothing", func(e *env, b *memory.Store) { pauseFor(e.ctx, time.Minute/2) }, false},
		{"short cut", func(e *env, b *memory.Store) {
			b.Partition("mirror", memory.CutAll)
			pauseFor(e.ctx, time.Second)
			b.Partition("mirror", memory.CutNone)
		}, false},
		{"long cut", func(e *env, b *memory.Store) {
			b.Partition("mirror", memory.CutAll)
			pauseFor(e.ctx, 20*time.Second)
			b.Partition("mirror", memory.CutNone)
		}, true},
		{"cut and compacted", func(e *env, b *memory.Store) {
			b.Partition("mirror", memory.CutAll)
			e.submit(20)
			id, err := e.s.Identity(e.ctx)
			e.noErr("Identity", err)
			rev, err := e.s.AcceptStore(e.ctx, cluster.Acceptance{Old: id.ID})
			e.noErr("AcceptStore", err)
			e.submit(20)
			pauseFor(e.ctx, time.Second)
			e.noErr("Compact", b.Compact(e.ctx, rev+1))
			b.Partition("mirror", memory.CutNone)
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.New(memory.Options{Kind: true})
				defer b.Close()
				e := newEnv(t, b.Observer())
				m, stop := e.follow(store.New(b.Of("mirror"), e.prefix, store.Options{TTL: 5 * time.Second}))
				e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete })
				watched := func() (at time.Time) {
					m.Read(func(s *cluster.Snapshot) { at = s.Watched })
					return at
				}
				first := watched()
				pauseFor(e.ctx, time.Second)
				tt.trouble(e, b)
				rev, err := e.s.ResumeFailover(e.ctx, cluster.Note{})
				e.noErr("ResumeFailover", err)
				e.noErr("WaitRevision", m.WaitRevision(e.ctx, rev))
				pauseFor(e.ctx, 15*time.Second)
				if got := watched().After(first); got != tt.anew {
					t.Errorf("Watched began anew = got %v, want %v", got, tt.anew)
				}
				stop()
			})
		})
	}
}

func testMirrorUnreadable(e *env) {
	e.submit(3)
	e.announce(e.s, 1, "n")
	m, _ := e.follow(e.s)
	e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete && len(s.Units) == 3 })
	bad := func(u cluster.Unit) func(*cluster.Snapshot) bool {
		return func(s *cluster.Snapshot) bool { return s.Units[u] != nil && s.Units[u].Bad != "" && s.Complete }
	}
	good := func(s *cluster.Snapshot) bool {
		for _, u := range s.Units {
			if u.Bad != "" || u.File == nil || s.Unreadable(u.Name) != nil {
				return false
			}
		}
		return s.Complete && len(s.Units) == 3
	}
	head, _ := e.get("unit/u0.service")
	h := string(host(1))
	alive, err := json.Marshal(cluster.Alive{Nonce: "n", Boot: "bn"})
	e.noErr("encode", err)
	tests := []struct {
		key, value, mend string // mend "" = delete
		shows            func(*cluster.Snapshot) bool
	}{
		{"unit/u0.service", "{", string(head.Value), bad("u0.service")},
		{"unit/u0.service", `{"target":"dancing"}`, string(head.Value), bad("u0.service")},
		{"status/" + h + "/u1.service", "[]", "", bad("u1.service")},
		{"status/" + h + "/u1.service", "", `{"generation":1,"order":"gone","boot":"b"}`, bad("u1.service")},
		{"to/" + h + "/place/u2.service", `{"state":5}`, "", func(s *cluster.Snapshot) bool {
			p := s.Unreadable("u2.service")
			return s.Complete && p != nil && p.Host == host(1) && p.State == cluster.Launched && p.Rev != 0 && s.Units["u2.service"].Bad == ""
		}},
		{"to/" + h + "/place/u2.service", "", `{"state":"gone","generation":1,"blob":"","reason":""}`, func(s *cluster.Snapshot) bool {
			return s.Complete && s.Unreadable("u2.service") != nil
		}},
		{"host/" + h, "7", "", func(s *cluster.Snapshot) bool { return !s.Complete }},
		{"hostinfo/" + h, "7", "", func(s *cluster.Snapshot) bool { return !s.Complete }},
		{"alive/" + h, "{", string(alive), func(s *cluster.Snapshot) bool { return !s.Complete && s.Hosts[host(1)].AliveRev != 0 }},
	}
	for _, tt := range tests {
		e.put(tt.key, tt.value)
		e.until(m, tt.key+" unreadable", tt.shows)
		e.wantErr("Err with "+tt.key+" unreadable", m.Err(), store.ErrCorrupt)
		fresh := store.NewMirror(e.s, nil)
		ctx, cancel := context.WithCancel(e.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _ = fresh.Run(ctx) })
		e.until(fresh, tt.key+" unreadable in a fresh mirror", func(s *cluster.Snapshot) bool { return s.Revision > 0 && tt.shows(s) })
		cancel()
		wg.Wait()
		_, err := e.s.Load(e.ctx)
		e.wantErr("Load with "+tt.key+" unreadable", err, store.ErrCorrupt)
		if tt.mend == "" {
			e.del(tt.key)
		} else {
			e.put(tt.key, tt.mend)
		}
		e.until(m, tt.key+" mended", good)
		if err := m.Err(); err != nil {
			e.Errorf("Err after %s was mended = got %v, want none", tt.key, err)
		}
	}
}

func testMirrorSharesContent(e *env) {
	raw := []byte("[Service]\nExecStart=/bin/true %i\n[X-Flotilla]\nMachineOf=db@%i.service\n")
	var changes []unitChange
	for i := range 3 {
		changes = append(changes, unitChange{Name: cluster.Unit(fmt.Sprintf("web@%d.service", i)), Raw: raw})
	}
	var errs []error
	for _, r := range change(e.ctx, e.s, changes) {
		errs = append(errs, r.Err)
	}
	e.noErr("EditUnits", errors.Join(errs...))
	m, _ := e.follow(e.s)
	e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete })
	m.Read(func(s *cluster.Snapshot) {
		for i := range 3 {
			u := s.Units[cluster.Unit(fmt.Sprintf("web@%d.service", i))]
			if u == nil || u.Bad != "" || u.File.Name != u.Name {
				e.Fatalf("unit %d = got %+v, want a file under its own name", i, u)
			}
			e.same("MachineOf", u.Req.MachineOf, []units.Name{units.Name(fmt.Sprintf("db@%d.service", i))})
			if &u.File.Raw[0] != &s.Units["web@0.service"].File.Raw[0] {
				e.Errorf("unit %d does not share its bytes", i)
			}
		}
	})
	// A content whose users change and come back within the mirror's life.
	c := change(e.ctx, e.s, []unitChange{
		{Name: "web@0.service", Raw: unit(1)}, {Name: "web@1.service", Raw: unit(1)}, {Name: "web@2.service", Delete: true},
	})
	e.noErr("EditUnits", errors.Join(c[0].Err, c[1].Err, c[2].Err))
	c = change(e.ctx, e.s, []unitChange{{Name: "web@5.service", Raw: raw}, {Name: "web@0.service", Raw: raw}})
	e.noErr("EditUnits", errors.Join(c[0].Err, c[1].Err))
	e.noErr("WaitRevision", m.WaitRevision(e.ctx, max(c[0].Rev, c[1].Rev)))
	m.Read(func(s *cluster.Snapshot) {
		for _, u := range s.Units {
			if u.Bad != "" || u.File == nil {
				e.Errorf("unit %s = got bad %q, want its content", u.Name, u.Bad)
			}
		}
	})
	// A head without its content is bad until the content is there.
	lost := units.HashOf([]byte("[Service]\nExecStart=/bin/false\n"))
	e.put("unit/lost.service", fmt.Sprintf(`{"blob":%q,"target":"loaded"}`, lost))
	e.until(m, "bad", func(s *cluster.Snapshot) bool { u := s.Units["lost.service"]; return u != nil && u.Bad != "" })
	e.put("blob/"+string(lost), "[Service]\nExecStart=/bin/false\n")
	e.until(m, "good", func(s *cluster.Snapshot) bool { u := s.Units["lost.service"]; return u.Bad == "" && u.File != nil })
}
