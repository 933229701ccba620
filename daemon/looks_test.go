package daemon

import (
	"context"
	"errors"
	"testing"
	"time"

	"flotilla/members"
)

// TestLooks: etcd's members are asked when somebody asks, at most every two seconds; a member
// that does not answer keeps the moment when that was first found.
func TestLooks(t *testing.T) {
	now, asked, well := time.Unix(1000, 0), 0, true
	var away error
	l := newLooks(func(context.Context) ([]members.Member, error) {
		asked++
		sick := members.Member{ID: 2, Name: "h2", PeerURL: "https://10.0.0.2:2380", Healthy: well}
		if !well {
			sick.Reason = "does not answer: x"
		}
		return []members.Member{{ID: 1, Name: "h1", PeerURL: "https://10.0.0.1:2380", Healthy: true, Leader: true}, sick}, away
	}, func() time.Time { return now })

	if v := l.etcd(t.Context()); asked != 1 || len(v) != 2 || !v[1].Healthy || v[1].Address != "10.0.0.2:2380" || v[1].ID != "2" {
		t.Fatalf("first look = %+v, asked %d times, want two healthy members", v, asked)
	}
	well, now = false, now.Add(time.Second)
	if v := l.etcd(t.Context()); asked != 1 || !v[1].Healthy {
		t.Errorf("a second later = %+v, asked %d times, want the look before", v, asked)
	}
	now = now.Add(looksFor)
	first := now
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if v := l.etcd(gone); v != nil && !v[1].Healthy {
		t.Errorf("a look for a client that is gone = %+v, want it not believed", v)
	}
	for range 2 {
		if v := l.etcd(t.Context()); v[0].Since != (time.Time{}) || v[1].Healthy || v[1].Since != first || v[1].Reason != "does not answer: x" {
			t.Errorf("look at a member that is away = %+v, want it away since %s", v, first)
		}
		now = now.Add(looksFor)
	}
	away = errors.New("no answer")
	if v := l.etcd(t.Context()); len(v) != 2 || v[0].Healthy || v[0].Leader || v[0].Since != now || v[1].Since != first {
		t.Errorf("without any answer = %+v, want the members of before, all silent", v)
	}
	well, away, now = true, nil, now.Add(looksFor)
	if v := l.etcd(t.Context()); !v[0].Healthy || !v[1].Healthy || !v[1].Since.IsZero() {
		t.Errorf("after it came back = %+v, want two healthy members", v)
	}
}
