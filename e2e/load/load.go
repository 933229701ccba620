// Package load sends requests to the endpoints of a family of units at a fixed rate, as its users
// would through a router, and counts every request that did not go well.
//
// The loop is open: a request is sent when it is due, whatever became of those before it. Nothing is
// sent a second time. Every other request opens a connection of its own, the rest take connections that
// are kept. Start sends until Stop, which answers with a [Report].
package load

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Options describe a load. Endpoints is needed; the others have defaults.
type Options struct {
	// Endpoints are the addresses (host:port) to choose among now, asked before each request.
	Endpoints func() []string
	// Dial opens a connection; by default that of this machine's network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Rate int // requests a second; default 50
	// Late is the limit from when a request was due until it is answered; an answer after it counts as
	// failed. Default 1 s.
	Late time.Duration
	// Timeout ends a request without an answer, from when it was due. Default 5 s.
	Timeout time.Duration
}

// Generator is a load that is under way.
type Generator struct {
	opt   Options
	began time.Time
	end   context.CancelFunc
	wg    sync.WaitGroup
	kept  pool

	mu     sync.Mutex
	report Report
}

// Start begins to send. It ends with Stop or with ctx.
func Start(ctx context.Context, o Options) *Generator {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Rate == 0 {
		o.Rate = 50
	}
	if o.Late == 0 {
		o.Late = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	sending, end := context.WithCancel(ctx)
	g := &Generator{opt: o, began: time.Now(), end: end}
	g.wg.Go(func() { g.send(sending) })
	return g
}

// Stop ends the sending, waits for the answers that are still due, and says what became of all requests.
func (g *Generator) Stop() Report {
	g.end()
	g.wg.Wait()
	g.kept.keepOnly(nil)
	return g.Report()
}

// Report says what became of the requests that have ended so far.
func (g *Generator) Report() Report {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.report.clone()
}

// send starts each request when it is due. What is due in the past, because this process had to wait
// for the processor, is sent at once.
func (g *Generator) send(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		due := g.began.Add(time.Duration(n) * time.Second / time.Duration(g.opt.Rate))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			g.wg.Go(func() { g.one(n, due) })
		}
	}
}

// one sends the request of a number, and counts what became of it.
func (g *Generator) one(n int, due time.Time) {
	list := g.opt.Endpoints()
	g.kept.keepOnly(list)
	r := request{kept: n%2 == 1, due: due}
	if len(list) == 0 {
		g.count(r, 0, errNowhere)
		return
	}
	r.address = list[n/2%len(list)]
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(g.opt.Timeout))
	defer cancel()
	err := g.do(ctx, r)
	took := time.Since(due)
	if err == nil && took > g.opt.Late {
		err = errLate
	}
	g.count(r, took, err)
}

// count enters the outcome of a request in the report.
func (g *Generator) count(r request, took time.Duration, err error) {
	answered := err == nil || errors.Is(err, errLate) || errors.As(err, new(statusError))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.report.add(outcome{request: r, second: int(r.due.Sub(g.began) / time.Second), took: took, answered: answered, err: err})
}
