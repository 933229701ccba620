package store

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Watch implements KV. It does not resume by itself: after a lost connection the
// store may be another one, which only its user can tell.
func (e *Etcd) Watch(ctx context.Context, prefix string, from int64) <-chan WatchEvents {
	out := make(chan WatchEvents, 1)
	started := e.start(func() {
		defer close(out)
		err := e.watch(ctx, prefix, from, out)
		if ctx.Err() != nil {
			return
		}
		select {
		case out <- WatchEvents{Err: fmt.Errorf("watch %s: %w", prefix, err)}:
		case <-ctx.Done():
		case <-e.ctx.Done():
		}
	})
	if !started {
		out <- WatchEvents{Err: fmt.Errorf("watch %s: %w", prefix, errEtcdClosed)}
		close(out)
	}
	return out
}

// watch delivers until something ends it, which it returns.
func (e *Etcd) watch(ctx context.Context, prefix string, from int64, out chan<- WatchEvents) error {
	if from <= 0 {
		return fmt.Errorf("starts at revision %d, must be above 0", from)
	}
	p, err := e.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	stream, err := e.openWatch(ctx, p, prefix, from)
	if err != nil {
		return err
	}
	var events []Event // of fragments whose rest is still to come
	for {
		resp, err := stream.Recv()
		if err == nil {
			err = watchErr(resp)
		}
		if err != nil {
			return watchTranslate(err)
		}
		events = appendEvents(events, resp.Events)
		if resp.Fragment {
			continue
		}
		batch := WatchEvents{Events: events, Revision: resp.Header.GetRevision()}
		if n := len(events); n > 0 {
			// The header of a watch that catches up is ahead of what is still to come.
			batch.Revision = events[n-1].ModRev
		}
		events = nil
		select {
		case out <- batch:
		case <-ctx.Done():
			return errNoReply
		}
	}
}

// openWatch starts a watch and waits until etcd has created it.
func (e *Etcd) openWatch(ctx context.Context, p *pin, prefix string, from int64) (pb.Watch_WatchClient, error) {
	done := make(chan struct{})
	defer close(done)
	e.start(func() { e.mind(p, done) })
	stream, err := pb.NewWatchClient(p.conn).Watch(ctx)
	if err != nil {
		return nil, watchTranslate(err)
	}
	key, end := bounds(Prefix(prefix))
	create := &pb.WatchCreateRequest{Key: key, RangeEnd: end, StartRevision: from, ProgressNotify: true, Fragment: true}
	req := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
	if err := stream.Send(req); err != nil {
		_, err = stream.Recv() // Send knows no reason
		return nil, watchTranslate(err)
	}
	resp, err := stream.Recv()
	if err == nil {
		err = watchErr(resp)
	}
	if err == nil && !resp.Created {
		err = errors.New("etcd did not confirm the watch")
	}
	if err != nil {
		return nil, watchTranslate(err)
	}
	return stream, nil
}

// watchErr is the error that a response brings, if any.
func watchErr(resp *pb.WatchResponse) error {
	switch {
	case resp.CompactRevision != 0:
		return ErrCompacted
	case resp.Canceled && resp.CancelReason != "":
		return errors.New(resp.CancelReason)
	case resp.Canceled:
		return errors.New("etcd canceled it")
	}
	return nil
}

func watchTranslate(err error) error {
	if errors.Is(err, ErrCompacted) {
		return err
	}
	return translate(err)
}

func appendEvents(events []Event, more []*mvccpb.Event) []Event {
	for _, ev := range more {
		events = append(events, Event{KeyValue: keyValue(ev.Kv), Deleted: ev.Type == mvccpb.Event_DELETE})
	}
	return events
}
