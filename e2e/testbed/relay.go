package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"flotilla/e2e/hosts"
)

// Relay stands between a host and a port of all hosts, and carries bytes. Told to, it keeps
// back what the host sends while answers still reach it: a network that is slow in one
// direction. What the host sends is acknowledged to its kernel all the while.
type Relay struct {
	bed  *Bed
	host *hosts.Host
	port int

	mu      sync.Mutex
	holding bool
	lines   map[*line]bool
	taps    []net.Listener
	wg      sync.WaitGroup
}

// line is one connection that goes through a relay.
type line struct {
	near, far net.Conn
	held      []byte
}

const relayTable = "flotilla_relay" // of nftables, on the host

// NewRelay leads the connections that a host opens from now on to a port of any host,
// its own too, through this process.
func (b *Bed) NewRelay(ctx context.Context, h *hosts.Host, port int) (*Relay, error) {
	r := &Relay{bed: b, host: h, port: port, lines: map[*line]bool{}}
	rules := fmt.Sprintf("add table ip %s\nadd chain ip %s out { type nat hook output priority -100; }\n", relayTable, relayTable)
	for _, to := range b.Hosts {
		var tap net.Listener
		err := b.Lab.Do(func() (err error) {
			tap, err = net.Listen("tcp4", b.Lab.Gateway()+":0")
			return err
		})
		if err != nil {
			return nil, errors.Join(err, r.Close(ctx))
		}
		r.taps = append(r.taps, tap)
		rules += fmt.Sprintf("add rule ip %s out ip daddr %s tcp dport %d dnat to %s\n", relayTable, to.IP(), port, tap.Addr())
		r.wg.Go(func() { r.accept(tap, to) })
	}
	if _, err := h.Exec(ctx, nil, "nft", rules); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	return r, nil
}

// Close ends the relay and all connections through it. It may be called again.
func (r *Relay) Close(ctx context.Context) error {
	_, err := r.host.Exec(ctx, nil, "nft", fmt.Sprintf("add table ip %s\ndelete table ip %s", relayTable, relayTable))
	for _, tap := range r.taps {
		tap.Close()
	}
	r.mu.Lock()
	for l := range r.lines {
		l.near.Close()
		l.far.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

func (r *Relay) accept(tap net.Listener, to *hosts.Host) {
	for {
		near, err := tap.Accept()
		if err != nil {
			return // closed
		}
		r.wg.Go(func() { r.carry(near, to) })
	}
}

// carry serves one connection until either side ends it.
func (r *Relay) carry(near net.Conn, to *hosts.Host) {
	defer near.Close()
	far, err := r.bed.Lab.DialContext(context.Background(), "tcp", fmt.Sprintf("%s:%d", to.IP(), r.port))
	if err != nil {
		return // the host sees its connection end
	}
	defer far.Close()
	l := &line{near: near, far: far}
	r.mu.Lock()
	r.lines[l] = true
	r.mu.Unlock()
	r.wg.Go(func() {
		_, _ = io.Copy(near, far)
		near.Close()
	})
	for buf := make([]byte, 64<<10); ; {
		n, err := near.Read(buf)
		if err == nil {
			err = r.pass(l, buf[:n])
		}
		if err != nil {
			break
		}
	}
	r.mu.Lock()
	delete(r.lines, l)
	r.mu.Unlock()
}

// pass sends what a host sent, or keeps it back.
func (r *Relay) pass(l *line, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holding {
		l.held = append(l.held, data...)
		return nil
	}
	_, err := l.far.Write(data)
	return err
}

// Hold keeps back, from now on, what the host sends.
func (r *Relay) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holding = true
}

// Held is how many bytes are kept back on connections that the host has not ended.
func (r *Relay) Held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for l := range r.lines {
		n += len(l.held)
	}
	return n
}

// Release sends what was kept back, and keeps nothing any more. It returns how many bytes
// were delivered.
func (r *Relay) Release() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holding = false
	sum := 0
	var failed error
	for l := range r.lines {
		n, err := l.far.Write(l.held)
		sum, failed, l.held = sum+n, errors.Join(failed, err), nil
	}
	return sum, failed
}
