package store

import (
	"context"
	"errors"
	"io"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
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
