package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environment() map[string]string {
	return map[string]string{
		"FLOTILLA_URL":    "https://example.com/flotilla",
		"FLOTILLA_SHA256": strings.Repeat("ab", 32),
		"FLOTILLA_JOIN":   "10.0.0.1",
		"FLOTILLA_TOKEN":  "FLT1-x-y-z",
		"SSH_KEY":         "ssh-ed25519 AAAA me",
	}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := env[k]; return v, ok }
}

func TestTranspile(t *testing.T) {
	for file, version := range map[string]string{"flatcar.bu": "3.4.0", "fedora-coreos.bu": "3.4.0"} {
		t.Run(file, func(t *testing.T) {
			out, err := transpile(filepath.Join("..", file), lookup(environment()))
			if err != nil {
				t.Fatal(err)
			}
			var ign ignition
			if err := json.Unmarshal(out, &ign); err != nil {
				t.Fatal(err)
			}
			if ign.Ignition.Version != version {
				t.Errorf("Ignition version = %s, want %s", ign.Ignition.Version, version)
			}
			checkFiles(t, file, ign)
			checkUnits(t, ign)
			checkRivals(t, file, ign)
		})
	}
}

// checkRivals: nothing else reboots the host without asking: locksmithd is masked, Zincati asks our FleetLock
// server, which the join opens where Zincati looks for it.
func checkRivals(t *testing.T, file string, ign ignition) {
	t.Helper()
	masked := ""
	for _, u := range ign.Systemd.Units {
		if u.Mask {
			masked += u.Name
		}
	}
	if file == "flatcar.bu" {
		if masked != "locksmithd.service" {
			t.Errorf("masked units = %q, want locksmithd.service", masked)
		}
		return
	}
	zincati := ign.Storage.Files[2]
	got, err := zincati.Contents.read("")
	want, wantErr := os.ReadFile("../90-flotilla.toml")
	if err := errors.Join(err, wantErr); err != nil {
		t.Fatal(err)
	}
	if zincati.Path != "/etc/zincati/config.d/90-flotilla.toml" || zincati.Mode != 0o644 || string(got) != string(want) || !strings.Contains(string(got), "http://127.0.0.1:3333/") {
		t.Errorf("Zincati's file %s, mode %o = %q, want %q", zincati.Path, zincati.Mode, got, want)
	}
}

func checkFiles(t *testing.T, name string, ign ignition) {
	t.Helper()
	if want := map[string]int{"flatcar.bu": 2, "fedora-coreos.bu": 3}[name]; len(ign.Storage.Files) != want {
		t.Fatalf("%d files, want %d: binary, token, and Zincati's on Fedora CoreOS", len(ign.Storage.Files), want)
	}
	bin, env := ign.Storage.Files[0], ign.Storage.Files[1]
	if bin.Path != "/opt/bin/flotilla" || bin.Mode != 0o755 || bin.Contents.Source != "https://example.com/flotilla" || bin.Contents.Verification.Hash != "sha256-"+strings.Repeat("ab", 32) {
		t.Errorf("binary = %+v", bin)
	}
	want := "FLOTILLA_JOIN=10.0.0.1\nFLOTILLA_TOKEN=FLT1-x-y-z\n"
	if name == "fedora-coreos.bu" {
		want += "FLOTILLA_FLAGS=--fleetlock=127.0.0.1:3333\n"
	}
	got, err := env.Contents.read("")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want || env.Mode != 0o600 || env.Path != "/etc/flotilla/join.env" {
		t.Errorf("token file %s, mode %o = %q, want %q", env.Path, env.Mode, got, want)
	}
}

func checkUnits(t *testing.T, ign ignition) {
	t.Helper()
	found := map[string]bool{}
	for _, u := range ign.Systemd.Units {
		found[u.Name] = u.Enabled
		if !strings.HasPrefix(u.Name, "flotilla-") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", u.Name))
		if err != nil || u.Contents != string(text) {
			t.Errorf("%s differs from its file: %v", u.Name, err)
		}
	}
	for _, name := range []string{"flotilla-join.service", "flotilla-agent.service", "flotilla-etcd.service"} {
		enabled, ok := found[name]
		if !ok || enabled != (name == "flotilla-join.service") {
			t.Errorf("%s: there %v, enabled %v; only the join is enabled", name, ok, enabled)
		}
	}
}

func TestUnpack(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "flotilla")
	if err := os.WriteFile(binary, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment()
	out, err := transpile("../flatcar.bu", lookup(env))
	if err != nil {
		t.Fatal(err)
	}
	if err := unpack(out, t.TempDir(), binary); err == nil || !strings.Contains(err.Error(), "set FLOTILLA_SHA256") {
		t.Errorf("unpack with another binary = %v, want a refusal", err)
	}
	sum := sha256.Sum256([]byte("program"))
	env["FLOTILLA_SHA256"] = hex.EncodeToString(sum[:])
	if out, err = transpile("../flatcar.bu", lookup(env)); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := unpack(out, root, binary); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"/opt/bin/flotilla": "program", "/etc/flotilla/join.env": "FLOTILLA_JOIN=10.0.0.1\nFLOTILLA_TOKEN=FLT1-x-y-z\n"} {
		if got, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", file, got, err, want)
		}
	}
	if to, err := os.Readlink(filepath.Join(root, "/etc/systemd/system/locksmithd.service")); err != nil || to != "/dev/null" {
		t.Errorf("locksmithd.service is a link to %q, %v, want it masked", to, err)
	}
	wants, err := os.ReadDir(filepath.Join(root, "/etc/systemd/system/multi-user.target.wants"))
	if err != nil || len(wants) != 1 || wants[0].Name() != "flotilla-join.service" {
		t.Errorf("enabled units = %v, %v, want the join alone", wants, err)
	}
}

func TestTranspileRefuses(t *testing.T) {
	missing := environment()
	delete(missing, "FLOTILLA_TOKEN")
	missing["SSH_KEY"] = ""
	_, err := transpile("../flatcar.bu", lookup(missing))
	if want := "../flatcar.bu: set these in the environment: FLOTILLA_TOKEN SSH_KEY"; !errors.Is(err, errMissing) || err.Error() != want {
		t.Errorf("transpile without values = %v, want %s", err, want)
	}
	long := environment()
	long["SSH_KEY"] = "a\nb"
	if _, err := transpile("../flatcar.bu", lookup(long)); err == nil {
		t.Error("transpile takes a value of two lines")
	}
	doubtful := filepath.Join(t.TempDir(), "x.bu")
	for name, text := range map[string]string{
		"unknown key": "variant: flatcar\nversion: 1.1.0\nstorag: {}\n",
		"bad mode":    "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /x\n      mode: 755\n      contents: {inline: x}\n",
	} {
		if err := os.WriteFile(doubtful, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := transpile(doubtful, lookup(nil)); err == nil {
			t.Errorf("%s: transpile = nil, want an error", name)
		}
	}
}
