package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"flotilla/cluster"
)

// reporter brings what the store says of this host to what is true. It sends only
// what differs, and what changes while a report is under way goes into the next.
type reporter struct {
	door    Reporter
	limit   time.Duration
	log     *slog.Logger
	metrics *metrics
	kick    bell
	lease   func() (cluster.Lease, bool) // ok is false while nothing may be reported
	lost    func()                       // a report said that our life is over
	tell    func()                       // what the store says of this host is another thing now

	known    cluster.Lease // the life for which sent is what the store has; owned by run
	sent     map[cluster.Unit][]byte
	sentInfo []byte

	mu     sync.Mutex
	loaded bool // want is set
	want   map[cluster.Unit]cluster.Status
	info   cluster.HostInfo
	stored []byte // what the store says of this host, as far as is known
}

// set takes in what is true now.
func (r *reporter) set(want map[cluster.Unit]cluster.Status) {
	r.mu.Lock()
	r.want, r.loaded = want, true
	r.mu.Unlock()
	r.kick.ring()
}

// change edits what this host says of itself. What it points to may be read at any time: it is replaced,
// never changed.
func (r *reporter) change(edit func(*cluster.HostInfo)) {
	r.mu.Lock()
	edit(&r.info)
	r.mu.Unlock()
	r.kick.ring()
}

func (r *reporter) run(ctx context.Context) error {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	wait := firstRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
		case <-retry.C:
		}
		if r.step(ctx) {
			wait = firstRetry
			retry.Stop()
			continue
		}
		retry.Reset(wait)
		wait = min(2*wait, lastRetry)
	}
}

// step sends what differs. It says whether nothing is left to do.
func (r *reporter) step(ctx context.Context) bool {
	lease, ok := r.lease()
	if !ok {
		return true // a new life pokes us
	}
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	if r.known != lease {
		if err := r.learn(limited, lease); err != nil {
			r.failed(ctx, err)
			return false
		}
		r.known = lease
	}
	info, put, del, next := r.differences()
	if info == nil && len(put) == 0 && len(del) == 0 {
		return true
	}
	if err := r.door.Report(limited, lease, info, put, del); err != nil {
		r.known = cluster.Lease{} // a part may have been written: read before the next
		r.failed(ctx, err)
		return false
	}
	r.metrics.reports.WithLabelValues("written").Inc()
	for name, value := range next {
		r.sent[name] = value
	}
	for _, name := range del {
		delete(r.sent, name)
	}
	if info != nil {
		r.sentInfo = encoded(info)
		r.landed(r.sentInfo)
	}
	return true
}

// landed notes what the store says of this host.
func (r *reporter) landed(info []byte) {
	r.mu.Lock()
	r.stored = info
	r.mu.Unlock()
	r.tell()
}

// told says whether the store has the newest that this host says of itself.
func (r *reporter) told() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Equal(encoded(r.info), r.stored)
}

func (r *reporter) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.metrics.reports.WithLabelValues("failed").Inc()
	r.log.Warn("cannot report to the store, trying again", "err", err)
	var taken *cluster.TakenError
	if errors.Is(err, cluster.ErrLapsed) || errors.As(err, &taken) {
		r.lost()
	}
}

// learn reads what the store has of us. It writes our info first: then no report whose
// outcome was unknown can arrive after the reading.
func (r *reporter) learn(ctx context.Context, lease cluster.Lease) error {
	r.mu.Lock()
	info := r.info
	r.mu.Unlock()
	if err := r.door.Report(ctx, lease, &info, nil, nil); err != nil {
		return err
	}
	_, has, err := r.door.Reported(ctx, lease.Host)
	if err != nil {
		return err
	}
	r.sent, r.sentInfo = map[cluster.Unit][]byte{}, encoded(info)
	r.landed(r.sentInfo)
	for name, st := range has {
		r.sent[name] = encoded(st)
	}
	return nil
}

// differences between what is true and what the store has; next is what it will have.
func (r *reporter) differences() (info *cluster.HostInfo, put map[cluster.Unit]cluster.Status, del []cluster.Unit, next map[cluster.Unit][]byte) {
	r.mu.Lock()
	want, loaded, is := r.want, r.loaded, r.info
	r.mu.Unlock()
	if !bytes.Equal(encoded(is), r.sentInfo) {
		info = &is
	}
	if !loaded {
		return info, nil, nil, nil
	}
	put, next = map[cluster.Unit]cluster.Status{}, map[cluster.Unit][]byte{}
	for name, st := range want {
		if value := encoded(st); !bytes.Equal(value, r.sent[name]) {
			put[name], next[name] = st, value
		}
	}
	for name := range r.sent {
		if _, ok := want[name]; !ok {
			del = append(del, name)
		}
	}
	slices.Sort(del)
	return info, put, del, next
}

// encoded is how two reports are compared. Both types always encode.
func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return data
}
