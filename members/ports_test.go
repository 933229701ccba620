package members

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestPortsTaken: a host whose ports are taken is refused before anything is asked or written,
// if its daemons are to start now.
func TestPortsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	secret, err := NewToken(Fingerprint{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := l.Addr().String() + " is taken by another program ('ss -ltnp' shows it; end it first)"
	o := initOptions(t)
	o.Starts = true
	for _, ports := range []Ports{{port, 1, 2}, {1, port, 2}, {1, 2, port}} {
		if o.Address, o.Ports = "10.0.0.1", ports; ports.API == port {
			o.Address = "127.0.0.1" // where the agent listens only there
		}
		if _, err := Init(t.Context(), o); err == nil || err.Error() != want {
			t.Errorf("Init with %+v = %v, want %s", ports, err, want)
		}
		join := JoinOptions{
			Paths: o.Paths, Host: hostA, Name: "alpha", Address: o.Address, Ports: ports, Starts: true,
			Server: l.Addr().String(), Token: secret.Text(), Patience: time.Nanosecond, Now: o.Now,
		}
		if _, err := Join(t.Context(), join); err == nil || err.Error() != want {
			t.Errorf("Join with %+v = %v, want %s", ports, err, want)
		}
		join.NoEtcd = true
		if _, err := Join(t.Context(), join); ports.API != port && (err == nil || strings.Contains(err.Error(), "taken")) {
			t.Errorf("Join of a client with %+v = %v, want it to come as far as asking", ports, err)
		}
	}
	if Traces(o.Paths) {
		t.Error("what was refused left traces")
	}
	o.Starts = false
	if _, err := Init(t.Context(), o); err != nil {
		t.Errorf("Init that starts nothing = %v", err)
	}
}
