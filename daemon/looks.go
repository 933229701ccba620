package daemon

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"flotilla/api"
	"flotilla/members"
)

// looksFor is how old the word on the etcd members may be: who upgrades one after another must
// not be told of a member that ended since.
const looksFor = 2 * time.Second

// looks remembers how the members of our etcd were found. It asks when it is asked, at most
// every looksFor; nothing asks while nobody asks the API.
type looks struct {
	ask  func(context.Context) ([]members.Member, error)
	now  func() time.Time
	turn chan struct{} // holds a value while somebody asks; guards what follows

	last  []api.EtcdMember
	asked time.Time
	since map[uint64]time.Time // when a member was first found not healthy
}

func newLooks(ask func(context.Context) ([]members.Member, error), now func() time.Time) *looks {
	return &looks{ask: ask, now: now, turn: make(chan struct{}, 1), since: map[uint64]time.Time{}}
}

// etcd are the members by machine id, as they were found less than looksFor ago. When not even
// their list can be had it is the one before; nil when nothing is known.
func (l *looks) etcd(ctx context.Context) []api.EtcdMember {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-l.turn }()
	if !l.asked.IsZero() && l.now().Sub(l.asked) < looksFor {
		return l.last
	}
	found, err := l.ask(ctx)
	if ctx.Err() != nil { // who is asked in a hurry counts for nothing
		return l.last
	}
	l.asked = l.now()
	if err != nil {
		l.last = silent(l.last, err, l.asked)
		return l.last
	}
	since := map[uint64]time.Time{}
	l.last = nil
	for _, m := range found {
		v := etcdMember(m)
		if !m.Healthy {
			v.Since = l.asked
			if before, ok := l.since[m.ID]; ok {
				v.Since = before
			}
			since[m.ID] = v.Since
		}
		l.last = append(l.last, v)
	}
	l.since = since
	return l.last
}

// silent are the members when none of them answers.
func silent(list []api.EtcdMember, err error, now time.Time) []api.EtcdMember {
	var out []api.EtcdMember
	for _, m := range list {
		if m.Healthy {
			m.Since = now
		}
		m.Healthy, m.Leader, m.Reason = false, false, fmt.Sprintf("does not answer: %v", err)
		out = append(out, m)
	}
	return out
}

func etcdMember(m members.Member) api.EtcdMember {
	out := api.EtcdMember{
		ID: fmt.Sprintf("%x", m.ID), Host: m.Name, Address: m.PeerURL, Healthy: m.Healthy,
		Learner: m.Learner, Leader: m.Leader, Version: m.Version, Reason: m.Reason,
	}
	if u, err := url.Parse(m.PeerURL); err == nil {
		out.Address = u.Host
	}
	return out
}
