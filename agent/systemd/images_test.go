package systemd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEngines: what the runtimes' programs say of an image, in words that Docker and Podman use.
func TestEngines(t *testing.T) {
	for _, tt := range []struct {
		name, runtime, script string
		has                   bool
		err                   string
	}{
		{"there in Podman", "podman", `[ "$*" = "image exists -- x:1" ]`, true, ""},
		{"missing in Podman", "podman", "exit 1", false, ""},
		{"Podman fails", "podman", "echo 'Error: no storage' >&2; exit 125", false, "Error: no storage"},
		{"there in Docker", "docker", `[ "$*" = "image inspect --format={{.Id}} -- x:1" ] || { echo "$*" >&2; exit 9; }`, true, ""},
		{"missing in Docker 26", "docker", "echo '[]'; echo 'Error response from daemon: No such image: x:1' >&2; exit 1", false, ""},
		{"missing in Docker 20", "docker", "echo 'Error: No such image: x:1' >&2; exit 1", false, ""},
		{"no Docker daemon", "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1", false, "Cannot connect to the Docker daemon"},
		{"fails in silence", "docker", "exit 3", false, "docker image inspect: exit status 3"},
		{"not installed", "docker", "", false, "this host has no docker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			if tt.script != "" {
				if err := os.WriteFile(filepath.Join(dir, tt.runtime), []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			has, err := Engines{}.HasImage(t.Context(), tt.runtime, "x:1")
			if has != tt.has || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("HasImage = %t, %v, want %t, %q", has, err, tt.has, tt.err)
			}
		})
	}
}

func TestPullUnit(t *testing.T) {
	a, b := PullUnit("podman", "x:1"), PullUnit("docker", "x:1")
	if a == b || !strings.HasPrefix(a, "flotilla-pull-") || !validName.MatchString(a) {
		t.Errorf("PullUnit = %q, %q, want two names of services of ours", a, b)
	}
}

// TestRuntimes: what is installed is known with its version, and the mark tells each change of it.
func TestRuntimes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	program := filepath.Join(dir, "podman")
	none := RuntimesMark()
	if got, err := Runtimes(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Runtimes of none = %v, %v", got, err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho podman version 5.4.2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	some := RuntimesMark()
	if got, err := Runtimes(t.Context()); err != nil || len(got) != 1 || got["podman"] != "5.4.2" {
		t.Errorf("Runtimes = %v, %v, want podman 5.4.2", got, err)
	}
	if again := RuntimesMark(); some == none || again != some {
		t.Errorf("RuntimesMark = %q, %q, %q, want one that changes only with the program", none, some, again)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho podman version 5.4.2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Runtimes(t.Context()); err == nil || RuntimesMark() == some {
		t.Errorf("Runtimes of a program that fails = %v, want an error and another mark", err)
	}
}

// TestLimited: a host that is a container has what its control group may use.
func TestLimited(t *testing.T) {
	for _, tt := range []struct {
		memory, cpu string
		wantCPUs    int
		wantMemory  uint64
	}{
		{"", "", 8, 1000},
		{"max\n", "max 100000\n", 8, 1000},
		{"500\n", "250000 100000\n", 2, 500},
		{"5000\n", "50000 100000\n", 1, 1000},
		{"much\n", "some\n", 8, 1000},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"memory.max": tt.memory, "cpu.max": tt.cpu} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if cpus, memory := limited(dir, 8, 1000); cpus != tt.wantCPUs || memory != tt.wantMemory {
			t.Errorf("limited with %q and %q = %d, %d, want %d, %d", tt.memory, tt.cpu, cpus, memory, tt.wantCPUs, tt.wantMemory)
		}
	}
}
