package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, so that they share the time of a bubble.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.IPAddr{} }

// dial is a new connection; nil when nobody listens any more.
func (p pipes) dial() net.Conn {
	near, far := net.Pipe()
	select {
	case p.accept <- far:
		return near
	case <-p.closed:
		return nil
	}
}

// ask sends a request and says whether the answer ends the connection.
func ask(t *testing.T, c net.Conn) (closes bool) {
	t.Helper()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: app\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("answer = %v, %v, want 200", answer, err)
	}
	return answer.Close
}

// TestLinger: told to end, the app serves for a while both those who come anew and those who kept a connection, and
// sends the latter away with an answer. Then nobody is served, and it ends.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		began := time.Now()
		go func() { done <- serve(ctx, options{linger: 3 * time.Second}, l) }()
		kept, idle := l.dial(), l.dial()
		for _, c := range []net.Conn{kept, idle} {
			if ask(t, c) {
				t.Error("an answer ended its connection before the app was told to end")
			}
		}
		end()
		time.Sleep(2 * time.Second)
		if !ask(t, kept) || !ask(t, l.dial()) {
			t.Error("an answer of an app that lingers does not end its connection")
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("serve() = %v while it was to linger", err)
		default:
		}
		if err := <-done; err != nil || time.Since(began) != 3*time.Second || l.dial() != nil {
			t.Errorf("serve() = %v after %s, want none after 3s, and nobody who listens", err, time.Since(began))
		}
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("an idle connection outlived the app")
		}
	})
}

// TestReady: a service manager is told once, and only when there is one.
func TestReady(t *testing.T) {
	if err := ready(""); err != nil {
		t.Errorf("ready() without a service manager = %v, want none", err)
	}
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ready(socket); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, _, err := conn.ReadFrom(buf)
	if got := string(buf[:n]); err != nil || got != "READY=1" {
		t.Errorf("the service manager heard %q, %v, want READY=1", got, err)
	}
	if err := ready(filepath.Join(t.TempDir(), "nobody")); err == nil {
		t.Error("ready() to a socket that nobody has = nil, want an error")
	}
}
