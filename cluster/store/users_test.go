package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

func testInitOnce(e *env) {
	first, err := e.s.Identity(e.ctx)
	e.noErr("Identity", err)
	again, err := e.open().Init(e.ctx)
	e.noErr("Init", err)
	e.same("second Init", again, first)
	if len(first.ID) != 32 || first.Generation != 1 || first.Schema != store.Schema {
		e.Errorf("Init = got %+v, want 32 digits, generation 1, schema %s", first, store.Schema)
	}
}

// writes are all the ways to write, but orders, which have a test of their own.
func writes(e *env) map[string]func(*store.Store) error {
	return map[string]func(*store.Store) error{
		"EditUnits": func(s *store.Store) error {
			return change(e.ctx, s, []unitChange{{Name: "x.service", Raw: unit(1)}})[0].Err
		},
		"PutHostSpec": func(s *store.Store) error {
			_, err := s.PutHostSpec(e.ctx, host(1), 0, cluster.HostSpec{Cordon: &cluster.Note{}})
			return err
		},
		"Leave":          func(s *store.Store) error { return s.Leave(e.ctx, store.Leaving{Host: host(1)}) },
		"ResumeFailover": func(s *store.Store) error { _, err := s.ResumeFailover(e.ctx, cluster.Note{}); return err },
		"AcceptStore":    func(s *store.Store) error { _, err := s.AcceptStore(e.ctx, cluster.Acceptance{}); return err },
		"StopOrphan": func(s *store.Store) error {
			_, err := s.StopOrphan(e.ctx, cluster.Where{Host: host(1), Unit: "x.service"}, cluster.Note{})
			return err
		},
		"CreateToken": func(s *store.Store) error { return s.CreateToken(e.ctx, store.Token{ID: "t"}, time.Hour) },
		"Announce": func(s *store.Store) error {
			_, err := s.Announce(e.ctx, host(7), cluster.Alive{Nonce: "n"}, store.Lease{})
			return err
		},
		"Campaign": func(s *store.Store) error {
			_, err := s.Campaign(e.ctx, cluster.LeaderInfo{}, 5*time.Second)
			return err
		},
		"Apply": func(s *store.Store) error {
			_, errs := s.Apply(e.ctx, cluster.Term{}, []cluster.Orders{{Put: []cluster.Placed{place(host(1), "x.service", 1)}}})
			return errs[0]
		},
		"ApplyGrant": func(s *store.Store) error {
			_, errs := s.Apply(e.ctx, cluster.Term{}, []cluster.Orders{grants(host(1), cluster.Grant{}, 0)})
			return errs[0]
		},
		"UseGrant": func(s *store.Store) error {
			return s.UseGrant(e.ctx, store.Lease{Host: host(1)}, cluster.Granting{}, cluster.Boot{})
		},
		"EditGroup": func(s *store.Store) error {
			_, err := s.EditGroup(e.ctx, "web", 0, func(*cluster.Group) (*cluster.Group, error) { return &cluster.Group{}, nil })
			return err
		},
	}
}

func testForeignStore(e *env) {
	pinned := e.open()
	pinned.Pin(cluster.Identity{ID: strings.Repeat("0", 32), Generation: 1})
	for what, write := range writes(e) {
		e.wantErr(what+" on a store pinned elsewhere", write(pinned), store.ErrForeignStore)
	}
	if v, err := pinned.View(e.ctx, host(1)); err != nil || v.Store.ID == "" {
		e.Errorf("View of a foreign store = got %+v, %v, want its identity", v.Store, err)
	}

	// A store that is replaced while a process is attached to it.
	e.noErr("EditUnits", writes(e)["EditUnits"](e.s))
	id, _ := e.s.Pinned()
	replaced := id
	replaced.Generation++
	raw, err := json.Marshal(replaced)
	e.noErr("encode", err)
	e.put("store", string(raw))
	for what, write := range writes(e) {
		e.wantErr(what+" after a restore", write(e.s), store.ErrForeignStore)
	}
	e.del("store")
	for what, write := range writes(e) {
		e.wantErr(what+" after a wipe", write(e.s), store.ErrForeignStore)
		e.wantErr(what+" before init", write(e.open()), store.ErrNoStore)
	}
	e.put("store", `{"id":`)
	for what, write := range writes(e) {
		e.wantErr(what+" with a torn identity", write(e.s), store.ErrCorrupt)
	}
	for _, key := range []string{"alive/" + string(host(7)), "leader", "token/t", "failover", "accepted"} {
		if _, ok := e.get(key); ok {
			e.Errorf("key %s was written to a foreign store", key)
		}
	}
}

func testSchemaRises(e *env) {
	write := writes(e)["ResumeFailover"]
	e.noErr("ResumeFailover", write(e.s))
	id, _ := e.s.Pinned()
	schema := func(v string) {
		id.Schema = v
		raw, err := json.Marshal(id)
		e.noErr("encode", err)
		e.put("store", string(raw))
	}
	schema("1.1.7")
	e.noErr("write after a patch of the schema", write(e.s))
	schema("1.2.0")
	e.wantErr("write to a newer schema", write(e.s), store.ErrSchema)
	e.wantErr("first write to a newer schema", write(e.open()), store.ErrSchema)
	schema("rubbish")
	e.wantErr("write to an unreadable schema", write(e.s), store.ErrSchema)
}

func testEditUnits(e *env) {
	one := func(c unitChange) store.UnitResult {
		c.Name = "a.service"
		return change(e.ctx, e.s, []unitChange{c})[0]
	}
	e.wantErr("start of an unknown unit", one(unitChange{Target: to(units.Launched)}).Err, store.ErrNotFound)
	e.wantErr("destroy of an unknown unit", one(unitChange{Delete: true}).Err, store.ErrNotFound)
	e.wantErr("replace of an unknown unit", one(unitChange{Raw: unit(1), IfMatch: 5}).Err, store.ErrConflict)

	made := one(unitChange{Raw: unit(1), IfMatch: store.MustNotExist, Restart: restartOnChange, By: cluster.Note{Who: "ann"}})
	e.noErr("submit", made.Err)
	e.same("submitted", made.Spec, cluster.UnitSpec{Blob: units.HashOf(unit(1)), By: cluster.Note{Who: "ann"}})
	e.wantErr("second submit", one(unitChange{Raw: unit(2), IfMatch: store.MustNotExist}).Err, store.ErrConflict)

	again := one(unitChange{Raw: unit(1), By: cluster.Note{Who: "bob"}})
	if again.Err != nil || again.Changed || again.Rev != made.Rev || again.Spec.By.Who != "ann" {
		e.Errorf("same submit again = got %+v, want revision %d unchanged", again, made.Rev)
	}
	started := one(unitChange{Target: to(units.Launched), IfMatch: made.Rev})
	if started.Err != nil || started.Spec.Run != 1 || started.Spec.Target != units.Launched || started.Spec.Restart != 0 {
		e.Errorf("start = got %+v, want launched, run 1, restart 0", started)
	}
	e.wantErr("start at an old revision", one(unitChange{Target: to(units.Launched), IfMatch: made.Rev}).Err, store.ErrConflict)
	replaced := one(unitChange{Raw: unit(2), Restart: restartOnChange})
	if replaced.Err != nil || replaced.Spec.Restart != 1 || replaced.Spec.Run != 1 || replaced.Spec.Blob != units.HashOf(unit(2)) {
		e.Errorf("replace = got %+v, want the new content and restart 1", replaced)
	}
	restarted := one(unitChange{Restart: restartAlways})
	if restarted.Err != nil || restarted.Spec.Restart != 2 {
		e.Errorf("restart = got %+v, want restart 2", restarted)
	}
	spec, rev, err := e.s.Unit(e.ctx, "a.service")
	e.noErr("Unit", err)
	e.same("Unit", spec, restarted.Spec)
	e.same("Unit revision", rev, restarted.Rev)
	e.noErr("destroy", one(unitChange{Delete: true}).Err)
	_, _, err = e.s.Unit(e.ctx, "a.service")
	e.wantErr("Unit after destroy", err, store.ErrNotFound)

	e.put("unit/a.service", "{")
	e.wantErr("start of an unreadable head", one(unitChange{Target: to(units.Launched)}).Err, store.ErrCorrupt)
	notHere := func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
		return store.Edit{Spec: &cluster.UnitSpec{Blob: units.HashOf(unit(77))}}, nil
	}
	e.wantErr("content that is nowhere", e.s.EditUnits(e.ctx, []cluster.Unit{"n.service"}, notHere)[0].Err, store.ErrNotFound)
	bad := change(e.ctx, e.s, []unitChange{
		{Name: "a/b.service", Raw: unit(1)},
		{Name: "big.service", Raw: make([]byte, store.MaxContent+1)},
		{Name: "good.service", Raw: make([]byte, store.MaxContent)},
	})
	e.wantErr("content too large", bad[1].Err, store.ErrTooLarge)
	if bad[0].Err == nil || bad[2].Err != nil {
		e.Errorf("EditUnits = got %v and %v, want only the first refused", bad[0].Err, bad[2].Err)
	}
}

func testEditUnitsBatch(e *env) {
	// Units that share a content, a name that comes twice, one that does not match.
	var changes []unitChange
	for i := range 300 {
		changes = append(changes, unitChange{Name: name(i), Raw: unit(0), Target: to(units.Loaded)})
	}
	changes = append(changes,
		unitChange{Name: name(5), Raw: unit(5), Restart: restartOnChange},
		unitChange{Name: name(6), Raw: unit(5), IfMatch: 1})
	e.b.count()
	results := change(e.ctx, e.s, changes)
	for i, r := range results[:301] {
		e.noErr(string(changes[i].Name), r.Err)
	}
	e.wantErr("unit with IfMatch", results[301].Err, store.ErrConflict)
	if n := e.b.counted(); n > 5 {
		e.Errorf("300 units took %d transactions, want at most 5", n)
	}
	all, _, err := e.s.Units(e.ctx)
	e.noErr("Units", err)
	if len(all) != 300 || all[name(5)].Restart != 1 || all[name(6)].Restart != 0 {
		e.Errorf("Units = got %d with %+v and %+v, want 300 and the second change of the first", len(all), all[name(5)], all[name(6)])
	}

	// Many at once on one unit: no change is lost.
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			errs[i] = change(e.ctx, e.s, []unitChange{{Name: name(1), Restart: restartAlways}})[0].Err
		})
	}
	wg.Wait()
	e.noErr("concurrent restarts", errors.Join(errs...))
	if spec, _, err := e.s.Unit(e.ctx, name(1)); err != nil || spec.Restart != 4 {
		e.Errorf("Unit = got restart %d, %v, want 4", spec.Restart, err)
	}
}

func testHostSpec(e *env) {
	rev, err := e.s.PutHostSpec(e.ctx, host(1), store.MustNotExist, cluster.HostSpec{Labels: map[string]string{"disk": "ssd"}})
	e.noErr("PutHostSpec", err)
	epoch, ok := e.get("epoch/hosts")
	if !ok || epoch.ModRev != rev {
		e.Errorf("epoch/hosts = got revision %d, want %d", epoch.ModRev, rev)
	}
	_, err = e.s.PutHostSpec(e.ctx, host(1), store.MustNotExist, cluster.HostSpec{})
	e.wantErr("PutHostSpec on one that exists", err, store.ErrConflict)
	_, err = e.s.PutHostSpec(e.ctx, host(1), rev+1000, cluster.HostSpec{})
	e.wantErr("PutHostSpec at another revision", err, store.ErrConflict)
	spec, again, err := e.s.EditHostSpec(e.ctx, host(1), rev, func(h *cluster.HostSpec) error {
		h.Labels["zone"] = "a"
		return nil
	})
	e.noErr("EditHostSpec", err)
	e.same("labels", spec.Labels, map[string]string{"disk": "ssd", "zone": "a"})
	_, same, err := e.s.EditHostSpec(e.ctx, host(1), 0, func(h *cluster.HostSpec) error { h.Labels["zone"] = "a"; return nil })
	e.noErr("EditHostSpec", err)
	e.same("revision after a change of nothing", same, again)
	e.put("host/"+string(host(1)), "[]")
	_, _, err = e.s.EditHostSpec(e.ctx, host(1), 0, func(*cluster.HostSpec) error { return nil })
	e.wantErr("edit of what cannot be decoded", err, store.ErrCorrupt)
}

func testTokens(e *env) {
	e.noErr("CreateToken", e.s.CreateToken(e.ctx, store.Token{ID: "abc", Digest: "d"}, time.Hour))
	e.wantErr("CreateToken again", e.s.CreateToken(e.ctx, store.Token{ID: "abc"}, time.Hour), store.ErrConflict)
	wrong := errors.New("wrong secret")
	_, err := e.s.ConsumeToken(e.ctx, "abc", func(store.Token) error { return wrong })
	e.wantErr("ConsumeToken with a wrong secret", err, wrong)
	list, err := e.s.Tokens(e.ctx)
	e.noErr("Tokens", err)
	e.same("Tokens", list, []store.Token{{ID: "abc", Digest: "d"}})

	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wg.Go(func() { _, errs[i] = e.open().ConsumeToken(e.ctx, "abc", func(store.Token) error { return nil }) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		e.wantErr("ConsumeToken", err, store.ErrTokenUsed)
	}
	if won != 1 {
		e.Errorf("ConsumeToken by five = got %d winners, want 1", won)
	}
	e.noErr("CreateToken", e.s.CreateToken(e.ctx, store.Token{ID: "race"}, time.Hour))
	fine := func(store.Token) error { return nil }
	e.b.hook(func() { e.noErr("ConsumeToken", errOf(e.open().ConsumeToken(e.ctx, "race", fine))) })
	_, err = e.s.ConsumeToken(e.ctx, "race", fine)
	e.wantErr("ConsumeToken when another was faster", err, store.ErrTokenUsed)
	_, err = e.s.ConsumeToken(e.ctx, "../leader", func(store.Token) error { return nil })
	e.wantErr("ConsumeToken of a crooked id", err, store.ErrTokenUsed)

	e.noErr("CreateToken", e.s.CreateToken(e.ctx, store.Token{ID: "short"}, time.Second))
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := e.s.ConsumeToken(e.ctx, "short", func(store.Token) error { return wrong })
		if errors.Is(err, store.ErrTokenUsed) {
			break
		}
		if time.Now().After(deadline) {
			e.Fatalf("ConsumeToken of an expired token = got %v, want %v", err, store.ErrTokenUsed)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func testBlobs(e *env) {
	e.submit(200)
	var hashes []units.Hash
	for i := range 200 {
		hashes = append(hashes, units.HashOf(unit(i)))
	}
	got, err := e.s.Blobs(e.ctx, hashes)
	e.noErr("Blobs", err)
	if len(got) != 200 || string(got[hashes[150]]) != string(unit(150)) {
		e.Errorf("Blobs = got %d contents, want 200", len(got))
	}
	_, err = e.s.Blobs(e.ctx, append(hashes, units.HashOf([]byte("none"))))
	e.wantErr("Blobs with a missing one", err, store.ErrNotFound)
	e.put("blob/"+string(hashes[3]), "other bytes")
	_, err = e.s.Blobs(e.ctx, hashes)
	e.wantErr("Blobs with a damaged one", err, store.ErrCorrupt)
}

func testCheckVersion(e *env) {
	e.noErr("CheckVersion in an empty cluster", e.s.CheckVersion(e.ctx, "0.5.0", host(1)))
	e.announce(e.s, 2, "n") // 0.1.0
	e.noErr("CheckVersion beside 0.1.0", e.s.CheckVersion(e.ctx, "0.2.3", host(1)))
	e.wantErr("CheckVersion beside 0.1.0", e.s.CheckVersion(e.ctx, "0.3.0", host(1)), store.ErrSchema)
	e.noErr("CheckVersion beside oneself", e.s.CheckVersion(e.ctx, "0.3.0", host(2)))
	e.put("alive/"+string(host(3)), `{"version":"9.0.0"}`)
	e.noErr("CheckVersion of a version that was allowed: the others are read once", e.s.CheckVersion(e.ctx, "0.2.3", host(1)))
	for h, want := range map[cluster.HostID]bool{host(3): true, host(4): false} {
		if got, err := e.s.IsAlive(e.ctx, h); got != want || err != nil {
			e.Errorf("IsAlive(%s) = got %v, %v, want %v", h.Short(), got, err, want)
		}
	}
	_, err := e.s.PutHostSpec(e.ctx, host(3), 0, cluster.HostSpec{Removed: &cluster.Note{Who: "x"}})
	e.noErr("PutHostSpec", err)
	for h, want := range map[cluster.HostID]bool{host(3): true, host(4): false} {
		if got, err := e.s.IsRemoved(e.ctx, h); got != want || err != nil {
			e.Errorf("IsRemoved(%s) = got %v, %v, want %v", h.Short(), got, err, want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	tests := []struct {
		self, schema, other string
		ok                  bool
	}{
		{"1.2.0", "1.0.0", "1.2.9", true},
		{"1.2.0", "1.0.9", "1.3.0", true},
		{"1.2.0", "1.0.0", "1.1.0", true},
		{"1.2.0", "1.0.0", "1.4.0", false},
		{"1.4.0", "1.0.0", "1.2.0", false},
		{"1.2.0", "1.0.0", "2.2.0", false},
		{"1.2.0", "1.1.0", "1.2.0", true},
		{"1.2.0", "1.2.0", "1.2.0", false},
		{"1.2.0", "2.0.0", "1.2.0", false},
		{"1.2.0", "0.9.0", "1.2.0", true},
		{"dev", "1.0.0", "1.2.0", false},
		{"1.2.0-dev", "1.0.0", "1.2.0", true},
		{"1.2.0", "1.0.0", "", false},
	}
	for _, tt := range tests {
		err := store.CheckVersion(tt.self, tt.schema, map[cluster.HostID]string{host(1): tt.other})
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, store.ErrSchema) {
			t.Errorf("CheckVersion(%s, %s, %s) = got %v, want ok %v", tt.self, tt.schema, tt.other, err, tt.ok)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("CheckVersion(%s, %s, %s) = got several lines %q", tt.self, tt.schema, tt.other, err)
		}
	}
}

func testCollectBlobs(e *env) {
	l := e.lead(e.s)
	e.submit(6)
	collect := func(want int) {
		e.Helper()
		n, err := e.s.CollectBlobs(e.ctx, l.Term, 0)
		if err != nil || n != want {
			e.Errorf("CollectBlobs = got %d, %v, want %d", n, err, want)
		}
	}
	collect(0)
	p := place(host(1), name(1), 1)
	p.Blob = units.HashOf(unit(1))
	_, errs := e.s.Apply(e.ctx, l.Term, []cluster.Orders{{Put: []cluster.Placed{p}}})
	e.noErr("Apply", errs[0])
	for i := range 3 {
		e.noErr("destroy", change(e.ctx, e.s, []unitChange{{Name: name(i), Delete: true}})[0].Err)
	}
	if n, err := e.s.CollectBlobs(e.ctx, l.Term, time.Hour); n != 0 || err != nil {
		e.Errorf("CollectBlobs(1h) = got %d, %v, want 0", n, err)
	}
	collect(2) // u1's is named by a placement
	for i, want := range []bool{false, true, false, true, true, true} {
		if _, ok := e.get("blob/" + string(units.HashOf(unit(i)))); ok != want {
			e.Errorf("content %d exists = got %v, want %v", i, ok, want)
		}
	}
	// A content that is named again between the look and the deletion stays.
	e.noErr("destroy", change(e.ctx, e.s, []unitChange{{Name: name(3), Delete: true}})[0].Err)
	e.b.hook(func() {
		r := change(e.ctx, e.open(), []unitChange{{Name: "back.service", Raw: unit(3)}})[0]
		e.noErr("submit", r.Err)
	})
	collect(0)
	e.noErr("Blobs", errOf(e.s.Blobs(e.ctx, []units.Hash{units.HashOf(unit(3))})))
	// So it is with a content that the editor takes from the store.
	e.noErr("destroy", change(e.ctx, e.s, []unitChange{{Name: "back.service", Delete: true}})[0].Err)
	e.b.hook(func() {
		spec := cluster.UnitSpec{Blob: units.HashOf(unit(3))}
		r := e.open().EditUnits(e.ctx, []cluster.Unit{"web@1.service"}, func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
			return store.Edit{Spec: &spec}, nil
		})
		e.noErr("EditUnits", r[0].Err)
	})
	collect(0)
	e.noErr("Blobs", errOf(e.s.Blobs(e.ctx, []units.Hash{units.HashOf(unit(3))})))
	// What cannot be read may name anything.
	e.noErr("destroy", change(e.ctx, e.s, []unitChange{{Name: name(4), Delete: true}})[0].Err)
	e.put("unit/odd.service", "{")
	_, err := e.s.CollectBlobs(e.ctx, l.Term, 0)
	e.wantErr("CollectBlobs with an unreadable head", err, store.ErrCorrupt)
	e.del("unit/odd.service")
	_, err = e.s.CollectBlobs(e.ctx, cluster.Term{Revision: 1}, 0)
	e.wantErr("CollectBlobs of a deposed leader", err, store.ErrDeposed)
}

func errOf[T any](_ T, err error) error { return err }

// testDropIns: a bundle of drop-ins comes with the head that names it, and stays while a head or a
// placement does.
func testDropIns(e *env) {
	l := e.lead(e.s)
	bundle := func(text string) ([]byte, units.Hash) {
		raw, err := units.DropIns{{Name: "10-a.conf", Raw: []byte(text)}}.Bundle()
		e.noErr("Bundle", err)
		return raw, units.HashOf(raw)
	}
	one, first := bundle("[Service]\nKillMode=process\n")
	two, second := bundle("[Service]\nType=oneshot\n")
	edit := func(spec cluster.UnitSpec, raw, bundle []byte) store.UnitResult {
		return e.s.EditUnits(e.ctx, []cluster.Unit{"a.service"}, func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
			return store.Edit{Spec: &spec, Raw: raw, Bundle: bundle}, nil
		})[0]
	}
	spec := cluster.UnitSpec{Blob: units.HashOf(unit(1)), DropIns: first}
	e.wantErr("drop-ins that are nowhere", edit(spec, unit(1), nil).Err, store.ErrNotFound)
	if _, there := e.get("unit/a.service"); there {
		e.Error("the head was written without its drop-ins")
	}
	if r := edit(spec, unit(1), two); r.Err == nil {
		e.Error("drop-ins of another hash were taken")
	}
	big := make([]byte, store.MaxBundle+1)
	e.wantErr("drop-ins too large", edit(cluster.UnitSpec{Blob: spec.Blob, DropIns: units.HashOf(big)}, unit(1), big).Err, store.ErrTooLarge)
	e.noErr("EditUnits", edit(spec, unit(1), one).Err)
	m, _ := e.follow(e.s)
	oneshot := func() (is bool) {
		m.Read(func(s *cluster.Snapshot) {
			u := s.Units["a.service"]
			if u == nil || u.Bad != "" {
				e.Fatalf("a.service = got %+v, want a good head", u)
			}
			is = u.File.Oneshot()
		})
		return is
	}
	e.until(m, "complete", func(s *cluster.Snapshot) bool { return s.Complete })
	if oneshot() {
		e.Error("the unit is a one-shot, want its drop-in to say nothing of that")
	}
	// A placement keeps the drop-ins that its head does not name any more.
	p := place(host(1), "a.service", 1)
	p.Blob, p.DropIns = spec.Blob, first
	_, errs := e.s.Apply(e.ctx, l.Term, []cluster.Orders{{Put: []cluster.Placed{p}}})
	e.noErr("Apply", errs[0])
	spec.DropIns = second
	r := edit(spec, nil, two)
	e.noErr("other drop-ins", r.Err)
	e.noErr("WaitRevision", m.WaitRevision(e.ctx, r.Rev))
	if !oneshot() {
		e.Error("the unit is no one-shot, want what its drop-in says")
	}
	collect := func(want int) {
		e.Helper()
		if n, err := e.s.CollectBlobs(e.ctx, l.Term, 0); err != nil || n != want {
			e.Errorf("CollectBlobs = got %d, %v, want %d", n, err, want)
		}
	}
	collect(0)
	p.DropIns = ""
	_, errs = e.s.Apply(e.ctx, l.Term, []cluster.Orders{{Put: []cluster.Placed{p}}})
	e.noErr("Apply", errs[0])
	collect(1)
	e.noErr("Blobs", errOf(e.s.Blobs(e.ctx, []units.Hash{second})))
	// Drop-ins that do not go with the file make the head bad, and are told.
	bad, third := bundle("[Service]\nExecStart=/bin/other\n[X-Flotilla]\nGlobal=yes\n")
	spec.DropIns = third
	r = edit(spec, nil, bad)
	e.noErr("EditUnits", r.Err)
	e.noErr("WaitRevision", m.WaitRevision(e.ctx, r.Rev))
	m.Read(func(s *cluster.Snapshot) {
		if u := s.Units["a.service"]; u.File != nil || !strings.Contains(u.Bad, "a.service.d/10-a.conf:3:") {
			e.Errorf("a.service = got bad %q, want the line of its drop-in", u.Bad)
		}
	})
}
