package store

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

// How long a member may keep us waiting. gRPC's own keep-alive pings a silent
// connection no more often than every 10 s, which is too late for a lease of 10 s;
// hence the questions asked while a request waits.
const (
	answerWithin   = 1500 * time.Millisecond // a new connection with its first answer
	stallAfter     = time.Second             // a request that waits this long has its member asked
	probeWithin    = time.Second             // whether it still answers at all
	keepAliveEvery = 10 * time.Second        // gRPC's minimum; an etcd allows every 5 s
	keepAliveWait  = 2 * time.Second         // also the longest that sent data may stay unacknowledged
	firstPause     = 50 * time.Millisecond   // between attempts; doubles
	longestPause   = time.Second
)

// mode says whether a request may be repeated when its fate is unknown.
type mode int

const (
	once mode = iota + 1
	repeatable
)

// pin is the connection to the one member in use.
type pin struct {
	endpoint string
	client   *clientv3.Client
	conn     *grpc.ClientConn
	kv       pb.KVClient
	lease    pb.LeaseClient
	keeper   keeper
	ctx      context.Context // ends when the member is left
	cancel   context.CancelFunc
	probing  sync.Mutex
	once     sync.Once
}

// do sends one request, again and elsewhere as long as that is safe and ctx allows.
func (e *Etcd) do(ctx context.Context, what string, m mode, send func(context.Context, *pin) error) error {
	ctx = clientv3.WithRequireLeader(ctx)
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		p, err := e.connect(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err) // nothing of it is under way
		}
		done := make(chan struct{})
		e.start(func() { e.mind(p, done) })
		err = send(ctx, p)
		close(done)
		if err == nil {
			return nil
		}
		v := judge(err)
		if v == final {
			return fmt.Errorf("%s: %w", what, translate(err))
		}
		if v == unsure && m == once {
			return ambiguous(what, e.ended(ctx), err)
		}
		if v == elsewhere {
			e.leave(p, translate(err))
		}
		if !pause(ctx, wait) || e.ctx.Err() != nil {
			return fmt.Errorf("%s: %w (%w)", what, e.ended(ctx), translate(err))
		}
	}
}

// pause waits; false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *Etcd) current() *pin {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cur
}

// connect returns the member in use, or looks for one until ctx ends.
func (e *Etcd) connect(ctx context.Context) (*pin, error) {
	if err := e.ended(ctx); err != nil {
		return nil, err
	}
	if p := e.current(); p != nil {
		return p, nil
	}
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-e.ctx.Done():
		return nil, errEtcdClosed
	}
	defer func() { <-e.turn }()
	wait := firstPause
	for n := 1; ; n++ {
		if p := e.current(); p != nil {
			return p, nil
		}
		p, err := e.try(ctx)
		if err == nil {
			return p, nil
		}
		if end := e.ended(ctx); end != nil {
			return nil, fmt.Errorf("no etcd member answers: %w (%w)", end, err)
		}
		if n%e.known() == 0 {
			if !pause(ctx, wait) {
				return nil, fmt.Errorf("no etcd member answers: %w (%w)", ctx.Err(), err)
			}
			wait = min(2*wait, longestPause)
		}
	}
}

// try connects to the next endpoint and takes it if it can serve. The turn is held.
func (e *Etcd) try(ctx context.Context) (*pin, error) {
	e.mu.Lock()
	endpoint := e.endpoints[e.next%len(e.endpoints)]
	e.next++
	e.mu.Unlock()
	client, err := clientv3.New(e.config(endpoint))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, translate(err))
	}
	conn := client.ActiveConnection()
	p := &pin{
		endpoint: endpoint, client: client, conn: conn,
		kv: pb.NewKVClient(conn), lease: pb.NewLeaseClient(conn),
		keeper: keeper{turn: make(chan struct{}, 1)},
	}
	p.ctx, p.cancel = context.WithCancel(e.ctx)
	if err := p.ask(ctx, answerWithin); err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	e.mu.Lock()
	e.cur = p
	e.mu.Unlock()
	started := e.start(func() {
		p.awaitBreak()
		e.leave(p, fmt.Errorf("connection is %v", conn.GetState()))
	})
	if !started {
		e.leave(p, errEtcdClosed)
		return nil, errEtcdClosed
	}
	return p, nil
}

// config is for one endpoint. The client's logger is silent: what it would say comes
// back as errors. One attempt is all that it may make: it would also repeat a write
// that was canceled under way, which may have happened.
func (e *Etcd) config(endpoint string) clientv3.Config {
	return clientv3.Config{
		Endpoints:            []string{endpoint},
		Context:              e.ctx,
		DialTimeout:          answerWithin,
		DialKeepAliveTime:    keepAliveEvery,
		DialKeepAliveTimeout: keepAliveWait,
		TLS:                  e.opt.TLS,
		Username:             e.opt.Username,
		Password:             e.opt.Password,
		Logger:               zap.NewNop(),
		MaxUnaryRetries:      1,
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(markUnsent),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, MaxDelay: longestPause},
				MinConnectTimeout: answerWithin,
			}),
		},
	}
}

// ask makes sure that a member answers, has a leader and may serve.
func (p *pin) ask(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	resp, err := pb.NewMaintenanceClient(p.conn).Status(ctx, &pb.StatusRequest{})
	switch {
	case err != nil && ctx.Err() != nil:
		return errNoReply
	case err != nil:
		return translate(err)
	case resp.IsLearner:
		return errLearner
	case resp.Leader == 0:
		return errNoLeader
	}
	return nil
}

// awaitBreak waits until the connection is lost or the member is left. gRPC may carry
// a first request a moment before it calls the connection ready.
func (p *pin) awaitBreak() {
	state := p.conn.GetState()
	for state == connectivity.Idle || state == connectivity.Connecting {
		if !p.conn.WaitForStateChange(p.ctx, state) {
			return
		}
		state = p.conn.GetState()
	}
	p.conn.WaitForStateChange(p.ctx, connectivity.Ready)
}

// mind leaves the member if it does not answer while a request waits for it.
func (e *Etcd) mind(p *pin, done <-chan struct{}) {
	t := time.NewTimer(stallAfter)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-p.ctx.Done():
			return
		case <-t.C:
		}
		if p.probing.TryLock() { // one question at a time is enough
			err := p.ask(p.ctx, probeWithin)
			p.probing.Unlock()
			if err != nil {
				e.leave(p, err)
				return
			}
		}
		t.Reset(stallAfter)
	}
}

// leave gives a member up: all requests and watches on it fail now.
func (e *Etcd) leave(p *pin, why error) {
	e.mu.Lock()
	was := e.cur == p
	if was {
		e.cur = nil
	}
	e.mu.Unlock()
	if was && e.ctx.Err() == nil {
		e.opt.Logger.Warn("left an etcd member", "endpoint", p.endpoint, "err", why)
	}
	p.close()
}

func (p *pin) close() {
	p.once.Do(func() {
		p.cancel()
		_ = p.client.Close() // says only that its context ended
	})
}
