package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecondDaemonTouchesNothing: it must not come as far as the first one's socket.
func TestSecondDaemonTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	release, err := lockHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "flotilla.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opt := Options{RunDir: dir, Log: slog.New(slog.DiscardHandler)}
	for name, run := range map[string]func() error{
		"agent": func() error { return Run(t.Context(), opt) },
		"dev":   func() error { return RunAlone(t.Context(), opt, func() {}) },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "another flotilla runs on this host") {
			t.Errorf("%s: second daemon = %v, want to hear of the first", name, err)
		}
	}
	if err := Running(dir); err == nil || !strings.Contains(err.Error(), "another flotilla runs on this host") {
		t.Errorf("Running beside a daemon = %v, want to hear of it", err)
	}
	if _, err := os.Stat(socket); err != nil {
		t.Errorf("socket of the first daemon: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, t.TempDir()} {
		if err := Running(dir); err != nil {
			t.Errorf("Running without a daemon = %v", err)
		}
	}
	if release, err = lockHost(dir); err != nil {
		t.Fatalf("lockHost after the first ended = %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
