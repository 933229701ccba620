package fake

import (
	"context"
	"fmt"
	"slices"

	"flotilla/agent/systemd"
)

// job is what a unit is to do; a unit has at most one.
type job struct {
	u       *unit
	verb    systemd.Verb
	by      string
	phase   systemd.Verb // Start or Stop: a restart is a stop, then a start
	running bool
	waits   []chan string // each of capacity one; closed when nobody will answer
}

func (j *job) leave() {
	for _, w := range j.waits {
		close(w)
	}
	j.waits = nil
}

// Start starts a unit and waits for the job's end.
func (h *Host) Start(ctx context.Context, name string) (string, error) {
	return h.one(ctx, systemd.Job{Name: name, Verb: systemd.Start})
}

// Stop stops a unit and waits for the job's end.
func (h *Host) Stop(ctx context.Context, name string) (string, error) {
	return h.one(ctx, systemd.Job{Name: name, Verb: systemd.Stop})
}

// Restart restarts a unit in one job and waits for its end.
func (h *Host) Restart(ctx context.Context, name string) (string, error) {
	return h.one(ctx, systemd.Job{Name: name, Verb: systemd.Restart})
}

func (h *Host) one(ctx context.Context, j systemd.Job) (string, error) {
	r := h.Jobs(ctx, []systemd.Job{j})[0]
	return r.Outcome, r.Err
}

// Jobs enqueues all jobs, then waits for all. When ctx ends the wait ends, not the jobs.
func (h *Host) Jobs(ctx context.Context, jobs []systemd.Job) []systemd.Result {
	results := make([]systemd.Result, len(jobs))
	waits := make([]chan string, len(jobs))
	h.mu.Lock()
	for i, j := range jobs {
		results[i].Job = j
		wait, err := h.ask(j)
		if err != nil {
			results[i].Err = fmt.Errorf("%s %s: %w", j.Verb, j.Name, err)
			continue
		}
		waits[i] = wait
	}
	h.settle()
	h.mu.Unlock()
	for i, wait := range waits {
		if wait == nil {
			continue
		}
		outcome, err := await(ctx, wait)
		if err != nil {
			results[i].Err = fmt.Errorf("%s %s: %w", jobs[i].Verb, jobs[i].Name, err)
			continue
		}
		results[i].Outcome = outcome
	}
	return results
}

func await(ctx context.Context, wait <-chan string) (string, error) {
	select { // an outcome that is there wins over a context that ended
	case outcome, ok := <-wait:
		return answer(outcome, ok)
	default:
	}
	select {
	case outcome, ok := <-wait:
		return answer(outcome, ok)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func answer(outcome string, ok bool) (string, error) {
	if !ok {
		return "", systemd.ErrDisconnected
	}
	return outcome, nil
}

// ask takes in a job from outside.
func (h *Host) ask(j systemd.Job) (chan string, error) {
	if err := h.reachable(); err != nil {
		return nil, err
	}
	wait := make(chan string, 1)
	switch j.Verb {
	case systemd.Start:
		h.counts.Start++
	case systemd.Stop:
		h.counts.Stop++
		if h.units[j.Name] == nil {
			wait <- systemd.Done
			return wait, nil
		}
	case systemd.Restart:
		h.counts.Restart++
	default:
		return nil, fmt.Errorf("unknown verb %q", j.Verb)
	}
	queued, err := h.enqueue(j.Name, j.Verb, "call")
	if err != nil {
		return nil, err
	}
	queued.waits = append(queued.waits, wait)
	return wait, nil
}

// enqueue gives a unit a job, in mode "replace", and what the job pulls in.
func (h *Host) enqueue(name string, verb systemd.Verb, by string) (*job, error) {
	if verb != systemd.Stop {
		if err := h.startable(name); err != nil {
			return nil, err
		}
	}
	u := h.unit(name)
	if old := u.job; old != nil {
		if verb == old.verb || verb == systemd.Start && old.verb == systemd.Restart {
			return old, nil
		}
		if verb == systemd.Restart && old.verb == systemd.Start && !old.running {
			old.verb, old.phase = verb, systemd.Stop
			return old, nil
		}
		h.finish(old, systemd.Canceled)
		h.units[name] = u
	}
	j := &job{u: u, verb: verb, by: by, phase: verb}
	if verb == systemd.Restart {
		j.phase = systemd.Stop
	}
	u.job = j
	if verb == systemd.Start || verb == systemd.Restart {
		h.pull(u, verb)
	}
	if verb != systemd.Start && u.up() {
		for _, dependent := range h.index.naming(name, requires, requisite, partOf) {
			if d := h.units[dependent]; d != nil && (d.up() || d.job != nil && d.job.verb != systemd.Stop) && (d.job == nil || d.job.verb != verb) {
				_, _ = h.enqueue(dependent, verb, "dependency") // a definition that is gone can only be stopped
			}
		}
	}
	h.ready = append(h.ready, func() { h.check(j) })
	return j, nil
}

// startable says why systemd would refuse to enqueue a start.
func (h *Host) startable(name string) error {
	d := h.defs[name]
	if d == nil {
		return fmt.Errorf("%w: Unit %s not found", systemd.ErrNoSuchUnit, name)
	}
	if d.bad {
		return fmt.Errorf("%w: Unit %s has a bad unit file setting", systemd.ErrBadUnit, name)
	}
	for _, needed := range d.requires {
		if h.defs[needed] == nil && (h.units[needed] == nil || !h.units[needed].up()) {
			return fmt.Errorf("%w: Unit %s not found", systemd.ErrNoSuchUnit, needed)
		}
	}
	return nil
}

// pull enqueues what a start needs and what it conflicts with.
func (h *Host) pull(u *unit, verb systemd.Verb) {
	for _, needed := range slices.Concat(u.def.requires, u.def.wants) {
		if h.defs[needed] == nil {
			continue
		}
		if n := h.units[needed]; n == nil || !n.up() && n.job == nil {
			_, _ = h.enqueue(needed, systemd.Start, "dependency") // Wants= allows failure; a failed Requires= ends our job
		}
	}
	for _, other := range slices.Concat(u.def.conflicts, h.index.naming(u.name, conflicts)) {
		if o := h.units[other]; o != nil && (o.up() || o.job != nil && o.job.verb != systemd.Stop) {
			_, _ = h.enqueue(other, systemd.Stop, "conflict")
		}
	}
}

// check runs a job if no job must go before it.
func (h *Host) check(j *job) {
	if j.u.job != j || j.running || h.blocked(j) {
		return
	}
	j.running = true
	if j.phase == systemd.Stop {
		h.runStop(j)
		return
	}
	h.runStart(j)
}

// blocked says whether a neighbour in the ordering has a job that goes first:
// stops before starts; starts in order, stops in reverse.
func (h *Host) blocked(j *job) bool {
	u := j.u
	for _, name := range h.earlier(u) {
		if v := h.units[name]; v != nil && v != u && v.job != nil && j.phase == systemd.Start {
			return true
		}
	}
	for _, name := range h.later(u) {
		if v := h.units[name]; v != nil && v != u && v.job != nil && v.job.phase == systemd.Stop && v.up() {
			return true
		}
	}
	return false
}

// earlier are the units that belong before u; later those that belong after it.
func (h *Host) earlier(u *unit) []string {
	names := h.index.naming(u.name, before)
	if u.def != nil {
		names = append(names, u.def.after...)
	}
	return names
}

func (h *Host) later(u *unit) []string {
	names := h.index.naming(u.name, after)
	if u.def != nil {
		names = append(names, u.def.before...)
	}
	return names
}

// finish ends a job, tells those who wait, and lets the neighbours go on.
func (h *Host) finish(j *job, outcome string) {
	u := j.u
	if u.job != j {
		return
	}
	u.job = nil
	for _, w := range j.waits {
		w <- outcome
	}
	j.waits = nil
	h.tell(u.name)
	h.wakeNeighbours(u)
	if j.verb != systemd.Stop && outcome != systemd.Done && outcome != systemd.Canceled {
		for _, dependent := range h.index.naming(u.name, requires) {
			d := h.units[dependent]
			if d != nil && d.job != nil && d.job.phase == systemd.Start && !d.job.running {
				h.finish(d.job, systemd.Dependency)
			}
		}
	}
	h.collect(u)
}

func (h *Host) wakeNeighbours(u *unit) {
	for _, name := range slices.Concat(h.earlier(u), h.later(u)) {
		if v := h.units[name]; v != nil && v.job != nil && !v.job.running {
			waiting := v.job
			h.ready = append(h.ready, func() { h.check(waiting) })
		}
	}
}
