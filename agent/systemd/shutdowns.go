package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Shutdowns tells the present state first and then the newest one: the kind of shutdown that is under way (reboot,
// poweroff, halt, kexec, soft-reboot; AnyShutdown where logind does not tell), "" = none is. It connects again by itself. The
// channel is closed when ctx ends.
func (l *Logind) Shutdowns(ctx context.Context) (<-chan string, error) {
	told := make(chan string)
	go func() {
		defer close(told)
		redial(ctx, func() (bool, error) { return l.listen(ctx, told) }, func(wait time.Duration, err error) {
			l.log.Warn("shutdowns are not heard of, trying again", "after", wait, "err", err)
		})
	}()
	return told, nil
}

// lastListenerRedial is longer than systemd's: there are hosts without what is listened to.
const lastListenerRedial = time.Minute

// redial listens until ctx ends, and again whenever that broke; it waits less after a time in which it heard.
func redial(ctx context.Context, listen func() (heard bool, err error), broke func(wait time.Duration, err error)) {
	wait := firstRedial
	for {
		heard, err := listen()
		if ctx.Err() != nil {
			return
		}
		if heard {
			wait = firstRedial
		}
		broke(wait, err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, lastListenerRedial)
	}
}

// listen tells shutdowns over a connection of its own until it breaks. Heard says that logind was there.
func (l *Logind) listen(ctx context.Context, told chan<- string) (heard bool, err error) {
	conn, err := connect(l.opts)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, window)
	conn.Signal(signals)
	for _, member := range []string{"PrepareForShutdown", "PrepareForShutdownWithMetadata"} {
		if err := conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(loginService), dbus.WithMatchInterface(loginFace), dbus.WithMatchMember(member)); err != nil {
			return false, fmt.Errorf("listen to logind: %w", err)
		}
	}
	var under bool
	if err := get(ctx, conn.Object(loginService, loginPath), loginFace, "PreparingForShutdown", &under); err != nil {
		return false, err
	}
	now := ""
	if under {
		now = AnyShutdown
	}
	send := told
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case send <- now:
			send = nil
		case s, ok := <-signals:
			if !ok {
				return true, errors.New("the connection to logind ended")
			}
			if next, ok := shutdown(s, now); ok {
				now, send = next, told
			}
		}
	}
}

// shutdown is the state after a signal. The one with the kind comes before the one without.
func shutdown(s *dbus.Signal, now string) (next string, ok bool) {
	if len(s.Body) == 0 {
		return "", false
	}
	begins, ok := s.Body[0].(bool)
	if !ok || !begins {
		return "", ok
	}
	if len(s.Body) > 1 {
		if data, ok := s.Body[1].(map[string]dbus.Variant); ok {
			if kind, ok := data["type"].Value().(string); ok && kind != "" {
				return kind, true
			}
		}
	}
	if now == "" {
		now = AnyShutdown
	}
	return now, true
}
