package systemd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	updateService = "com.coreos.update1"
	updatePath    = dbus.ObjectPath("/com/coreos/update1")
	updateFace    = updateService + ".Manager"
)

// UpdateEngine is Flatcar's update service, over D-Bus. It is never started by being asked. It is safe for use by many
// goroutines. Close it.
type UpdateEngine struct {
	opts Options
	log  *slog.Logger

	mu   sync.Mutex
	live *dbus.Conn
}

// NewUpdateEngine makes the door; it connects when it is used.
func NewUpdateEngine(opts Options) *UpdateEngine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &UpdateEngine{opts: opts, log: opts.Logger.With("component", "update_engine")}
}

// Close ends the connection.
func (u *UpdateEngine) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return nil
	}
	return u.live.Close()
}

func (u *UpdateEngine) conn() (*dbus.Conn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil || !u.live.Connected() {
		conn, err := connect(u.opts)
		if err != nil {
			return nil, fmt.Errorf("connect to the bus of update_engine: %w", err)
		}
		u.live = conn
	}
	return u.live, nil
}

// Status is the current operation, in update_engine's word, and the new version. Present is false where the
// bus has no update_engine; the error then says why nobody knows, if nobody does.
func (u *UpdateEngine) Status(ctx context.Context) (operation, version string, present bool, err error) {
	conn, err := u.conn()
	if err != nil {
		return "", "", false, err
	}
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, updateService).Store(&present); err != nil {
		return "", "", false, fmt.Errorf("ask the bus for update_engine: %w", err)
	}
	if !present {
		return "", "", false, nil
	}
	call := conn.Object(updateService, updatePath).CallWithContext(ctx, updateFace+".GetStatus", dbus.FlagNoAutoStart)
	if call.Err != nil {
		return "", "", true, fmt.Errorf("ask for its status: %w", call.Err)
	}
	operation, version, err = updateStatus(call.Body)
	return operation, version, true, err
}

// updateStatus reads the five values of GetStatus and StatusUpdate: when it last checked (x), its progress (d), the operation
// (s), the new version (s), its size (x).
func updateStatus(body []any) (operation, version string, err error) {
	if len(body) < 5 {
		return "", "", fmt.Errorf("its status has %d values instead of five", len(body))
	}
	operation, isText := body[2].(string)
	version, alsoText := body[3].(string)
	if !isText || !alsoText {
		return "", "", fmt.Errorf("its status is a %T and a %T instead of two texts", body[2], body[3])
	}
	return operation, version, nil
}

// Changed tells when the status may be another one. It connects again by itself.
func (u *UpdateEngine) Changed(ctx context.Context) <-chan struct{} {
	told := make(chan struct{}, 1)
	go redial(ctx, func() (bool, error) { return u.listen(ctx, told) }, func(wait time.Duration, err error) {
		u.log.Debug("update_engine is not heard of, trying again", "after", wait, "err", err)
	})
	return told
}

// listen tells changes over a connection of its own until it breaks.
func (u *UpdateEngine) listen(ctx context.Context, told chan<- struct{}) (heard bool, err error) {
	conn, err := connect(u.opts)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, window)
	conn.Signal(signals)
	err = conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(updatePath), dbus.WithMatchInterface(updateFace), dbus.WithMatchMember("StatusUpdate"))
	if err != nil {
		return false, fmt.Errorf("listen to update_engine: %w", err)
	}
	last := ""
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case s, ok := <-signals:
			if !ok {
				return true, errors.New("the connection to the bus ended")
			}
			operation, _, err := updateStatus(s.Body)
			if s.Name != updateFace+".StatusUpdate" || err != nil || operation == last {
				continue // its progress is told many times a second
			}
			last = operation
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}
}
