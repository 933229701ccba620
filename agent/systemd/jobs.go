package systemd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// proof is how often we ask whether a job that we wait for still exists: the
// signal of its end can be lost when systemd executes itself anew.
const proof = 10 * time.Second

// Start, Stop and Restart are Jobs with one job.

// Start starts a unit and waits for the job's end.
func (m *Manager) Start(ctx context.Context, name string) (string, error) {
	return m.one(ctx, Job{name, Start})
}

// Stop stops a unit and waits for the job's end. A unit that systemd does not know is stopped.
func (m *Manager) Stop(ctx context.Context, name string) (string, error) {
	return m.one(ctx, Job{name, Stop})
}

// Restart stops and starts a unit in one job and waits for its end. It starts a unit that does not run.
func (m *Manager) Restart(ctx context.Context, name string) (string, error) {
	return m.one(ctx, Job{name, Restart})
}

func (m *Manager) one(ctx context.Context, job Job) (string, error) {
	r := m.Jobs(ctx, []Job{job})[0]
	return r.Outcome, r.Err
}

// Jobs enqueues all jobs in the given order without waiting in between, so that
// systemd sees them together and orders them by After= and Before=, then waits
// for all. Results stand in the order of the jobs. When ctx ends the wait ends,
// not the jobs. (systemd takes them one by one: a job may already run when a
// unit that belongs before it is enqueued. What must be ordered needs
// Requires= or Wants= beside After=, or its place in the slice.)
func (m *Manager) Jobs(ctx context.Context, jobs []Job) []Result {
	results := make([]Result, len(jobs))
	for i, job := range jobs {
		results[i].Job = job
	}
	b, err := m.bus(ctx)
	if err != nil {
		for i := range results {
			results[i].Err = fmt.Errorf("%s %s: %w", jobs[i].Verb, jobs[i].Name, err)
		}
		return results
	}
	b.waiters.begin()
	defer b.waiters.end()
	waits := b.enqueue(ctx, results)
	for i := range results {
		if waits[i] == nil {
			continue
		}
		outcome, err := b.await(ctx, waits[i])
		if err != nil {
			results[i].Err = fmt.Errorf("%s %s: %w", jobs[i].Verb, jobs[i].Name, err)
			continue
		}
		results[i].Outcome = outcome
	}
	return results
}

// enqueue sends every job and returns what to wait for; nil where the result stands.
func (b *bus) enqueue(ctx context.Context, results []Result) []*wait {
	waits := make([]*wait, len(results))
	requests := make([]request, len(results))
	for i := range results {
		r := &results[i]
		requests[i] = request{rootPath, managerFace + "." + method(r.Verb), []any{r.Name, "replace"}, func(call *dbus.Call) {
			var path dbus.ObjectPath
			err := call.Store(&path)
			switch {
			case err == nil:
				waits[i] = b.waiters.add(path)
			case r.Verb == Stop && isNoSuchUnit(translate(err)):
				r.Outcome = Done
			default:
				r.Err = fmt.Errorf("%s %s: %w", r.Verb, r.Name, translate(err))
			}
		}}
	}
	b.pipeline(ctx, requests)
	return waits
}

func method(v Verb) string {
	switch v {
	case Start:
		return "StartUnit"
	case Stop:
		return "StopUnit"
	case Restart:
		return "RestartUnit"
	}
	return string(v) + "Unit" // systemd's answer names the verb that it does not know
}

// await waits for the end of one job.
func (b *bus) await(ctx context.Context, w *wait) (string, error) {
	ticker := time.NewTicker(proof)
	defer ticker.Stop()
	gone := false
	for {
		select {
		case outcome, ok := <-w.outcome:
			if !ok {
				return "", ErrDisconnected
			}
			return outcome, nil
		case <-ctx.Done():
			return "", ctx.Err()
		case <-ticker.C:
		}
		if gone {
			return "", ErrJobUnseen
		}
		gone = !b.exists(ctx, w.path) // the signal may be under way: one more round
	}
}

func (b *bus) exists(ctx context.Context, job dbus.ObjectPath) bool {
	call := b.conn.Object(service, job).CallWithContext(ctx, propsFace+".Get", 0, service+".Job", "State")
	var said dbus.Error
	return !errors.As(call.Err, &said) || said.Name != "org.freedesktop.DBus.Error.UnknownObject"
}

func isNoSuchUnit(err error) bool { return errors.Is(err, ErrNoSuchUnit) }

// wait is for the end of one job.
type wait struct {
	path    dbus.ObjectPath
	outcome chan string // capacity one; closed without a value if the connection ends
}

// waiters match ends of jobs with those who wait. A job may end before the
// reply that names it was read; such ends are kept while anybody enqueues.
type waiters struct {
	mu    sync.Mutex
	users int
	over  bool
	waits map[dbus.ObjectPath][]*wait
	early map[dbus.ObjectPath]string
}

func newWaiters() *waiters {
	return &waiters{waits: map[dbus.ObjectPath][]*wait{}, early: map[dbus.ObjectPath]string{}}
}

func (w *waiters) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users++
}

func (w *waiters) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users--
	if w.users == 0 {
		clear(w.early)
		clear(w.waits)
	}
}

func (w *waiters) add(path dbus.ObjectPath) *wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &wait{path, make(chan string, 1)}
	outcome, ended := w.early[path]
	switch {
	case ended:
		one.outcome <- outcome
	case w.over:
		close(one.outcome)
	default:
		w.waits[path] = append(w.waits[path], one)
	}
	return one
}

func (w *waiters) ended(path dbus.ObjectPath, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users == 0 {
		return
	}
	w.early[path] = outcome
	for _, one := range w.waits[path] {
		one.outcome <- outcome
	}
	delete(w.waits, path)
}

// abandon ends all waits: no signal will come any more.
func (w *waiters) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	for _, waits := range w.waits {
		for _, one := range waits {
			close(one.outcome)
		}
	}
	clear(w.waits)
}
