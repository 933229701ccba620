package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

var (
	errEtcdClosed = errors.New("etcd client is closed")
	errNoLeader   = errors.New("member has no leader")
	errLearner    = errors.New("member is a learner, which takes no requests")
	errNoReply    = errors.New("member does not answer")
)

// verdict says what an error of one attempt means for the request.
type verdict int

const (
	final     verdict = iota + 1 // the member refused it: nothing happened, and nothing will elsewhere
	elsewhere                    // the member cannot take requests: nothing happened
	busy                         // nothing happened, worth another try here
	unsure                       // it may have happened
)

// unsentError is of a request that no connection has carried: the member was not
// connected, or was left before its turn.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// markUnsent makes an unsentError of the error of a request for which no stream was
// opened. gRPC says neither by its code nor by its text whether it sent a request over a
// connection that was closed meanwhile; it knows the peer of those alone that it may have sent.
func markUnsent(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var to peer.Peer
	err := invoke(ctx, method, req, reply, cc, slices.Concat(opts, []grpc.CallOption{grpc.Peer(&to)})...)
	if err != nil && to.Addr == nil {
		return unsentError{err}
	}
	return err
}

// judge reads a gRPC error. etcd refuses with the codes of a caller's mistake only
// before it proposes or while it applies as a whole, so nothing has happened then. All
// others, above all Unavailable ("request timed out", "leader changed", a lost
// connection), leave open what became of a proposal. "No leader" is the exception: for a
// unary request it is the answer of the first check.
func judge(err error) verdict {
	if errors.As(err, new(unsentError)) {
		return busy
	}
	known := rpctypes.Error(err)
	for _, e := range []error{rpctypes.ErrGRPCNoLeader, rpctypes.ErrGRPCNotCapable, rpctypes.ErrGRPCNotSupportedForLearner} {
		if errors.Is(known, rpctypes.Error(e)) {
			return elsewhere
		}
	}
	// An outdated token was renewed by the client when it saw this error.
	for _, e := range []error{rpctypes.ErrTooManyRequests, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty} {
		if errors.Is(known, e) {
			return busy
		}
	}
	switch code := status.Code(err); code {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition,
		codes.OutOfRange, codes.Unimplemented, codes.Unauthenticated, codes.ResourceExhausted, codes.DataLoss:
		return final
	default:
		return unsure
	}
}

// translate turns etcd's errors into those of the contract.
func translate(err error) error {
	known := rpctypes.Error(err)
	for _, t := range []struct{ etcd, ours error }{
		{rpctypes.ErrCompacted, ErrCompacted},
		{rpctypes.ErrLeaseNotFound, ErrLeaseNotFound},
		{rpctypes.ErrNoSpace, ErrReadOnly},
		{rpctypes.ErrTooManyOps, ErrTooLarge},
		{rpctypes.ErrRequestTooLarge, ErrTooLarge},
		{rpctypes.ErrDuplicateKey, ErrDuplicateKey},
	} {
		if errors.Is(known, t.etcd) {
			return t.ours
		}
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		return errors.New(s.Message())
	}
	return known
}

// ended is the error of a request whose context ended, or nil.
func (e *Etcd) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.ctx.Err() != nil {
		return errEtcdClosed
	}
	return nil
}

func ambiguous(what string, end, err error) error {
	if end != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrAmbiguous, end)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrAmbiguous, translate(err))
}
