package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// request is one that is due.
type request struct {
	address string
	kept    bool // over a connection that is kept, else over a new one
	due     time.Time
}

// What may become of a request, next to errors of the network.
var (
	errNowhere = errors.New("there was no endpoint")
	errLate    = errors.New("the answer was late")
)

// statusError is an answer that is not 2xx.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// dialError says that no connection came about.
type dialError struct{ error }

func (d dialError) Unwrap() error { return d.error }

// Kind is what became of a request that failed.
type Kind string

// The kinds.
const (
	Nowhere  Kind = "no endpoint"
	Refused  Kind = "refused"   // no connection came about
	Reset    Kind = "reset"     // the connection ended before the answer did
	TimedOut Kind = "timed out" // no answer, or no connection
	Late     Kind = "late"
	Status   Kind = "status" // not 2xx
)

// kindOf sorts the error of a request.
func kindOf(err error) Kind {
	var timeout net.Error
	switch {
	case errors.Is(err, errNowhere):
		return Nowhere
	case errors.Is(err, errLate):
		return Late
	case errors.As(err, new(statusError)):
		return Status
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return TimedOut
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	case errors.As(err, &dialError{}):
		return Refused
	}
	return Reset
}

// line is a connection to an endpoint, with what was read ahead on it.
type line struct {
	net.Conn
	in *bufio.Reader
}

// do sends one request and reads its answer to the end.
func (g *Generator) do(ctx context.Context, r request) error {
	var l *line
	if r.kept {
		l = g.kept.take(r.address)
	}
	if l == nil {
		conn, err := g.opt.Dial(ctx, "tcp", r.address)
		if err != nil {
			return dialError{err}
		}
		l = &line{Conn: conn, in: bufio.NewReader(conn)}
	}
	closes, err := l.ask(ctx, r)
	if err != nil || closes || !r.kept || !g.kept.put(r.address, l) {
		l.Close()
	}
	return err
}

// ask speaks HTTP/1.1 and says whether the connection is over with this answer. No transport of
// net/http is between, because those send a request again when a kept connection has ended.
func (l *line) ask(ctx context.Context, r request) (closes bool, err error) {
	deadline, _ := ctx.Deadline()
	if err := l.SetDeadline(deadline); err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/", nil)
	if err != nil {
		return false, err
	}
	req.Close = !r.kept
	if err := req.Write(l); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(l.in, req)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return false, err
	}
	if answer.StatusCode/100 != 2 {
		return answer.Close, statusError(answer.StatusCode)
	}
	return answer.Close, nil
}

// pool keeps idle connections by their address.
type pool struct {
	mu   sync.Mutex
	open []string // addresses to which connections are kept
	idle map[string][]*line
}

// keepOnly closes the idle connections to all other addresses, as a router does when an endpoint goes.
func (p *pool) keepOnly(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = addresses
	for address, lines := range p.idle {
		if slices.Contains(addresses, address) {
			continue
		}
		for _, l := range lines {
			l.Close()
		}
		delete(p.idle, address)
	}
}

// take is a connection to the address that was used last; nil = there is none.
func (p *pool) take(address string) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := p.idle[address]
	if len(lines) == 0 {
		return nil
	}
	p.idle[address] = lines[:len(lines)-1]
	return lines[len(lines)-1]
}

// put keeps a connection, unless its endpoint has gone meanwhile.
func (p *pool) put(address string, l *line) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.open, address) {
		return false
	}
	if p.idle == nil {
		p.idle = map[string][]*line{}
	}
	p.idle[address] = append(p.idle[address], l)
	return true
}
