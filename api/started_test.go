package api

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/cluster"
)

// late is a mirror that loads after a while.
type late struct {
	still
	from time.Time
	wake chan struct{}
}

func (m *late) Read(f func(*cluster.Snapshot)) {
	m.snap.Complete = !time.Now().Before(m.from)
	f(m.snap)
}
func (m *late) Subscribe() (<-chan struct{}, func()) { return m.wake, func() {} }

// lateServer's mirror is loaded at from.
func lateServer(from time.Time) (*Server, *late) {
	s, snap := serverOf(1, &still{whole: -1})
	m := &late{still: still{snap: snap}, from: from, wake: make(chan struct{}, 1)}
	s.opt.Mirror = m
	return s, m
}

func ask(ctx context.Context, s *Server, path string) (*httptest.ResponseRecorder, time.Duration) {
	began := time.Now()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w, time.Since(began)
}

// TestReadsWaitForTheFirstLoad: status typed right after a restart waits a moment, and no longer than is of use.
func TestReadsWaitForTheFirstLoad(t *testing.T) {
	for _, path := range []string{"/v1/cluster", "/v1/units", "/v1/hosts", "/v1/explain/a.service"} {
		synctest.Test(t, func(t *testing.T) {
			s, m := lateServer(time.Now().Add(3100 * time.Millisecond))
			woken := time.AfterFunc(3100*time.Millisecond, func() { m.wake <- struct{}{} })
			defer woken.Stop()
			if w, took := ask(t.Context(), s, path); w.Code != http.StatusOK || took != 3100*time.Millisecond {
				t.Errorf("GET %s of a daemon that loads for 3.1 s = %d %s after %s, want it then", path, w.Code, w.Body, took)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s, _ := lateServer(time.Now().Add(time.Hour))
		if w, took := ask(t.Context(), s, "/v1/cluster"); w.Code != http.StatusServiceUnavailable || took != startWait || !strings.Contains(w.Body.String(), "the store is not loaded yet") {
			t.Errorf("GET of a daemon that does not load = %d %s after %s, want a refusal after %s", w.Code, w.Body, took, startWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, took := ask(ctx, s, "/v1/cluster"); took != time.Second {
			t.Errorf("GET of a client that waits for 1 s took %s", took)
		}
		for _, l := range []Local{{Frozen: "it was wiped"}, {StoreOut: time.Unix(900, 0)}} {
			s.opt.Local = func() Local { return l }
			if w, took := ask(t.Context(), s, "/v1/cluster"); w.Code != http.StatusServiceUnavailable || took != 0 {
				t.Errorf("GET of %+v = %d after %s, want a refusal at once", l, w.Code, took)
			}
		}
	})
}

// elected leads from a moment on.
type elected struct {
	nobody
	from time.Time
}

func (e elected) Leader(context.Context) (cluster.HostID, string) {
	if time.Now().Before(e.from) {
		return "", ""
	}
	return "h", "10.0.0.1:7117"
}

// RoundTrip answers for the leader.
func (elected) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// TestForwardedReadsWaitForALeader: a host without a mirror waits until there is one to ask.
func TestForwardedReadsWaitForALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serverOf(1, &still{whole: -1})
		e := &elected{from: time.Now().Add(2 * time.Second)}
		e.rt = e
		s.opt.Mirror, s.opt.Peers = nil, e
		if w, took := ask(t.Context(), s, "/v1/cluster"); w.Code != http.StatusOK || took != 2*time.Second {
			t.Errorf("GET while another leader is elected = %d %s after %s, want its answer after 2 s", w.Code, w.Body, took)
		}
	})
}

// TestLogsOfThisHostWithoutEtcd: a daemon that never reached etcd still reads the journal of a unit of its host, and
// says that it knows of no other.
func TestLogsOfThisHostWithoutEtcd(t *testing.T) {
	s, _ := lateServer(time.Now().Add(time.Hour))
	s.opt.Host = "h"
	s.opt.Local = func() Local { return Local{StoreOut: time.Unix(900, 0)} }
	s.opt.Has = func(u cluster.Unit) bool { return u == "a.service" }
	s.opt.Logs = func(_ context.Context, unit string, _ int, _ bool, emit func(LogEntry) error) error {
		return emit(LogEntry{Unit: unit, Message: "its line"})
	}
	for _, mirror := range []Mirror{s.opt.Mirror, nil} {
		s.opt.Mirror = mirror
		for _, name := range []string{"a.service", "a"} {
			w, _ := ask(t.Context(), s, "/v1/logs/"+name)
			if w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), []byte("its line")) || !bytes.Contains(w.Body.Bytes(), []byte("lines of this host only")) {
				t.Errorf("logs of %s of this host = %d %s, want its line and what is missing", name, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/v1/logs/b.service", "/v1/logs/a.service?host=h2"} {
			if w, _ := ask(t.Context(), s, path); w.Code != http.StatusServiceUnavailable {
				t.Errorf("GET %s = %d %s, want a refusal", path, w.Code, w.Body)
			}
		}
	}
}

// TestDialRestarted: a socket that a daemon has just left is tried again until its successor listens.
func TestDialRestarted(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		err  error
		from time.Duration // when it is listened again
		took time.Duration
		ok   bool
	}{
		{refused, 1500 * time.Millisecond, 1500 * time.Millisecond, true},
		{refused, time.Hour, restartWait, false},
		{&net.OpError{Op: "dial", Err: syscall.ENOENT}, time.Hour, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			began, tries := time.Now(), atomic.Int64{}
			_, err := dialRestarted(t.Context(), func() (net.Conn, error) {
				tries.Add(1)
				if time.Since(began) < test.from {
					return nil, test.err
				}
				return nil, nil
			})
			if took := time.Since(began); (err == nil) != test.ok || took != test.took || !test.ok && !errors.Is(err, test.err) {
				t.Errorf("dial that says %v for %s = %v after %s and %d tries, want %s", test.err, test.from, err, took, tries.Load(), test.took)
			}
		})
	}
}
