package systemd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	loginService = "org.freedesktop.login1"
	loginPath    = dbus.ObjectPath("/org/freedesktop/login1")
	loginFace    = loginService + ".Manager"

	// softReboot is SD_LOGIND_SOFT_REBOOT of RebootWithFlags.
	softReboot = uint64(1) << 2
)

// AnyShutdown is a shutdown of which logind does not tell the kind (before systemd 255).
const AnyShutdown = "shutdown"

// Logind is the host's login manager, over D-Bus. It is safe for use by many goroutines. Close it.
type Logind struct {
	opts Options
	log  *slog.Logger

	mu   sync.Mutex
	live *dbus.Conn
}

// Logins is what logind says of people, of its limit and of the host's end.
type Logins struct {
	Users    int           // sessions of people that are not closing
	Delay    time.Duration // InhibitDelayMaxSec= as it is in force
	Shutdown string        // the shutdown that is under way, as Shutdowns tells it; AnyShutdown at best
}

// NewLogind makes the door; it connects when it is used.
func NewLogind(opts Options) *Logind {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Logind{opts: opts, log: opts.Logger.With("component", "logind")}
}

// Close ends the connection. Locks that are held stay.
func (l *Logind) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live == nil {
		return nil
	}
	return l.live.Close()
}

// manager is logind on the live connection, or on a new one.
func (l *Logind) manager() (dbus.BusObject, *dbus.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live == nil || !l.live.Connected() {
		conn, err := connect(l.opts)
		if err != nil {
			return nil, nil, fmt.Errorf("connect to the bus of logind: %w", err)
		}
		l.live = conn
	}
	return l.live.Object(loginService, loginPath), l.live, nil
}

// Reboot asks for a reboot; soft restarts systemd alone (systemd 254 and newer). It never becomes another kind: what
// systemctl does about a loaded kernel or /run/nextroot it does itself, without logind. Refused is why not, such as a
// block lock that somebody holds, which logind itself lets root pass before systemd 257. After an error it is
// not known whether the host goes down.
func (l *Logind) Reboot(ctx context.Context, soft bool) (refused string, err error) {
	manager, _, err := l.manager()
	if err != nil {
		return "", err
	}
	if refused, err = blocked(ctx, manager); refused != "" || err != nil {
		return refused, err
	}
	method, arg := "Reboot", any(false) // not interactive
	if soft {
		method, arg = "RebootWithFlags", softReboot
	}
	call := manager.CallWithContext(ctx, loginFace+"."+method, 0, arg)
	if why, final := final(call.Err); final {
		return "logind refuses: " + why, nil
	}
	if call.Err != nil {
		return "", fmt.Errorf("ask logind for a reboot: %w", call.Err)
	}
	return "", nil
}

// final says whether an error is an answer, after which nothing will happen.
func final(err error) (why string, final bool) {
	var said dbus.Error
	if !errors.As(err, &said) {
		return "", false
	}
	switch said.Name {
	case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout", "org.freedesktop.DBus.Error.TimedOut", "org.freedesktop.DBus.Error.Disconnected":
		return "", false
	}
	return said.Error(), true
}

// blocked is who forbids shutdowns just now; "" = nobody.
func blocked(ctx context.Context, manager dbus.BusObject) (string, error) {
	var locks []struct {
		What, Who, Why, Mode string
		UID, PID             uint32
	}
	if err := manager.CallWithContext(ctx, loginFace+".ListInhibitors", 0).Store(&locks); err != nil {
		if why, final := final(err); final {
			return "logind does not list its locks: " + why, nil
		}
		return "", fmt.Errorf("ask logind for its locks: %w", err)
	}
	for _, lock := range locks {
		for what := range strings.SplitSeq(lock.What, ":") {
			if what == "shutdown" && lock.Mode == "block" {
				return fmt.Sprintf("%s (pid %d) forbids shutdowns: %s (systemd-inhibit --list)", lock.Who, lock.PID, lock.Why), nil
			}
		}
	}
	return "", nil
}

// Hold delays each shutdown that is asked for, until release is called or Delay has passed. The lock outlives the
// connection and logind, not the process.
func (l *Logind) Hold(ctx context.Context) (release func(), err error) {
	manager, _, err := l.manager()
	if err != nil {
		return nil, err
	}
	var fd dbus.UnixFD
	call := manager.CallWithContext(ctx, loginFace+".Inhibit", 0, "shutdown", "flotilla", "units of this host go elsewhere first", "delay")
	if err := call.Store(&fd); err != nil {
		return nil, fmt.Errorf("take logind's lock that delays shutdowns: %w", err)
	}
	lock := os.NewFile(uintptr(fd), "logind's lock")
	return func() { _ = lock.Close() }, nil // a pipe: nothing is written
}

// Logins asks who is logged in, how long Hold delays, and whether the host goes down.
func (l *Logind) Logins(ctx context.Context) (Logins, error) {
	manager, conn, err := l.manager()
	if err != nil {
		return Logins{}, err
	}
	var out Logins
	var limit uint64
	var under bool
	for name, to := range map[string]any{"InhibitDelayMaxUSec": &limit, "PreparingForShutdown": &under} {
		if err := get(ctx, manager, loginFace, name, to); err != nil {
			return Logins{}, err
		}
	}
	if limit > uint64(1<<62)/1000 {
		limit = uint64(1<<62) / 1000 // infinity
	}
	out.Delay = time.Duration(limit) * time.Microsecond
	if under {
		out.Shutdown = AnyShutdown
	}
	out.Users, err = users(ctx, conn, manager)
	return out, err
}

// users counts the sessions of people that are not closing.
func users(ctx context.Context, conn *dbus.Conn, manager dbus.BusObject) (int, error) {
	var sessions []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := manager.CallWithContext(ctx, loginFace+".ListSessions", 0).Store(&sessions); err != nil {
		return 0, fmt.Errorf("ask logind for its sessions: %w", err)
	}
	n := 0
	for _, s := range sessions {
		var class, state string
		object := conn.Object(loginService, s.Path)
		err := errors.Join(get(ctx, object, loginService+".Session", "Class", &class), get(ctx, object, loginService+".Session", "State", &state))
		if err != nil {
			continue // it ended meanwhile
		}
		if class == "user" && state != "closing" {
			n++
		}
	}
	return n, nil
}

// get reads one property of logind.
func get(ctx context.Context, object dbus.BusObject, face, name string, to any) error {
	var v dbus.Variant
	if err := object.CallWithContext(ctx, propsFace+".Get", 0, face, name).Store(&v); err != nil {
		return fmt.Errorf("read %s of logind: %w", name, err)
	}
	if err := v.Store(to); err != nil {
		return fmt.Errorf("read %s of logind: %w", name, err)
	}
	return nil
}

// Wall writes to everybody who is logged in at a terminal.
func (l *Logind) Wall(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wall")
	cmd.Stdin = strings.NewReader(text + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write to all terminals: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
