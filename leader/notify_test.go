package leader_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"flotilla/cluster"
	"flotilla/leader"
	"flotilla/leader/plan"
)

// ear is a webhook. The zero value takes all at once.
type ear struct {
	mu    sync.Mutex
	heard []string
	tries int
	fails int           // tries that fail from now on
	slow  time.Duration // that each try takes
}

func (e *ear) Post(ctx context.Context, _ string, body []byte) error {
	e.mu.Lock()
	slow, fails := e.slow, e.fails > 0
	e.tries++
	e.fails--
	e.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if fails {
		return errors.New("it answers 500 Internal Server Error")
	}
	var m plan.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, m.Text)
	return nil
}

func (e *ear) so() (heard []string, tries int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard), e.tries
}

func (e *ear) set(fails int, slow time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails, e.slow = fails, slow
}

func (f *fake) hook(url string) {
	f.do(func(s *cluster.Snapshot) { s.Reboots.Webhook, s.RebootsRev = url, s.Revision })
}

// record writes an outcome as a leader does.
func (f *fake) record(name string) {
	f.do(func(s *cluster.Snapshot) {
		r := cluster.Record{Host: cluster.HostID(name), Name: name, Generation: s.Revision, Outcome: cluster.PhaseDone, Reason: "well", Rev: s.Revision}
		s.History[cluster.HistoryKey{Host: r.Host, Generation: r.Generation}] = &r
	})
}

func (f *fake) notified() cluster.Notified {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.truth.Notified
}

// TestOutcomesAreTold: each once, in their order, none of before there was a webhook, and by the next leader those
// that this one had not come to.
func TestOutcomesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, e := newFake(t), &ear{}
		f.record("early")
		f.hook("https://example.com")
		_, stop := f.run(leader.Options{Poster: e})
		time.Sleep(time.Minute)
		f.record("h2")
		f.record("h1")
		time.Sleep(time.Minute)
		stop()
		f.record("h3")
		_, stop = f.run(leader.Options{Poster: e})
		time.Sleep(time.Minute)
		heard, _ := e.so()
		if diff := cmp.Diff([]string{"h2: done: well", "h1: done: well", "h3: done: well"}, heard); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		f.hook("")
		time.Sleep(time.Minute)
		f.record("h4")
		f.hook("https://example.com")
		f.record("h5")
		time.Sleep(time.Minute)
		if heard, _ = e.so(); len(heard) != 4 || heard[3] != "h5: done: well" {
			t.Errorf("told after a time without a webhook: %q, want only h5 beside the three", heard)
		}
		stop()
	})
}

// TestWebhookDown is F35: what nobody takes is tried for a while and given up; the leader plans meanwhile, and what
// comes later is told.
func TestWebhookDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, e, reg := newFake(t), &ear{fails: 7}, prometheus.NewRegistry()
		f.addHost("aaaaaaaa")
		f.hook("https://example.com")
		_, stop := f.run(leader.Options{Poster: e, Metrics: reg})
		synctest.Wait()
		f.record("h1")
		time.Sleep(2 * time.Second)
		if _, tries := e.so(); tries == 0 {
			t.Fatal("nothing was told within two seconds")
		}
		f.launch("web.service")
		time.Sleep(time.Second)
		if got := f.placed("web.service"); len(got) != 1 {
			t.Errorf("the leader placed %v while a webhook is down, want one placement", got)
		}
		time.Sleep(5 * time.Minute)
		f.record("h2")
		time.Sleep(5 * time.Minute)
		heard, tries := e.so()
		if n := f.notified(); n.Lost != 1 || n.Trouble != "it answers 500 Internal Server Error" || n.Since.IsZero() {
			t.Errorf("noted %+v, want one message that was lost, and why", n)
		}
		if diff := cmp.Diff([]string{"h2: done: well"}, heard); diff != "" || tries != 8 {
			t.Errorf("told with %d tries, want 8 (-want +got):\n%s", tries, diff)
		}
		if lost, failed := counted(t, reg, "flotilla_leader_messages_total", "lost"), counted(t, reg, "flotilla_leader_message_failures_total", ""); lost != 1 || failed != 7 {
			t.Errorf("counted %v lost messages and %v failed tries, want 1 and 7", lost, failed)
		}
		stop()
	})
}

// counted is a counter, of one label or without any.
func counted(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestWebhookSlow is F35: one that hangs holds up neither planning nor the end of a term, and the next leader tells what
// this one had not told for sure.
func TestWebhookSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, e := newFake(t), &ear{slow: time.Hour}
		f.addHost("aaaaaaaa")
		f.hook("https://example.com")
		_, stop := f.run(leader.Options{Poster: e})
		synctest.Wait()
		f.record("h1")
		time.Sleep(2 * time.Second)
		f.launch("web.service")
		time.Sleep(time.Second)
		if got := f.placed("web.service"); len(got) != 1 {
			t.Errorf("the leader placed %v while a webhook hangs, want one placement", got)
		}
		before := time.Now()
		stop()
		if d := time.Since(before); d != 0 {
			t.Errorf("the term took %s to end while a webhook hangs", d)
		}
		e.set(0, 0)
		_, stop = f.run(leader.Options{Poster: e})
		time.Sleep(time.Minute)
		if heard, _ := e.so(); len(heard) != 1 || heard[0] != "h1: done: well" {
			t.Errorf("the next leader told %q, want what hung", heard)
		}
		stop()
	})
}

// TestWebhookChanged: one that is set anew while the old one fails is told at once, and nothing counts as lost.
func TestWebhookChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, e := newFake(t), &ear{fails: 3}
		f.hook("https://example.com/wrong")
		_, stop := f.run(leader.Options{Poster: e})
		synctest.Wait()
		f.record("h1")
		time.Sleep(4 * time.Second)
		f.hook("https://example.com/right")
		time.Sleep(time.Minute)
		if heard, _ := e.so(); len(heard) != 1 || f.notified().Lost != 0 {
			t.Errorf("told %q, noted %+v, want the outcome told and nothing lost", heard, f.notified())
		}
		stop()
	})
}

// TestWindowIsSummedUp: once, after it closed, with who is done, who is not and why; a window in which nothing was to be
// done says nothing.
func TestWindowIsSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins at midnight UTC, 2000-01-01
		f, e := newFake(t), &ear{}
		f.says("aaaaaaaa", "1", cluster.RebootReport{Need: cluster.Need{State: cluster.NeedYes, Reasons: []string{"kernel"}}})
		f.says("bbbbbbbb", "1", cluster.RebootReport{})
		f.do(func(s *cluster.Snapshot) {
			w := cluster.Window{Calendar: "*-*-* 02:00", Duration: time.Hour}
			s.Windows["night"] = &cluster.WindowHead{Window: w, Name: "night"}
			g := cluster.Group{Windows: []string{"night"}, Max: cluster.Slots{N: 0, Given: true}}
			s.Groups["all"] = &cluster.GroupHead{Group: g, Name: "all"}
		})
		f.hook("https://example.com")
		_, stop := f.run(leader.Options{Poster: e})
		time.Sleep(150 * time.Minute)
		f.do(func(s *cluster.Snapshot) {
			r := cluster.Record{Host: "bbbbbbbb", Name: "h2", Generation: 5, Groups: []string{"all"}, Outcome: cluster.PhaseDone, Reason: "well", Began: time.Now().Add(-time.Minute), Ended: time.Now(), Rev: s.Revision}
			s.History[cluster.HistoryKey{Host: r.Host, Generation: 5}] = &r
		})
		time.Sleep(time.Hour)
		stop()
		_, stop = f.run(leader.Options{Poster: e})
		time.Sleep(time.Hour)
		want := []string{
			"h2: done: well",
			"window night of 2000-01-01 02:00 UTC closed: 1 done, 1 held (aaaaaaaa queued: group all lets no host reboot (max 0))",
		}
		heard, _ := e.so()
		if diff := cmp.Diff(want, heard); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		f.says("aaaaaaaa", "1", cluster.RebootReport{})
		time.Sleep(48 * time.Hour)
		if heard, _ = e.so(); len(heard) != 2 {
			t.Errorf("windows in which nothing was to be done said %q", heard[2:])
		}
		stop()
	})
}
