package fake

import (
	"context"
	"errors"
	"slices"
	"time"

	"flotilla/agent/systemd"
)

// logind is what a host's login manager knows.
type logind struct {
	going    string // the shutdown that is under way
	shutdown int    // raised at each: what was planned for another one does not happen
	holders  map[*int]bool
	blocks   []string
	delay    time.Duration
	users    int
	walls    []string
	heard    map[*heard]bool
	deaf     int // calls that are carried out and not answered
	slow     time.Duration
	onDown   func(kind string)
}

// heard is the newest state for one who listens.
type heard struct {
	state string
	wake  chan struct{} // capacity one
}

// shipped is InhibitDelayMaxSec= where nobody set it.
const shipped = 5 * time.Second

// Logind is the login manager of a host: it has all methods of systemd.Logind.
type Logind struct{ h *Host }

// Logind is this host's.
func (h *Host) Logind() Logind { return Logind{h} }

// SlowLogind has logind take so long before it does what a reboot asks for. A caller who leaves earlier gets nothing done.
func (h *Host) SlowLogind(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.slow = d
}

// Reboot asks for a reboot; soft restarts systemd alone.
func (l Logind) Reboot(ctx context.Context, soft bool) (refused string, err error) {
	if err := l.wait(ctx); err != nil {
		return "", err
	}
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if err := l.h.reachable(); err != nil {
		return "", err
	}
	kind := "reboot"
	if soft {
		kind = "soft-reboot"
	}
	if len(l.h.logind.blocks) > 0 {
		return l.h.logind.blocks[0] + " forbids shutdowns", nil
	}
	if refused := l.h.shutDown(kind); refused != "" {
		return refused, nil
	}
	if l.h.logind.deaf > 0 {
		l.h.logind.deaf--
		return "", errors.New("logind did not answer")
	}
	return "", nil
}

func (l Logind) wait(ctx context.Context) error {
	l.h.mu.Lock()
	timer := time.NewTimer(l.h.logind.slow)
	l.h.mu.Unlock()
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hold delays each shutdown until release is called or Delay has passed.
func (l Logind) Hold(context.Context) (release func(), err error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if err := l.h.reachable(); err != nil {
		return nil, err
	}
	lock := new(int)
	if l.h.logind.holders == nil {
		l.h.logind.holders = map[*int]bool{}
	}
	l.h.logind.holders[lock] = true
	return func() {
		l.h.mu.Lock()
		defer l.h.mu.Unlock()
		delete(l.h.logind.holders, lock)
		l.h.letDown(l.h.logind.shutdown)
	}, nil
}

// Logins is who is logged in, logind's limit, and whether the host goes down.
func (l Logind) Logins(ctx context.Context) (systemd.Logins, error) {
	if err := ctx.Err(); err != nil {
		return systemd.Logins{}, err
	}
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if err := l.h.reachable(); err != nil {
		return systemd.Logins{}, err
	}
	return systemd.Logins{Users: l.h.logind.users, Delay: l.h.logind.limit(), Shutdown: l.h.logind.going}, nil
}

func (l *logind) limit() time.Duration {
	if l.delay > 0 {
		return l.delay
	}
	return shipped
}

// Wall writes to everybody who is logged in.
func (l Logind) Wall(_ context.Context, text string) error {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	l.h.logind.walls = append(l.h.logind.walls, text)
	return l.h.reachable()
}

// Shutdowns tells the present state first and then the newest one.
func (l Logind) Shutdowns(ctx context.Context) (<-chan string, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	ear := &heard{l.h.logind.going, make(chan struct{}, 1)}
	ear.wake <- struct{}{}
	if l.h.logind.heard == nil {
		l.h.logind.heard = map[*heard]bool{}
	}
	l.h.logind.heard[ear] = true
	told := make(chan string)
	go l.tell(ctx, ear, told)
	return told, nil
}

func (l Logind) tell(ctx context.Context, ear *heard, told chan<- string) {
	defer close(told)
	for {
		select {
		case <-ctx.Done():
		case <-ear.wake:
		}
		l.h.mu.Lock()
		state := ear.state
		if ctx.Err() != nil {
			delete(l.h.logind.heard, ear)
		}
		l.h.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case told <- state:
		}
	}
}

func (h *Host) tellShutdown() {
	for ear := range h.logind.heard {
		ear.state = h.logind.going
		select {
		case ear.wake <- struct{}{}:
		default:
		}
	}
}

// shutDown begins a shutdown. Refused is logind's reason not to.
func (h *Host) shutDown(kind string) (refused string) {
	if h.logind.going != "" {
		return "there's already a shutdown or sleep operation in progress"
	}
	h.logind.going = kind
	h.logind.shutdown++
	h.event("shutdown", "", kind)
	h.tellShutdown()
	number := h.logind.shutdown
	if h.letDown(number); h.logind.going != "" {
		h.after(h.logind.limit(), func() { h.fall(number) })
	}
	return ""
}

// letDown goes on with a shutdown that nobody delays.
func (h *Host) letDown(number int) {
	if h.logind.going != "" && len(h.logind.holders) == 0 {
		h.after(time.Millisecond, func() { h.fall(number) })
	}
}

// fall takes the host down.
func (h *Host) fall(number int) {
	if h.logind.going == "" || h.logind.shutdown != number {
		return
	}
	kind := h.logind.going
	h.logind.holders = nil
	h.lose("down", kind)
	if h.logind.onDown != nil {
		go h.logind.onDown(kind)
	}
}

// Type has somebody ask logind for a shutdown of some kind (reboot, poweroff, …), as systemctl does.
func (h *Host) Type(kind string) (refused string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shutDown(kind)
}

// CancelShutdown takes a shutdown back that is still delayed.
func (h *Host) CancelShutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.going = ""
	h.tellShutdown()
}

// Block has somebody hold a lock that forbids shutdowns; Unblock ends all of these.
func (h *Host) Block(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.blocks = append(h.logind.blocks, who)
}

// Unblock ends all locks that forbid shutdowns.
func (h *Host) Unblock() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.blocks = nil
}

// LogIn sets how many people are logged in.
func (h *Host) LogIn(users int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.users = users
}

// DelayMax sets InhibitDelayMaxSec=.
func (h *Host) DelayMax(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.delay = d
}

// Deafen has logind carry out its next reboots without an answer.
func (h *Host) Deafen(calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.deaf = calls
}

// OnDown has f called after a shutdown took the host down: its processes are dead, and Boot starts it anew.
func (h *Host) OnDown(f func(kind string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logind.onDown = f
}

// Walls are what was written to those who are logged in.
func (h *Host) Walls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.logind.walls)
}

// Held says how many locks delay shutdowns.
func (h *Host) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.logind.holders)
}

// Powered says whether the host runs.
func (h *Host) Powered() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.power
}
