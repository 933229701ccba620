package systemd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

type lock struct {
	What, Who, Why, Mode string
	UID, PID             uint32
}

// login answers as logind does on org.freedesktop.login1.
type login struct {
	mu      sync.Mutex
	locks   []lock
	reboots []string
	err     *dbus.Error
	ends    []*os.File // of the locks' pipes
}

func (l *login) ListInhibitors() ([]lock, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]lock{}, l.locks...), nil
}

func (l *login) Reboot(interactive bool) *dbus.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reboots = append(l.reboots, fmt.Sprint("reboot ", interactive))
	return l.err
}

func (l *login) RebootWithFlags(flags uint64) *dbus.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reboots = append(l.reboots, fmt.Sprint("flags ", flags))
	return l.err
}

func (l *login) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	l.ends = append(l.ends, ours, theirs)
	l.locks = append(l.locks, lock{What: what, Who: who, Why: why, Mode: mode})
	return dbus.UnixFD(theirs.Fd()), nil
}

type loginSession struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

func (l *login) ListSessions() ([]loginSession, *dbus.Error) {
	return []loginSession{{"1", 0, "root", "", "/s/1"}, {"2", 1000, "ann", "", "/s/2"}, {"3", 1000, "ann", "", "/s/3"}, {"4", 0, "root", "", "/s/4"}}, nil
}

func newLogin(t *testing.T) (*login, *standIn, *Logind) {
	address := privateBus(t)
	stand := newStandIn(t, address, loginService)
	l := &login{}
	stand.export(l, loginPath, loginFace)
	stand.export(stand, loginPath, propsFace)
	stand.set("InhibitDelayMaxUSec", uint64(30_000_000))
	stand.set("PreparingForShutdown", false)
	for i, s := range [][2]string{{"user", "active"}, {"user", "online"}, {"user", "closing"}, {"manager", "active"}} {
		object := &standIn{t: t, conn: stand.conn, props: map[string]dbus.Variant{}}
		object.set("Class", s[0])
		object.set("State", s[1])
		stand.export(object, dbus.ObjectPath(fmt.Sprintf("/s/%d", i+1)), propsFace)
	}
	d := NewLogind(Options{Address: address})
	t.Cleanup(func() { _ = d.Close() })
	return l, stand, d
}

// TestLogindReboot: each kind is one call; a lock that forbids shutdowns and an answer that is no are told
// as a refusal, which is final.
func TestLogindReboot(t *testing.T) {
	l, _, d := newLogin(t)
	for _, c := range []struct {
		what    string
		soft    bool
		locks   []lock
		err     *dbus.Error
		refused string
		calls   string
	}{
		{"a reboot", false, nil, nil, "", "reboot false"},
		{"a soft one", true, nil, nil, "", "flags 4"},
		{"delayed by somebody", false, []lock{{What: "shutdown", Who: "x", Mode: "delay"}, {What: "sleep", Who: "x", Mode: "block"}}, nil, "", "reboot false"},
		{"forbidden", false, []lock{{What: "sleep:shutdown", Who: "dpkg", Why: "packages are installed", Mode: "block", PID: 7}}, nil, "dpkg (pid 7) forbids shutdowns: packages are installed", ""},
		{"refused", false, nil, dbus.NewError("org.freedesktop.login1.OperationInProgress", []any{"already in progress"}), "logind refuses: already in progress", "reboot false"},
	} {
		l.mu.Lock()
		l.locks, l.err, l.reboots = c.locks, c.err, nil
		l.mu.Unlock()
		refused, err := d.Reboot(t.Context(), c.soft)
		l.mu.Lock()
		calls := strings.Join(l.reboots, ", ")
		l.mu.Unlock()
		if err != nil || !strings.HasPrefix(refused, c.refused) || (refused == "") != (c.refused == "") || calls != c.calls {
			t.Errorf("%s: Reboot = %q, %v with calls %q, want %q with %q", c.what, refused, err, calls, c.refused, c.calls)
		}
	}
	l.mu.Lock()
	l.locks, l.err = nil, dbus.NewError("org.freedesktop.DBus.Error.NoReply", []any{"no reply"})
	l.mu.Unlock()
	if refused, err := d.Reboot(t.Context(), false); err == nil || refused != "" {
		t.Errorf("Reboot without an answer = %q, %v, want an error: nobody knows", refused, err)
	}
}

// TestLogindHold: the lock is held until it is released, and is one of mode delay.
func TestLogindHold(t *testing.T) {
	l, _, d := newLogin(t)
	release, err := d.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	if want := (lock{What: "shutdown", Who: "flotilla", Why: "units of this host go elsewhere first", Mode: "delay"}); len(l.locks) != 1 || l.locks[0] != want {
		t.Errorf("locks = %+v, want %+v", l.locks, want)
	}
	ours, theirs := l.ends[0], l.ends[1]
	l.mu.Unlock()
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after release the pipe says %v, want its end", err)
	}
}

// TestLogindLogins: sessions of people that are not closing count; the limit and the shutdown are told.
func TestLogindLogins(t *testing.T) {
	_, stand, d := newLogin(t)
	if got, err := d.Logins(t.Context()); err != nil || got != (Logins{Users: 2, Delay: 30 * time.Second}) {
		t.Errorf("Logins() = %+v, %v, want two people and 30 s", got, err)
	}
	stand.set("PreparingForShutdown", true)
	stand.set("InhibitDelayMaxUSec", ^uint64(0))
	if got, err := d.Logins(t.Context()); err != nil || got.Shutdown != AnyShutdown || got.Delay < time.Hour {
		t.Errorf("Logins() = %+v, %v, want a shutdown and no limit", got, err)
	}
}

// TestLogindShutdowns: the present state comes first, then each other one; a systemd that tells the kind
// tells it in a signal before the one that all have.
func TestLogindShutdowns(t *testing.T) {
	_, stand, d := newLogin(t)
	told, err := d.Shutdowns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		for got := range told {
			if got == want {
				return
			}
		}
		t.Fatalf("Shutdowns never told %q", want)
	}
	next("")
	stand.emit(loginPath, loginFace+".PrepareForShutdown", true)
	next(AnyShutdown)
	stand.emit(loginPath, loginFace+".PrepareForShutdown", false)
	next("")
	stand.emit(loginPath, loginFace+".PrepareForShutdownWithMetadata", true, map[string]dbus.Variant{"type": dbus.MakeVariant("poweroff")})
	next("poweroff")
	stand.emit(loginPath, loginFace+".PrepareForShutdown", true)
	next("poweroff")
}
