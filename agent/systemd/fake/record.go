package fake

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"flotilla/agent/systemd"
)

// Event is one thing that happened on a host.
type Event struct {
	At   time.Time
	Op   string // start, stop, exit, fail, crash, elapse, reload, reset-failed, power-loss, down, boot
	Unit string
	By   string // call (through this interface), dependency, conflict, restart, a unit's name, outside; of exit and fail: the result
}

// Counts are how often the interface was called, by verb.
type Counts struct{ Start, Stop, Restart, Reload int }

// Events returns all events since New.
func (h *Host) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// Counts returns the counts since New.
func (h *Host) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

func (h *Host) event(op, unit, by string) {
	e := Event{At: time.Now(), Op: op, Unit: unit, By: by}
	h.events = append(h.events, e)
	h.show(e)
}

// Running returns the names of all units that are not inactive or failed, sorted.
func (h *Host) Running() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, u := range h.units {
		if u.up() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ResetFailed makes a failed unit inactive and forgets its start limit.
func (h *Host) ResetFailed(_ context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reachable(); err != nil {
		return err
	}
	u := h.units[name]
	if u == nil {
		return nil
	}
	h.event("reset-failed", name, "call")
	u.starts, u.restarts, u.result = nil, 0, "success"
	if u.active == systemd.Failed {
		h.dead(u)
		h.settle()
	}
	return nil
}

// Changes tells which units changed; see systemd.Manager.
func (h *Host) Changes(ctx context.Context) (<-chan []string, error) {
	changed := systemd.NewChanged()
	h.mu.Lock()
	h.heard[changed] = struct{}{}
	h.mu.Unlock()
	out := make(chan []string)
	go func() {
		changed.Tell(ctx, out)
		h.mu.Lock()
		delete(h.heard, changed)
		h.mu.Unlock()
		close(out)
	}()
	return out, nil
}

// Watch says which units Changes is about; nil means every unit.
func (h *Host) Watch(_ context.Context, names []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if names == nil {
		h.owned = nil
		return nil
	}
	h.owned = make(map[string]bool, len(names))
	for _, name := range names {
		h.owned[name] = true
	}
	return nil
}

func (h *Host) tell(name string) {
	if !h.bus || h.owned != nil && !h.owned[name] {
		return
	}
	for c := range h.heard {
		c.Add(name)
	}
}

func (h *Host) tellAll() {
	for c := range h.heard {
		c.AddAll()
	}
}

// kept is how many lines of each unit's log stay.
const kept = 50

// say writes a line of systemd's about a unit into the journal.
func (h *Host) say(u *unit, text string) {
	h.write(systemd.LogEntry{Unit: u.name, Identifier: "systemd", Priority: 6, PID: 1, InvocationID: u.invocation, Message: []byte(text)})
}

func (h *Host) write(e systemd.LogEntry) {
	h.cursor++
	e.Time, e.Monotonic, e.BootID = time.Now(), time.Since(h.bootedAt), h.bootID
	lines := append(h.lines[e.Unit], e)
	h.lines[e.Unit] = lines[max(0, len(lines)-kept):]
}

// Print makes a running service log a line. It says whether the service runs.
func (h *Host) Print(name, line string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil || u.pid == 0 {
		return false
	}
	h.write(systemd.LogEntry{Unit: name, Identifier: name, Priority: 6, PID: u.pid, InvocationID: u.invocation, Message: []byte(line)})
	return true
}

// LastLines returns the last n lines of one run of a unit; of its last runs if invocationID is empty.
func (h *Host) LastLines(_ context.Context, unit, invocationID string, n int) ([]systemd.LogEntry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []systemd.LogEntry
	for _, e := range h.lines[unit] {
		if invocationID == "" || e.InvocationID == invocationID {
			lines = append(lines, e)
		}
	}
	return lines[max(0, len(lines)-n):], nil
}

// Logs yields what LastLines would, of one unit or of all. It does not follow:
// with Follow it then waits for the end of ctx.
func (h *Host) Logs(ctx context.Context, opts systemd.LogOptions) iter.Seq2[systemd.LogEntry, error] {
	return func(yield func(systemd.LogEntry, error) bool) {
		for _, e := range h.logged(opts) {
			if !yield(e, nil) {
				return
			}
		}
		if opts.Follow {
			<-ctx.Done()
		}
	}
}

func (h *Host) logged(opts systemd.LogOptions) []systemd.LogEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []systemd.LogEntry
	for unit, entries := range h.lines {
		if opts.Unit == "" || opts.Unit == unit {
			lines = append(lines, entries...)
		}
	}
	lines = slices.DeleteFunc(lines, func(e systemd.LogEntry) bool { return e.Time.Before(opts.Since) })
	slices.SortStableFunc(lines, func(a, b systemd.LogEntry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Unit, b.Unit)
	})
	switch {
	case opts.Lines > 0:
		return lines[max(0, len(lines)-opts.Lines):]
	case opts.Lines < 0:
		return nil
	}
	return lines
}
