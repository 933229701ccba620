package store

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func TestJudge(t *testing.T) {
	tests := []struct {
		err  error
		want verdict
		is   error // what translate makes of it, when the contract has a name for it
	}{
		{rpctypes.ErrGRPCCompacted, final, ErrCompacted},
		{rpctypes.ErrGRPCLeaseNotFound, final, ErrLeaseNotFound},
		{rpctypes.ErrGRPCNoSpace, final, ErrReadOnly},
		{rpctypes.ErrGRPCTooManyOps, final, ErrTooLarge},
		{rpctypes.ErrGRPCRequestTooLarge, final, ErrTooLarge},
		{rpctypes.ErrGRPCDuplicateKey, final, ErrDuplicateKey},
		{rpctypes.ErrGRPCPermissionDenied, final, nil},
		{rpctypes.ErrGRPCAuthFailed, final, nil},
		{rpctypes.ErrGRPCCorrupt, final, nil},
		{rpctypes.ErrGRPCNoLeader, elsewhere, nil},
		{rpctypes.ErrGRPCNotCapable, elsewhere, nil},
		{rpctypes.ErrGRPCNotSupportedForLearner, elsewhere, nil},
		{rpctypes.ErrGRPCRequestTooManyRequests, busy, nil},
		{rpctypes.ErrGRPCInvalidAuthToken, busy, nil},
		{rpctypes.ErrGRPCTimeout, unsure, nil},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, unsure, nil},
		{rpctypes.ErrGRPCTimeoutDueToConnectionLost, unsure, nil},
		{rpctypes.ErrGRPCLeaderChanged, unsure, nil},
		{rpctypes.ErrGRPCStopped, unsure, nil},
		{rpctypes.ErrGRPCCanceled, unsure, nil},
		{rpctypes.ErrGRPCDeadlineExceeded, unsure, nil},
		{status.Error(codes.Unavailable, "transport is closing"), unsure, nil},
		{status.Error(codes.Unknown, "raft proposal dropped"), unsure, nil},
		{context.Canceled, unsure, nil},
		{io.EOF, unsure, nil},
	}
	for _, tt := range tests {
		if got := judge(tt.err); got != tt.want {
			t.Errorf("judge(%v) = got %d, want %d", tt.err, got, tt.want)
		}
		got := translate(tt.err)
		if tt.is != nil && !errors.Is(got, tt.is) {
			t.Errorf("translate(%v) = got %v, want %v", tt.err, got, tt.is)
		}
		if errors.Is(got, ErrAmbiguous) {
			t.Errorf("translate(%v) = got %v, which says ambiguous", tt.err, got)
		}
	}
}

// TestJudgeClosedConnection: what was never sent over a closed connection may be sent
// again; of what was under way when it closed nobody knows.
func TestJudgeClosedConnection(t *testing.T) {
	arrived := make(chan struct{})
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		close(arrived)
		<-s.Context().Done()
		return nil
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithChainUnaryInterceptor(markUnsent))
	if err != nil {
		t.Fatal(err)
	}
	kv := pb.NewKVClient(conn)
	put := func() error { _, err := kv.Put(t.Context(), &pb.PutRequest{}); return err }
	sent := make(chan error, 1)
	go func() { sent <- put() }()
	<-arrived
	conn.Close()
	if err := <-sent; judge(err) != unsure {
		t.Errorf("judge(under way: %v) = got %d, want %d", err, judge(err), unsure)
	}
	if err := put(); judge(err) != busy {
		t.Errorf("judge(never sent: %v) = got %d, want %d", err, judge(err), busy)
	}
}
