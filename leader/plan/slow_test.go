package plan_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// slow is the planner's slow obvious twin: no index, no heap, no fast path; each
// question is answered by looking at everything.
type slow struct {
	snap  *cluster.Snapshot
	opt   plan.Options
	now   time.Time
	hosts []*cluster.Host
	state map[cluster.Unit]map[cluster.HostID]cluster.Order // as decided so far; absent = no key
	acked map[cluster.Unit][]cluster.HostID
	done  map[cluster.Unit]bool
	moved map[cluster.Unit]bool
	out   []string
	wait  []string
	rolls []slowRoll
	acted map[cluster.Unit][]*cluster.Host // hosts where this plan ordered something of the unit
}

// slowPlan lists decisions as "kind unit host from", and the units that wait.
func slowPlan(snap *cluster.Snapshot, opt plan.Options, now time.Time) (decisions, waiting []string) {
	s := &slow{
		snap: snap, opt: opt, now: now,
		state: map[cluster.Unit]map[cluster.HostID]cluster.Order{},
		acked: map[cluster.Unit][]cluster.HostID{},
		moved: map[cluster.Unit]bool{},
		acted: map[cluster.Unit][]*cluster.Host{},
	}
	for _, h := range snap.Hosts {
		s.hosts = append(s.hosts, h)
	}
	slices.SortFunc(s.hosts, func(a, b *cluster.Host) int { return strings.Compare(string(a.ID), string(b.ID)) })
	var relevant []cluster.Unit
	for _, u := range snap.UnitNames() {
		s.state[u] = map[cluster.HostID]cluster.Order{}
		for id, pl := range snap.Placed[u] {
			s.state[u][id] = pl.State
		}
		if len(snap.Placed[u]) > 0 || snap.Units[u].Spec.Target != units.Inactive {
			relevant = append(relevant, u)
		}
	}
	s.each(relevant, s.tidy)
	s.orphanStops()
	for _, u := range slices.Sorted(maps.Keys(snap.Destroyed)) {
		if len(snap.Placed[u]) == 0 || snap.Units[u] != nil {
			s.out = append(s.out, fmt.Sprintf("forget %s  ", u))
		}
	}
	var failing, homeless []cluster.Unit
	for _, u := range relevant {
		switch {
		case !s.placeable(u):
		case s.snap.Units[u].Req.Global:
			homeless = append(homeless, u)
		case len(s.live(u)) == 0 && !s.moved[u]:
			homeless = append(homeless, u)
		case len(s.live(u)) == 1 && s.gone(s.live(u)[0]):
			failing = append(failing, u)
		}
	}
	s.each(failing, s.move)
	s.each(homeless, s.place)
	s.rollOut()
	return s.out, s.wait
}

// each visits in order of names, peers of the same list first.
func (s *slow) each(list []cluster.Unit, do func(cluster.Unit)) {
	s.done = map[cluster.Unit]bool{}
	begun := map[cluster.Unit]bool{}
	var visit func(cluster.Unit)
	visit = func(u cluster.Unit) {
		if begun[u] || !slices.Contains(list, u) {
			return
		}
		begun[u] = true
		if head := s.snap.Units[u]; head != nil {
			for _, peer := range head.Req.MachineOf {
				visit(peer)
			}
		}
		do(u)
	}
	for _, u := range list {
		visit(u)
	}
}

func (s *slow) say(kind string, u cluster.Unit, h *cluster.Host, from string) {
	s.out = append(s.out, fmt.Sprintf("%s %s %s %s", kind, u, h.ID.Short(), from))
	s.acted[u] = append(s.acted[u], h)
}

func (s *slow) waits(u cluster.Unit) { s.wait = append(s.wait, string(u)) }

func (s *slow) placeable(u cluster.Unit) bool {
	head := s.snap.Units[u]
	return head != nil && head.Spec.Target != units.Inactive && head.Bad == "" && !u.IsTemplate() && !s.unreadable(u)
}

func (s *slow) unreadable(u cluster.Unit) bool {
	for _, h := range s.hosts {
		if pl := h.Placed[u]; pl != nil && pl.Bad != "" {
			return true
		}
	}
	return false
}

func (s *slow) live(u cluster.Unit) []*cluster.Host {
	var out []*cluster.Host
	for _, h := range s.hosts {
		if st := s.state[u][h.ID]; st != 0 && st != cluster.Gone {
			out = append(out, h)
		}
	}
	return out
}

func (s *slow) isLive(u cluster.Unit, h *cluster.Host) bool { return slices.Contains(s.live(u), h) }

func ready(h *cluster.Host) bool {
	return h.Alive != nil && h.Info != nil && h.Info.Boot == h.Alive.Boot
}

// due: the absence may be believed.
func (s *slow) due(h *cluster.Host) bool {
	if h.Alive != nil {
		return false
	}
	if h.Spec.Removed != nil {
		return true
	}
	if h.AbsentRev != 0 && !h.Absent.Before(s.snap.Watched) {
		return s.now.Sub(s.firstWith(h.Absent)) >= 2*time.Second
	}
	return s.now.Sub(s.snap.Watched) >= 10*time.Second && (h.Absent.IsZero() || s.now.Sub(h.Absent) >= 10*time.Second)
}

// firstWith is when the first of those went that are judged with a host that went then:
// the latest one that began an event of four seconds.
func (s *slow) firstWith(absent time.Time) time.Time {
	var first time.Time
	for {
		next := time.Time{}
		for _, h := range s.hosts {
			if h.Alive != nil || h.AbsentRev == 0 || h.Absent.Before(s.snap.Watched) || h.Absent.After(absent) {
				continue
			}
			if after := first.IsZero() || h.Absent.Sub(first) > 4*time.Second; after && (next.IsZero() || h.Absent.Before(next)) {
				next = h.Absent
			}
		}
		if next.IsZero() {
			return first
		}
		first = next
	}
}

func (s *slow) resumed(h *cluster.Host) bool {
	if h.AbsentRev == 0 {
		return s.snap.Resumed > s.snap.Loaded
	}
	return s.snap.Resumed > h.AbsentRev
}

func (s *slow) gone(h *cluster.Host) bool {
	if !s.due(h) {
		return false
	}
	if h.Spec.Removed != nil || s.resumed(h) {
		return true
	}
	absent, known := 0, 0
	for _, x := range s.hosts {
		if x.Spec.Removed != nil || x.Alive == nil && (x.Info == nil || s.resumed(x)) {
			continue
		}
		known++
		if x.Alive == nil {
			absent++
		}
	}
	return absent < 2 || absent*3 <= known
}

func (s *slow) isAcked(u cluster.Unit, h *cluster.Host) bool {
	if s.snap.Placed[u][h.ID] == nil || s.snap.Placed[u][h.ID].State != cluster.Gone {
		return false
	}
	st, ok := h.StatusOf(u)
	return ok && st.Order == cluster.Gone && st.Generation >= s.snap.Placed[u][h.ID].Generation ||
		h.Spec.Removed != nil && h.Alive == nil
}

func (s *slow) forgetAcked(u cluster.Unit, except *cluster.Host) {
	for _, id := range s.acked[u] {
		if h := s.snap.Hosts[id]; h != except && s.state[u][id] == 0 {
			s.say("forget", u, h, "")
		}
	}
	s.acked[u] = nil
}

func (s *slow) end(u cluster.Unit, h *cluster.Host) {
	if h.Spec.Removed != nil && h.Alive == nil {
		delete(s.state[u], h.ID)
		s.say("forget", u, h, "")
		return
	}
	s.state[u][h.ID] = cluster.Gone
	s.say("stop", u, h, "")
}

func (s *slow) tidy(u cluster.Unit) {
	if s.unreadable(u) {
		s.waits(u)
		return
	}
	head := s.snap.Units[u]
	for _, h := range s.hosts {
		if s.isAcked(u, h) {
			delete(s.state[u], h.ID)
			s.acked[u] = append(s.acked[u], h.ID)
		}
	}
	switch {
	case head == nil && s.snap.Destroyed[u] == 0:
		if len(s.live(u)) > 0 {
			s.waits(u)
		}
		s.forgetAcked(u, nil)
	case head == nil || head.Spec.Target == units.Inactive:
		for _, h := range s.hosts {
			if s.isLive(u, h) {
				s.end(u, h)
			}
			if s.state[u][h.ID] == cluster.Gone && h.Alive == nil {
				s.waits(u)
			}
		}
		s.forgetAcked(u, nil)
	case !s.placeable(u):
		s.waits(u)
		s.forgetAcked(u, nil)
	case head.Req.Global:
		s.tidyGlobal(head)
	default:
		s.tidySingle(head)
	}
}

func (s *slow) tidyGlobal(head *cluster.UnitHead) {
	u := head.Name
	for _, h := range s.live(u) {
		switch {
		case h.Spec.Removed != nil:
			s.end(u, h)
		case s.broken(head, h):
			s.end(u, h)
		case s.differs(head, h):
			s.update(head, h)
		}
	}
}

func (s *slow) tidySingle(head *cluster.UnitHead) {
	u := head.Name
	live := s.live(u)
	if len(live) == 0 {
		return
	}
	best := live[0]
	for _, h := range live[1:] {
		a, b := h.Alive != nil, best.Alive != nil
		if a && !b || a == b && h.Placed[u].Generation > best.Placed[u].Generation {
			best = h
		}
	}
	for _, h := range live {
		if h != best {
			s.end(u, h)
		}
	}
	switch {
	case s.gone(best):
		return
	case best.Spec.Removed != nil, best.Alive != nil && s.broken(head, best):
		s.end(u, best)
		s.moved[u] = true
		s.waits(u)
	default:
		if best.Alive == nil {
			s.waits(u)
		}
		if s.differs(head, best) {
			s.update(head, best)
		}
	}
	s.forgetAcked(u, nil)
}

func (s *slow) differs(head *cluster.UnitHead, h *cluster.Host) bool {
	pl := h.Placed[head.Name]
	want, within := cluster.Launched, time.Duration(0)
	if head.Spec.Target == units.Loaded {
		want = cluster.Loaded
	}
	if head.Req.Fence {
		within = 3 * time.Second
	}
	return pl.State != want || pl.Blob != head.Spec.Blob || pl.Run != head.Spec.Run || pl.Restart != head.Spec.Restart ||
		pl.Fence != head.Req.Fence || pl.StopWithin != within
}

func (s *slow) matches(head *cluster.UnitHead, h *cluster.Host) bool {
	id := head.Req.MachineID
	if id != "" && !strings.HasPrefix(string(h.ID), id) {
		return false
	}
	return head.Req.MatchMetadata(h.Labels())
}

func (s *slow) broken(head *cluster.UnitHead, h *cluster.Host) bool {
	if !ready(h) {
		return false
	}
	if !s.matches(head, h) {
		return true
	}
	for _, peer := range head.Req.MachineOf {
		elsewhere := false
		for _, x := range s.live(peer) {
			elsewhere = elsewhere || x.Alive != nil
		}
		if s.moved[peer] || !s.isLive(peer, h) && elsewhere {
			return true
		}
	}
	for v, at := range s.state {
		st := at[h.ID]
		if st == 0 || st == cluster.Gone || !head.Req.ConflictsWith(head.Name, v) {
			continue
		}
		other := s.snap.Units[v]
		if other != nil && other.Req.ConflictsWith(v, head.Name) {
			mine, theirs := h.Placed[head.Name].Generation, h.Placed[v].Generation
			if theirs > mine || theirs == mine && v > head.Name {
				continue
			}
		}
		return true
	}
	for v, other := range s.snap.Units {
		if s.isLive(v, h) && s.replaces(other, head) {
			return true
		}
	}
	return false
}

func (s *slow) fits(head *cluster.UnitHead, h *cluster.Host, keeps bool) bool {
	if !s.fitsAlone(head, h, keeps) {
		return false
	}
	for v, at := range s.state {
		if at[h.ID] == 0 || v == head.Name {
			continue
		}
		other := s.snap.Units[v]
		if head.Req.ConflictsWith(head.Name, v) || other != nil && other.Req.ConflictsWith(v, head.Name) {
			return false
		}
		if other != nil && s.replaces(other, head) {
			return false
		}
	}
	return s.hasRoom(head, h) && s.isEven(head, h)
}

func (s *slow) isOrphan(u cluster.Unit, h *cluster.Host) bool {
	st, ok := h.StatusOf(u)
	return ok && st.Orphan && s.state[u][h.ID] == 0
}

func (s *slow) orphanStops() {
	for _, h := range s.hosts {
		for _, u := range slices.Sorted(func(yield func(cluster.Unit) bool) {
			for w := range s.snap.OrphanStops {
				if w.Host == h.ID && !yield(w.Unit) {
					return
				}
			}
		}) {
			if s.isOrphan(u, h) {
				if s.state[u] == nil {
					s.state[u] = map[cluster.HostID]cluster.Order{}
				}
				s.state[u][h.ID] = cluster.Gone
				s.say("stop", u, h, "")
			} else if s.noOrphan(u, h) {
				s.say("forget", u, h, "")
			}
		}
	}
}

// noOrphan says that it is known that no orphan of the unit is on the host.
func (s *slow) noOrphan(u cluster.Unit, h *cluster.Host) bool {
	if h.Spec.Removed != nil && h.Alive == nil {
		return true
	}
	pl := h.Placed[u]
	stopped := s.state[u][h.ID] == cluster.Gone && (pl == nil || pl.State != cluster.Gone)
	if !ready(h) || stopped || pl != nil && pl.Bad != "" {
		return false
	}
	st := h.Status[u]
	return st == nil || st.Boot == h.Alive.Boot && !st.Unordered(pl != nil)
}

func (s *slow) count(h *cluster.Host) int {
	n := 0
	for _, at := range s.state {
		if at[h.ID] != 0 {
			n++
		}
	}
	return n
}

// choose answers nil when the unit has to wait.
func (s *slow) choose(head *cluster.UnitHead) *cluster.Host {
	u := head.Name
	for _, peer := range head.Req.MachineOf {
		if len(s.live(peer)) == 0 {
			return nil
		}
	}
	var orphans, stopping []*cluster.Host
	for _, h := range s.hosts {
		if s.isOrphan(u, h) {
			orphans = append(orphans, h)
		}
		if s.state[u][h.ID] == cluster.Gone {
			if h.Alive == nil && !s.due(h) {
				return nil
			}
			if h.Alive != nil {
				stopping = append(stopping, h)
			}
		}
	}
	if len(stopping) > 0 {
		h := stopping[0]
		if len(stopping) > 1 || len(orphans) > 0 || h.Placed[u] == nil || !s.fits(head, h, false) {
			return nil
		}
		return h
	}
	if len(orphans) > 0 {
		if len(orphans) > 1 && head.Req.Fence {
			return nil
		}
		for _, h := range orphans {
			if s.fits(head, h, true) {
				return h
			}
		}
		return nil
	}
	return s.best(head)
}

func (s *slow) best(head *cluster.UnitHead) *cluster.Host {
	u := head.Name
	var last *cluster.Host
	for _, id := range s.acked[u] {
		h := s.snap.Hosts[id]
		if s.fits(head, h, false) && (last == nil || h.Placed[u].Generation > last.Placed[u].Generation) {
			last = h
		}
	}
	if last != nil {
		return last
	}
	for _, h := range s.hosts {
		for v, other := range s.snap.Units {
			placed := len(s.snap.Placed[v]) > 0 || other.Spec.Target != units.Inactive
			if placed && slices.Contains(other.Req.MachineOf, u) && s.isLive(v, h) && s.fits(head, h, false) {
				return h
			}
		}
	}
	known := 0
	for _, h := range s.hosts {
		if head.Req.MachineID != "" && s.matches(&cluster.UnitHead{Req: units.Requirements{MachineID: head.Req.MachineID}}, h) &&
			(h.Info != nil || h.Alive != nil) && h.Spec.Removed == nil {
			known++
		}
	}
	if known > 1 && len(head.Req.MachineOf) == 0 {
		return nil
	}
	var best *cluster.Host
	for _, h := range s.hosts {
		if s.fits(head, h, false) && (best == nil || slices.Compare(s.rank(head, h), s.rank(head, best)) < 0) {
			best = h
		}
	}
	return best
}

func (s *slow) move(u cluster.Unit) {
	head, from := s.snap.Units[u], s.live(u)[0]
	to := s.choose(head)
	if to == nil {
		s.waits(u)
		s.forgetAcked(u, nil)
		return
	}
	s.state[u][from.ID] = cluster.Gone
	if from.Spec.Removed != nil {
		delete(s.state[u], from.ID)
	}
	s.state[u][to.ID] = cluster.Launched
	s.say("move", u, to, from.ID.Short())
	s.forgetAcked(u, to)
}

func (s *slow) place(u cluster.Unit) {
	head := s.snap.Units[u]
	if head.Req.Global {
		s.placeGlobal(head)
		return
	}
	to := s.choose(head)
	if to == nil {
		s.waits(u)
	} else {
		kind := "place"
		if s.isOrphan(u, to) {
			kind = "adopt"
		}
		s.state[u][to.ID] = cluster.Launched
		s.say(kind, u, to, "")
	}
	s.forgetAcked(u, to)
}

func (s *slow) placeGlobal(head *cluster.UnitHead) {
	u := head.Name
	clash := false
	for _, h := range s.hosts {
		if h.Spec.Removed != nil || h.Info == nil && h.Alive == nil || s.isLive(u, h) {
			continue
		}
		orphan := s.isOrphan(u, h)
		stopped := s.state[u][h.ID] == cluster.Gone && (h.Placed[u] == nil || h.Placed[u].State != cluster.Gone)
		if !s.fits(head, h, orphan) {
			clash = clash || s.fitsAlone(head, h, orphan)
			continue
		}
		if stopped {
			continue
		}
		s.state[u][h.ID] = cluster.Launched
		if orphan {
			s.say("adopt", u, h, "")
		} else {
			s.say("place", u, h, "")
		}
	}
	inService := 0
	for _, h := range s.live(u) {
		if h.Spec.Removed == nil && (h.Info != nil || h.Alive != nil) {
			inService++
		}
	}
	if inService == 0 || clash {
		s.waits(u)
	}
	s.forgetAcked(u, nil)
}

var worlds = flag.Int("worlds", 0, "random clusters for the slow twin, 0 for its own number")

// TestSlowTwin compares both planners on random clusters that live for a while.
func TestSlowTwin(t *testing.T) {
	cases := 1500
	switch {
	case *worlds > 0:
		cases = *worlds
	case testing.Short():
		cases = 400
	}
	for seed := range cases {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		w := randomWorld(t, r)
		for step := range 8 {
			if err := compare(w); err != nil {
				t.Fatalf("seed %d, step %d: %v\n%s", seed, step, err, w.dump())
			}
			w.step()
			if err := w.check(); err != nil {
				t.Fatalf("seed %d, step %d, after the plan: %v\n%s", seed, step, err, w.dump())
			}
			w.disturb(r)
		}
		w.mustSettle(seed)
	}
}

func compare(w *world) error {
	res := w.plan()
	var got, waiting []string
	for _, d := range res.Decisions {
		got = append(got, fmt.Sprintf("%s %s %s %s", d.Kind, d.Unit, d.Host.Short(), d.From.Short()))
	}
	for _, x := range res.Waiting {
		waiting = append(waiting, string(x.Unit))
	}
	want, wantWaiting := slowPlan(w.snap, w.opt, w.now)
	slices.Sort(wantWaiting)
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("decisions (-slow +fast):\n%s", diff)
	}
	if diff := cmp.Diff(wantWaiting, waiting); diff != "" {
		return fmt.Errorf("waiting (-slow +fast):\n%s", diff)
	}
	return nil
}

// mustSettle lets everything come to rest: agents obey, nobody disturbs.
func (w *world) mustSettle(seed int) {
	for range 12 {
		w.now = w.now.Add(20 * time.Second)
		res := w.step()
		if len(res.Decisions) == 0 {
			return
		}
		w.obeyAll()
	}
	w.t.Fatalf("seed %d: still deciding after 12 rounds: %s\n%s", seed, w.print(w.plan()), w.dump())
}
