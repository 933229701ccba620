package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Options say which systemd to talk to.
type Options struct {
	User    bool   // the calling user's systemd instead of the host's
	Address string // of the D-Bus, for tests; empty: the environment's, else the usual one
	Logger  *slog.Logger
}

// Manager is the host's systemd. It connects again by itself after the bus went
// away. It is safe for use by many goroutines. Close it.
type Manager struct {
	opts Options
	log  *slog.Logger

	dialing sync.Mutex // held while a connection is made, and for nothing else
	mu      sync.Mutex
	live    *bus
	closed  bool
	owned   map[string]bool // nil: every unit
	heard   map[*Changed]struct{}

	watching sync.Mutex // held while match rules are changed
}

// New connects to systemd.
func New(ctx context.Context, opts Options) (*Manager, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		opts:  opts,
		log:   opts.Logger.With("component", "systemd"),
		heard: map[*Changed]struct{}{},
	}
	if _, err := m.bus(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Close ends the connection. Waits for jobs end with ErrDisconnected.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	live := m.live
	m.mu.Unlock()
	if live == nil {
		return nil
	}
	return live.conn.Close()
}

// bus returns the live connection, or makes one.
func (m *Manager) bus(ctx context.Context) (*bus, error) {
	m.dialing.Lock()
	defer m.dialing.Unlock()
	m.mu.Lock()
	live, closed := m.live, m.closed
	m.mu.Unlock()
	if closed {
		return nil, ErrDisconnected
	}
	if live != nil && live.conn.Connected() {
		return live, nil
	}
	b, err := dial(ctx, m.opts, m.signal)
	if err != nil {
		return nil, err
	}
	if err := m.rewatch(ctx, b); err != nil {
		b.conn.Close()
		return nil, err
	}
	m.mu.Lock()
	m.live = b
	m.mu.Unlock()
	m.tellAll()
	return b, nil
}

// Reload makes systemd read all unit files again, and returns when it has.
func (m *Manager) Reload(ctx context.Context) error {
	return m.call(ctx, "daemon-reload", "Reload")
}

// ResetFailed makes a failed unit inactive and forgets its start limit. A unit
// that systemd does not know needs none.
func (m *Manager) ResetFailed(ctx context.Context, name string) error {
	err := m.call(ctx, "reset-failed "+name, "ResetFailedUnit", name)
	if isNoSuchUnit(err) {
		return nil
	}
	return err
}

func (m *Manager) call(ctx context.Context, doing, method string, args ...any) error {
	b, err := m.bus(ctx)
	if err != nil {
		return err
	}
	if err := b.root.CallWithContext(ctx, managerFace+"."+method, 0, args...).Err; err != nil {
		return fmt.Errorf("%s: %w", doing, translate(err))
	}
	return nil
}

// Property reads one property. An empty unit means the manager itself; iface is
// the last word of the interface, as in "Unit", "Service", "Timer", "Manager".
func (m *Manager) Property(ctx context.Context, unit, iface, name string) (any, error) {
	b, err := m.bus(ctx)
	if err != nil {
		return nil, err
	}
	path := rootPath
	if unit != "" {
		path = unitObject(unit)
	}
	var v dbus.Variant
	call := b.conn.Object(service, path).CallWithContext(ctx, propsFace+".Get", 0, service+"."+iface, name)
	if err := call.Store(&v); err != nil {
		return nil, fmt.Errorf("read %s.%s of %q: %w", iface, name, unit, translate(err))
	}
	return v.Value(), nil
}

// Version is systemd's major version, as in 257.
func (m *Manager) Version(ctx context.Context) (int, error) {
	v, err := m.Property(ctx, "", "Manager", "Version")
	if err != nil {
		return 0, err
	}
	text, _ := v.(string)
	digits := strings.TrimLeft(text, "v")
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("read systemd's version: %q has no number", text)
	}
	return major, nil
}

// UserspaceTimestamp is when this manager started, on CLOCK_MONOTONIC: what
// OnStartupSec= of timers counts from.
func (m *Manager) UserspaceTimestamp(ctx context.Context) (time.Duration, error) {
	v, err := m.Property(ctx, "", "Manager", "UserspaceTimestampMonotonic")
	if err != nil {
		return 0, err
	}
	us, ok := v.(uint64)
	if !ok {
		return 0, fmt.Errorf("read UserspaceTimestampMonotonic: got %T", v)
	}
	return time.Duration(us) * time.Microsecond, nil
}

// UnitPath is the list of folders in which systemd looks for unit files, first wins.
func (m *Manager) UnitPath(ctx context.Context) ([]string, error) {
	v, err := m.Property(ctx, "", "Manager", "UnitPath")
	if err != nil {
		return nil, err
	}
	paths, ok := v.([]string)
	if !ok {
		return nil, fmt.Errorf("read UnitPath: got %T", v)
	}
	return slices.Clone(paths), nil
}
