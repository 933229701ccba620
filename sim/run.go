package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Outcome is how a run ended.
type Outcome struct {
	Seed   uint64
	Theme  string
	Broken []string // promises that were broken; empty = all is well
	Trace  string
	Count  map[string]int // what happened how often
}

// Report is what a person needs to see of a run that went wrong.
func (o Outcome) Report() string {
	return fmt.Sprintf("seed %d (%s):\n  %s\ntrace:\n%s", o.Seed, o.Theme, strings.Join(o.Broken, "\n  "), o.Trace)
}

// Run plays one seed in virtual time: call it in a synctest bubble, with a folder for the
// agents' files.
func Run(seed uint64, dir string) (Outcome, error) { return newSchedule(seed).run(dir, seams{}) }

// RunReboots is Run for a seed in which hosts reboot.
func RunReboots(seed uint64, dir string) (Outcome, error) {
	return newRebootSchedule(seed).run(dir, seams{})
}

// Times that a cluster gets after the last fault.
const (
	settleLimit = 4 * time.Minute
	rollLimit   = 40 * time.Minute // with reboots that are still asked for
	quietBefore = time.Minute
	quietFor    = 6 * time.Minute // longer than the agents' safety pass
)

func (s *schedule) run(dir string, defects seams) (Outcome, error) {
	s.opt.Dir, s.opt.seams = dir, defects
	w, err := NewWorld(s.opt)
	if err != nil {
		return Outcome{}, err
	}
	defer w.Close()
	began := time.Now()
	if err := w.Start(); err != nil {
		return Outcome{}, err
	}
	for _, st := range s.steps {
		pauseFor(st.at - time.Since(began))
		if len(w.Judge.Broken()) > 0 {
			return s.outcome(w), nil
		}
		if st.what != "" {
			w.Judge.Note("%s", st.what)
		}
		if err := st.do(w); err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", st.what, err)
		}
	}
	pauseFor(s.end - time.Since(began))
	w.Judge.Note("no more faults")
	if err := w.Heal(); err != nil {
		return Outcome{}, err
	}
	limit := settleLimit
	if s.opt.Reboots != nil {
		limit = rollLimit
		w.disarm()
		w.calm()
	}
	if w.settle(limit) {
		w.checkIdle()
	}
	return s.outcome(w), nil
}

func (s *schedule) outcome(w *World) Outcome {
	return Outcome{Seed: s.opt.Seed, Theme: s.theme.name, Broken: w.Judge.Broken(), Trace: w.Judge.Trace(), Count: w.Judge.Count()}
}

// Heal brings back every host that is off and every daemon that was killed.
func (w *World) Heal() error {
	for _, h := range w.Hosts {
		if h.truth.guest {
			continue
		}
		h.Fuse(0)
		if err := h.Boot(); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until everything is as its user wants it, or says why not.
func (w *World) settle(limit time.Duration) bool {
	for w.later.Load() > 0 { // what faults leave behind ends by itself
		pauseFor(time.Second)
	}
	w.Typed()
	var problems []string
	for began := time.Now(); time.Since(began) < limit; pauseFor(2 * time.Second) {
		if len(w.Judge.Broken()) > 0 {
			return false
		}
		if problems = w.Problems(); len(problems) == 0 {
			w.Judge.Note("settled")
			return true
		}
		if w.opt.Reboots != nil {
			w.checkReasons()
		}
		w.StopOrphans()
	}
	for _, p := range problems {
		w.Judge.Breach("not settled: %s", p)
	}
	return false
}

// checkIdle checks that a cluster with nothing to do writes nothing but keep-alives.
func (w *World) checkIdle() {
	w.Store.SetKind(true)
	pauseFor(quietBefore)
	before := w.Store.Stats()
	pauseFor(quietFor)
	after := w.Store.Stats()
	if n := after.Commits - before.Commits; n != 0 {
		w.Judge.Breach("the idle cluster made %d commits in %s", n, quietFor)
	}
	if n := after.Grants - before.Grants; n != 0 {
		w.Judge.Breach("the idle cluster made %d leases in %s", n, quietFor)
	}
	for _, p := range w.Problems() {
		w.Judge.Breach("idle, and yet: %s", p)
	}
}

// Problems are what is not as users want it and has no reason, sorted.
func (w *World) Problems() []string {
	reasons := map[cluster.Unit]string{}
	leads := w.Leader()
	if leads == nil || leads.process() == nil {
		return []string{"nobody leads"}
	}
	for _, r := range leads.process().loop.Latest().Waiting {
		reasons[r.Unit] = r.Reason
	}
	turns := map[cluster.HostID]string{}
	for _, r := range leads.process().loop.Latest().Reboots {
		turns[r.Host] = fmt.Sprintf("%s: %s", r.Phase, r.Reason)
	}
	w.mu.Lock()
	acked := w.acked
	w.mu.Unlock()
	j := w.Judge
	j.mu.Lock()
	defer j.mu.Unlock()
	v := verdict{j: j, reasons: reasons}
	for u, want := range acked {
		is := j.heads[u]
		switch {
		case want == nil && is != nil:
			v.say("%s was destroyed, acknowledged, and has a head", u)
		case want != nil && (is == nil || !sameHead(is.spec, *want)):
			v.say("%s was acknowledged and its head is another: lost", u)
		}
	}
	for u, h := range j.heads {
		v.unit(u, h)
	}
	for id, f := range j.hosts {
		if why := j.unserved(f); why != "" {
			v.say("%s %s; it is %s", id.Short(), why, turns[id])
		}
	}
	for where, h := range j.places {
		if st := h.last().State; st != 0 && j.heads[where.Unit] == nil && st != cluster.Gone {
			v.say("%s is ordered on %s and has no head", where.Unit, where.Host.Short())
		}
		if h.last().State == cluster.Gone && j.fact(where.Host).alive != 0 {
			v.say("the tombstone of %s on %s stands", where.Unit, where.Host.Short())
		}
	}
	for _, t := range j.machines {
		for u := range t.up {
			v.runs(t, u)
		}
	}
	slices.Sort(v.out)
	return v.out
}

func sameHead(a, b cluster.UnitSpec) bool {
	return a.Blob == b.Blob && a.Target == b.Target && a.Run == b.Run && a.Restart == b.Restart
}

// verdict gathers what is wrong. The judge's lock is held.
type verdict struct {
	j       *Judge
	reasons map[cluster.Unit]string
	out     []string
}

func (v *verdict) say(format string, args ...any) {
	v.out = append(v.out, fmt.Sprintf(format, args...))
}

// unit checks that a unit is where it should be.
func (v *verdict) unit(u cluster.Unit, h *head) {
	at := v.j.live[u]
	switch {
	case h.spec.Target == units.Inactive:
		if len(at) > 0 {
			v.say("%s is to be inactive and is placed", u)
		}
	case h.req.Global:
		for id, f := range v.j.hosts {
			if !at[id] && f.alive != 0 && f.spec.Cordon == nil && f.spec.Drain == nil && f.spec.Removed == nil {
				v.say("%s is global and not on %s", u, id.Short())
			}
		}
	case len(at) == 0:
		if v.reasons[u] == "" {
			v.say("%s is placed nowhere, without a reason", u)
		} else if h.plain() {
			v.say("%s is placed nowhere: %s", u, v.reasons[u])
		}
	case len(at) > 1:
		v.say("%s is placed on %d hosts", u, len(at))
	}
	for id := range at {
		v.placed(u, h, id)
	}
}

// placed checks that a unit is on its host as ordered.
func (v *verdict) placed(u cluster.Unit, h *head, id cluster.HostID) {
	where := cluster.Where{Host: id, Unit: u}
	p, st := v.j.places[where].last(), v.j.acks[where]
	up := false
	for _, t := range v.j.machines {
		up = up || t.id == id && t.up[u] != nil
	}
	switch {
	case v.j.fact(id).alive == 0:
		v.say("%s is placed on %s, which is absent", u, id.Short())
	case p.Blob != h.spec.Blob || p.Run != h.spec.Run || p.Restart != h.spec.Restart || p.runs() != (h.spec.Target == units.Launched):
		v.say("%s on %s is not ordered as its user wants it", u, id.Short())
	case st.Generation < p.Generation || st.Order != p.State:
		v.say("%s on %s: the host reports generation %d, ordered is %d (%s)", u, id.Short(), st.Generation, p.Generation, st.Message)
	case st.Blob != p.Blob:
		v.say("%s on %s has other content than ordered", u, id.Short())
	case p.runs() && !up && !ends(u):
		v.say("%s is launched on %s and does not run: %q", u, id.Short(), st.Message)
	case p.runs() && !up && st.Message == "":
		v.say("%s is launched on %s and does not run, without a reason", u, id.Short())
	case p.runs() && up && st.State.Active != "active" && st.Message == "":
		v.say("%s on %s is reported %s without a reason", u, id.Short(), st.State.Active)
	case !p.runs() && up:
		v.say("%s is loaded on %s and runs", u, id.Short())
	}
}

// runs checks that what runs is ordered to.
func (v *verdict) runs(t *truth, u cluster.Unit) {
	if p := v.j.places[cluster.Where{Host: t.id, Unit: u}].last(); !p.runs() {
		v.say("%s runs on %s, where its order is %s", u, t.name, p.word())
	}
}
