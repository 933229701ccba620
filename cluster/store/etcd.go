package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// EtcdOptions say how to reach an etcd cluster.
type EtcdOptions struct {
	// Endpoints are URLs or host:port, tried in this order. One is used at a time, so
	// a caller that has no nearest one should shuffle them.
	Endpoints []string
	// TLS is the client's side of mutual TLS; nil for plain text.
	TLS *tls.Config
	// Username and Password are for an etcd that asks for them.
	Username, Password string
	// Logger hears when an endpoint is given up. nil = silence.
	Logger *slog.Logger
}

// Etcd is the Backend over etcd's v3 API. All requests and watches of a process go to
// one member, the first that answers and has a leader; when it stops answering, or its
// connection breaks, the next one is taken and every watch on the old one fails. So
// whoever renews a lease every two seconds also learns within about two seconds that
// its watches are dead. A request waits for a member as long as its context allows.
//
// It never repeats a write that may have happened.
type Etcd struct {
	opt    EtcdOptions
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	turn   chan struct{} // capacity 1; held while looking for a member

	mu        sync.Mutex
	endpoints []string // at least one
	cur       *pin     // the member in use, nil while there is none
	next      int      // the endpoint to try next
}

// DialEtcd returns a Backend that lives until ctx ends or Close. It connects with the
// first request, so it does not fail when no member is there yet.
func DialEtcd(ctx context.Context, opt EtcdOptions) (*Etcd, error) {
	if len(opt.Endpoints) == 0 {
		return nil, errors.New("dial etcd: no endpoints are given")
	}
	if (opt.Username == "") != (opt.Password == "") {
		return nil, errors.New("dial etcd: user name and password are needed together")
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	return &Etcd{opt: opt, ctx: ctx, cancel: cancel, turn: make(chan struct{}, 1), endpoints: slices.Clone(opt.Endpoints)}, nil
}

// SetEndpoints replaces the members to try, in this order; the one in use stays in use. An
// empty list changes nothing.
func (e *Etcd) SetEndpoints(endpoints []string) {
	if len(endpoints) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endpoints = slices.Clone(endpoints)
}

// known is how many members there are to try.
func (e *Etcd) known() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.endpoints)
}

// Close ends all requests and watches and waits for them.
func (e *Etcd) Close() {
	e.mu.Lock()
	e.cancel()
	e.mu.Unlock()
	if p := e.current(); p != nil {
		e.leave(p, errEtcdClosed)
	}
	e.wg.Wait()
}

// start runs f as a goroutine that Close waits for; false means that it is too late.
func (e *Etcd) start(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.wg.Go(f)
	return true
}

// Range implements KV.
func (e *Etcd) Range(ctx context.Context, r Range) (RangeResult, error) {
	var res RangeResult
	err := e.do(ctx, "range "+r.Key, repeatable, func(ctx context.Context, p *pin) error {
		resp, err := p.kv.Range(ctx, rangeRequest(r))
		if err == nil {
			res = rangeResult(resp, r.Revision)
		}
		return err
	})
	return res, err
}

// Txn implements KV.
func (e *Etcd) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := t.Check(); err != nil {
		return TxnResult{}, fmt.Errorf("txn: %w", err)
	}
	req, err := txnRequest(t)
	if err != nil {
		return TxnResult{}, err
	}
	mode := once
	if len(t.Then) == 0 {
		mode = repeatable
	}
	var res TxnResult
	err = e.do(ctx, "txn", mode, func(ctx context.Context, p *pin) error {
		resp, err := p.kv.Txn(ctx, req)
		if err == nil {
			res = txnResult(resp)
		}
		return err
	})
	return res, err
}

// Compact forgets the history before rev.
func (e *Etcd) Compact(ctx context.Context, rev int64) error {
	return e.do(ctx, "compact", once, func(ctx context.Context, p *pin) error {
		_, err := p.kv.Compact(ctx, &pb.CompactionRequest{Revision: rev})
		return err
	})
}

// bounds turns a range into etcd's form: the empty key is not allowed there.
func bounds(r Range) (key, end []byte) {
	if r.Key == "" && r.End != "" {
		return []byte{0}, []byte(r.End)
	}
	if r.End == "" {
		return []byte(r.Key), nil
	}
	return []byte(r.Key), []byte(r.End)
}

func rangeRequest(r Range) *pb.RangeRequest {
	key, end := bounds(r)
	return &pb.RangeRequest{Key: key, RangeEnd: end, Revision: r.Revision, Limit: r.Limit, KeysOnly: r.KeysOnly}
}

func rangeResult(resp *pb.RangeResponse, rev int64) RangeResult {
	res := RangeResult{Revision: rev, More: resp.More}
	if rev == 0 {
		res.Revision = resp.Header.GetRevision()
	}
	if len(resp.Kvs) > 0 {
		res.KVs = make([]KeyValue, len(resp.Kvs))
	}
	for i, kv := range resp.Kvs {
		res.KVs[i] = keyValue(kv)
	}
	return res
}

func keyValue(kv *mvccpb.KeyValue) KeyValue {
	return KeyValue{
		Key: string(kv.Key), Value: kv.Value,
		CreateRev: kv.CreateRevision, ModRev: kv.ModRevision, Lease: LeaseID(kv.Lease),
	}
}

func txnRequest(t Txn) (*pb.TxnRequest, error) {
	req := &pb.TxnRequest{}
	for _, c := range t.If {
		cmp, err := compare(c)
		if err != nil {
			return nil, fmt.Errorf("txn: %w", err)
		}
		req.Compare = append(req.Compare, cmp)
	}
	for _, op := range t.Then {
		req.Success = append(req.Success, requestOp(op))
	}
	for _, r := range t.Else {
		req.Failure = append(req.Failure, &pb.RequestOp{
			Request: &pb.RequestOp_RequestRange{RequestRange: rangeRequest(r)},
		})
	}
	return req, nil
}

func compare(c Compare) (*pb.Compare, error) {
	cmp := &pb.Compare{Key: []byte(c.Key), Result: pb.Compare_EQUAL}
	switch c.Target {
	case ModRev:
		cmp.Target, cmp.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: c.Rev}
	case CreateRev:
		cmp.Target, cmp.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: c.Rev}
	case Value:
		cmp.Target, cmp.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: c.Value}
	default:
		return nil, fmt.Errorf("compare of %s has unknown target %d", c.Key, c.Target)
	}
	return cmp, nil
}

func requestOp(op Op) *pb.RequestOp {
	if !op.Delete && !op.DeletePrefix {
		put := &pb.PutRequest{Key: []byte(op.Key), Value: op.Value, Lease: int64(op.Lease)}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
	}
	r := Range{Key: op.Key}
	if op.DeletePrefix {
		r = Prefix(op.Key)
	}
	key, end := bounds(r)
	del := &pb.DeleteRangeRequest{Key: key, RangeEnd: end}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: del}}
}

func txnResult(resp *pb.TxnResponse) TxnResult {
	res := TxnResult{Succeeded: resp.Succeeded, Revision: resp.Header.GetRevision()}
	if resp.Succeeded {
		return res
	}
	for _, r := range resp.Responses {
		res.Else = append(res.Else, rangeResult(r.GetResponseRange(), res.Revision))
	}
	return res
}
