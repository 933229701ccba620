package api

import (
	"testing"
	"time"

	"flotilla/cluster"
)

// TestPlansAreNotMadePerRequest: a plan serves all requests of its revision for a second,
// and one that was dear serves later revisions too.
func TestPlansAreNotMadePerRequest(t *testing.T) {
	snap := cluster.NewSnapshot()
	snap.Complete, snap.Revision = true, 1
	now, cost, made := time.Unix(1000, 0), time.Duration(0), 0
	asked := false
	clock := func() time.Time { // a plan asks twice: before and after
		if asked = !asked; !asked {
			made++
			now = now.Add(cost)
		}
		return now
	}
	var p plans
	at := func() { asked = false; p.at(snap, Options{Now: clock}) }
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"first", func() {}, 1},
		{"at once again", func() {}, 1},
		{"a new revision", func() { snap.Revision++ }, 2},
		{"a second later", func() { now = now.Add(planFor) }, 3},
		{"a new revision of a dear plan", func() { snap.Revision++; cost = 300 * time.Millisecond }, 4},
		{"the next one too early", func() { snap.Revision++; now = now.Add(planRest*cost - time.Millisecond) }, 4},
		{"the next one in time", func() { now = now.Add(time.Millisecond) }, 5},
	} {
		step.do()
		if at(); made != step.want {
			t.Errorf("%s: %d plans were made, want %d", step.what, made, step.want)
		}
	}
}

// TestPlansDoNotQueue: who asks while another request plans gets the last plan at once.
func TestPlansDoNotQueue(t *testing.T) {
	snap := cluster.NewSnapshot()
	snap.Complete, snap.Revision = true, 1
	now := time.Unix(1000, 0)
	var p plans
	opt := Options{Now: func() time.Time { return now }}
	p.at(snap, opt)
	p.planning.Lock()
	snap.Revision, now = 2, now.Add(time.Hour)
	got := make(chan planned, 1)
	go func() { got <- p.at(snap, opt) }()
	select {
	case was := <-got:
		if was.rev != 1 {
			t.Errorf("plan of revision %d, want the last one, of 1", was.rev)
		}
	case <-time.After(time.Minute):
		t.Error("a request waited for another one's plan")
	}
	p.planning.Unlock()
	if was := p.at(snap, opt); was.rev != 2 {
		t.Errorf("plan of revision %d, want 2", was.rev)
	}
}
