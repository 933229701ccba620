package systemd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestMachineID(t *testing.T) {
	const good = "0123456789abcdef0123456789abcdef"
	tests := []struct {
		content, want string
	}{
		{good + "\n", good},
		{good, good},
		{"", ""},
		{"uninitialized\n", ""},
		{strings.Repeat("0", 32) + "\n", ""},
		{good[1:], ""},
		{strings.ToUpper(good), ""},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "machine-id")
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := machineID(path); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("machineID(%q) = %q, %v, want %q", tt.content, got, err, tt.want)
		}
	}
}

func TestPrettyName(t *testing.T) {
	tests := map[string]string{
		"NAME=Flatcar\nPRETTY_NAME=\"Flatcar Container Linux by Kinvolk 1 (Oklo)\"\n": "Flatcar Container Linux by Kinvolk 1 (Oklo)",
		"# PRETTY_NAME=no\nPRETTY_NAME='Some \"OS\"'\n":                               "Some \"OS\"",
		"NAME=Plain\n": "Plain",
		"":             "",
	}
	for in, want := range tests {
		if got := pretty(in); got != want {
			t.Errorf("pretty(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEngineVersion(t *testing.T) {
	tests := map[string]string{
		"Docker version 26.1.5+dfsg1, build a72d7cd\n": "26.1.5+dfsg1", "podman version 5.4.2\n": "5.4.2", "odd\n": "odd", "": "",
	}
	for in, want := range tests {
		if got := version(in); got != want {
			t.Errorf("version(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReadFacts(t *testing.T) {
	f, err := ReadFacts(t.Context())
	if f.CPUs == 0 || f.Memory < 1<<20 || f.Kernel == "" || f.Hostname == "" || f.Arch == "" {
		t.Errorf("ReadFacts() = %+v, %v, want facts", f, err)
	}
	boot, err := BootID()
	if err != nil || len(boot) != 32 {
		t.Errorf("BootID() = %q, %v, want 32 digits", boot, err)
	}
	up, err := Boottime()
	if err != nil || up <= 0 {
		t.Errorf("Boottime() = %s, %v", up, err)
	}
	if now, err := Monotonic(); err != nil || now <= 0 {
		t.Errorf("Monotonic() = %s, %v", now, err)
	}
}

func TestUnitObjects(t *testing.T) {
	for _, name := range []string{"web.service", "web@1.service", "a_b-c.service", "1.service", `dev\x2dx.service`, "_.service"} {
		if got, ok := unitName(unitObject(name)); got != name || !ok {
			t.Errorf("unitName(%s) = %q, %v, want %q", unitObject(name), got, ok, name)
		}
	}
	for _, path := range []dbus.ObjectPath{"/org/freedesktop/systemd1", "/org/freedesktop/systemd1/job/1", unitPrefix + "a_zz"} {
		if got, ok := unitName(path); ok {
			t.Errorf("unitName(%s) = %q, want none", path, got)
		}
	}
}

func TestUnitRules(t *testing.T) {
	many := map[string]bool{}
	for i := range maxRules + 1 {
		many[strings.Repeat("x", i+1)+".service"] = true
	}
	tests := []struct {
		owned map[string]bool
		want  int
	}{
		{nil, 1}, {map[string]bool{}, 0}, {map[string]bool{"a.service": true, "b.service": true}, 2}, {many, 1},
	}
	for _, tt := range tests {
		if got := len(unitRules(tt.owned)); got != tt.want {
			t.Errorf("unitRules(%d units) = %d rules, want %d", len(tt.owned), got, tt.want)
		}
	}
}
