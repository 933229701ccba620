package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"flotilla/cluster/store"
)

// proxy stands before a member. Frozen, it accepts and keeps connections but carries
// nothing, as a stopped process does; closed, its port refuses.
type proxy struct {
	net.Listener
	target string

	mu     sync.Mutex
	thawed chan struct{} // closed while it carries bytes
	conns  []net.Conn
}

func startProxy(t *testing.T, endpoint string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, target: strings.TrimPrefix(endpoint, "http://"), thawed: make(chan struct{})}
	close(p.thawed)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		p.stop()
		wg.Wait()
	})
	return p
}

func (p *proxy) endpoint() string { return "http://" + p.Addr().String() }

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer up.Close()
	p.mu.Lock()
	p.conns = append(p.conns, c, up)
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, d := range [][2]net.Conn{{c, up}, {up, c}} {
		wg.Go(func() {
			defer d[1].Close()
			p.carry(d[1], d[0])
		})
	}
	wg.Wait()
}

func (p *proxy) carry(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		thawed := p.thawed
		p.mu.Unlock()
		<-thawed
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thawed = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
	default:
		close(p.thawed)
	}
}

func (p *proxy) stop() {
	p.Close()
	p.thaw()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func put(key string) store.Txn {
	return store.Txn{Then: []store.Op{{Key: key, Value: []byte("v")}}}
}

// broken waits for the error that ends a watch.
func broken(t *testing.T, ctx context.Context, ch <-chan store.WatchEvents) error {
	t.Helper()
	for {
		select {
		case batch, open := <-ch:
			if !open {
				t.Fatal("watch closed without an error")
			}
			if batch.Err != nil {
				return batch.Err
			}
		case <-ctx.Done():
			t.Fatal("watch did not end")
		}
	}
}

// A frozen member is noticed by a renewal, which moves, and takes its watches along.
func TestEtcdFrozenMember(t *testing.T) {
	m := startMember(t, embedConfig(t))
	first, second := startProxy(t, m.endpoint()), startProxy(t, m.endpoint())
	b := dial(t, first.endpoint(), second.endpoint())
	ctx := within(t, 30*time.Second)
	id, err := b.Grant(ctx, 10*time.Second)
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	res, err := b.Txn(ctx, put("a"))
	if err != nil {
		t.Fatalf("Txn: %v", err)
	}
	ch := b.Watch(ctx, "a", res.Revision)
	if batch := <-ch; batch.Err != nil || len(batch.Events) != 1 {
		t.Fatalf("Watch = got %+v, want one event", batch)
	}
	if _, err := b.Renew(ctx, id); err != nil {
		t.Fatalf("Renew: %v", err)
	}

	first.freeze()
	start := time.Now()
	if ttl, err := b.Renew(within(t, 5*time.Second), id); err != nil || ttl != 10*time.Second {
		t.Errorf("Renew(first member frozen) = got %v, %v, want 10s from the second", ttl, err)
	}
	t.Logf("renewed elsewhere after %v", time.Since(start))
	if err := broken(t, ctx, ch); errors.Is(err, store.ErrCompacted) {
		t.Errorf("Watch(member frozen) = got %v, want a temporary error", err)
	}
}

// A write that a frozen member swallowed is ambiguous, and is not sent again.
func TestEtcdFrozenWrite(t *testing.T) {
	m := startMember(t, embedConfig(t))
	first, second := startProxy(t, m.endpoint()), startProxy(t, m.endpoint())
	b := dial(t, first.endpoint(), second.endpoint())
	ctx := within(t, 30*time.Second)
	if _, err := b.Range(ctx, store.Range{Key: "a"}); err != nil {
		t.Fatalf("Range: %v", err)
	}
	first.freeze()
	start := time.Now()
	if _, err := b.Txn(within(t, 10*time.Second), put("a")); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Txn(member frozen) = got %v, want ErrAmbiguous", err)
	}
	t.Logf("gave the write up after %v", time.Since(start))
	res, err := b.Range(ctx, store.Range{Key: "a"})
	t.Logf("read elsewhere after %v", time.Since(start))
	if err != nil || len(res.KVs) != 0 {
		t.Errorf("Range = got %d keys, %v, want none: the write is stuck", len(res.KVs), err)
	}
	if _, err := b.Txn(ctx, put("b")); err != nil {
		t.Errorf("Txn(on the second member): %v", err)
	}
	t.Logf("wrote elsewhere after %v", time.Since(start))
}

// A member that refuses connections is passed over; a broken connection ends watches.
func TestEtcdDeadMember(t *testing.T) {
	m := startMember(t, embedConfig(t))
	dead, first, second := startProxy(t, m.endpoint()), startProxy(t, m.endpoint()), startProxy(t, m.endpoint())
	dead.stop()
	b := dial(t, dead.endpoint(), first.endpoint(), second.endpoint())
	ctx := within(t, 30*time.Second)
	res, err := b.Txn(ctx, put("a"))
	if err != nil {
		t.Fatalf("Txn(first member dead): %v", err)
	}
	ch := b.Watch(ctx, "a", res.Revision)
	if batch := <-ch; batch.Err != nil {
		t.Fatalf("Watch: %v", batch.Err)
	}
	first.stop()
	if err := broken(t, ctx, ch); err == nil {
		t.Error("Watch(member died) = got no error")
	}
	if _, err := b.Txn(ctx, put("b")); err != nil {
		t.Errorf("Txn(two members dead): %v", err)
	}
}

func TestEtcdNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := dial(t, "http://"+l.Addr().String())
	_, err = b.Txn(within(t, 500*time.Millisecond), put("a"))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Txn(nobody there) = got %v, want an unambiguous deadline", err)
	}
	if !strings.Contains(fmt.Sprint(err), "connection refused") {
		t.Errorf("Txn(nobody there) = got %q, want it to say why", err)
	}
	if _, err := store.DialEtcd(t.Context(), store.EtcdOptions{}); err == nil {
		t.Error("DialEtcd(no endpoints) = got no error")
	}
}

// plainClient is for what the contract does not offer.
func plainClient(t *testing.T, m member) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEtcdNoSpace(t *testing.T) {
	m := startMember(t, embedConfig(t))
	b := dial(t, m.endpoint())
	ctx := within(t, 30*time.Second)
	id, err := b.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	if _, err := b.Txn(ctx, put("a")); err != nil {
		t.Fatalf("Txn: %v", err)
	}
	_, err = pb.NewMaintenanceClient(plainClient(t, m).ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: uint64(m.Server.MemberID()), Alarm: pb.AlarmType_NOSPACE,
	})
	if err != nil {
		t.Fatalf("raise the alarm: %v", err)
	}
	if _, err := b.Txn(ctx, put("b")); !errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Txn(no space) = got %v, want ErrReadOnly", err)
	}
	if _, err := b.Grant(ctx, time.Minute); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Grant(no space) = got %v, want ErrReadOnly", err)
	}
	if _, err := b.Txn(ctx, store.Txn{Then: []store.Op{{Key: "a", Delete: true}}}); err != nil {
		t.Errorf("Txn(delete, no space): %v", err)
	}
	if _, err := b.Renew(ctx, id); err != nil {
		t.Errorf("Renew(no space): %v", err)
	}
}

// With users, a right that is missing is a final answer and the password works on all paths.
func TestEtcdPassword(t *testing.T) {
	m := startMember(t, embedConfig(t))
	admin := plainClient(t, m)
	ctx := within(t, 30*time.Second)
	steps := []func() error{
		func() error { _, err := admin.UserAdd(ctx, "root", "r"); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserAdd(ctx, "host", "h"); return err },
		func() error { _, err := admin.RoleAdd(ctx, "host"); return err },
		func() error {
			_, err := admin.RoleGrantPermission(ctx, "host", "/f/", clientv3.GetPrefixRangeEnd("/f/"),
				clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := admin.UserGrantRole(ctx, "host", "host"); return err },
		func() error { _, err := admin.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("set up users, step %d: %v", i, err)
		}
	}
	b, err := store.DialEtcd(t.Context(), store.EtcdOptions{Endpoints: []string{m.endpoint()}, Username: "host", Password: "h"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	id, err := b.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	for range 3 {
		if _, err := b.Renew(ctx, id); err != nil {
			t.Errorf("Renew: %v", err)
		}
	}
	res, err := b.Txn(ctx, put("/f/a"))
	if err != nil {
		t.Fatalf("Txn(own key): %v", err)
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if batch := <-b.Watch(wctx, "/f/", res.Revision); len(batch.Events) != 1 {
		t.Errorf("Watch(own keys) = got %+v, want one event", batch)
	}
	if _, err := b.Txn(ctx, put("/g/a")); err == nil || errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Txn(foreign key) = got %v, want a plain refusal", err)
	}
	if batch := <-b.Watch(wctx, "/g/", 1); batch.Err == nil {
		t.Errorf("Watch(foreign keys) = got %+v, want an error", batch)
	}
}
