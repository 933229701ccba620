//go:build e2e

package hosts

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets a test run this binary again as a process that opens a lab
// and then hangs, to be killed at its work.
func TestMain(m *testing.M) {
	if name := os.Getenv("HOSTS_TEST_VICTIM"); name != "" {
		victim(name)
	}
	os.Exit(m.Run())
}

func victim(name string) {
	ctx := context.Background()
	l, err := Open(ctx, Options{Name: name, Log: os.Stderr})
	if err == nil {
		_, err = l.Boot(ctx, 1)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	select {}
}

// TestOpenAfterCrash kills a process that has a lab open, at two moments, and
// opens that lab again.
func TestOpenAfterCrash(t *testing.T) {
	const name = "hosts-crash"
	o := Options{Name: name}
	t.Cleanup(func() {
		if err := Remove(context.Background(), o); err != nil {
			t.Error(err)
		}
	})
	moments := map[string]func(context.Context) error{
		"namespaces made": func(context.Context) error {
			_, err := os.Stat(filepath.Join(CacheDir(), "labs", name, "holder"))
			return err
		},
		"host up": func(ctx context.Context) error {
			l, err := Attach(ctx, o)
			if err != nil {
				return err
			}
			h := l.Host("h1")
			if h == nil {
				return errors.New("no host yet")
			}
			_, err = h.Exec(ctx, nil, "systemctl", "is-system-running")
			return err
		},
	}
	for moment, reached := range moments {
		t.Run(moment, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "HOSTS_TEST_VICTIM="+name)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			err := Wait(t.Context(), 2*time.Minute, "moment of the crash", reached)
			cmd.Process.Signal(syscall.SIGKILL)
			cmd.Wait()
			if err != nil {
				t.Fatal(err)
			}
			l := mustOpen(t, o)
			if _, err := l.Boot(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustBeGone(t, l)
		})
	}
	if _, err := Attach(t.Context(), o); !errors.Is(err, ErrNoLab) {
		t.Errorf("Attach() after Close() = %v, want %v", err, ErrNoLab)
	}
}

// TestRemoveKeepsForeignFiles hands Remove a folder that no lab made.
func TestRemoveKeepsForeignFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(file, []byte("years of work"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), Options{Name: "hosts-foreign", Dir: dir}); err == nil {
		t.Error("Remove() of a foreign folder = nil, want an error")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestDebian12 boots the oldest systemd that flotilla promises to work with,
// next to a current one.
func TestDebian12(t *testing.T) {
	l := mustOpen(t, Options{Name: "hosts-old"})
	if _, err := l.Boot(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	h, err := l.BootHost(t.Context(), HostOptions{Name: "old", Suite: "bookworm", MachineID: l.Host("h1").MachineID()})
	if err != nil {
		t.Fatal(err)
	}
	version := mustExec(t, h, "systemctl", "--version")
	if !strings.HasPrefix(version, "systemd 252") {
		t.Errorf("systemctl --version = %q, want systemd 252", version)
	}
	if got := mustExec(t, h, "systemctl", "is-system-running"); got != "running" {
		t.Errorf("host is %s, want running: %s", got, mustExec(t, h, "systemctl", "--failed"))
	}
	if err := reach(t.Context(), l.Host("h1"), h); err != nil {
		t.Error(err)
	}
	for _, asked := range l.Hosts() { // also one that booted before the other was named
		for _, other := range l.Hosts() {
			if got := mustExec(t, asked, "getent", "ahostsv4", other.Name()); !strings.HasPrefix(got, other.IP()+" ") && asked != other {
				t.Errorf("%s finds %q for %s, want %s", asked.Name(), got, other.Name(), other.IP())
			}
		}
	}
	app, err := BuildApp(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LoadImage(t.Context(), "app:1", app); err != nil {
		t.Fatal(err)
	}
}
