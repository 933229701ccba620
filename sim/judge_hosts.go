package sim

import (
	"slices"
	"strings"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
)

// truth is what is so on one machine, whatever anybody reports.
type truth struct {
	name    string
	id      cluster.HostID
	guest   bool // a second machine with another's id: it must not touch anything
	booted  time.Time
	knew    time.Time // when what it had on its disk then was ordered, or before
	up      map[cluster.Unit]*run
	tally   map[cluster.Unit]int // starts by the agent in this boot
	lives   int                  // of its process, in this boot
	trouble spans

	boots []cluster.Boot       // one after the other, the present one last
	used  map[int64]int        // how often a grant of a generation was carried out
	sick  func() time.Duration // for how long its systemd is degraded; nil = nobody asks
}

// run is one unit from its start to its end.
type run struct {
	began time.Time
}

// spans are times of trouble; the last may still go on (zero end).
type spans struct {
	list  [][2]time.Time
	depth int
}

func (s *spans) begin() {
	if s.depth++; s.depth == 1 {
		s.list = append(s.list, [2]time.Time{time.Now()})
	}
}

func (s *spans) end() {
	if s.depth--; s.depth == 0 {
		s.list[len(s.list)-1][1] = time.Now()
	}
}

// touches says whether there was trouble after t.
func (s *spans) touches(t time.Time) (from time.Time, ok bool) {
	for _, x := range s.list {
		if x[1].IsZero() || x[1].After(t) {
			return x[0], true
		}
	}
	return time.Time{}, false
}

// lag is how long an agent without trouble may take to hear of a change.
const lag = 30 * time.Second

// heard is a time at which this machine's agent surely knew what was ordered, or before it.
func (t *truth) heard(j *Judge) time.Time {
	at := time.Now().Add(-lag)
	for range 50 {
		moved := false
		for _, s := range []*spans{&t.trouble, &j.storeBad} {
			if from, ok := s.touches(at); ok && from.Add(-lag).Before(at) {
				at, moved = from.Add(-lag), true
			}
		}
		if !moved {
			break
		}
	}
	return at
}

// ours says whether a unit is a workload.
func ours(unit string) bool { return unit != "" && !strings.HasPrefix(unit, "flotilla-") }

// happened is called by a machine's systemd at each event, under its lock.
func (j *Judge) happened(t *truth, e fake.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := cluster.Unit(e.Unit)
	switch {
	case e.Op == "power-loss" || e.Op == "down":
		j.note("%s: %s (%s)", t.name, e.Op, e.By)
		j.count[e.Op+" "+e.By]++
		t.up = map[cluster.Unit]*run{}
	case e.Op == "boot":
		j.note("%s: boots", t.name)
		t.booted, t.tally, t.lives = e.At, map[cluster.Unit]int{}, 0
		t.knew = t.heard(j)
	case e.Unit == agent.FenceFire && e.Op == "start":
		j.note("%s: the fence fires", t.name)
	case !ours(e.Unit):
	case e.Op == "start":
		j.note("%s: %s starts (%s)", t.name, u, e.By)
		j.started(t, u, e)
	case e.Op == "stop":
		j.note("%s: %s stops (%s)", t.name, u, e.By)
		j.stopped(t, u, e)
	case e.Op == "state" && (e.By == "inactive" || e.By == "failed"):
		j.note("%s: %s is %s", t.name, u, e.By)
		delete(t.up, u)
	}
}

// fenced says whether a unit is wanted to run on one host at most, by what its user says
// or by the order under which it runs.
func (j *Judge) fenced(t *truth, u cluster.Unit) bool {
	if h := j.heads[u]; h != nil && h.req.Fence {
		return true
	}
	h := j.places[cluster.Where{Host: t.id, Unit: u}]
	for i := range h.size() {
		if v := h.list[len(h.list)-1-i]; v.State != 0 {
			return v.Fence
		}
	}
	return false
}

// started checks a start.
func (j *Judge) started(t *truth, u cluster.Unit, e fake.Event) {
	if t.up[u] == nil {
		t.up[u] = &run{began: e.At}
	}
	if t.guest {
		j.breach("%s started %s although its id belongs to another host", t.name, u)
	}
	if j.fenced(t, u) {
		for _, o := range j.machines {
			if o != t && o.up[u] != nil {
				j.breach("%s starts on %s while it runs on %s, and is fenced", u, t.name, o.name)
			}
		}
	}
	if e.By != "call" {
		return
	}
	t.tally[u]++
	j.starts++
	h := j.places[cluster.Where{Host: t.id, Unit: u}]
	if !slices.ContainsFunc(h.since(t.heard(j)), version.runs) {
		j.breach("%s started %s without an order", t.name, u)
	}
	if n := j.allowed(t, u, h); t.tally[u] > n {
		j.breach("%s started %s %d times in this boot, ordered were %d", t.name, u, t.tally[u], n)
	}
}

// allowed is how often the agent may have started a unit in this boot.
func (j *Judge) allowed(t *truth, u cluster.Unit, h *history) int {
	n, had := 0, version{}
	for _, v := range h.since(earlier(t.knew, t.heard(j))) {
		if v.runs() && (!had.runs() || v.Run != had.Run || v.Restart != had.Restart) {
			n++
		}
		had = v
	}
	if ends(u) { // systemd may forget one that has ended, and with it that it ran
		n += t.lives
	}
	return n
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// stopped checks a stop.
func (j *Judge) stopped(t *truth, u cluster.Unit, e fake.Event) {
	if t.guest {
		j.breach("%s stopped %s although its id belongs to another host", t.name, u)
	}
	if e.By != "call" {
		if !j.fenced(t, u) && e.By != "outside" {
			j.breach("%s: %s was stopped by a %s", t.name, u, e.By)
		}
		j.fireAllowed(t)
		t.tally[u]-- // the fence stopped it, and so it may be started again
		return
	}
	j.stops++
	began := t.booted
	if r := t.up[u]; r != nil {
		began = r.began
	}
	h := j.places[cluster.Where{Host: t.id, Unit: u}]
	// An agent that hears late starts by an order of the past, and stops by the next of the past.
	for _, v := range h.since(earlier(began, t.heard(j))) {
		if v.State == cluster.Gone || v.State == cluster.Loaded {
			return
		}
	}
	had := version{}
	for _, v := range h.since(t.heard(j)) {
		if v.runs() && had.runs() && v.Restart > had.Restart {
			return
		}
		had = v
	}
	j.breach("%s stopped %s without an order", t.name, u)
}

// fireAllowed checks that the fence fires only in trouble.
func (j *Judge) fireAllowed(t *truth) {
	recent := time.Now().Add(-2 * j.timing.TTL)
	_, own := t.trouble.touches(recent)
	_, all := j.storeBad.touches(recent)
	if !own && !all {
		j.breach("%s: the fence fired although nothing was wrong", t.name)
	}
}

// outlived checks that no fenced unit outlives its host's lease.
func (t *truth) outlived(j *Judge) {
	for u := range t.up {
		if j.fenced(t, u) {
			j.breach("%s still runs on %s, whose lease has ended, and is fenced", u, t.name)
		}
	}
}

// troubled marks the begin and the end of a fault of a machine; "" = of the store.
func (j *Judge) troubled(t *truth, on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := &j.storeBad
	if t != nil {
		s = &t.trouble
	}
	if on {
		s.begin()
		return
	}
	s.end()
}
