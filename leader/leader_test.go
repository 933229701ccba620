package leader_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"flotilla/cluster"
	"flotilla/leader"
	"flotilla/leader/plan"
)

type orders = map[cluster.HostID]cluster.Order

func TestLeaderPlacesAndThenIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.launch("web.service")
		reg := prometheus.NewRegistry()
		l, stop := f.run(leader.Options{Metrics: reg})
		synctest.Wait()
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff(counts{Campaigns: 1, Applied: 1}, f.counts()); diff != "" {
			t.Errorf("after an hour (-want +got):\n%s", diff)
		}
		if r := l.Latest(); !r.Leading || r.Err != nil || len(r.Waiting) != 0 {
			t.Errorf("Latest() = %+v, want leading, no error, nothing waiting", r)
		}
		stop()
		if got := f.counts().Resigned; got != 1 {
			t.Errorf("resigned %d times, want 1", got)
		}
		if r := l.Latest(); r.Leading {
			t.Errorf("Latest() after the end = %+v, want not leading", r)
		}
		if got := counter(t, reg, "flotilla_leader_decisions_total"); got != 1 {
			t.Errorf("flotilla_leader_decisions_total = %v, want 1", got)
		}
	})
}

func TestCollectsContentsOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		_, stop := f.run(leader.Options{})
		time.Sleep(3*time.Hour + time.Minute)
		if got := f.collects(); got != 3 {
			t.Errorf("collected %d times in three hours, want 3", got)
		}
		stop()
		time.Sleep(2 * time.Hour)
		if got := f.collects(); got != 3 {
			t.Errorf("collected %d times after the term, want still 3", got)
		}
	})
}

// counter is the sum of a counter over its labels.
func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestSaysWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.launch("web.service")
		l, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		want := []plan.Refusal{{Unit: "web.service", Reason: "no host: none has joined yet"}}
		if diff := cmp.Diff(want, l.Latest().Waiting); diff != "" {
			t.Errorf("Latest().Waiting (-want +got):\n%s", diff)
		}
		f.addHost("aaaaaaaa")
		synctest.Wait()
		if got := l.Latest().Waiting; len(got) != 0 {
			t.Errorf("Latest().Waiting = %v, want none", got)
		}
	})
}

func TestFailoverComesWithoutAnotherChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.launch("web.service")
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.addHost("bbbbbbbb")
		f.addHost("cccccccc")
		f.kill("aaaaaaaa")
		time.Sleep(1900 * time.Millisecond)
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed while only suspect (-want +got):\n%s", diff)
		}
		time.Sleep(101 * time.Millisecond)
		want := orders{"aaaaaaaa": cluster.Gone, "bbbbbbbb": cluster.Launched}
		if diff := cmp.Diff(want, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
	})
}

func TestStormIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		for _, h := range []cluster.HostID{"aaaaaaaa", "bbbbbbbb", "cccccccc"} {
			f.addHost(h)
		}
		f.launch("web.service")
		l, stop := f.run(leader.Options{})
		defer stop()
		f.kill("aaaaaaaa")
		f.kill("bbbbbbbb")
		time.Sleep(3 * time.Second)
		if r := l.Latest(); r.Storm == nil || r.Absent != 2 {
			t.Errorf("Latest() = %+v, want a storm of 2 absent hosts", r)
		}
		f.do(func(s *cluster.Snapshot) { s.Resumed = s.Revision })
		synctest.Wait()
		if r := l.Latest(); r.Storm != nil {
			t.Errorf("Latest().Storm after the resume = %v, want none", r.Storm)
		}
	})
}

// The leader is frozen between plan and write, and its term ends meanwhile.
func TestNothingIsWrittenAfterTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.mu.Lock()
		f.afterRead = func() {
			f.afterRead = nil
			f.depose()
		}
		f.mu.Unlock()
		f.launch("web.service")
		synctest.Wait()
		if got := f.counts().Applied; got != 0 {
			t.Errorf("wrote %d times after the end of its term, want 0", got)
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed in the next term (-want +got):\n%s", diff)
		}
	})
}

// Another leads already, but this one's context has not ended: the store refuses.
func TestTermOfAnotherEndsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		l, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.mu.Lock()
		f.term = f.doLocked(func(*cluster.Snapshot) {})
		f.mu.Unlock()
		f.launch("web.service")
		time.Sleep(time.Second)
		got := f.counts()
		if want := (counts{Campaigns: 2, Resigned: 1, Applied: 2, Barriers: 0}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		if r := l.Latest(); !r.Leading || r.Err != nil {
			t.Errorf("Latest() in the next term = %+v, want leading without an error", r)
		}
	})
}

func TestPlansOnlyWhenTheMirrorReachedItsOwnCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.launch("web.service")
		f.hold(true)
		synctest.Wait()
		f.mu.Lock()
		before := f.reads
		f.mu.Unlock()
		f.launch("two.service")
		time.Sleep(time.Minute)
		f.mu.Lock()
		if f.reads != before || len(f.applied) != 1 {
			t.Errorf("planned %d times and wrote %d times on a mirror behind its own commit, want 0 and 1",
				f.reads-before, len(f.applied))
		}
		f.mu.Unlock()
		f.hold(false)
		synctest.Wait()
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("two.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
	})
}

func TestWaitsForAllThatTheLastLeaderWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.launch("web.service")
		f.hold(true)
		f.kill("aaaaaaaa")
		_, stop := f.run(leader.Options{})
		defer stop()
		time.Sleep(time.Minute)
		if got := f.counts(); got.Applied != 0 {
			t.Errorf("wrote %d times on a mirror from before its term, want 0", got.Applied)
		}
	})
}

func TestStaleOrderIsPlannedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.addHost("bbbbbbbb")
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.mu.Lock()
		f.afterRead = func() { // the chosen host dies while the plan is made
			f.afterRead = nil
			f.kill("aaaaaaaa")
		}
		f.mu.Unlock()
		f.launch("web.service")
		synctest.Wait()
		if diff := cmp.Diff(orders{"bbbbbbbb": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
		if got, want := f.counts(), (counts{Campaigns: 1, Applied: 2, Barriers: 1}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
	})
}

// An unclear write commits when the next decision was already carried out: the two
// share no key but the leader's.
func TestUnclearWriteThatComesLateChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.addHost("bbbbbbbb")
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.mu.Lock()
		f.late = time.Second
		f.mu.Unlock()
		f.launch("web.service") // for aaaaaaaa, unclear
		synctest.Wait()
		f.hold(true)
		f.do(func(s *cluster.Snapshot) {
			s.SetHostInfo("aaaaaaaa", &cluster.HostInfo{Name: "aaaaaaaa", Boot: "1 and not reported since"}, time.Now())
		})
		f.hold(false)
		time.Sleep(time.Minute)
		if diff := cmp.Diff(orders{"bbbbbbbb": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
	})
}

func TestUnclearWriteIsCaughtUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.addHost("aaaaaaaa")
		f.addHost("bbbbbbbb")
		l, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.mu.Lock()
		f.lose = true
		f.mu.Unlock()
		f.launch("web.service")
		time.Sleep(time.Second)
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
		if got, want := f.counts(), (counts{Campaigns: 2, Resigned: 1, Applied: 1}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		if err := l.Latest().Err; err != nil {
			t.Errorf("Latest().Err = %v, want nil after a plan that wrote nothing", err)
		}
	})
}

func TestStoreThatTakesNoWritesIsRetriedAndSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		full := errors.New("store takes no writes")
		f.onApply = func() error { return full }
		f.addHost("aaaaaaaa")
		f.launch("web.service")
		l, stop := f.run(leader.Options{})
		defer stop()
		time.Sleep(time.Minute)
		if err := l.Latest().Err; !errors.Is(err, full) {
			t.Errorf("Latest().Err = %v, want %v", err, full)
		}
		if got := f.counts().Applied; got < 10 || got > 25 {
			t.Errorf("tried %d times in a minute, want 10 to 25", got)
		}
		f.mu.Lock()
		f.onApply = nil
		f.mu.Unlock()
		time.Sleep(6 * time.Second)
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
	})
}

func TestVersionThatMayNotWriteDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		old := errors.New("upgrade flotilla on this host")
		f.check = func(v map[cluster.HostID]string) error {
			if v["bbbbbbbb"] != "" {
				return old
			}
			return nil
		}
		f.addHost("aaaaaaaa")
		l, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		f.addHostOf("bbbbbbbb", "1.2.0")
		f.launch("web.service")
		time.Sleep(time.Minute)
		if got, want := f.counts(), (counts{Campaigns: 1, Resigned: 1}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		if r := l.Latest(); r.Leading || !errors.Is(r.Err, old) {
			t.Errorf("Latest() = %+v, want not leading and %v", r, old)
		}
		f.kill("bbbbbbbb")
		synctest.Wait()
		if r := l.Latest(); !r.Leading || r.Err != nil {
			t.Errorf("Latest() = %+v, want leading again without an error", r)
		}
	})
}

func TestIncompleteMirrorDoesNotStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.do(func(s *cluster.Snapshot) { s.Complete = false })
		_, stop := f.run(leader.Options{})
		time.Sleep(time.Minute)
		if got := f.counts().Campaigns; got != 0 {
			t.Errorf("campaigned %d times on an incomplete mirror, want 0", got)
		}
		stop()
	})
}

// One order that no transaction can hold must not keep the leader from the others, nor be
// tried again and again.
func TestOrderThatCannotBeWrittenWaitsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.bad = "big.service"
		f.addHost("aaaaaaaa")
		f.launch("big.service")
		f.launch("web.service")
		l, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("web.service")); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
		if got, want := f.counts(), (counts{Campaigns: 1, Applied: 1}); got != want {
			t.Errorf("counts = %+v, want %+v", got, want)
		}
		want := "its order to place cannot be written: " + leader.ErrBad.Error()
		if r := l.Latest(); len(r.Waiting) != 1 || r.Waiting[0].Unit != "big.service" || r.Waiting[0].Reason != want {
			t.Errorf("Latest().Waiting = %v, want big.service: %s", r.Waiting, want)
		}
		time.Sleep(10*time.Minute + time.Second)
		if got := f.counts(); got.Campaigns != 1 || got.Applied != 11 {
			t.Errorf("counts after ten minutes = %+v, want the one term, and a try each minute", got)
		}
		f.mu.Lock()
		f.bad = ""
		f.mu.Unlock()
		f.launch("big.service") // another head
		synctest.Wait()
		if diff := cmp.Diff(orders{"aaaaaaaa": cluster.Launched}, f.placed("big.service")); diff != "" {
			t.Errorf("placed after its head changed (-want +got):\n%s", diff)
		}
	})
}

// A leader asks about each version once, not about each of thousands of hosts.
func TestChecksEachVersionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var asked map[cluster.HostID]string
		f.check = func(v map[cluster.HostID]string) error {
			asked = v
			return nil
		}
		for _, h := range []cluster.HostID{"cccccccc", "aaaaaaaa", "bbbbbbbb"} {
			f.addHost(h)
		}
		_, stop := f.run(leader.Options{})
		defer stop()
		synctest.Wait()
		if diff := cmp.Diff(map[cluster.HostID]string{"aaaaaaaa": "1.0.0"}, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	})
}
