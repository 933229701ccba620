package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// The units of the dead man's switch. While FenceTarget is active fenced units may
// run; FenceFire ends it, and with it all of them. FenceKill ends those that still run when
// the stop budget is spent: several ExecStop= lines, or units that wait for one another, would
// take the budget each.
const (
	FenceTarget = "flotilla-fence.target"
	FenceFire   = "flotilla-fence-fire.service"
	FenceKill   = "flotilla-fence-kill.service"
	fencePrefix = "flotilla-fence"
)

// fenceTargetFile and fenceFireFile are the static units. The switch must never meet
// a start limit.
const (
	fenceTargetFile = `[Unit]
Description=flotilla: this host's lease is confirmed, fenced units may run
`
	fenceFireFile = `[Unit]
Description=flotilla: this host's lease was not confirmed in time, fenced units stop
Conflicts=flotilla-fence.target
Before=flotilla-fence.target
Wants=flotilla-fence-kill.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/true
`
	fenceKillFile = `[Unit]
Description=flotilla: fenced units that take longer to stop than they may are killed
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sleep %s
ExecStart=-/bin/sh -c 'exec systemctl kill --signal=KILL $$(systemctl show --property=ConsistsOf --value flotilla-fence.target)'
`
)

// isFenceUnit reports whether a unit belongs to the switch and is no workload.
func isFenceUnit(name cluster.Unit) bool { return strings.HasPrefix(string(name), fencePrefix) }

// writeFenceUnits puts the static units in place. It says whether a reload is needed.
func writeFenceUnits(files UnitFiles, have map[cluster.Unit]UnitFile, budget time.Duration) (changed bool, err error) {
	kill := fmt.Sprintf(fenceKillFile, strconv.FormatFloat(budget.Seconds(), 'f', -1, 64))
	for name, content := range map[string]string{FenceTarget: fenceTargetFile, FenceFire: fenceFireFile, FenceKill: kill} {
		if f, ok := have[cluster.Unit(name)]; ok && f.Blob == units.HashOf([]byte(content)) {
			continue
		}
		changed = true
		if err := files.WriteDropIn(name, DropInName, []byte("# flotilla: part of the dead man's switch\n")); err != nil {
			return true, fmt.Errorf("write the fence: %w", err)
		}
		if err := files.Write(name, []byte(content)); err != nil {
			return true, fmt.Errorf("write the fence: %w", err)
		}
	}
	return changed, nil
}

// fenceFile is what /run/flotilla/fence.json holds: which timers may be armed, and
// when each fires. A timer's name is there before the timer is.
type fenceFile struct {
	Boot   string  `json:"boot"`
	Number int64   `json:"number"`
	Timers []armed `json:"timers,omitempty"`
	Raised bool    `json:"raised,omitempty"`
}

// armed is one timer and the instant at which it fires, on CLOCK_BOOTTIME.
type armed struct {
	Name string        `json:"name"`
	Fire time.Duration `json:"fire"`
}

// earliest is when the first of the timers fires, and whether there is one. Two are armed
// when the process before died between arming one and stopping the other.
func (f fenceFile) earliest() (time.Duration, bool) {
	if len(f.Timers) == 0 {
		return 0, false
	}
	return slices.MinFunc(f.Timers, func(a, b armed) int { return cmp.Compare(a.Fire, b.Fire) }).Fire, true
}

// fence is the dead man's switch. Each confirmed renewal arms a new timer at an absolute
// instant, then stops the one before: at no moment is none armed while the target is
// active. One goroutine runs it; the others read state and want it.
type fence struct {
	systemd Systemd
	timers  Timers
	clock   Clock
	killer  Killer // nil = no second line
	budget  time.Duration
	path    string
	log     *slog.Logger
	metrics *metrics
	tell    func()

	kick, guardKick bell

	file fenceFile // owned by run

	mu     sync.Mutex
	needed bool
	names  []cluster.Unit // fenced units of this host, sorted
	last   time.Duration  // newest confirmation, in this process or the one before
	fire   time.Duration  // newest confirmation
	state  fenceState
}

// fenceState is what others may know of the switch.
type fenceState struct {
	until time.Duration // fenced units may be started before this instant
	fired int           // how often the target was found down although it had been raised
	last  time.Duration // the instant at which the switch that fired had been armed to
}

func (f *fence) current() fenceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// confirm takes in a confirmed renewal.
func (f *fence) confirm(fire time.Duration) {
	f.mu.Lock()
	f.fire = max(f.fire, fire)
	f.last = max(f.last, fire)
	needed := f.needed
	f.mu.Unlock()
	f.guardKick.ring()
	if needed {
		f.kick.ring()
	}
}

// want says whether there are fenced units here. It says whether that is new.
func (f *fence) want(needed bool) (changed bool) {
	f.mu.Lock()
	changed = f.needed != needed
	f.needed = needed
	if changed {
		f.state.until = 0 // what was armed before may be coming down just now
	}
	f.mu.Unlock()
	if changed {
		f.kick.ring()
	}
	return changed
}

// wanted reports whether there were fenced units at the last word.
func (f *fence) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.needed
}

func (f *fence) load(boot string) error {
	var had fenceFile
	ok, err := readJSON(f.path, &had)
	f.file = fenceFile{Boot: boot}
	if ok && err == nil && had.Boot == boot {
		f.file, f.needed = had, had.Raised
		for _, t := range had.Timers {
			f.last = max(f.last, t.Fire)
		}
	}
	return err
}

func (f *fence) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.kick:
		}
		f.mu.Lock()
		needed, fire := f.needed, f.fire
		f.mu.Unlock()
		var err error
		switch {
		case needed && f.clock.Boottime() < fire:
			err = f.arm(ctx, fire)
		case !needed && (f.file.Raised || len(f.file.Timers) > 0):
			err = f.disarm(ctx)
		}
		if err != nil && ctx.Err() == nil {
			f.metrics.fenceErrors.Inc()
			f.log.Error("cannot re-arm the fence; fenced units stop unless a later try succeeds", "err", err)
		}
	}
}

// arm makes the switch fire at an instant. The target comes first and the timer after
// it: should this process be frozen in between, the timer's instant has passed when it
// is started, and it fires at once. Only then may anybody start a fenced unit.
func (f *fence) arm(ctx context.Context, fire time.Duration) error {
	up, err := f.targetUp(ctx)
	if err != nil {
		return err
	}
	if first, ok := f.file.earliest(); up && ok && f.clock.Boottime() >= first {
		return f.fell(ctx)
	}
	if !up {
		if err := f.raise(ctx); err != nil {
			return err
		}
	}
	if up && len(f.file.Timers) == 1 && fire == f.file.Timers[0].Fire {
		f.publish(func(s *fenceState) { s.until = fire })
		return nil
	}
	onStartup, err := f.onStartup(ctx, fire)
	if err != nil {
		return err
	}
	old := slices.Clone(f.file.Timers)
	f.file.Number++
	name := fmt.Sprintf("%s-%d.timer", fencePrefix, f.file.Number)
	f.file.Timers, f.file.Raised = append(slices.Clone(old), armed{name, fire}), true
	if err := writeJSON(f.path, f.file, false); err != nil {
		return err
	}
	if err := f.timers.StartTransientTimer(ctx, name, onStartup, FenceFire); err != nil {
		return fmt.Errorf("arm the fence: %w", err)
	}
	f.publish(func(s *fenceState) { s.until = fire })
	return f.drop(ctx, old)
}

// fell sees to it that a switch whose instant has passed does its work to the end. The
// target is active until the last fenced unit has stopped: a confirmation that comes
// meanwhile must not take it for one that stands.
func (f *fence) fell(ctx context.Context) error {
	f.publish(func(s *fenceState) { s.until = 0 })
	r := f.systemd.Jobs(ctx, []Job{{FenceTarget, Stop}})[0]
	if r.Err != nil {
		return fmt.Errorf("let the fence fall: %w", r.Err)
	}
	f.kick.ring()
	return nil
}

// onStartup is an instant of CLOCK_BOOTTIME as a timer wants it. The clocks are read in
// the order in which a pause in between makes the switch fire early, never late.
func (f *fence) onStartup(ctx context.Context, fire time.Duration) (time.Duration, error) {
	start, err := f.timers.UserspaceTimestamp(ctx)
	if err != nil {
		return 0, fmt.Errorf("arm the fence: %w", err)
	}
	monotonic := f.clock.Monotonic()
	return monotonic + (fire - f.clock.Boottime()) - start, nil
}

func (f *fence) targetUp(ctx context.Context) (bool, error) {
	seen, err := f.systemd.Units(ctx, []cluster.Unit{FenceTarget})
	if err != nil {
		return false, fmt.Errorf("look at the fence: %w", err)
	}
	return seen[FenceTarget].Active == "active", nil
}

// raise starts the target. If it had been raised before, the switch has fired.
func (f *fence) raise(ctx context.Context) error {
	if f.file.Raised {
		f.metrics.fenceFired.Inc()
		f.log.Warn("the fence switch had fired: the lease was not confirmed in time; fenced units start again after a fresh read of the orders")
		last, _ := f.file.earliest()
		f.publish(func(s *fenceState) { s.until, s.fired, s.last = 0, s.fired+1, last })
		f.file.Raised = false
		now := f.clock.Boottime()
		f.file.Timers = slices.DeleteFunc(f.file.Timers, func(t armed) bool { return t.Fire <= now })
	}
	// What may still wait to kill those that were stopped must not meet those that start.
	if r := f.systemd.Jobs(ctx, []Job{{FenceKill, Stop}})[0]; r.Err != nil {
		return fmt.Errorf("raise the fence: %w", r.Err)
	}
	r := f.systemd.Jobs(ctx, []Job{{FenceTarget, Start}})[0]
	if r.Err != nil {
		return fmt.Errorf("raise the fence: %w", r.Err)
	}
	if r.Outcome != "done" {
		return fmt.Errorf("raise the fence: the start of %s ended with %q", FenceTarget, r.Outcome)
	}
	return nil
}

// drop stops timers that a newer one replaced.
func (f *fence) drop(ctx context.Context, old []armed) error {
	if len(old) == 0 {
		return nil
	}
	jobs := make([]Job, len(old))
	for i, t := range old {
		jobs[i] = Job{cluster.Unit(t.Name), Stop}
	}
	var errs []error
	for _, r := range f.systemd.Jobs(ctx, jobs) {
		errs = append(errs, r.Err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop the timers before: %w", err)
	}
	f.file.Timers = slices.DeleteFunc(f.file.Timers, func(t armed) bool { return slices.Contains(old, t) })
	return writeJSON(f.path, f.file, false)
}

// disarm ends the switch when no fenced unit is left.
func (f *fence) disarm(ctx context.Context) error {
	f.publish(func(s *fenceState) { s.until = 0 })
	r := f.systemd.Jobs(ctx, []Job{{FenceTarget, Stop}})[0]
	if r.Err != nil {
		return fmt.Errorf("lower the fence: %w", r.Err)
	}
	f.file.Raised = false
	return f.drop(ctx, slices.Clone(f.file.Timers))
}

func (f *fence) publish(change func(*fenceState)) {
	f.mu.Lock()
	was := f.state
	change(&f.state)
	same := f.state == was || (was.until > 0 && f.state.until > 0 && was.fired == f.state.fired)
	f.mu.Unlock()
	if !same {
		f.tell()
	}
}
