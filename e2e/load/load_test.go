package load

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// network is one of pipes, so that a server and its clients share the time of a bubble.
type network struct {
	mu    sync.Mutex
	hosts map[string]chan net.Conn // by address, who listens there
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	accept := n.hosts[address]
	n.mu.Unlock()
	if accept == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case accept <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listen has a server answer at an address until the test ends. It counts the connections.
func (n *network) listen(t *testing.T, address string, h http.HandlerFunc) (connections *atomic.Int64) {
	t.Helper()
	l := &listener{accept: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	if n.hosts == nil {
		n.hosts = map[string]chan net.Conn{}
	}
	n.hosts[address] = l.accept
	n.mu.Unlock()
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return &l.taken
}

type listener struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
	taken  atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		l.taken.Add(1)
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &net.IPAddr{} }

func only(addresses ...string) func() []string { return func() []string { return addresses } }

// run sends ten requests a second for some seconds of the bubble's time.
func run(t *testing.T, n *network, seconds int, endpoints func() []string) Report {
	t.Helper()
	g := Start(t.Context(), Options{Endpoints: endpoints, Dial: n.dial, Rate: 10})
	time.Sleep(time.Duration(seconds)*time.Second - time.Millisecond)
	return g.Stop()
}

// TestKinds: whatever goes wrong with a request counts as failed, under its name.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		name      string
		handler   http.HandlerFunc
		endpoints []string
		want      map[Kind]int
		max       time.Duration
	}{
		{"well", func(http.ResponseWriter, *http.Request) {}, []string{"a:1"}, nil, 0},
		{"late", func(http.ResponseWriter, *http.Request) { time.Sleep(1001 * time.Millisecond) }, []string{"a:1"}, map[Kind]int{Late: 20}, 1001 * time.Millisecond},
		{"in time", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, []string{"a:1"}, nil, time.Second},
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, []string{"a:1"}, map[Kind]int{Status: 20}, 0},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{"a:1"}, map[Kind]int{TimedOut: 20}, 0},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"a:1"}, map[Kind]int{Reset: 20}, 0},
		{"cut in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		}, []string{"a:1"}, map[Kind]int{Reset: 20}, 0},
		{"nobody listens", nil, []string{"b:1"}, map[Kind]int{Refused: 20}, 0},
		{"nowhere", nil, nil, map[Kind]int{Nowhere: 20}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				n.listen(t, "a:1", c.handler)
				r := run(t, &n, 2, only(c.endpoints...))
				failed := 0
				for _, k := range c.want {
					failed += k
				}
				if diff := cmp.Diff(c.want, r.Failed); diff != "" || r.Sent != 20 || r.OK != 20-failed || r.Failures() != failed || r.Latency(1) != c.max {
					t.Errorf("report = %v, %v, slowest %s, want 20 requests, slowest %s, failed (-want +got):\n%s", r, r.Samples, r.Latency(1), c.max, diff)
				}
			})
		})
	}
}

// TestOpenLoop: a server that hangs for a while gets requests at the same rate all the while, and each that
// came in that time is counted from when it was due.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		began := time.Now()
		n.listen(t, "a:1", func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Until(began.Add(3 * time.Second)))
		})
		r := run(t, &n, 4, only("a:1"))
		// Those due in the last second of the three are answered within the limit.
		want := []Second{{10, 0}, {10, 0}, {10, 10}, {10, 10}}
		if diff := cmp.Diff(want, r.Seconds); diff != "" || r.Failed[Late] != 20 || r.Latency(1) != 3*time.Second {
			t.Errorf("report = %v, slowest %s, want 20 late ones and the slowest of 3s; seconds (-want +got):\n%s", r, r.Latency(1), diff)
		}
	})
}

// TestConnections: half of the requests open a connection of their own, the rest share those that are kept, and
// every endpoint gets its share of both.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		kept := map[string]*atomic.Int64{"a:1": {}, "b:1": {}}
		opened := map[string]*atomic.Int64{}
		for address, k := range kept {
			opened[address] = n.listen(t, address, func(_ http.ResponseWriter, r *http.Request) {
				if !r.Close {
					k.Add(1)
				}
			})
		}
		r := run(t, &n, 4, only("a:1", "b:1"))
		for address, k := range kept {
			if k.Load() != 10 || opened[address].Load() != 11 || r.By[address] != 20 {
				t.Errorf("%s: %d requests over kept connections, %d connections, %d answers, want 10, 11 and 20", address, k.Load(), opened[address].Load(), r.By[address])
			}
		}
	})
}

// TestNeverRetries: a kept connection that the server has ended fails the request that takes it, and that is sent
// nowhere else.
func TestNeverRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		l := &listener{accept: make(chan net.Conn), closed: make(chan struct{})}
		n.hosts = map[string]chan net.Conn{"a:1": l.accept}
		var served sync.WaitGroup
		served.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				served.Go(func() { // it says that it keeps the connection, and ends it after one answer
					defer c.Close()
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
					}
				})
			}
		})
		r := run(t, &n, 2, only("a:1"))
		l.Close()
		served.Wait()
		if r.Sent != 20 || r.Failed[Reset] != 5 || r.OK != 15 || l.taken.Load() != 15 {
			t.Errorf("report = %v over %d connections, want every other of ten kept ones reset, and 15 connections", r, l.taken.Load())
		}
	})
}

// TestEndpointGoes: an endpoint that leaves the list gets no request any more, and its kept connections end.
func TestEndpointGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		var late atomic.Int64
		began := time.Now()
		n.listen(t, "a:1", func(http.ResponseWriter, *http.Request) {
			if time.Since(began) > time.Second {
				late.Add(1)
			}
		})
		n.listen(t, "b:1", func(http.ResponseWriter, *http.Request) {})
		g := Start(t.Context(), Options{Dial: n.dial, Rate: 10, Endpoints: func() []string {
			if time.Since(began) > time.Second {
				return []string{"b:1"}
			}
			return []string{"a:1", "b:1"}
		}})
		time.Sleep(2 * time.Second)
		g.kept.mu.Lock()
		idle := len(g.kept.idle["a:1"])
		g.kept.mu.Unlock()
		if r := g.Stop(); r.Failures() > 0 || late.Load() > 0 || idle > 0 {
			t.Errorf("report = %v, %d requests to the endpoint that went, %d connections kept to it, want none", r, late.Load(), idle)
		}
	})
}
