package daemon

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/members"
)

// TestPartThatEndsIsAnError: a daemon that lost a part must neither go on without it nor end as
// if it had been asked to.
func TestPartThatEndsIsAnError(t *testing.T) {
	stays := part{"stays", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	ends := func(err error) part { return part{"agent", func(context.Context) error { return err }} }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"canceled by itself", context.Canceled, "agent: context canceled"},
		{"without an error", nil, "agent: ended by itself"},
		{"failed", errors.New("no more"), "agent: no more"},
	} {
		if err := runParts(t.Context(), []part{stays, ends(c.err)}); err == nil || err.Error() != c.want {
			t.Errorf("%s: runParts() = %v, want %q", c.name, err, c.want)
		}
	}
	asked, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runParts(asked, []part{stays, stays}); err != nil {
		t.Errorf("runParts() that was asked to end = %v, want nil", err)
	}
}

// stuck is a store that does not answer.
type stuck struct {
	store.Backend
	asked chan struct{}
}

// Range implements store.KV.
func (s stuck) Range(ctx context.Context, _ store.Range) (store.RangeResult, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return store.RangeResult{}, ctx.Err()
}

// TestLeaderWaitsForNobodyElse: one request that waits for the store must not hold up others
// that want less.
func TestLeaderWaitsForNobodyElse(t *testing.T) {
	backend := memory.New(memory.Options{Kind: true})
	t.Cleanup(backend.Close)
	asked := make(chan struct{}, 10)
	d := &Daemon{
		store: store.New(stuck{backend, asked}, "", store.Options{}),
		leads: leads{last: cluster.LeaderInfo{Host: "known"}},
	}
	patient, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Leader(patient)
	}()
	<-asked
	over, end := context.WithCancel(t.Context())
	end()
	if host, _ := d.Leader(over); host != "known" {
		t.Errorf("Leader() = %q, want the last word", host)
	}
	select {
	case <-done:
		t.Error("Leader() of a caller that is gone waited for another's")
	default:
	}
	if _, fresh := d.leads.word(time.Now()); fresh {
		t.Error("a caller that went away counts as an answer of the store")
	}
	cancel()
	<-done
}

// TestLeaderKeepsTheNewerAnswer: an answer that is late must not replace a later question's.
func TestLeaderKeepsTheNewerAnswer(t *testing.T) {
	var l leads
	begun := time.Now()
	l.heard(&cluster.LeaderInfo{Host: "new"}, begun.Add(time.Second), begun.Add(time.Second))
	if got := l.heard(&cluster.LeaderInfo{Host: "old"}, begun, begun.Add(2*time.Second)); got.Host != "new" {
		t.Errorf("heard() of a late answer = %q, want the newer one", got.Host)
	}
}

// counted is a context that knows how many others were made from it and have not ended.
type counted struct {
	context.Context
	done chan struct{}
	open atomic.Int32
}

// Done is another one than the embedded context's, so that this one is asked.
func (c *counted) Done() <-chan struct{} { return c.done }

// AfterFunc is what package context calls for each descendant.
func (c *counted) AfterFunc(f func()) func() bool {
	c.open.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool { c.open.Add(-1); return stop() }
}

// TestNewLeavesNothingBehind: what New opened before it failed is closed.
func TestNewLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir) // no systemd of a user there
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "none"))
	paths := members.Paths{Etc: filepath.Join(dir, "etc"), Var: filepath.Join(dir, "var")}
	made, err := members.Init(t.Context(), members.InitOptions{
		Paths: paths, Host: cluster.HostID(strings.Repeat("a", 32)), Name: "one", Address: "127.0.0.1", Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := &counted{Context: t.Context(), done: make(chan struct{})}
	_, err = New(ctx, Options{Paths: paths, Config: made.Config, User: true, RunDir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "connect to systemd") {
		t.Fatalf("New() without a systemd = %v, want it to say so", err)
	}
	if n := ctx.open.Load(); n != 0 {
		t.Errorf("New() failed and left %d things open", n)
	}
}
