package systemd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// privateBus starts a bus of the test's own and returns its address.
func privateBus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("dbus-daemon is not installed (package dbus)")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	text := `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=` + filepath.Join(dir, "bus") + `</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--nofork", "--print-address", "--config-file="+config)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the bus did not start: %v", err)
	}
	address, _, _ := strings.Cut(strings.TrimSpace(line), ",guid=")
	return address
}

// standIn owns a name on a bus and answers what its service documents.
type standIn struct {
	t    *testing.T
	conn *dbus.Conn

	mu    sync.Mutex
	props map[string]dbus.Variant
}

func newStandIn(t *testing.T, address, name string) *standIn {
	t.Helper()
	conn, err := connect(Options{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName(%s) = %v, %v", name, reply, err)
	}
	return &standIn{t: t, conn: conn, props: map[string]dbus.Variant{}}
}

// Get is org.freedesktop.DBus.Properties.Get.
func (s *standIn) Get(_, name string) (dbus.Variant, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.props[name]
	if !ok {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", []any{"no " + name})
	}
	return v, nil
}

func (s *standIn) set(name string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.props[name] = dbus.MakeVariant(value)
}

func (s *standIn) export(what any, path dbus.ObjectPath, face string) {
	s.t.Helper()
	if err := s.conn.Export(what, path, face); err != nil {
		s.t.Fatal(err)
	}
}

func (s *standIn) emit(path dbus.ObjectPath, name string, values ...any) {
	s.t.Helper()
	if err := s.conn.Emit(path, name, values...); err != nil {
		s.t.Fatal(err)
	}
}
