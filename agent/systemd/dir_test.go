package systemd

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func mustPut(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func mustOwn(t *testing.T, d *Dir, name string) {
	t.Helper()
	if err := errors.Join(d.WriteDropIn(name, DropIn, []byte("a")), d.Write(name, []byte("b"))); err != nil {
		t.Fatal(err)
	}
}

func TestDirLeavesOthersFiles(t *testing.T) {
	root := t.TempDir()
	d := NewDir(filepath.Join(root, "system"), nil)
	mustOwn(t, d, "web.service")
	if err := d.WriteDropIn("web.service", "60-more.conf", nil); err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(d.Path(), "web.service.d", "override.conf")
	mustPut(t, edited, "[Service]\n")
	if err := d.Remove("web.service"); err != nil {
		t.Fatalf("Remove() = %v", err)
	}
	for path, want := range map[string]bool{
		"web.service": false, "web.service.d/" + DropIn: false, "web.service.d/60-more.conf": false, "web.service.d/override.conf": true,
	} {
		if got := exists(filepath.Join(d.Path(), path)); got != want {
			t.Errorf("%s exists = %v after Remove, want %v", path, got, want)
		}
	}
	mustOwn(t, d, "web.service")
	if entries, err := d.List(); err != nil || len(entries) != 1 {
		t.Errorf("List() = %v, %v, want web.service", entries, err)
	}
}

// A process that dies between any two steps leaves something that the next one mends.
func TestDirAfterADeath(t *testing.T) {
	d := NewDir(filepath.Join(t.TempDir(), "system"), nil)
	if err := errors.Join(d.Sweep(), d.Remove("web.service")); err != nil {
		t.Errorf("Sweep and Remove without a folder = %v, want nil", err)
	}
	mustOwn(t, d, "kept.service")
	mustOwn(t, d, "gone.service")
	if err := os.Remove(filepath.Join(d.Path(), "gone.service")); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(d.Path(), tempMark+"123")
	inner := filepath.Join(d.Path(), "gone.service.d", tempMark+"123")
	foreign := filepath.Join(d.Path(), "other.service.d", "10-x.conf")
	for _, path := range []string{temp, inner, foreign} {
		mustPut(t, path, "x")
	}
	if err := d.Sweep(); err != nil {
		t.Fatalf("Sweep() = %v", err)
	}
	for path, want := range map[string]bool{
		temp: false, filepath.Dir(inner): false, foreign: true, filepath.Join(d.Path(), "kept.service.d", DropIn): true,
	} {
		if got := exists(path); got != want {
			t.Errorf("%s exists = %v after Sweep, want %v", path, got, want)
		}
	}
}

func TestDirLeavesEqualBytesAlone(t *testing.T) {
	d := NewDir(t.TempDir(), nil)
	mustOwn(t, d, "web.service")
	before, err := os.Stat(filepath.Join(d.Path(), "web.service"))
	if err != nil {
		t.Fatal(err)
	}
	mustOwn(t, d, "web.service")
	after, err := os.Stat(filepath.Join(d.Path(), "web.service"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the same bytes made another file, which systemd would want to reload")
	}
	if mode := after.Mode().Perm(); mode != 0o644 {
		t.Errorf("mode of a unit file = %o, want 644", mode)
	}
}

func TestElsewhere(t *testing.T) {
	root := t.TempDir()
	etc, usr := filepath.Join(root, "etc"), filepath.Join(root, "usr")
	d := NewDir(filepath.Join(root, "run"), []string{etc, filepath.Join(root, "run"), filepath.Join(root, "none"), usr})
	mustPut(t, filepath.Join(usr, "sshd.service"), "")
	mustPut(t, filepath.Join(usr, "getty@.service"), "")
	mustPut(t, filepath.Join(usr, "plain.service.d", "x.conf"), "")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(etc, "masked.service")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, filepath.Join(root, "run", "foreign.service"), "")
	mustOwn(t, d, "ours.service")
	mustOwn(t, d, "ours@.service")
	tests := map[string]string{
		"sshd.service": "usr/sshd.service", "getty@tty1.service": "usr/getty@.service", "getty@.service": "usr/getty@.service",
		"masked.service": "etc/masked.service", "foreign.service": "run/foreign.service",
		"ours.service": "", "ours@1.service": "", "plain.service": "", "getty.service": "", "@x.service": "", "../usr/sshd.service": "",
	}
	for name, want := range tests {
		got, ok := d.Elsewhere(name)
		if want != "" {
			want = filepath.Join(root, want)
		}
		if got != want || ok != (want != "") {
			t.Errorf("Elsewhere(%s) = %q, %v, want %q", name, got, ok, want)
		}
	}
}
