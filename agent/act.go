package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
)

// headStart is how long starts wait for stops of the same pass: what moved away gives
// up its ports first if it can do so at once, and a slow stop delays nobody.
const headStart = 250 * time.Millisecond

// flight is a job whose end is not known yet.
type flight struct {
	verb   Kind
	number int64
}

// landing is the end of a job.
type landing struct {
	JobResult
	number int64
}

// backoff says when an action that went wrong is tried again.
type backoff struct {
	until time.Time
	wait  time.Duration
	why   string
}

// later puts off the next try. The empty unit stands for the whole pass.
func (a *Agent) later(name cluster.Unit, now time.Time) {
	b := a.retries[name]
	if b == nil {
		b = &backoff{wait: firstRetry}
		a.retries[name] = b
	}
	b.until = now.Add(b.wait)
	b.wait = min(2*b.wait, time.Minute)
}

func (a *Agent) succeed(name cluster.Unit) { delete(a.retries, name) }

// failed notes that an action went wrong.
func (a *Agent) failed(k Kind, name cluster.Unit, err error) {
	a.metrics.failures.WithLabelValues(k.String()).Inc()
	a.log.Warn("cannot "+k.String()+", trying again", "unit", name, "err", err)
	a.later(name, time.Now())
	a.retries[name].why = fmt.Sprintf("cannot %s: %v", k, err)
}

// act carries actions out in their order. Jobs run on in goroutines of their own. An
// error is one that a test asked for; what went wrong is noted and tried again.
func (a *Agent) act(ctx context.Context, want Want, actions []Action) error {
	of := map[Kind][]Action{}
	for _, x := range actions {
		of[x.Kind] = append(of[x.Kind], x)
	}
	for _, x := range of[Refuse] {
		a.said[x.Unit] = x.Reason
	}
	stopped, err := a.launch(ctx, want, of[Stop])
	if err != nil {
		return err
	}
	if err := a.fetch(ctx, want, of[Pull]); err != nil {
		return err
	}
	failed, fresh := map[cluster.Unit]bool{}, a.fresh(want, of)
	if err := a.change(want, append(of[Remove], of[Write]...), failed); err != nil {
		return err
	}
	reloaded := fresh && len(failed) == 0 && a.noticed(ctx, of[Write])
	if !reloaded {
		if reloaded, err = a.reload(ctx, of[Reload], len(of[Remove])+len(of[Write]) > 0); err != nil {
			return err
		}
	}
	if !reloaded {
		delete(of, Record) // it would claim what systemd does not know yet
	}
	if err := a.note(want, of, failed); err != nil || !reloaded {
		return err
	}
	if err := a.forgive(ctx, of[ResetFailed], failed); err != nil {
		return err
	}
	starts := dropFailed(append(of[Start], of[Restart]...), failed)
	if len(starts) > 0 {
		await(ctx, stopped)
	}
	_, err = a.launch(ctx, want, starts)
	return err
}

func dropFailed(actions []Action, failed map[cluster.Unit]bool) []Action {
	var out []Action
	for _, x := range actions {
		if !failed[x.Unit] {
			out = append(out, x)
		}
	}
	return out
}

// await gives stops their head start.
func await(ctx context.Context, stopped <-chan struct{}) {
	t := time.NewTimer(headStart)
	defer t.Stop()
	select {
	case <-stopped:
	case <-t.C:
	case <-ctx.Done():
	}
}

// change removes and writes files.
func (a *Agent) change(want Want, actions []Action, failed map[cluster.Unit]bool) error {
	for _, x := range actions {
		if err := a.step(x.Kind.String()); err != nil {
			return err
		}
		a.owesLoad = true
		a.dirty[x.Unit] = true
		var err error
		if x.Kind == Remove {
			err = a.remove(x.Unit)
		} else {
			err = a.write(x.Unit, want.Units[x.Unit])
		}
		if errors.Is(err, errStep) {
			return err
		}
		if err != nil {
			failed[x.Unit], a.stale = true, true
			a.failed(x.Kind, x.Unit, err)
			continue
		}
		a.did(x)
	}
	return nil
}

// errStep marks an error that a test asked for.
var errStep = errors.New("stopped by a test")

func (a *Agent) remove(name cluster.Unit) error {
	if err := a.doors.Files.Remove(string(name)); err != nil {
		return err
	}
	delete(a.files, name)
	return nil
}

// write puts our drop-in in place, then the user's and last the file, so that the file is never there
// without its mark.
func (a *Agent) write(name cluster.Unit, w Wanted) error {
	raw, err := a.keeper.content(w.Blob)
	if err != nil {
		return err
	}
	dropIns, err := a.keeper.dropIns(w.DropIns)
	if err != nil {
		return err
	}
	if _, ours := a.files[name]; !ours { // a death may have left drop-ins without a file
		if err := a.doors.Files.Remove(string(name)); err != nil {
			return err
		}
	}
	if err := a.doors.Files.WriteDropIn(string(name), DropInName, w.DropIn); err != nil {
		return err
	}
	if err := a.writeDropIns(name, dropIns); err != nil {
		return err
	}
	if err := a.step("write file"); err != nil {
		return err
	}
	if err := a.doors.Files.Write(string(name), raw); err != nil {
		return err
	}
	a.files[name] = UnitFile{Unit: name, Blob: w.Blob, DropIn: w.DropIn, DropIns: dropIns, bundle: w.DropIns}
	return nil
}

// note keeps the applied records.
func (a *Agent) note(want Want, of map[Kind][]Action, failed map[cluster.Unit]bool) error {
	for _, k := range []Kind{Record, Forget, Acknowledge} {
		for _, x := range dropFailed(of[k], failed) {
			if err := a.step(k.String()); err != nil {
				return err
			}
			if err := a.noteOne(x, want); err != nil {
				a.failed(k, x.Unit, err)
				continue
			}
			a.did(x)
		}
	}
	return nil
}

func (a *Agent) noteOne(x Action, want Want) error {
	w, ordered := want.Units[x.Unit]
	switch {
	case x.Kind == Forget:
		return a.ledger.forget(x.Unit)
	case x.Kind == Acknowledge:
		return a.ledger.acknowledge(x.Unit, a.boot, w.Generation)
	case ordered:
		return a.ledger.set(x.Unit, carriedOut(a.boot, w.Placement))
	}
	orphan := a.ledger.of[x.Unit].settled(a.seen[x.Unit])
	orphan.Boot, orphan.Orphan, orphan.Doing = a.boot, true, 0
	return a.ledger.set(x.Unit, orphan)
}

// forgive resets failures. One that cannot be reset hinders nothing yet: the start says so.
func (a *Agent) forgive(ctx context.Context, actions []Action, failed map[cluster.Unit]bool) error {
	for _, x := range dropFailed(actions, failed) {
		if err := a.step(x.Kind.String()); err != nil {
			return err
		}
		if err := a.doors.Systemd.ResetFailed(ctx, string(x.Unit)); err != nil {
			a.log.Warn("cannot reset a failed unit", "unit", x.Unit, "err", err)
			continue
		}
		a.dirty[x.Unit] = true
		a.did(x)
	}
	return nil
}

// launch writes what it is about to do, then enqueues all jobs together. The channel is
// closed when all have ended.
func (a *Agent) launch(ctx context.Context, want Want, actions []Action) (<-chan struct{}, error) {
	done := make(chan struct{})
	var jobs []Job
	numbers := map[cluster.Unit]int64{}
	for _, x := range actions {
		if err := a.step("intent to " + x.Kind.String()); err != nil {
			return done, err
		}
		if err := a.ledger.set(x.Unit, a.intent(x, want.Units[x.Unit])); err != nil {
			a.failed(x.Kind, x.Unit, err)
			continue
		}
		numbers[x.Unit] = a.flying[x.Unit].number + 1
		jobs = append(jobs, Job{x.Unit, x.Kind})
	}
	if len(jobs) == 0 {
		close(done)
		return done, nil
	}
	if err := a.step("enqueue"); err != nil {
		return done, err
	}
	for _, j := range jobs {
		a.flying[j.Unit] = flight{j.Verb, numbers[j.Unit]}
		a.did(Action{Kind: j.Verb, Unit: j.Unit})
	}
	a.jobs.Go(func() {
		defer close(done)
		a.landAll(a.doors.Systemd.Jobs(ctx, jobs), numbers)
	})
	return done, nil
}

// intent is the record of a job that is about to be enqueued.
func (a *Agent) intent(x Action, w Wanted) Applied {
	r := a.ledger.of[x.Unit].settled(a.seen[x.Unit])
	r.Boot, r.Doing, r.Before, r.Orphan = a.boot, x.Kind, a.seen[x.Unit].Invocation, false
	r.ToRun, r.ToRestart = w.Run, w.Restart
	if x.Kind == Stop {
		r.Launched, r.ToRun, r.ToRestart = false, 0, 0
	}
	return r
}

func (a *Agent) landAll(results []JobResult, numbers map[cluster.Unit]int64) {
	a.mu.Lock()
	for _, r := range results {
		a.landed = append(a.landed, landing{r, numbers[r.Unit]})
	}
	a.mu.Unlock()
	a.wake.ring()
}

// land takes in the ends of jobs.
func (a *Agent) land(ctx context.Context) {
	a.mu.Lock()
	landed := a.landed
	a.landed = nil
	a.mu.Unlock()
	for _, l := range landed {
		if f := a.flying[l.Unit]; f.number != l.number || f.verb == 0 {
			continue // a newer job took its place
		}
		a.flying[l.Unit] = flight{number: l.number}
		a.dirty[l.Unit] = true
		if ctx.Err() == nil {
			a.landOne(l.JobResult)
		}
	}
}

// landOne judges the end of a job. A start that systemd tried is carried out, however
// it ended: the agent restarts nothing of its own accord.
func (a *Agent) landOne(r JobResult) {
	fenced := fencedDropIn(a.files[r.Unit].DropIn)
	switch {
	case r.Err != nil:
		a.failed(r.Verb, r.Unit, r.Err)
		return
	case r.Verb == Stop && r.Outcome != "done", fenced && r.Outcome == "dependency":
		a.failed(r.Verb, r.Unit, fmt.Errorf("its job ended with %q", r.Outcome))
		return
	}
	a.succeed(r.Unit)
	applied := a.ledger.of[r.Unit]
	if r.Verb == Stop || applied.Doing != r.Verb {
		return
	}
	delete(a.refusals, r.Unit)
	switch r.Outcome {
	case "failed", "dependency", "invalid", "assert", "unsupported":
		a.refusals[r.Unit] = refusal{r.Outcome, applied.Before}
	}
	applied.Run, applied.Restart, applied.Launched = applied.ToRun, applied.ToRestart, true
	applied.Doing, applied.Before, applied.ToRun, applied.ToRestart = 0, "", 0, 0
	if err := a.ledger.set(r.Unit, applied); err != nil {
		a.failed(Record, r.Unit, err)
	}
}

// refusal is the outcome of a start, and the unit's invocation before it: a unit that still has it
// was never tried.
type refusal struct{ outcome, before string }

// did counts and logs an action that was carried out.
func (a *Agent) did(x Action) {
	a.metrics.actions.WithLabelValues(x.Kind.String()).Inc()
	switch x.Kind {
	case Record, Forget:
		a.log.Debug(x.Kind.String(), "unit", x.Unit, "reason", x.Reason)
	case Reload:
		a.log.Debug("systemd has read the unit files")
	default:
		a.log.Info(x.Kind.String(), "unit", x.Unit, "reason", x.Reason)
	}
}
