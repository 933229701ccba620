package fake

import (
	"fmt"
	"time"

	"flotilla/agent/systemd"
)

// unit is one that is active, failed or has a job; others are not in memory.
type unit struct {
	name       string
	def        *definition // the newest; kept when the file is gone while it runs
	active     string
	sub        string
	result     string
	invocation string
	pid        int
	restarts   int
	status     int
	changed    time.Time
	starts     []time.Time // within the start limit's interval
	job        *job
	turn       int // raised whenever something is planned, which voids what was planned before
}

// up says whether there is something to stop.
func (u *unit) up() bool { return u.active != systemd.Inactive && u.active != systemd.Failed }

// unit returns the unit, in memory from now on.
func (h *Host) unit(name string) *unit {
	u := h.units[name]
	if u == nil {
		u = &unit{name: name, def: h.defs[name], active: systemd.Inactive, sub: "dead"}
		if u.def != nil && u.def.kind != "target" {
			u.result = "success"
		}
		h.units[name] = u
	}
	return u
}

// plan does something with a unit later, unless something else is planned before.
func (h *Host) plan(u *unit, d time.Duration, do func()) {
	u.turn++
	turn := u.turn
	h.after(d, func() {
		if h.units[u.name] == u && u.turn == turn {
			do()
		}
	})
}

func (h *Host) set(u *unit, active, sub string) {
	if u.active != active {
		u.changed = time.Now()
		h.show(Event{At: u.changed, Op: "state", Unit: u.name, By: active})
	}
	u.active, u.sub = active, sub
	h.tell(u.name)
}

// collect forgets a unit that has nothing to remember.
func (h *Host) collect(u *unit) {
	if u.job != nil || h.units[u.name] != u {
		return
	}
	transient := u.def != nil && u.def.transient
	if u.active == systemd.Inactive || transient && !u.def.keepsFailure && u.active == systemd.Failed {
		u.turn++
		delete(h.units, u.name)
		if transient {
			h.index.remove(u.name, u.def)
			delete(h.defs, u.name)
		}
	}
}

// runStart is the start phase of a job.
func (h *Host) runStart(j *job) {
	u := j.u
	switch {
	case u.active == systemd.Active:
		h.finish(j, systemd.Done)
		return
	case u.active == systemd.Deactivating:
		j.running = false // asked again when it is dead
		return
	case u.active == systemd.Activating:
		return // ends with the start that is under way
	}
	for _, needed := range u.def.requisite {
		if n := h.units[needed]; n == nil || n.active != systemd.Active {
			h.finish(j, systemd.Dependency)
			return
		}
	}
	if t := u.def.triggers; u.def.kind == "timer" && h.defs[t] == nil {
		h.say(u, u.name+": Refusing to start, unit "+t+" to trigger not loaded.")
		h.finish(j, systemd.JobFailed)
		return
	}
	if h.limited(u) {
		if u.result == "success" { // the first reason stays
			u.result = "start-limit-hit"
		}
		h.fail(u)
		return
	}
	u.restarts = 0
	h.begin(u, j.by)
}

// limited counts a start and says whether it is one too many.
func (h *Host) limited(u *unit) bool {
	if u.def.startInterval == 0 || u.def.startBurst == 0 {
		return false
	}
	now := time.Now()
	for len(u.starts) > 0 && now.Sub(u.starts[0]) >= u.def.startInterval {
		u.starts = u.starts[1:]
	}
	if len(u.starts) >= u.def.startBurst {
		return true
	}
	u.starts = append(u.starts, now)
	return false
}

// begin starts the unit proper.
func (h *Host) begin(u *unit, by string) {
	u.invocation, u.status = h.id(), 0
	h.event("start", u.name, by)
	switch u.def.kind {
	case "service":
	case "timer":
		h.beginTimer(u)
		return
	default:
		h.set(u, systemd.Active, "active")
		h.started(u)
		return
	}
	u.result = "success"
	h.set(u, systemd.Activating, "start")
	d := u.def.behave.Start + h.draw(h.opts.StartTime)
	if u.def.oneshot {
		u.pid = h.process()
		h.beginOnce(u, d+u.def.behave.Run)
		return
	}
	h.plan(u, d, func() {
		u.pid = h.process()
		h.set(u, systemd.Active, "running")
		h.started(u)
		if u.def.behave.Exits {
			h.plan(u, u.def.behave.Run, func() { h.exited(u, u.def.behave.Status, 0) })
		}
	})
}

// beginOnce runs a command that ends after d by itself, if it may take that long.
func (h *Host) beginOnce(u *unit, d time.Duration) {
	status := func() int { return u.def.behave.Status }
	if u.def.pulls != (image{}) {
		d += h.draw(h.opts.PullTime)
		status = func() int { return h.pulled(u) }
	}
	if limit := u.def.startLimit; limit > 0 && d > limit {
		h.plan(u, limit, func() {
			u.result = "timeout"
			h.fail(u)
		})
		return
	}
	h.plan(u, d, func() { h.exited(u, status(), 0) })
}

func (h *Host) process() int {
	h.nextPID++
	return h.nextPID
}

// started ends the job that a unit was started by.
func (h *Host) started(u *unit) {
	h.say(u, "Started "+u.name+".")
	if u.job != nil && u.job.phase == systemd.Start {
		h.finish(u.job, systemd.Done)
	}
}

// exited is the end of a main process that nobody asked for.
func (h *Host) exited(u *unit, status, signal int) {
	for _, name := range u.def.stops {
		if h.units[name] != nil {
			_, _ = h.enqueue(name, systemd.Stop, u.name) // a stop is never refused
		}
	}
	u.pid = 0
	switch {
	case signal != 0:
		u.result, u.status = "signal", signal
		h.say(u, fmt.Sprintf("%s: Main process exited, code=killed, status=%d", u.name, signal))
	case status != 0:
		u.result, u.status = "exit-code", status
		h.say(u, fmt.Sprintf("%s: Main process exited, code=exited, status=%d", u.name, status))
	}
	h.event("exit", u.name, u.result)
	switch {
	case u.restartsAfter(signal):
		h.set(u, systemd.Activating, "auto-restart")
		h.plan(u, u.def.restartWait, func() { h.again(u) })
	case u.result != "success":
		h.fail(u)
	case u.def.remain:
		h.set(u, systemd.Active, "exited")
		h.started(u)
	default:
		if u.def.oneshot {
			h.say(u, "Finished "+u.name+".")
		}
		h.dead(u)
	}
}

// restartsAfter is Restart=.
func (u *unit) restartsAfter(signal int) bool {
	failed := u.result != "success"
	switch u.def.restart {
	case "always":
		return !u.def.oneshot || failed
	case "on-failure":
		return failed
	case "on-success":
		return !failed
	case "on-abnormal", "on-abort":
		return signal != 0
	}
	return false
}

// again is an automatic restart.
func (h *Host) again(u *unit) {
	u.restarts++
	if h.limited(u) {
		h.say(u, u.name+": Start request repeated too quickly.")
		h.fail(u)
		return
	}
	h.begin(u, "restart")
}

// fail leaves a unit failed, and its job too.
func (h *Host) fail(u *unit) {
	u.turn++
	u.pid = 0
	h.say(u, u.name+": Failed with result '"+u.result+"'.")
	h.event("fail", u.name, u.result)
	h.set(u, systemd.Failed, "failed")
	h.ended(u, systemd.JobFailed)
}

// dead leaves a unit inactive.
func (h *Host) dead(u *unit) {
	u.turn++
	u.pid = 0
	h.set(u, systemd.Inactive, "dead")
	h.ended(u, systemd.Done)
}

// ended goes on with the job of a unit that has come to its end.
func (h *Host) ended(u *unit, started string) {
	j := u.job
	switch {
	case j == nil:
		h.collect(u)
	case j.verb == systemd.Stop:
		h.finish(j, systemd.Done)
	case j.phase == systemd.Stop: // the second half of a restart
		j.phase, j.running = systemd.Start, false
		h.ready = append(h.ready, func() { h.check(j) })
		h.wakeNeighbours(u)
	case j.running:
		h.finish(j, started)
	default: // a start that waited for this
		h.ready = append(h.ready, func() { h.check(j) })
	}
}

// runStop is the stop phase of a job.
func (h *Host) runStop(j *job) {
	u := j.u
	if !u.up() {
		h.ended(u, systemd.Done)
		return
	}
	if u.active == systemd.Deactivating {
		return // ends with the stop that is under way
	}
	h.event("stop", u.name, j.by)
	process := u.def != nil && u.def.kind == "service" && u.pid != 0
	if !process {
		h.dead(u)
		return
	}
	h.set(u, systemd.Deactivating, "stop-sigterm")
	d := u.def.behave.Stop + h.draw(h.opts.StopTime)
	if u.def.behave.IgnoreTerm || d > u.def.stopLimit {
		h.plan(u, u.def.stopLimit, func() {
			u.result = "timeout"
			h.fail(u)
		})
		return
	}
	h.plan(u, d, func() {
		h.say(u, "Stopped "+u.name+".")
		h.dead(u)
	})
}

// Crash kills a running service's main process with SIGKILL. It says whether there was one.
func (h *Host) Crash(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil || u.pid == 0 || u.active == systemd.Deactivating {
		return false
	}
	h.event("crash", name, "outside")
	h.exited(u, 0, 9)
	h.settle()
	return true
}
