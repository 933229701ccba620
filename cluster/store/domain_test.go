package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/server/v3/embed"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

// domainCase is one test of the domain layer; it runs on memory and on a real etcd.
type domainCase struct {
	name string
	run  func(*env)
}

func domainCases() []domainCase {
	return []domainCase{
		{"InitOnce", testInitOnce},
		{"ForeignStore", testForeignStore},
		{"SchemaRises", testSchemaRises},
		{"EditUnits", testEditUnits},
		{"EditUnitsBatch", testEditUnitsBatch},
		{"HostSpec", testHostSpec},
		{"Leave", testLeave},
		{"LeaveKeeps", testLeaveKeeps},
		{"RemovalForgets", testRemovalForgets},
		{"Tokens", testTokens},
		{"ApplyStaleAlone", testApplyStaleAlone},
		{"ApplyOrder", testApplyOrder},
		{"ApplyDeposed", testApplyDeposed},
		{"ApplyAmbiguous", testApplyAmbiguous},
		{"ApplyLate", testApplyLate},
		{"ApplyPacks", testApplyPacks},
		{"ApplyByHost", testApplyByHost},
		{"ApplyDeposedMidway", testApplyDeposedMidway},
		{"ApplyTooLarge", testApplyTooLarge},
		{"ApplyEndsOrphanStop", testApplyEndsOrphanStop},
		{"WishDropped", testWishDropped},
		{"DestroyLeavesMark", testDestroyLeavesMark},
		{"Announce", testAnnounce},
		{"Takeover", testTakeover},
		{"ReportMany", testReportMany},
		{"ReportRefused", testReportRefused},
		{"CampaignHandsOver", testCampaignHandsOver},
		{"CampaignAmbiguous", testCampaignAmbiguous},
		{"View", testView},
		{"FollowViewWhole", testFollowViewWhole},
		{"FollowViewUnreadable", testFollowViewUnreadable},
		{"MirrorEqualsLoad", testMirrorEqualsLoad},
		{"MirrorUnreadable", testMirrorUnreadable},
		{"MirrorSharesContent", testMirrorSharesContent},
		{"CollectBlobs", testCollectBlobs},
		{"DropIns", testDropIns},
		{"Blobs", testBlobs},
		{"CheckVersion", testCheckVersion},
		{"Grants", testGrants},
		{"GrantNeedsLife", testGrantNeedsLife},
		{"GrantUsedOrTakenBack", testGrantUsedOrTakenBack},
		{"GrantsDeposed", testGrantsDeposed},
		{"FollowGrant", testFollowGrant},
		{"History", testHistory},
		{"RebootEdits", testRebootEdits},
		{"SchemaOfGrants", testSchemaOfGrants},
	}
}

func TestDomainMemory(t *testing.T) {
	for _, c := range domainCases() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.New(memory.Options{Kind: true})
				defer b.Close()
				c.run(newEnv(t, b))
			})
		})
	}
}

func TestDomainEtcd(t *testing.T) {
	b := startEtcd(t)
	for _, c := range domainCases() {
		t.Run(c.name, func(t *testing.T) { c.run(newEnv(t, b)) })
	}
}

// startEtcd runs an etcd in this process.
func startEtcd(t testing.TB) *store.Etcd {
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.LogLevel = "fatal"
	cfg.UnsafeNoFsync = true
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = local, local
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatalf("start etcd: %v", err)
	}
	t.Cleanup(server.Close)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd is not ready within a minute")
	}
	b, err := store.DialEtcd(context.Background(), store.EtcdOptions{
		Endpoints: []string{server.Clients[0].Addr().String()},
	})
	if err != nil {
		t.Fatalf("DialEtcd: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

// env is what a case works with: a backend with faults to order, and an initialised store.
type env struct {
	*testing.T
	ctx    context.Context
	b      *faulty
	prefix string
	s      *store.Store
}

func newEnv(t *testing.T, b store.Backend) *env {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	e := &env{T: t, ctx: ctx, b: &faulty{Backend: b}, prefix: "/" + t.Name()}
	e.s = e.open()
	if _, err := e.s.Init(ctx); err != nil {
		t.Fatalf("Init: %v", err)
	}
	return e
}

// open is another process' Store on the same backend and prefix.
func (e *env) open() *store.Store {
	return store.New(e.b, e.prefix, store.Options{TTL: 30 * time.Second})
}

// faulty counts transactions that write, and loses the reply of chosen ones.
type faulty struct {
	store.Backend
	deaf bool // set before use

	mu     sync.Mutex
	writes int
	lose   map[int]bool // by the number of the write from now on, 1 = the next
	before func()       // called once, before the next write
	hold   bool         // keep the next write back, as if it lingered on its way
	held   store.Txn
}

// arrive carries out the write that was held back.
func (f *faulty) arrive(ctx context.Context) (store.TxnResult, error) {
	return f.Backend.Txn(ctx, f.held)
}

// hook has f called once, before the next write.
func (f *faulty) hook(before func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *faulty) Txn(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if len(t.Then) > 0 {
		f.mu.Lock()
		before, hold := f.before, f.hold
		f.before, f.hold = nil, false
		if hold {
			f.held = t
		}
		f.mu.Unlock()
		if hold {
			return store.TxnResult{}, fmt.Errorf("no reply: %w", store.ErrAmbiguous)
		}
		if before != nil {
			before()
		}
	}
	res, err := f.Backend.Txn(ctx, t)
	if len(t.Then) == 0 {
		return res, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.lose[f.writes] && err == nil {
		return store.TxnResult{}, fmt.Errorf("reply lost: %w", store.ErrAmbiguous)
	}
	return res, err
}

// Watch hides from a deaf client that its watch broke, as an etcd client does that
// resumes by itself.
func (f *faulty) Watch(ctx context.Context, prefix string, from int64) <-chan store.WatchEvents {
	if !f.deaf {
		return f.Backend.Watch(ctx, prefix, from)
	}
	out := make(chan store.WatchEvents)
	go func() {
		defer close(out)
		for batch := range f.Backend.Watch(ctx, prefix, from) {
			if batch.Err != nil {
				break
			}
			select {
			case out <- batch:
			case <-ctx.Done():
			}
		}
		<-ctx.Done()
	}()
	return out
}

// count restarts the count of writes, and says which replies will be lost.
func (f *faulty) count(lose ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes, f.lose = 0, map[int]bool{}
	for _, n := range lose {
		f.lose[n] = true
	}
}

func (f *faulty) counted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// put writes a key as nobody of ours would.
func (e *env) put(key, value string) {
	e.Helper()
	if _, err := e.b.Txn(e.ctx, store.Txn{Then: []store.Op{{Key: e.prefix + "/" + key, Value: []byte(value)}}}); err != nil {
		e.Fatalf("put %s: %v", key, err)
	}
}

func (e *env) del(key string) {
	e.Helper()
	if _, err := e.b.Txn(e.ctx, store.Txn{Then: []store.Op{{Key: e.prefix + "/" + key, Delete: true}}}); err != nil {
		e.Fatalf("delete %s: %v", key, err)
	}
}

// get reads a key; ok is false when it is missing.
func (e *env) get(key string) (store.KeyValue, bool) {
	e.Helper()
	res, err := e.b.Range(e.ctx, store.Range{Key: e.prefix + "/" + key})
	if err != nil {
		e.Fatalf("get %s: %v", key, err)
	}
	if len(res.KVs) == 0 {
		return store.KeyValue{}, false
	}
	return res.KVs[0], true
}

func (e *env) wantErr(what string, got, want error) {
	e.Helper()
	if !errors.Is(got, want) {
		e.Errorf("%s = got error %v, want %v", what, got, want)
	}
}

func (e *env) noErr(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

func (e *env) same(what string, got, want any) {
	e.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("%s: got (+), want (-):\n%s", what, diff)
	}
}

// unit is the content of a small unit file.
func unit(n int) []byte {
	return fmt.Appendf(nil, "[Service]\nExecStart=/bin/sleep %d\n", n)
}

func to(t units.Target) *units.Target { return &t }

// submit makes units u0.service and on, and returns their revisions.
func (e *env) submit(n int) []int64 {
	e.Helper()
	changes := make([]unitChange, n)
	for i := range changes {
		changes[i] = unitChange{Name: name(i), Raw: unit(i), Target: to(units.Launched)}
	}
	revs := make([]int64, n)
	for i, r := range change(e.ctx, e.s, changes) {
		e.noErr("submit "+string(name(i)), r.Err)
		revs[i] = r.Rev
	}
	return revs
}

func name(i int) cluster.Unit { return cluster.Unit(fmt.Sprintf("u%d.service", i)) }

func host(i int) cluster.HostID { return cluster.HostID(fmt.Sprintf("%032x", i)) }

// announce makes a host alive with a nonce of its own.
func (e *env) announce(s *store.Store, i int, nonce string) store.Lease {
	e.Helper()
	l, err := s.Announce(e.ctx, host(i), cluster.Alive{Nonce: nonce, Boot: "b" + nonce, Version: "0.1.0"}, store.Lease{})
	e.noErr("Announce", err)
	return l
}

// lead makes this store's process the leader.
func (e *env) lead(s *store.Store) *store.Leadership {
	e.Helper()
	l, err := s.Campaign(e.ctx, cluster.LeaderInfo{Host: host(1)}, 5*time.Second)
	e.noErr("Campaign", err)
	e.Cleanup(func() { _ = l.Resign(context.WithoutCancel(e.ctx)) })
	return l
}

// place is an order to launch unit u on host h.
func place(h cluster.HostID, u cluster.Unit, generation int64) cluster.Placed {
	return cluster.Placed{Host: h, Unit: u, Placement: cluster.Placement{
		Generation: generation, State: cluster.Launched, Blob: units.HashOf(unit(0)), Reason: "test",
	}}
}

// follow runs a mirror until the returned function is called.
func (e *env) follow(s *store.Store) (*store.Mirror, func()) {
	m := store.NewMirror(s, nil)
	ctx, cancel := context.WithCancel(e.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	stop := func() { cancel(); wg.Wait() }
	e.Cleanup(stop)
	return m, stop
}

// until waits for a state of the mirror.
func (e *env) until(m *store.Mirror, what string, f func(*cluster.Snapshot) bool) {
	e.Helper()
	wake, cancel := m.Subscribe()
	defer cancel()
	for {
		ok := false
		m.Read(func(s *cluster.Snapshot) { ok = f(s) })
		if ok {
			return
		}
		select {
		case <-wake:
		case <-e.ctx.Done():
			e.Fatalf("mirror: never %s; err %v", what, m.Err())
		}
	}
}
