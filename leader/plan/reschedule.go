package plan

import (
	"fmt"
	"strings"
	"time"

	"flotilla/cluster"
)

// How a unit that fails on one host after the other is held back. What happened stands in the
// tombstones that its failures left, so that any leader knows it; the time counts from when this process
// saw it. Each host is left alone for longer than the next try waits, so that all are tried in turn.
const (
	firstPause = 10 * time.Second // before the try after the second failure, then doubled
	firstShun  = time.Minute      // for which a host is not tried again, then doubled
	mostPause  = time.Hour        // of both
	calm       = 10 * time.Minute // after which a unit that runs is said to run well
)

// doubled is first, doubled with each of n tries after the first.
func doubled(first time.Duration, n int) time.Duration {
	for ; n > 1 && first < mostPause; n-- {
		first *= 2
	}
	return min(first, mostPause)
}

// pauseAfter is how long the next try waits after n failures elsewhere.
func pauseAfter(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return doubled(firstPause, n)
}

// gaveUp says that a unit which asks to be tried elsewhere was given up by systemd on its host.
func (p *planner) gaveUp(head *cluster.UnitHead, h *host, pl *cluster.Placed) bool {
	return head.Req.Reschedule && h.ready && runs(head, pl) && p.healthAt(head.Name, h) == failed
}

// sameContent says that what failed is what the head names still: a repaired unit begins anew, and so does
// one that its user starts again.
func sameContent(head *cluster.UnitHead, pl *cluster.Placed) bool {
	s := &head.Spec
	return pl.Blob == s.Blob && pl.DropIns == s.DropIns && pl.Run == s.Run && pl.Restart == s.Restart
}

// triesOf are the failures that a placement still stands for.
func (p *planner) triesOf(head *cluster.UnitHead, pl *cluster.Placed) int {
	if pl.Tries == 0 || !sameContent(head, pl) {
		return 0
	}
	h := p.byID[pl.Host]
	if p.healthAt(head.Name, h) == well {
		until := h.Status[head.Name].Seen.Add(calm)
		if !p.now.Before(until) {
			return 0
		}
		p.wake(until)
	}
	return pl.Tries
}

// failedAt is when this process saw that a failure's tombstone was carried out.
func (p *planner) failedAt(pl *cluster.Placed) time.Time {
	st := p.byID[pl.Host].Status[pl.Unit]
	if !st.Acknowledged(pl.Placement) {
		return p.now
	}
	return st.Seen
}

// failure says whether a placement is the tombstone of a failure of the unit as it is wanted now.
func (p *planner) failure(pl *cluster.Placed) bool {
	head := p.snap.Units[pl.Unit]
	return pl.Tries > 0 && pl.State == cluster.Gone && head != nil && head.File != nil && sameContent(head, pl)
}

// shuns says that the unit failed on the host of this tombstone lately.
func (p *planner) shuns(pl *cluster.Placed) bool {
	return p.failure(pl) && p.now.Before(p.shunned(pl))
}

func (p *planner) shunned(pl *cluster.Placed) time.Time {
	until := p.failedAt(pl).Add(doubled(firstShun, pl.Tries))
	if p.now.Before(until) {
		p.wake(until)
	}
	return until
}

// remembers says that a tombstone that was carried out stays for what it tells: twice as long as the host
// is shunned, so that the next failure counts on from it.
func (p *planner) remembers(u cluster.Unit, pl *cluster.Placed) bool {
	if h := p.byID[pl.Host]; h.removed || !p.failure(pl) || p.snap.Units[u].Spec.Target == 0 {
		return false
	}
	until := p.failedAt(pl).Add(2 * doubled(firstShun, pl.Tries))
	if !p.now.Before(until) {
		return false
	}
	p.wake(until)
	return true
}

// setbacks is how often the unit failed in a row, as far as is remembered.
func (p *planner) setbacks(head *cluster.UnitHead) int {
	n := 0
	for _, pl := range p.snap.Placed[head.Name] {
		if p.failure(pl) {
			n = max(n, pl.Tries)
		}
	}
	return n
}

// nextTry is when a unit may leave for another host, after it failed on this one or on those tried before.
func (p *planner) nextTry(head *cluster.UnitHead, d departure) time.Time {
	if d.fell {
		st := p.byID[d.pl.Host].Status[head.Name]
		return st.Seen.Add(pauseAfter(max(p.setbacks(head), d.pl.Tries)))
	}
	var at time.Time
	for _, pl := range p.snap.Placed[head.Name] {
		if t := p.failedAt(pl).Add(pauseAfter(pl.Tries)); p.failure(pl) && t.After(at) {
			at = t
		}
	}
	return at
}

// orLater says when the next host may be tried, where one is only left alone for some time; else why none is.
func (p *planner) orLater(head *cluster.UnitHead, d departure, why string) string {
	var at time.Time
	for _, pl := range p.snap.Placed[head.Name] {
		if !p.shuns(pl) {
			continue
		}
		if t := p.shunned(pl); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if at.IsZero() {
		return why
	}
	return p.after(head, d, at)
}

// after says when the next host is tried, and after which, unless the departure says that.
func (p *planner) after(head *cluster.UnitHead, d departure, at time.Time) string {
	if d.fell {
		return "next try at " + clock(at)
	}
	return fmt.Sprintf("it failed on %s; next try at %s", strings.Join(p.failedOn(head, nil), ", "), clock(at))
}

// failedOn names the hosts where the unit failed, by id; here is one where it just did.
func (p *planner) failedOn(head *cluster.UnitHead, here *host) []string {
	var names []string
	for _, pl := range sorted(p.snap.Placed[head.Name]) {
		if h := p.byID[pl.Host]; h == here || p.failure(pl) {
			names = append(names, h.Name())
		}
	}
	return names
}

// failures is where and how a unit failed.
func (p *planner) failures(head *cluster.UnitHead, here *host) string {
	return fmt.Sprintf("failed on %s (%s)", strings.Join(p.failedOn(head, here), ", "), how(here.Status[head.Name]))
}
