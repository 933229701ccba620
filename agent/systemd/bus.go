package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	sdbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const (
	service     = "org.freedesktop.systemd1"
	rootPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	unitPrefix  = "/org/freedesktop/systemd1/unit/"
	managerFace = service + ".Manager"
	unitFace    = service + ".Unit"
	propsFace   = "org.freedesktop.DBus.Properties"

	// window is how many calls are under way at once: the system bus refuses a
	// connection more than 128 replies outstanding.
	window = 64
)

// bus is one connection. When it breaks it is dropped and another is made.
type bus struct {
	conn    *dbus.Conn
	root    dbus.BusObject
	waiters *waiters
	rules   map[string]bool // match rules for units that are set; owned by Manager.watching
}

// dial connects, subscribes to the signals that every connection needs, and
// hands each signal to heard, one after another, until the connection ends.
func dial(ctx context.Context, opts Options, heard func(*bus, *dbus.Signal)) (*bus, error) {
	conn, err := connect(opts)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus of systemd: %w", err)
	}
	b := &bus{conn: conn, root: conn.Object(service, rootPath), waiters: newWaiters(), rules: map[string]bool{}}
	signals := make(chan *dbus.Signal, window)
	conn.Signal(signals)
	go func() { // ends when conn.Close closes the channel
		for s := range signals {
			heard(b, s)
		}
		b.waiters.abandon()
	}()
	for _, member := range []string{"JobRemoved", "Reloading"} {
		rule := fmt.Sprintf("type='signal',sender='%s',interface='%s',member='%s'", service, managerFace, member)
		if err := b.match(ctx, "AddMatch", rule); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if err := b.root.CallWithContext(ctx, managerFace+".Subscribe", 0).Err; err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribe to systemd's signals: %w", err)
	}
	return b, nil
}

// connect opens a connection of its own, authenticated, with ordered signals.
func connect(opts Options) (*dbus.Conn, error) {
	conn, err := dbus.Dial(address(opts), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		conn.Close()
		return nil, err
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func address(opts Options) string {
	variable, path := "DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket"
	if opts.User {
		variable, path = "DBUS_SESSION_BUS_ADDRESS", "unix:path="+RuntimeDir()+"/bus"
	}
	if opts.Address != "" {
		return opts.Address
	}
	if a := os.Getenv(variable); a != "" {
		return a
	}
	return path
}

// RuntimeDir is the folder of this user's runtime files.
func RuntimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return "/run/user/" + strconv.Itoa(os.Getuid())
}

func (b *bus) match(ctx context.Context, method, rule string) error {
	call := b.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0, rule)
	if call.Err != nil {
		return fmt.Errorf("%s on the bus: %w", method, call.Err)
	}
	return nil
}

// request is one call of many; took is handed its reply.
type request struct {
	path   dbus.ObjectPath
	method string
	args   []any
	took   func(*dbus.Call)
}

// pipeline sends all requests in order without waiting for each reply, and
// returns when every reply was taken.
func (b *bus) pipeline(ctx context.Context, requests []request) {
	replies := make(chan *dbus.Call, window)
	underway := make(map[*dbus.Call]func(*dbus.Call), window)
	take := func() {
		call := <-replies
		underway[call](call)
		delete(underway, call)
	}
	for _, r := range requests {
		if len(underway) == window {
			take()
		}
		call := b.conn.Object(service, r.path).GoWithContext(ctx, r.method, 0, replies, r.args...)
		underway[call] = r.took
	}
	for len(underway) > 0 {
		take()
	}
}

func unitObject(name string) dbus.ObjectPath {
	return dbus.ObjectPath(unitPrefix + sdbus.PathBusEscape(name))
}

// unitName undoes unitObject.
func unitName(path dbus.ObjectPath) (string, bool) {
	escaped, ok := strings.CutPrefix(string(path), unitPrefix)
	if !ok {
		return "", false
	}
	var name strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '_' || i+2 >= len(escaped) {
			name.WriteByte(escaped[i])
			continue
		}
		c, err := strconv.ParseUint(escaped[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		name.WriteByte(byte(c))
		i += 2
	}
	return name.String(), true
}

// translate gives systemd's errors our names.
func translate(err error) error {
	var said dbus.Error
	if !errors.As(err, &said) {
		return err
	}
	text := said.Error()
	switch said.Name {
	case "org.freedesktop.DBus.Error.UnknownProperty":
		return fmt.Errorf("%w: %s", errNoProperty, text)
	case service + ".NoSuchUnit":
		return fmt.Errorf("%w: %s", ErrNoSuchUnit, text)
	case service + ".UnitExists":
		return fmt.Errorf("%w: %s", ErrExists, text)
	case service + ".BadUnitSetting", service + ".LoadFailed", service + ".UnitMasked":
		return fmt.Errorf("%w: %s", ErrBadUnit, text)
	}
	return fmt.Errorf("%s: %s", said.Name, text)
}
